import { describeNumber } from '../core/bound.ts';
import { comparison } from '../core/finding.ts';
import type { Gate } from '../core/plan.ts';
import { escaped } from './html.ts';
import type { Column, Reach, Shade, Trace } from './trace.ts';

/** Units of the drawing; it is scaled to its place. */
const WIDE = 1000;
const LEFT = 64;
const RIGHT = 12;
const SERIES = { top: 22, high: 150 } as const;
const BAND = { top: 190, high: 16 } as const;
const EVIDENCE = { top: 236, high: 96 } as const;
const DAY = 86_400_000;
/** More rollbacks than this are marked without a line down from them: the lines would hide what was measured. */
const LINES = 40;
/** Evidence below this is drawn at it: how sure we are of no harm is not the question. */
const LEAST = -3;

/** A limit of what is measured, and its words. */
interface Limit {
  readonly value: number;
  readonly words: string;
}

interface Panel {
  readonly top: number;
  readonly high: number;
  readonly low: number;
  readonly most: number;
}

const fixed = (value: number): string => String(Math.round(value * 10) / 10);

function yOf({ top, high, low, most }: Panel, value: number): string {
  const part = most > low ? (Math.min(most, Math.max(low, value)) - low) / (most - low) : 0;
  return fixed(top + high * (1 - part));
}

/** How a gate's numbers are written: shares as per cents. */
function amount(gate: Gate, value: number): string {
  const unit = gate.kind === 'threshold' || gate.kind === 'quantile' ? gate.unit : undefined;
  if (gate.kind === 'ratio' || gate.kind === 'exposureCheck' || comparison(gate) !== undefined) return `${describeNumber(100 * value)} %`;
  if (gate.kind === 'burnRate') return `${describeNumber(value)} x`;
  return `${describeNumber(value)}${unit === undefined ? '' : ` ${unit}`}`;
}

/** Where what a gate measures becomes a breach, as lines. A comparison has none: its limit is that of the evidence. */
function limitsOf(gate: Gate): readonly Limit[] {
  const SIGNS = { max: '≤', min: '≥', below: '<', above: '>' } as const;
  switch (gate.kind) {
    case 'threshold':
    case 'ratio':
    case 'quantile':
      return [{ value: gate.bound.limit, words: `must be ${SIGNS[gate.bound.op]} ${amount(gate, gate.bound.limit)}` }];
    case 'burnRate':
      return gate.windows.map(({ factor }) => ({ value: factor, words: `must be < ${amount(gate, factor)}` }));
    case 'probe':
      return [{ value: 1, words: 'must be 1 (healthy)' }];
    case 'alert':
      return [{ value: 0, words: 'must be 0 firing' }];
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers':
    case 'exposureCheck':
      return [];
    default:
      return gate satisfies never;
  }
}

/** Runs of columns of which `pick` knows something: a line is not drawn over what was not seen. */
function runs<T>(columns: readonly Column[], pick: (column: Column) => T | undefined): readonly (readonly (readonly [index: number, seen: T])[])[] {
  const all: (readonly [number, T])[][] = [];
  let open: (readonly [number, T])[] | undefined;
  for (const [index, column] of columns.entries()) {
    const seen = pick(column);
    if (seen === undefined) {
      open = undefined;
      continue;
    }
    if (open === undefined) all.push((open = []));
    open.push([index, seen]);
  }
  return all;
}

/** The reach of each column as one shape, to and fro. */
function shape(panel: Panel, run: readonly (readonly [number, Reach])[], x: (index: number) => string, name: string): string {
  const [first] = run;
  if (first === undefined) return '';
  const there = run.map(([index, { high }]) => `${x(index)},${yOf(panel, high)}`);
  const back = run.toReversed().map(([index, { low }]) => `${x(index)},${yOf(panel, low)}`);
  return `<polygon class="${name}" points="${[...there, ...back].join(' ')}"/>`;
}

function line(panel: Panel, value: number, words: string, name: string): string {
  const y = yOf(panel, value);
  // Beneath the line where there is no room above it.
  const text = Number(y) < panel.top + 14 ? fixed(Number(y) + 13) : fixed(Number(y) - 4);
  return `<line class="${name}" x1="${LEFT}" x2="${WIDE - RIGHT}" y1="${y}" y2="${y}"/><text class="${name}" x="${WIDE - RIGHT}" y="${text}" text-anchor="end">${escaped(words)}</text>`;
}

function frame(panel: Panel, title: string, low: string, most: string): string {
  const bottom = panel.top + panel.high;
  return [
    `<rect class="frame" x="${LEFT}" y="${panel.top}" width="${WIDE - LEFT - RIGHT}" height="${panel.high}"/>`,
    `<text class="tick" x="${LEFT - 6}" y="${panel.top + 9}" text-anchor="end">${escaped(most)}</text>`,
    `<text class="tick" x="${LEFT - 6}" y="${bottom}" text-anchor="end">${escaped(low)}</text>`,
    `<text class="what" x="${LEFT}" y="${panel.top - 6}">${escaped(title)}</text>`,
  ].join('');
}

const WORDS: Readonly<Record<Shade, string>> = { go: 'go', waiting: 'not enough evidence', blind: 'no data or error', 'no-go': 'no-go' };

/** What the colours and patterns of the band mean. */
export function legend(): string {
  const each = (['go', 'waiting', 'blind', 'no-go'] as const).map(
    (shade) => `<span><svg class="key" viewBox="0 0 28 14" aria-hidden="true"><rect class="${shade}" width="28" height="14"/></svg> ${WORDS[shade]}</span>`,
  );
  return `<p class="legend">${each.join(' ')} <span class="rolls">▼ would have rolled back</span></p>`;
}

