import type { Command } from 'commander';
import { describe, type Exposure } from '../../core/exposure.ts';
import { cliOf } from '../cli.ts';
import { EXIT, Exit, usage } from '../exit.ts';
import { clean, markdownTable, table } from '../text.ts';

/** A flag of the built-in store as the API shows it: the fields that the command line reads. */
interface FlagView {
  readonly key: string;
  readonly exposure: Exposure;
  readonly revision: string;
  readonly owner?: string;
  readonly updatedBy?: string;
  readonly updatedAt?: string;
}

/** `gonogo flags`: the built-in store, through the API. */
export function flags(program: Command): void {
  const group = program.command('flags').description('the built-in flag store: list, get, set');
  group.command('list').description('list flags with who sees them').action(list);
  group.command('get').description('show one flag').argument('<flag>', 'its key').action(get);
  group
    .command('set')
    .description('write who sees a flag, by hand: during a launch that touches it this is drift, and shown as such')
    .argument('<flag>', 'its key')
    .requiredOption(
      '--to <exposure>',
      'everyone, off, or a map as in a plan: "{ share: 5, by: contract }", "{ listed: { segment: [internal] } }", "{ value: sse-only }"',
    )
    .option('--expected <revision>', 'write only if it still stands at this revision; * for whatever stands', '')
    .option('--reason <text>', 'why; it is written into the change log')
    .action(set);
}

async function list(_options: unknown, command: Command): Promise<void> {
  const cli = cliOf(command);
  const answer = await cli.api().get('/api/flags');
  const found: unknown = Array.isArray(answer) ? answer : typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'flags') : undefined;
  if (!Array.isArray(found)) throw new Exit(EXIT.error, 'the server’s answer is no list of flags', 'check --server, and that both sides have the same version');
  const all = found as readonly FlagView[];
  const heads = ['FLAG', 'WHO SEES IT', 'REVISION', 'OWNER', 'LAST BY'];
  const rows = all.map((flag) => [flag.key, describe(flag.exposure), flag.revision, flag.owner ?? '', flag.updatedBy ?? '']);
  cli.print(
    all,
    () => table(heads, rows),
    () => markdownTable(heads, rows),
  );
}

function flagOf(answer: unknown): FlagView {
  const inner: unknown = typeof answer === 'object' && answer !== null && 'flag' in answer ? answer.flag : answer;
  if (typeof inner === 'object' && inner !== null && 'key' in inner && 'exposure' in inner && 'revision' in inner) return inner as FlagView;
  throw new Exit(EXIT.error, 'the server’s answer is no flag', 'check --server, and that both sides have the same version');
}

const line = (flag: FlagView): string =>
  clean(
    `${flag.key}: ${describe(flag.exposure)} (revision ${flag.revision}${flag.updatedBy === undefined ? '' : `, by ${flag.updatedBy} ${flag.updatedAt ?? ''}`})`,
  );

async function get(key: string, _options: unknown, command: Command): Promise<void> {
  const cli = cliOf(command);
  const flag = flagOf(await cli.api().get(`/api/flags/${encodeURIComponent(key)}`));
  cli.print(flag, () => line(flag));
}

async function set(key: string, options: { to: string; expected: string; reason?: string }, command: Command): Promise<void> {
  const cli = cliOf(command);
  const exposure = await exposureOf(options.to);
  const comment = await cli.need(options.reason, '--reason', 'Why');
  const path = `/api/flags/${encodeURIComponent(key)}`;
  const before = flagOf(await cli.api().get(path));
  const to =
    before.exposure.value === exposure.value || exposure.share > 0 || exposure.listed.length > 0 ? exposure : { ...exposure, value: before.exposure.value };
  await cli.confirm(`${key}: ${describe(before.exposure)} → ${describe(to)}?`);
  const expected = options.expected === '' ? before.revision : options.expected;
  const flag = flagOf(await cli.api().send('PUT', path, { exposure: to, comment }, { headers: { 'if-match': expected === '*' ? '*' : `"${expected}"` } }));
  cli.print(flag, () => line(flag));
}

/** The exposure that a person wrote, in the forms of a plan. Throws Exit. */
export async function exposureOf(text: string): Promise<Exposure> {
  const [{ parse }, { exposureForm }] = await Promise.all([import('yaml'), import('../../plan/forms.ts')]);
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    throw usage(`--to cannot be read as YAML; expected everyone, off, or a map like "{ share: 5, by: contract }"`);
  }
  const parsed = exposureForm.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw usage(`--to is ${JSON.stringify(text)}; expected ${issue?.message ?? 'everyone, off, or a map'}`);
}
