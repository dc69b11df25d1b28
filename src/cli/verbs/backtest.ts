import { accessSync, constants, writeFileSync } from 'node:fs';
import path from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import type { Plan } from '../../core/plan.ts';
import { cliOf } from '../cli.ts';
import { EXIT, Exit, usage } from '../exit.ts';
import { spanOf } from '../span.ts';
import { clean, markdownTable, table } from '../text.ts';

interface Options {
  readonly since: string;
  readonly every: string;
  readonly share: Readonly<Record<string, number>>;
  readonly html?: string;
}

/** `stage=percent`, gathered by stage as 0..1. */
function shareGiven(text: string, before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const [, stage = '', percent = ''] = /^([^=]+)=([\d.]+)\s*%?$/.exec(text) ?? [];
  const share = Number(percent);
  if (stage === '' || !(share > 0 && share <= 100)) throw new InvalidArgumentError('Expected stage=percent, e.g. dark_launch=2');
  return { ...before, [stage]: share / 100 };
}

async function planRead(file: string): Promise<Plan> {
  const [{ planOf }, { formatProblem }] = await Promise.all([import('../plan-file.ts'), import('../../plan/problem.ts')]);
  const loaded = planOf(file);
  if (loaded.ok) return loaded.plan;
  throw new Exit(EXIT.usage, loaded.problems.map((problem) => formatProblem(file, problem)).join('\n'));
}

function sharesOf(given: Options['share'], plan: Plan): ReadonlyMap<string, number> {
  const stranger = Object.keys(given).find((stage) => !plan.stages.some((one) => one.id === stage));
  if (stranger !== undefined) throw usage(`--share names stage ${stranger}; ${plan.name} has ${plan.stages.map((stage) => stage.id).join(', ')}`);
  return new Map(Object.entries(given));
}

/** `gonogo backtest`: the plan's gates on the past, through the sources of the config. Exits 1 when a history could not be read, 75 when its source did not answer. */
export function backtest(program: Command): void {
  program
    .command('backtest')
    .description("replay what the sources remember through a plan's gates: what they would have stopped for nothing, and how fast they catch a regression")
    .argument('<plan>', 'plan file; - is stdin')
    .option('--since <span>', 'how far back', '7d')
    .option('--every <span>', 'time between the starts of two launches', '1h')
    .option('--share <stage=percent>', 'how much of the traffic a stage exposes, where its plan names people and no share; may be repeated', shareGiven, {})
    .option('--html <file>', 'draw every gate: what was measured, its limit, its verdicts')
    .action(async (file: string, options: Options, command: Command) => {
      const cli = cliOf(command);
      const { html } = options;
      const plan = await planRead(file);
      const { configOf } = await import('../house-keys.ts');
      const since = spanOf('--since', options.since) ?? 0;
      const startEvery = spanOf('--every', options.every) ?? 0;
      const shares = sharesOf(options.share, plan);
      // Before minutes were spent on what cannot be kept.
      if (html !== undefined) writable(html, () => accessSync(path.dirname(path.resolve(html)), constants.W_OK));
      // No database is asked: a config for `gonogo start` names none.
      const config = configOf(cli, { GONOGO_DATABASE_URL: 'postgres://127.0.0.1/none', ...cli.env });
      const { backtestWith } = await import('../../backtest/run.ts');
      // All gates' grids begin at the same whole quarter of a minute.
      const to = Math.floor(Date.now() / 15_000) * 15_000;
      const { result, took, page } = await backtestWith(config, { plan, from: to - since, to, startEvery, shares }, cli.signal);
      const { headOf, tellBacktest } = await import('../../backtest/table.ts');
      const told = tellBacktest(result);
      const parts = (rows: string): string =>
        [
          rows === '' ? '' : headOf(result),
          rows,
          ...[told.marks, told.remarks, told.left].map((some) =>
            some
              .flatMap((one) => one.split('\n'))
              .map(clean)
              .join('\n'),
          ),
        ]
          .filter((part) => part !== '')
          .join('\n\n');
      cli.print(
        { ...result, took },
        () => parts(told.rows.length === 0 ? '' : table(told.heads, told.rows)),
        () => parts(told.rows.length === 0 ? '' : markdownTable(told.heads, told.rows)),
      );
      if (html !== undefined) {
        writable(html, () => writeFileSync(html, page()));
        cli.note(`drawn in ${html}`);
      }
      cli.note(`read in ${(took.reading / 1_000).toFixed(1)} s, replayed in ${(took.replaying / 1_000).toFixed(1)} s`);
      const failed = result.gates.flatMap((gate) => gate.failed ?? []);
      if (failed.length > 0) process.exitCode = failed.some(({ away }) => away) ? EXIT.unreachable : EXIT.error;
    });
}

/** Runs what needs the file of the page; where that cannot be, says so. Throws Exit. */
function writable(file: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw usage(
      `--html ${file} cannot be written (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`,
      'name a file in a folder that is there',
    );
  }
}
