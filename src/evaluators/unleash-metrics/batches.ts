/** One hour's counters of one app: how often it was told yes and no since the hour began. */
export interface Bucket {
  readonly app: string;
  /** Start of the hour, ms since the epoch. */
  readonly from: number;
  readonly yes: number;
  readonly no: number;
}

/** What one look at the counters found. Times are the server's own clock, ms since the epoch. */
export interface Look {
  readonly at: number;
  readonly buckets: readonly Bucket[];
  /** The flag's newest change. */
  readonly changedAt: number;
}

/** What an app's users were told between two looks. */
interface Batch {
  readonly at: number;
  readonly yes: number;
  readonly no: number;
}

/** What an app says of a flag. */
export type Said = { readonly kind: 'yes' | 'no' } | { readonly kind: 'nothing'; readonly detail: string };

/** Unleash writes what the apps report into its database so often, ms. */
const FLUSH = 5_000;
/** What a server's clock, told in whole seconds, and the way of a report may add, ms. */
const SLACK = 2_000;

/** A flag's counters at one app, from look to look. */
export interface Counter {
  see(look: Look): Said;
}

/**
 * Judges one app's counters. Unleash tells no times within the hour, so a report counts only when it arrived so long
 * after the flag's newest change that all it counts was counted after it: one metricsInterval, and the server's own
 * delay. From then on all no is no and all yes is yes; both is nothing, and so is a report that is overdue.
 */
export function counter(app: string, metricsInterval: number): Counter {
  const settle = metricsInterval + FLUSH + SLACK;
  let before: { readonly at: number; readonly byHour: ReadonlyMap<number, Bucket> } | undefined;
  let newest: Batch | undefined;

  function arrived(look: Look, own: readonly Bucket[]): Batch | undefined {
    const since = look.changedAt + settle;
    let [yes, no] = [0, 0];
    for (const bucket of own) {
      const known = before?.byHour.get(bucket.from);
      // What was there before the last look is not news; of an hour that began late enough all of it counts.
      if (before !== undefined && before.at >= since) {
        yes += bucket.yes - (known?.yes ?? 0);
        no += bucket.no - (known?.no ?? 0);
      } else if (bucket.from >= since) {
        yes += bucket.yes;
        no += bucket.no;
      }
    }
    return yes > 0 || no > 0 ? { at: look.at, yes, no } : undefined;
  }

  return {
    see(look) {
      const own = look.buckets.filter((bucket) => bucket.app === app);
      const batch = arrived(look, own);
      if (batch !== undefined) newest = batch;
      before = { at: look.at, byHour: new Map(own.map((bucket) => [bucket.from, bucket])) };
      const since = look.changedAt + settle;
      if (newest === undefined || newest.at < since) {
        const wait = Math.ceil((since - look.at) / 1_000);
        return {
          kind: 'nothing',
          detail:
            wait > 0
              ? `what ${app} reports counts from ${wait} s on: the flag was changed just now`
              : `${app} has reported nothing since the flag's newest change`,
        };
      }
      if (look.at - newest.at > 2 * settle) return { kind: 'nothing', detail: `${app} last reported ${Math.round((look.at - newest.at) / 1_000)} s ago` };
      if (newest.yes > 0 && newest.no > 0)
        return { kind: 'nothing', detail: `${app} last reported ${newest.yes} yes and ${newest.no} no: not all its users have the same` };
      return { kind: newest.yes > 0 ? 'yes' : 'no' };
    },
  };
}
