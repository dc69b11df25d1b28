import { describeBound, keeps } from '../core/bound.ts';
import { itemsBefore } from '../core/clearance.ts';
import type { ChecklistItem, Order, Stage } from '../core/plan.ts';
import type { House } from '../house.ts';
import { appendEvent } from '../store/events.ts';

interface CheckAnswer {
  readonly item: string;
  readonly passes: boolean;
  readonly value?: number;
  readonly why: string;
}

/** The newest answer of each check, by launch and item: an event is written only when it changes. */
const newest = new WeakMap<House, Map<string, string>>();

async function answer(house: House, item: ChecklistItem): Promise<CheckAnswer | undefined> {
  const { check } = item;
  if (check === undefined) return undefined;
  const source = house.sources.get(check.source);
  if (source === undefined) return { item: item.id, passes: false, why: `no source is called ${check.source}` };
  const said = await source.measure({ text: check.query, staleAfter: 120_000 }, AbortSignal.timeout(8_000));
  if (said.kind !== 'value') return { item: item.id, passes: false, why: `${said.reason}: ${said.detail}` };
  return { item: item.id, passes: keeps(check.bound, said.value), value: said.value, why: describeBound(check.bound, said.value, check.unit) };
}

/** Runs a stage's machine checks now; writes down answers that changed. Returns the items that do not pass. */
export async function failingChecks(house: House, launch: string, order: Order, stage: Stage): Promise<readonly string[]> {
  const answers = (await Promise.all(itemsBefore(order.plan, stage).map((item) => answer(house, item)))).filter((one) => one !== undefined);
  const known = newest.get(house) ?? new Map<string, string>();
  newest.set(house, known);
  const at = new Date(await house.clock.now()).toISOString();
  for (const one of answers) {
    const id = `${launch}/${one.item}`;
    if (known.get(id) === String(one.passes)) continue;
    known.set(id, String(one.passes));
    const { item, passes, why } = one;
    await appendEvent(house.store.db, launch, `checked:${item}:${passes ? 'passes' : why}`, {
      kind: 'checked',
      at,
      by: house.hand,
      item,
      passes,
      why,
      ...(one.value === undefined ? {} : { value: one.value }),
    });
  }
  return answers.filter((one) => !one.passes).map((one) => one.item);
}
