import type { Fault } from './faults.ts';
import type { Played } from './play.ts';

function counted(names: readonly string[]): string {
  const groups = Object.entries(Object.groupBy(names, (name) => name)).map(([name, all]) => [name, all?.length ?? 0] as const);
  return groups
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, n]) => `${n} ${name}`)
    .join(', ');
}

/** The value below which a share of the sorted numbers lies (nearest rank). */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** What a run came to, in lines. */
export function table(seed: number, seconds: number, played: readonly Played[], faults: readonly Fault[]): readonly string[] {
  const of = (provider: string) =>
    played.flatMap((one) => one.proven.filter((each) => each.provider === provider).map((each) => each.seconds)).toSorted((a, b) => a - b);
  const proven = ['launchdarkly', 'unleash'].map((provider) => {
    const all = of(provider);
    return `  proven back at ${provider}: n=${all.length}, p50 ${quantile(all, 0.5)} s, p99 ${quantile(all, 0.99)} s, max ${quantile(all, 1)} s`;
  });
  return [
    `SOAK_SEED=${seed}: ${played.length} launches over ${played.reduce((sum, one) => sum + one.story.flags.length, 0)} flags in ${Math.round(seconds)} s`,
    `  outcomes: ${counted(played.map((one) => String(one.outcome)))}`,
    `  meant to end by: ${counted(played.map((one) => one.story.end.kind))}; a person lost patience with ${played.filter((one) => one.gaveUp !== undefined).length}`,
    `  refused at a fault and begun again ${played.reduce((sum, one) => sum + one.refused, 0)} times; held and resumed ${played.reduce((sum, one) => sum + one.resumed, 0)} times`,
    `  pages: ${counted(played.flatMap((one) => one.pages))}`,
    `  faults (${faults.length}): ${counted(faults.map((fault) => fault.kind))}`,
    `  on the ways: ${counted(faults.map((fault) => fault.way))}`,
    `  edits of other people (${played.reduce((sum, one) => sum + one.edits.length, 0)}): ${counted(played.flatMap((one) => one.edits.map((edit) => edit.split(' ')[0] ?? '')))}`,
    ...proven,
    `  violations: ${played.reduce((sum, one) => sum + one.violations.length, 0)} in ${played.filter((one) => one.violations.length > 0).length} launches`,
  ];
}
