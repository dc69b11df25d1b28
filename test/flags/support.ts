import type { Exposure } from '../../src/core/exposure.ts';
import type { FlagRef } from '../../src/core/plan.ts';
import type { FlagLog } from '../../src/flags/database.ts';
import type { Flag } from '../../src/flags/flag.ts';
import type { OpenContext } from '../../src/providers/provider.ts';

/** What was logged, line by line. */
export interface Written extends FlagLog {
  readonly lines: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[];
}

/** A log that keeps its lines. */
export function keepLog(): Written {
  const lines: Written['lines'] = [];
  const write = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    lines.push({ fields, message });
  };
  return { lines, info: write, warn: write };
}

/** What a provider or an evaluator is opened with, secrets taken as they stand. */
export function openContext(more: Partial<OpenContext> = {}): Omit<OpenContext, 'instance'> {
  return { log: keepLog(), secret: (reference) => reference, ...more };
}

/** A registry entry of a flag in the built-in store. */
export function flagRef(key: string, type: FlagRef['type'] = 'boolean'): FlagRef {
  return { flag: `registry.${key}`, provider: 'store', key, type, offValue: type === 'boolean' ? false : (type.oneOf[0] ?? ''), proof: [] };
}

/** A flag as the store would return it. */
export function storedFlag(exposure: Exposure, more: Partial<Flag> = {}): Flag {
  return {
    key: 'chat.enabled',
    type: 'boolean',
    allowed: [false, true],
    offValue: false,
    exposure,
    salt: 's',
    revision: '1',
    exposed: false,
    owner: '',
    description: '',
    updatedBy: 'ann',
    changeId: 'c',
    updatedAt: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}
