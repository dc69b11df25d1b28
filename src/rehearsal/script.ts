import type { LaunchEvent } from '../core/event.ts';
import { promisedTo } from '../core/exposed.ts';
import type { Gate, Order } from '../core/plan.ts';
import type { GateScript } from './script-source.ts';
import type { Scenario, Trouble, Outage } from './scenario.ts';

/** What goes wrong in a rehearsal and when, its moments known once their stages have moved. */
export interface Script {
  hear(event: LaunchEvent): void;
  of(gate: Gate): GateScript;
  /** Whether a provider answers not. */
  isDown(provider: string, at: number): boolean;
  /** Whether anything goes wrong at this time. */
  isTense(at: number): boolean;
  /** When something begins or ends next, ms. */
  next(after: number): number | undefined;
}

/** Opens the script of one rehearsal. */
export function openScript(order: Order, scenario: Scenario): Script {
  const shifted = new Map<string, number>();
  const spanOf = ({ stage, after, for: lasts }: Trouble | Outage): readonly [from: number, to: number] | undefined => {
    const at = shifted.get(stage);
    return at === undefined ? undefined : [at + after, at + after + (lasts ?? Infinity)];
  };
  const isOn = (one: Trouble | Outage, at: number): boolean => {
    const span = spanOf(one);
    return span !== undefined && at >= span[0] && at < span[1];
  };
  const all = [...scenario.gates, ...scenario.providers];
  return {
    hear(event) {
      if (event.kind === 'shifted' && !shifted.has(event.stage)) shifted.set(event.stage, Date.parse(event.at));
    },
    of: (gate) => ({
      reads: (at) => scenario.gates.findLast((one) => one.gate === gate.id && isOn(one, at))?.reads ?? 'healthy',
      promised: (at) => {
        const live = order.plan.stages.findLastIndex((stage) => (shifted.get(stage.id) ?? Infinity) <= at);
        return promisedTo(order.plan, live, gate);
      },
    }),
    isDown: (provider, at) => scenario.providers.some((one) => (one.provider === undefined || one.provider === provider) && isOn(one, at)),
    isTense: (at) => all.some((one) => isOn(one, at)),
    next(after) {
      const times = all.flatMap((one) => spanOf(one) ?? []).filter((at) => at > after && Number.isFinite(at));
      return times.length === 0 ? undefined : Math.min(...times);
    },
  };
}
