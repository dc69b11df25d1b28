/** An evaluation context: the targeting key and the attributes that the flags' exposures know. */
export interface Who {
  readonly targetingKey: string;
  readonly contract?: string;
  readonly segment?: string;
  readonly team?: string;
}

/** Contracts enough that 5 % of them are some, whatever the flag's salt. */
const CONTRACTS = 400;

/** A contract as flags are asked for it. */
export function contract(id: string): Who {
  return { targetingKey: `contract-${id}`, contract: id };
}

/** People of the company, who get chat first. */
export const INTERNAL: readonly Who[] = Array.from({ length: 12 }, (_, i) => ({ targetingKey: `employee-${i + 1}`, segment: 'internal' }));

/** The team that settles disputes. */
export const DISPUTE_OPS: readonly Who[] = Array.from({ length: 5 }, (_, i) => ({ targetingKey: `agent-${i + 1}`, team: 'dispute_ops' }));

/** Every contract of the marketplace. */
export const ALL_CONTRACTS: readonly Who[] = Array.from({ length: CONTRACTS }, (_, i) => contract(String(i + 1)));