/** The patterns of the band, once for the page: colours alone tell not everyone. */
export const PATTERNS =
  '<svg class="defs" aria-hidden="true"><defs>' +
  '<pattern id="p-waiting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="ground" width="6" height="6"/><rect class="wait" width="2.5" height="6"/></pattern>' +
  '<pattern id="p-blind" width="5" height="5" patternUnits="userSpaceOnUse"><rect class="ground" width="5" height="5"/><circle class="dot" cx="2.5" cy="2.5" r="1.2"/></pattern>' +
  '</defs></svg>';

function band(columns: readonly Column[], edge: (index: number) => number): string {
  const rects: string[] = [];
  for (let start = 0; start < columns.length;) {
    const shade = columns[start]?.shade ?? 'blind';
    let end = start + 1;
    while (columns[end]?.shade === shade) end += 1;
    // What is bad is seen however short it was.
    const width = Math.max(shade === 'no-go' ? 2 : 0.5, edge(end) - edge(start));
    rects.push(`<rect class="${shade}" x="${fixed(edge(start))}" y="${BAND.top}" width="${fixed(width)}" height="${BAND.high}"/>`);
    start = end;
  }
  return rects.join('');
}

function range(gate: Gate, columns: readonly Column[], limits: readonly Limit[]): { readonly low: number; readonly most: number } {
  const seen = columns.flatMap(({ value, rest }) => [...(value === undefined ? [] : [value.low, value.high]), ...(rest === undefined ? [] : [rest])]);
  const all = [...seen, ...limits.map(({ value }) => value)];
  const [least, highest] = [all.reduce((a, b) => Math.min(a, b), Infinity), all.reduce((a, b) => Math.max(a, b), -Infinity)];
  if (least > highest) return { low: 0, most: 1 };
  const low = Math.min(0, least);
  return { low, most: highest > low ? low + (highest - low) * 1.08 : low + (gate.kind === 'ratio' ? 0.01 : 1) };
}

/** One gate's past as SVG: what was measured with its limit, the verdicts, and the evidence of a gate that gathers some. Every text is escaped. */
export function draw(gate: Gate, name: string, { columns, width, rollbacks, evidenceLimit }: Trace): string {
  const limits = limitsOf(gate);
  const [from, to] = [columns[0]?.at ?? 0, (columns.at(-1)?.at ?? 0) + width];
  const across = (at: number): number => LEFT + ((WIDE - LEFT - RIGHT) * (at - from)) / Math.max(1, to - from);
  const middle = (index: number): string => fixed(across((columns[index]?.at ?? from) + width / 2));
  const edge = (index: number): number => across(columns[index]?.at ?? to);
  const series: Panel = { ...SERIES, ...range(gate, columns, limits) };
  const compared = comparison(gate) !== undefined;
  const tall = evidenceLimit === undefined ? BAND.top + BAND.high : EVIDENCE.top + EVIDENCE.high;
  // One mark for each stretch.
  const marked = [...new Map(rollbacks.map((stop) => [Math.floor((stop.at - from) / width), stop])).values()];
  const parts = [
    frame(series, compared ? `${name}: exposed (filled) and rest (dashed)` : name, amount(gate, series.low), amount(gate, series.most)),
    ...runs(columns, ({ value }) => value).map((run) => shape(series, run, middle, 'series')),
    ...runs(columns, ({ rest }) => rest).map(
      (run) => `<polyline class="rest" points="${run.map(([index, value]) => `${middle(index)},${yOf(series, value)}`).join(' ')}"/>`,
    ),
    ...limits.map(({ value, words }) => line(series, value, words, 'limit')),
    band(columns, edge),
    ...marked.map(({ at, why }) => {
      const x = fixed(across(at));
      const down = marked.length > LINES ? '' : `<line x1="${x}" x2="${x}" y1="${SERIES.top}" y2="${BAND.top}"/>`;
      return `<g class="rolls"><title>${escaped(`${new Date(at).toISOString()} ${why}`)}</title>${down}<text x="${x}" y="${BAND.top - 2}" text-anchor="middle">▼</text></g>`;
    }),
  ];
  if (evidenceLimit !== undefined) {
    const most = columns.reduce((high, { evidence }) => Math.max(high, evidence?.high ?? 0), evidenceLimit) * 1.15;
    const panel: Panel = { ...EVIDENCE, low: LEAST, most };
    parts.push(
      frame(panel, 'log of the evidence (e-value)', String(LEAST), describeNumber(Math.round(most * 10) / 10)),
      ...runs(columns, ({ evidence }) => evidence).map((run) => shape(panel, run, middle, 'evidence')),
      line(panel, evidenceLimit, `acts at ${describeNumber(evidenceLimit)}`, 'limit'),
    );
  }
  const days: string[] = [];
  for (let at = Math.ceil(from / DAY) * DAY; at <= to; at += DAY) {
    const x = fixed(across(at));
    const text = to - from > 3 * DAY ? new Date(at).toISOString().slice(5, 10) : new Date(at).toISOString().slice(0, 10);
    days.push(
      `<line class="day" x1="${x}" x2="${x}" y1="${SERIES.top}" y2="${tall}"/><text class="tick" x="${x}" y="${tall + 15}" text-anchor="middle">${text}</text>`,
    );
  }
  const told = `${name}, ${new Date(from).toISOString()} to ${new Date(to).toISOString()}: ${rollbacks.length === 0 ? 'never rolled back' : `rolled back ${rollbacks.length} times`}`;
  return `<svg class="chart" viewBox="0 0 ${WIDE} ${tall + 22}" role="img" aria-label="${escaped(told)}">${days.join('')}${parts.join('')}</svg>`;
}
