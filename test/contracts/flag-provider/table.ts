/** One rule of the suite, for one provider. */
export interface Cell {
  readonly rule: string;
  readonly outcome: 'passed' | 'failed' | 'cannot';
  /** Why it cannot be; only of `cannot`. */
  readonly reason?: string;
}

/** Write to evaluator, ms, beside what the provider declares. */
export interface Measured {
  readonly p50: number;
  readonly p99: number;
  readonly declared: number;
  readonly writes: number;
}

/** One provider's run of the suite, as kept in `.gonogo/contract/<provider>.json`. */
export interface ContractRun {
  readonly provider: string;
  readonly cells: readonly Cell[];
  readonly measured?: Measured;
  /** Fields that a restore does not bring back, each with its reason. */
  readonly ignored: readonly string[];
}

/** Where the table is kept, from the project's root. */
export const TABLE_FILE = 'docs/providers.md';
/** What makes it again, for messages. */
export const TABLE_COMMAND = 'node scripts/run.mjs scripts/provider-table.mjs';

function words(cell: Cell | undefined): string {
  if (cell === undefined) return 'not run';
  const said = cell.outcome === 'cannot' ? `cannot: ${cell.reason ?? ''}` : cell.outcome;
  return said.replaceAll('|', '/').replace(/\s+/g, ' ');
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** The page: provider x rule, the measured times, and what a restore leaves alone. */
export function renderTable(runs: readonly ContractRun[]): string {
  const sorted = [...runs].sort((a, b) => (a.provider < b.provider ? -1 : 1));
  const rules = [...new Set(sorted.flatMap((run) => run.cells.map((cell) => cell.rule)))];
  const timed = sorted.flatMap(({ provider, measured }) => (measured === undefined ? [] : [{ provider, measured }]));
  return [
    '# What each flag provider keeps',
    '',
    `Made by \`${TABLE_COMMAND}\` from the last runs of the contract suite (\`test/contracts/flag-provider.ts\`), which runs against each provider's real server, or a fake that the vendor's own SDK and schemas have checked. Each run compares its column with this page.`,
    '',
    row(['A flag provider ...', ...sorted.map((run) => run.provider)]),
    row(['---', ...sorted.map(() => '---')]),
    ...rules.map((rule) => row([rule, ...sorted.map((run) => words(run.cells.find((cell) => cell.rule === rule)))])),
    '',
    '## From a write to its evaluator',
    '',
    row(['Provider', 'p50', 'p99', 'declared', 'writes']),
    row(['---', '---', '---', '---', '---']),
    ...timed.map(({ provider, measured: { p50, p99, declared, writes } }) =>
      row([provider, `${Math.round(p50)} ms`, `${Math.round(p99)} ms`, `${declared} ms`, String(writes)]),
    ),
    '',
    '## What a restore leaves as it finds it',
    '',
    ...sorted.map(({ provider, ignored }) => `- **${provider}**: ${ignored.length === 0 ? 'nothing' : ignored.join('; ')}`),
    '',
  ].join('\n');
}

/** What the page says of one provider, by rule; undefined where it has no column of that name. */
export function columnOf(page: string, provider: string): ReadonlyMap<string, string> | undefined {
  const split = (line: string): string[] => line.split('|').map((cell) => cell.trim());
  const lines = page.split('\n');
  const head = lines.findIndex((line) => line.startsWith('| A flag provider'));
  const index = split(lines[head] ?? '').indexOf(provider);
  if (head < 0 || index < 0) return undefined;
  const body = lines.slice(head + 2);
  const end = body.findIndex((line) => !line.startsWith('|'));
  return new Map(body.slice(0, end).map((line) => [split(line)[1] ?? '', split(line)[index] ?? '']));
}

/** The same of a run, to be set beside the page. */
export function columnOfRun(run: ContractRun): ReadonlyMap<string, string> {
  return new Map(run.cells.map((cell) => [cell.rule, words(cell)]));
}
