import { formatDuration } from '../core/duration.ts';
import type { State } from '../core/event.ts';
import { STATE_WORDS } from '../core/headline.ts';

/** Text from elsewhere made safe for a terminal: controls, escape sequences and direction marks become visible. */
export function clean(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Columns that a text takes in a terminal: combining marks none, wide East Asian characters two. */
export function width(text: string): number {
  let columns = 0;
  for (const mark of text) {
    if (/\p{M}|\p{Cf}/u.test(mark)) continue;
    columns +=
      /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(mark) &&
      !/[\u2190-\u2bff]/u.test(mark)
        ? 2
        : 1;
  }
  return columns;
}

const pad = (text: string, columns: number): string => text + ' '.repeat(Math.max(0, columns - width(text)));

/** Rows under their heads, in columns; the last one is not filled up. Every cell is made safe. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows].map((row) => row.map(clean));
  const columns = heads.map((_, index) => Math.max(...all.map((row) => width(row[index] ?? ''))));
  return all
    .map((row) =>
      row
        .map((cell, index) => (index === row.length - 1 ? cell : pad(cell, columns[index] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The same as a Markdown table. */
export function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => clean(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The marks of states in plain ASCII. */
const PLAIN: Readonly<Record<State, string>> = {
  waiting: '?',
  shifting: '~',
  baking: '*',
  held: '=',
  'no-go': 'x',
  frozen: 'o',
  watching: '@',
  'rolling-back': '<',
  'rolled-back': '<v',
  stuck: '!',
  launched: 'v',
  aborted: '-',
};

const ASCII: readonly (readonly [RegExp, string])[] = [
  [/[✓☑]/g, 'v'],
  [/✗/g, 'x'],
  [/☐/g, '.'],
  [/[●]/g, '*'],
  [/≤/g, '<='],
  [/≥/g, '>='],
  [/→/g, '->'],
  [/[–—]/g, '-'],
  [/·/g, '|'],
  [/[“”]/g, '"'],
  [/[‘’]/g, "'"],
  [/…/g, '...'],
];

/** The state's mark, as on the page. */
export function glyph(state: string, ascii: boolean): string {
  if (!Object.hasOwn(PLAIN, state)) return ascii ? '|' : '·';
  return ascii ? PLAIN[state as State] : STATE_WORDS[state as State][0];
}

/** Our own marks in plain ASCII; the words of plans and people stay as they are. */
export function toAscii(text: string): string {
  return ASCII.reduce((out, [mark, plain]) => out.replaceAll(mark, plain), text);
}

/** How long ago, in one or two units: `6 s`, `2m`, `1h5m`. */
export function ago(at: string | undefined, now: number): string {
  const then = Date.parse(at ?? '');
  if (Number.isNaN(then)) return '-';
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 60) return `${seconds} s`;
  return formatDuration(Math.floor(seconds / 60) * 60_000);
}
