import type { Command } from 'commander';
import { cliOf } from '../cli.ts';
import { EXIT, Exit } from '../exit.ts';
import { glyph, markdownTable, table } from '../text.ts';
import type { LaunchView } from '../../core/view.ts';

type Row = Pick<LaunchView, 'id' | 'state' | 'environment' | 'headline' | 'startedAt'>;

/** `gonogo list`: launches, as the server orders them. */
export function list(program: Command): void {
  program
    .command('list')
    .description('list launches')
    .option('--state <state>', 'only in this state, e.g. baking')
    .option('-e, --env <environment>', 'only in this environment')
    .action(async (options: { state?: string; env?: string }, command: Command) => {
      const cli = cliOf(command);
      const query = new URLSearchParams({
        ...(options.state === undefined ? {} : { state: options.state }),
        ...(options.env === undefined ? {} : { environment: options.env }),
      });
      const answer = await cli.api().get(`/api/launches${query.size === 0 ? '' : `?${query.toString()}`}`);
      const launches = rowsOf(answer);
      const rows = launches.map((one) => [glyph(one.state, cli.ascii), one.id, one.environment, one.state, one.headline]);
      const heads = ['', 'LAUNCH', 'WHERE', 'STATE', ''];
      cli.print(
        launches,
        () => (rows.length === 0 ? 'no launches yet: gonogo launch plans/communications.yaml --env stage' : table(heads, rows)),
        () => markdownTable(heads, rows),
      );
    });
}

function rowsOf(answer: unknown): readonly Row[] {
  const found: unknown = Array.isArray(answer) ? answer : typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'launches') : undefined;
  if (Array.isArray(found)) return found as Row[];
  throw new Exit(EXIT.error, 'the server’s answer is no list of launches', 'check --server, and that both sides have the same version');
}
