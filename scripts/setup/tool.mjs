// Finds one tool, or makes it: its variable, the cache, PATH, then the ways of tools.mjs.
import fs from 'node:fs';
import path from 'node:path';
import { isExecutable, onPath, run } from './command.mjs';
import { isAlive, withLock } from './lock.mjs';
import { cacheDir, toolsDir } from './paths.mjs';
import { progress } from './progress.mjs';

/**
 * Resolves to `{ path, way }` of a tool, or to `{ problem }` when no way leads to it. Never rejects for a tool that cannot be had.
 * What it makes lies in the user's cache and is linked as `.tools/<name>`.
 */
export async function provide(tool) {
  const at = progress(tool.title);
  const given = process.env[tool.env];
  if (given !== undefined && given !== '') {
    if (isExecutable(given)) return ended(at, { path: path.resolve(given), way: tool.env });
    return failed(at, tool, [`${tool.env} is ${given}, which is not a program that may be executed`]);
  }
  const found = tool.onPath ? await usableOnPath(tool) : undefined;
  if (found !== undefined) return ended(at, { path: found, way: 'PATH' });
  const home = path.join(cacheDir, 'tools', `${tool.name}-${tool.version}-${process.platform}-${process.arch}`);
  const program = path.join(home, 'bin', tool.name);
  if (isExecutable(program)) return ended(at, linked(tool, program, wayOf(home)));
  const reasons = [];
  const lock = path.join(cacheDir, 'locks', path.basename(home));
  await withLock(
    lock,
    (pid) => at.say(`waiting for process ${pid ?? '?'}, which is at it`),
    async () => {
      if (!isExecutable(program)) await make(tool, home, at, reasons);
    },
  );
  return isExecutable(program) ? ended(at, linked(tool, program, wayOf(home))) : failed(at, tool, reasons);
}

async function make(tool, home, at, reasons) {
  sweep(path.join(cacheDir, 'tmp'));
  for (const way of tool.ways) {
    at.say(way.title);
    const dir = path.join(cacheDir, 'tmp', `${tool.name}-${process.pid}-${Date.now()}`);
    fs.mkdirSync(dir, { recursive: true });
    try {
      await way.fill(dir);
      fs.writeFileSync(path.join(dir, 'way'), way.title);
      fs.mkdirSync(path.dirname(home), { recursive: true });
      fs.rmSync(home, { recursive: true, force: true }); // without its program it is what an older set-up left broken
      fs.renameSync(dir, home);
      return;
    } catch (error) {
      fs.rmSync(dir, { recursive: true, force: true });
      reasons.push(`${way.title}: ${error.message}`);
    }
  }
}

/** Removes what set-ups that were killed have left half done. */
function sweep(tmp) {
  if (!fs.existsSync(tmp)) return;
  for (const name of fs.readdirSync(tmp)) {
    const pid = Number(name.split('-').at(-2));
    if (!isAlive(pid)) fs.rmSync(path.join(tmp, name), { recursive: true, force: true });
  }
}

async function usableOnPath(tool) {
  const file = onPath(tool.name);
  if (file === undefined || tool.check === undefined) return file;
  try {
    await run(file, tool.check, { timeout: 10_000 });
    return file;
  } catch {
    return undefined;
  }
}

function wayOf(home) {
  try {
    return fs.readFileSync(path.join(home, 'way'), 'utf8');
  } catch {
    return 'cache';
  }
}

function linked(tool, program, way) {
  const link = path.join(toolsDir, tool.name);
  fs.mkdirSync(toolsDir, { recursive: true });
  if (!(fs.existsSync(link) && fs.realpathSync(link) === fs.realpathSync(program))) {
    const fresh = `${link}.${process.pid}`;
    fs.rmSync(fresh, { force: true });
    fs.symlinkSync(program, fresh);
    fs.renameSync(fresh, link);
  }
  return { path: program, way };
}

function ended(at, result) {
  at.done(result.way);
  return result;
}

function failed(at, tool, reasons) {
  at.missing(`not to be had. Remedy: ${tool.remedy}`);
  for (const reason of reasons) at.missing(`  ${reason}`);
  return { problem: reasons.join('; ') };
}
