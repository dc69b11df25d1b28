import { parse } from 'yaml';

/** What each gate of plans/communications.yaml asks of the marketplace's own numbers instead of Prometheus. */
const THROUGH_WEB: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  latency: { query: 'chat.p95_seconds', samples: 'chat.deliveries' },
  fallback: { query: 'chat.slow_fallbacks' },
  'drop-rate': { ratio: { bad: 'notifications.dropped', total: 'notifications.total' } },
  duplicates: { query: 'notifications.duplicates' },
  overdue: { query: 'disputes.overdue' },
  'sla-timers': { query: 'disputes.late_timers' },
};

type Gates = Record<string, { source?: string } & Record<string, unknown>>;

/** The communications plan with its Prometheus gates asking the `web` source `app`; limits and all else stay. Throws when the plan has a gate that has no counterpart there. */
export function throughWeb(text: string): Record<string, unknown> {
  const plan = parse(text) as Record<string, unknown> & { gates: Gates };
  const gates = Object.entries(plan.gates).map(([id, gate]): [string, unknown] => {
    if (gate.source !== 'prometheus') return [id, gate];
    const { source: _source, ...rest } = gate;
    // Alerts are heard by webhook; only a Prometheus can be asked for them.
    if (gate['alert'] !== undefined) return [id, rest];
    const asked = THROUGH_WEB[id];
    if (asked === undefined) throw new Error(`gate ${id} asks Prometheus, and the marketplace's numbers have no counterpart; add one`);
    return [id, { ...gate, ...asked, source: 'app' }];
  });
  return { ...plan, gates: Object.fromEntries(gates) };
}
