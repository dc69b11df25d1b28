/** The value below which `share` (0..1) of the numbers lie: the nearest rank, so always one that was measured. Throws without numbers. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (found === undefined) throw new Error('nothing was measured');
  return found;
}

/** Latencies of one kind, ms, in the order they were measured. */
export interface Latency {
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Sums up latencies. Throws without any. */
export function latency(numbers: readonly number[]): Latency {
  return { n: numbers.length, p50: percentile(numbers, 0.5), p99: percentile(numbers, 0.99), max: percentile(numbers, 1) };
}

/** One line of the table; a `target` is what the value is held against, and `met` whether it stands. */
export interface Row {
  readonly what: string;
  readonly value: string;
  readonly ratio?: string;
  readonly target?: string;
  readonly met?: boolean;
}

/** Milliseconds for people: one decimal under 100, seconds from 10 s on. */
export function ms(value: number): string {
  if (value >= 10_000) return `${(value / 1_000).toFixed(1)} s`;
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`;
}

/** A latency's two rows, set beside the floor's, each with its target as a multiple of the floor. */
export function latencyRows(
  what: string,
  measured: Latency,
  floor: Latency,
  targets: { readonly p50?: number; readonly p99?: number; readonly under?: number } = {},
): readonly Row[] {
  const row = (name: 'p50' | 'p99', times: number | undefined, under: number | undefined): Row => {
    const ratio = measured[name] / floor[name];
    const bounds = [...(times === undefined ? [] : [`${times} x`]), ...(under === undefined ? [] : [ms(under)])];
    const met = (times === undefined || ratio <= times) && (under === undefined || measured[name] < under);
    return {
      what: `${what}, ${name} (n ${measured.n})`,
      value: ms(measured[name]),
      ratio: `${ratio.toFixed(2)} x`,
      ...(bounds.length === 0 ? {} : { target: `<= ${bounds.join(' and ')}`, met }),
    };
  };
  return [row('p50', targets.p50, undefined), row('p99', targets.p99, targets.under)];
}

/** A value held against a ceiling of the same unit. */
export function ceilingRow(what: string, value: number, most: number | undefined, show: (value: number) => string): Row {
  return { what, value: show(value), ...(most === undefined ? {} : { target: `<= ${show(most)}`, met: value <= most }) };
}

/** The rows as a text table. */
export function table(rows: readonly Row[]): string {
  const cells = [
    ['', 'measured', 'to the floor', 'target', ''],
    ...rows.map((row) => [row.what, row.value, row.ratio ?? '', row.target ?? '', row.met === undefined ? '' : row.met ? 'met' : 'MISSED']),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
