import { Argument, Option, type Command } from 'commander';
import { parseDuration } from '../../core/duration.ts';
import { cliOf, type Cli } from '../cli.ts';
import { usage } from '../exit.ts';
import type { LaunchView } from '../../core/view.ts';
import { getView, launchPath, renderView } from '../view.ts';
import { printDone } from './acts.ts';

interface Options {
  readonly as?: string;
  readonly reason?: string;
  readonly recheck?: string;
  readonly bug: readonly string[];
  readonly meanwhile?: 'hold' | 'roll-back';
}

/** `gonogo sign`: go or no-go, in one role, for one stage, bound to the plan and the evidence that the server shows now. */
export function sign(program: Command): void {
  program
    .command('sign')
    .description('sign a stage: go or no-go, in one role')
    .argument('<launch>', 'the launch’s id')
    .argument('<stage>', 'the stage’s id')
    .addArgument(new Argument('<decision>', 'your answer').choices(['go', 'no-go']))
    .option('--as <role>', 'the role you sign in')
    .option('--reason <text>', 'why; a no-go needs it')
    .option('--recheck <when>', 'when to ask again: 24h, or 2026-04-24T10:00:00+03:00; a no-go needs it')
    .option('--bug <id>', 'a bug that stands in the way; may be repeated', (bug: string, all: readonly string[]) => [...all, bug], [])
    .addOption(new Option('--meanwhile <what>', 'until then').choices(['hold', 'roll-back']))
    .action(async (launch: string, stage: string, decision: 'go' | 'no-go', options: Options, command: Command) => {
      const cli = cliOf(command);
      const role = await cli.need(options.as, '--as', 'In which role');
      const reason = decision === 'no-go' ? await cli.need(options.reason, '--reason', 'Why not') : options.reason;
      const recheck = decision === 'no-go' ? await cli.need(options.recheck, '--recheck', 'When to ask again (24h, or a time with its zone)') : options.recheck;
      const recheckAt = recheck === undefined ? undefined : timeOf(recheck, Date.now());
      const view = await getView(cli, launch);
      if (cli.interactive) cli.note(renderView(cli, view, Date.now()));
      await cli.confirm(`Sign ${decision} to ${stage} as ${role}?`);
      const answer = await cli.api().send('POST', launchPath(launch, `/stages/${encodeURIComponent(stage)}/sign-offs`), {
        role,
        decision,
        ...bound(view, stage),
        ...(reason === undefined ? {} : { reason }),
        ...(options.bug.length === 0 ? {} : { bugs: options.bug }),
        ...(recheckAt === undefined ? {} : { recheckAt }),
        ...(options.meanwhile === undefined ? {} : { meanwhile: options.meanwhile }),
      });
      printDone(cli, answer, `${stage}: ${decision} as ${role}`);
      if (cli.interactive) sayAgain(cli, launch, stage, decision, role);
    });
}

/** A signature counts only for what was shown: the plan, and the stage's evidence where the view carries its seal. */
function bound(view: LaunchView, stage: string): { readonly planHash: string; readonly seal?: string } {
  const seal = view.stages.find((one) => one.id === stage)?.seal;
  return { planHash: view.plan.hash, ...(seal === undefined ? {} : { seal }) };
}

/** A span from now, or a time with its zone, in ISO 8601. Throws Exit. */
export function timeOf(text: string, now: number): string {
  const span = parseDuration(text);
  if (span !== undefined) return new Date(now + span).toISOString();
  const time = /T.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw usage(`--recheck is ${JSON.stringify(text)}; expected a span like 24h, or a time with its zone like 2026-04-24T10:00:00+03:00`);
  return new Date(time).toISOString();
}

function sayAgain(cli: Cli, launch: string, stage: string, decision: string, role: string): void {
  cli.note(`same again: gonogo sign ${launch} ${stage} ${decision} --as ${role} --yes`);
}
