import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { cliOf } from '../cli.ts';
import { EXIT, Exit, usage } from '../exit.ts';
import { textOf } from '../input.ts';
import { clean } from '../text.ts';

interface Options {
  readonly env: string;
  readonly note?: string;
  readonly speed?: string;
  readonly idempotencyKey?: string;
}

/** `gonogo launch`: starts a launch. A repeat with the same --idempotency-key is the same launch. */
export function launch(program: Command): void {
  program
    .command('launch')
    .description('launch a plan in an environment')
    .argument('<plan>', 'plan file; - is stdin')
    .requiredOption('-e, --env <environment>', 'where')
    .option('--note <text>', 'why, for the report')
    .option('--speed <n>', 'a demo n times as fast: on this machine and embedded only')
    .option('--idempotency-key <key>', 'makes a repeat the same launch')
    .action(async (file: string, options: Options, command: Command) => {
      const cli = cliOf(command);
      const planYaml = textOf(file, 'a plan');
      const speed = options.speed === undefined ? undefined : Number(options.speed);
      if (speed !== undefined && !(speed >= 1 && Number.isFinite(speed))) throw usage(`--speed is ${options.speed ?? ''}; expected a number from 1`);
      await cli.confirm(`Launch ${file} in ${options.env}?`);
      const key = options.idempotencyKey ?? randomUUID();
      const body = {
        planYaml,
        environment: options.env,
        ...(options.note === undefined ? {} : { note: options.note }),
        ...(speed === undefined ? {} : { speed }),
      };
      let answer: unknown;
      try {
        answer = await cli.api().send('POST', '/api/launches', body, { headers: { 'idempotency-key': key } });
      } catch (error) {
        // Whether it was launched is not known: the same key asks again without launching twice.
        if (error instanceof Exit && error.exit === EXIT.unreachable)
          throw new Exit(error.exit, error.message, `ask again with --idempotency-key ${key}: it is the same launch, should it have begun`);
        throw error;
      }
      const { id, headline } = answer as { readonly id: string; readonly headline?: string };
      cli.print(answer, () =>
        [
          id,
          ...(headline === undefined ? [] : [clean(headline)]),
          `next: gonogo watch ${id}   gonogo show ${id}   back at any time: gonogo rollback ${id} --reason ...`,
        ].join('\n'),
      );
    });
}
