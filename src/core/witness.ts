import { isOff, normalize, type Exposure, type FlagValue } from './exposure.ts';
import type { Candidate, Standing, Subject } from './subject.ts';

/** A subject drawn for a flag, before its baseline is known. */
export interface Drawn {
  readonly subject: Subject;
  readonly standing: Standing;
}

/** At most so many values of one list are looked at. */
const PER_LIST = 3;
/** Sampled subjects where everyone gets the value, or nobody does: one would do, some may be gone. */
const FEW = 4;
/** The chance that a share is drawn and none of the sampled subjects falls into it. */
const MISS = 1e-4;

/** A subject whose attribute `attribute` is `value`; `key` and `targetingKey` are the subject's own key. */
function subjectWith(attribute: string, value: string, key = `gonogo-${attribute}-${value}`): Subject {
  return attribute === 'key' || attribute === 'targetingKey' ? { key: value, attributes: {} } : { key, attributes: { [attribute]: value } };
}

/** Made-up subjects `from`.. for a share drawn by `by`; the same numbers are the same subjects every time. */
export function sampled(by: string, count: number, from = 0): readonly Subject[] {
  return Array.from({ length: count }, (_, index) => subjectWith(by, `gonogo-${from + index}`, `gonogo-${from + index}`));
}

/** Subjects drawn for a share's band. */
const BAND_SAMPLE = 1_000;

/**
 * The subjects that tell whether a share is kept, for one look at `since` ms after the change. Looks at least 100 ms apart draw
 * other subjects: the band is left by chance once in a thousand draws, and the same draw would leave it for ever.
 */
export function bandSample(by: string, since: number): readonly Subject[] {
  return sampled(by, BAND_SAMPLE, 1_000_000 + BAND_SAMPLE * Math.max(0, Math.floor(since / 100)));
}

/** How many must be sampled so that a share (percent) is missed with a chance of at most 1e-4. */
export function sampleSize(share: number): number {
  if (share <= 0 || share >= 100) return FEW;
  return Math.min(1_000, Math.max(FEW, Math.ceil(Math.log(MISS) / Math.log(1 - share / 100))));
}

/** Draws a flag's candidates for all exposures that a launch will give it: listed, inside the shares, and controls. */
export function draw(exposures: readonly Exposure[]): readonly Drawn[] {
  const drawn = new Map<string, Drawn>();
  const add = (subject: Subject, standing: Standing) => {
    const id = idOf(subject);
    if (!drawn.has(id)) drawn.set(id, { subject, standing });
  };
  for (const exposure of exposures.map(normalize)) {
    for (const { attribute, values } of exposure.listed) for (const value of values.slice(0, PER_LIST)) add(subjectWith(attribute, value), 'listed');
  }
  const bys = new Set(exposures.filter((e) => e.share > 0 && e.share < 100).map((e) => e.by));
  for (const by of bys.size === 0 ? ['key'] : bys) {
    // Who is outside of a share is as good a witness as who is inside: of 90 % to everyone, only the other 10 % change.
    const smallest = Math.min(...exposures.filter((e) => e.share > 0 && e.share < 100 && e.by === by).flatMap((e) => [e.share, 100 - e.share]), 100);
    const standing: Standing = exposures.some((e) => e.share > 0) ? 'sampled' : 'control';
    for (const subject of sampled(by, sampleSize(smallest))) add(subject, standing);
  }
  return [...drawn.values()];
}

/** A subject's identity: its key and attributes. */
export function idOf(subject: Subject): string {
  return JSON.stringify([subject.key, Object.entries(subject.attributes).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** What an exposure must give a candidate: the value, the off value, or `undefined` where only the vendor's draw can tell. */
export function mustGet(exposure: Exposure, candidate: { readonly subject: Subject }, offValue: FlagValue): FlagValue | undefined {
  if (isOff(exposure)) return offValue;
  if (exposure.share === 100) return exposure.value;
  const { key, attributes } = candidate.subject;
  const listed = exposure.listed.some((list) => {
    const own = list.attribute === 'key' || list.attribute === 'targetingKey' ? key : attributes[list.attribute];
    return own !== undefined && list.values.includes(own);
  });
  if (listed) return exposure.value;
  return exposure.share === 0 ? offValue : undefined;
}

/** Whether a change can be seen at all: some candidate's baseline differs from what it must get, or a share is drawn. */
export function canWitness(to: Exposure, candidates: readonly Candidate[], offValue: FlagValue): boolean {
  return candidates.some((candidate) => {
    const value = mustGet(to, candidate, offValue);
    // A share may take the value from one who has it, or give it to one who has not.
    return value === undefined ? candidate.baseline !== to.value || to.value !== offValue : value !== candidate.baseline;
  });
}

/** At most so many witnesses are asked again and again. */
const WITNESSES = 6;

/** Picks witnesses among the subjects that flipped: the listed first, then spread over the rest. */
export function pickWitnesses(flipped: readonly Candidate[]): readonly Subject[] {
  const order: Readonly<Record<Standing, number>> = { listed: 0, sampled: 1, control: 2 };
  return [...flipped]
    .sort((a, b) => order[a.standing] - order[b.standing])
    .slice(0, WITNESSES)
    .map((candidate) => candidate.subject);
}

/** Percent bounds that the share of `n` sampled subjects must fall in with 99.9 %: the normal approximation, with a continuity correction, cut to 0..100. z = 3.2905 (two-sided .001). */
export function shareBand(share: number, n: number): { readonly low: number; readonly high: number } {
  const p = share / 100;
  const half = 3.2905 * Math.sqrt((p * (1 - p)) / n) + 0.5 / n;
  return { low: Math.max(0, 100 * (p - half)), high: Math.min(100, 100 * (p + half)) };
}
