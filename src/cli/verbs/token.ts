import type { Command } from 'commander';
import os from 'node:os';
import { cliOf, type Cli } from '../cli.ts';
import { usage } from '../exit.ts';
import { DATA_DIR } from '../input.ts';
import { spanOf } from '../span.ts';
import { markdownTable, table } from '../text.ts';

/** `gonogo token`: people's tokens, straight on the database: whoever has its password may give out roles. */
export function token(program: Command): void {
  const group = program.command('token').description('make, list and revoke people’s tokens; straight on the database of the config or of --data');
  group
    .command('create')
    .description('make a token; it is shown this once')
    .argument('<person>', 'who acts with it')
    .requiredOption('-r, --role <role...>', 'roles held, e.g. releaser release-engineer qa on-call')
    .option('--label <text>', 'tells this person’s tokens apart', 'cli')
    .option('--expires <span>', 'e.g. 30d')
    .option('--data <dir>', 'where "gonogo start" keeps its data', DATA_DIR)
    .action(create);
  group.command('list').description('list tokens, never their text').option('--data <dir>', 'where "gonogo start" keeps its data', DATA_DIR).action(list);
  group
    .command('revoke')
    .description('revoke a token, from the next request on')
    .argument('<id>', 'as "gonogo token list" shows it')
    .option('--data <dir>', 'where "gonogo start" keeps its data', DATA_DIR)
    .action(revoke);
}

interface Creating {
  readonly role: readonly string[];
  readonly label: string;
  readonly expires?: string;
  readonly data: string;
}

async function create(person: string, options: Creating, command: Command): Promise<void> {
  const cli = cliOf(command);
  const span = spanOf('--expires', options.expires);
  for (const role of options.role)
    if (!/^[a-z][a-z0-9-]{0,39}$/.test(role)) throw usage(`--role is ${JSON.stringify(role)}; expected a role in lower case, e.g. release-engineer`);
  if (person.trim() === '' || person.length > 200 || /\p{Cc}/u.test(person)) throw usage('the person’s name is empty, too long or holds control characters');
  const expiresAt = span === undefined ? undefined : new Date(Date.now() + span);
  const wanted = {
    person: person.normalize('NFC'),
    roles: options.role,
    label: options.label,
    by: os.userInfo().username,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  const [{ withStore }, { createToken }] = await Promise.all([import('../house-keys.ts'), import('../../store/tokens.ts')]);
  const made = await withStore(cli, options.data, (store) => createToken(store, wanted));
  // The token alone on stdout, so that a shell can take it; what people read is a remark.
  cli.print(
    { ...made, person: wanted.person, roles: wanted.roles, ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }) },
    () => made.token,
  );
  cli.note(`token ${made.id} of ${wanted.person} (${wanted.roles.join(', ')}); it is not shown again. Use it: export GONOGO_TOKEN=...`);
}

async function list(options: { data: string }, command: Command): Promise<void> {
  const cli = cliOf(command);
  const [{ withStore }, { listTokens }] = await Promise.all([import('../house-keys.ts'), import('../../store/tokens.ts')]);
  const tokens = await withStore(cli, options.data, listTokens);
  const heads = ['ID', 'PERSON', 'LABEL', 'ROLES', 'MADE', 'STATE'];
  const rows = tokens.map((one) => [one.id, one.person, one.label, one.roles.join(' '), one.createdAt, stateOf(one)]);
  cli.print(
    tokens,
    () => table(heads, rows),
    () => markdownTable(heads, rows),
  );
}

function stateOf(one: { readonly revokedAt?: string; readonly expiresAt?: string }): string {
  if (one.revokedAt !== undefined) return `revoked ${one.revokedAt}`;
  if (one.expiresAt === undefined) return 'valid';
  return `${Date.parse(one.expiresAt) > Date.now() ? 'valid until' : 'expired'} ${one.expiresAt}`;
}

async function revoke(id: string, options: { data: string }, command: Command): Promise<void> {
  const cli: Cli = cliOf(command);
  const [{ withStore }, { revokeToken }] = await Promise.all([import('../house-keys.ts'), import('../../store/tokens.ts')]);
  if (!(await withStore(cli, options.data, (store) => revokeToken(store, id))))
    throw usage(`there is no valid token ${JSON.stringify(id)}`, '"gonogo token list" shows them');
  cli.print({ id, revoked: true }, () => `token ${id} is revoked`);
}
