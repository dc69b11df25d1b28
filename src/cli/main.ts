import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, Option } from 'commander';
import { FORMATS, interruptible, wasInterrupted } from './cli.ts';
import { EXIT, Exit } from './exit.ts';
import { backtest } from './verbs/backtest.ts';
import { check } from './verbs/check.ts';
import { completion } from './verbs/completion.ts';
import { conclude } from './verbs/conclude.ts';
import { doctor } from './verbs/doctor.ts';
import { explain } from './verbs/explain.ts';
import { flags } from './verbs/flags.ts';
import { hold } from './verbs/hold.ts';
import { launch } from './verbs/launch.ts';
import { list } from './verbs/list.ts';
import { rehearse } from './verbs/rehearse.ts';
import { report } from './verbs/report.ts';
import { resume } from './verbs/resume.ts';
import { rollback } from './verbs/rollback.ts';
import { serve } from './verbs/serve.ts';
import { show } from './verbs/show.ts';
import { sign } from './verbs/sign.ts';
import { start } from './verbs/start.ts';
import { tick } from './verbs/tick.ts';
import { token } from './verbs/token.ts';
import { watch } from './verbs/watch.ts';
import { worker } from './verbs/worker.ts';

const VERBS = [
  start,
  serve,
  worker,
  doctor,
  check,
  explain,
  rehearse,
  backtest,
  launch,
  list,
  show,
  watch,
  tick,
  sign,
  hold,
  resume,
  conclude,
  rollback,
  report,
  flags,
  token,
  completion,
];
/** Commands that wait for their own graceful end. */
const SERVERS = new Set(['start', 'serve', 'worker']);

const CODES = `
Exit codes: 0 done, 1 tool error, 2 usage or input, 3 no-go, 4 not allowed, 5 rolled back and proven,
  6 rollback NOT proven, 7 waiting for people, 8 timeout, 75 server unreachable, 130 Ctrl-C.
Environment: GONOGO_URL, GONOGO_TOKEN, GONOGO_CONFIG, NO_COLOR; a token is never given as an argument.`;

function build(): Command {
  const program = new Command('gonogo');
  program
    .description('staged go/no-go launches for feature flags, with rollbacks proven where the users read the flag')
    .addOption(new Option('-o, --output <format>', 'how data are printed').choices(FORMATS).default('text'))
    .option('--server <url>', 'the server; GONOGO_URL, else http://127.0.0.1:7077')
    .option('--config <file>', 'gonogo.yaml; GONOGO_CONFIG')
    .option('--ascii', 'no marks beyond ASCII; implied by LANG=C')
    .option('-y, --yes', 'do not ask whether to go on')
    .option('--no-input', 'never ask; implied by CI and without a terminal')
    .option('--no-color', 'plain text (also NO_COLOR); nothing is coloured so far')
    .addHelpText('after', CODES)
    .showHelpAfterError('(gonogo --help says more)')
    .exitOverride()
    .configureOutput({ getOutHasColors: () => false, getErrHasColors: () => false });
  for (const verb of VERBS) verb(program);
  for (const command of [...program.commands, ...program.commands.flatMap((group) => group.commands)])
    command.exitOverride().configureOutput({ getOutHasColors: () => false, getErrHasColors: () => false });
  program.hook('preAction', (_program, command) => {
    if (!SERVERS.has(command.name())) interruptible();
  });
  return program;
}

/** Runs one command; the exit code is set on the process, never thrown. */
export async function main(argv: readonly string[]): Promise<void> {
  // `gonogo list | head`: the reader has seen enough, which is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });
  try {
    await build().parseAsync([...argv], { from: 'user' });
  } catch (error) {
    process.exitCode = wasInterrupted() ? EXIT.interrupted : explainFailure(error);
  }
}

function explainFailure(error: unknown): number {
  // Commander has printed its own words.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof Exit) {
    if (error.exit !== EXIT.interrupted) process.stderr.write(`${error.message}\n${error.hint === undefined ? '' : `  ${error.hint}\n`}`);
    return error.exit;
  }
  process.stderr.write(`${error instanceof Error ? (process.env['LOG_LEVEL'] === 'debug' ? (error.stack ?? error.message) : error.message) : String(error)}\n`);
  return EXIT.error;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2));
  // What still runs now was left behind: some vendors' SDKs go on reconnecting after they were closed.
  setTimeout(() => process.exit(), 1_000).unref();
}
