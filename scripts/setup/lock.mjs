// One set-up at a time does one thing; the others wait and then find it done.
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const BEAT_MS = 5_000;
const STALE_MS = 30_000;

/**
 * Runs `work` while holding the lock folder `lockPath`, and removes it afterwards.
 * A lock whose owner is dead (same host), or that was not touched for 30 s, is taken over. `onWait(pid)` is called once when another holds it.
 */
export async function withLock(lockPath, onWait, work) {
  fs.mkdirSync(path.dirname(lockPath), { recursive: true });
  const token = crypto.randomUUID();
  let told = false;
  while (!acquire(lockPath, token)) {
    const owner = readOwner(lockPath);
    if (isStale(lockPath, owner)) {
      takeAway(lockPath, owner);
      continue;
    }
    if (!told) onWait(owner?.pid);
    told = true;
    await pause(200);
  }
  const beat = setInterval(() => touch(lockPath), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if (readOwner(lockPath)?.token === token) fs.rmSync(lockPath, { recursive: true, force: true });
  }
}

function acquire(lockPath, token) {
  // The owner's file is written before the folder gets its name: a lock is never seen without its owner.
  const mine = `${lockPath}.${token}`;
  fs.mkdirSync(mine, { recursive: true });
  fs.writeFileSync(path.join(mine, 'owner.json'), JSON.stringify({ pid: process.pid, host: os.hostname(), token }));
  try {
    fs.renameSync(mine, lockPath);
    return true;
  } catch (error) {
    fs.rmSync(mine, { recursive: true, force: true });
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return false;
    throw error;
  }
}

function readOwner(lockPath) {
  try {
    return JSON.parse(fs.readFileSync(path.join(lockPath, 'owner.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

function isStale(lockPath, owner) {
  if (owner?.host === os.hostname() && !isAlive(owner.pid)) return true;
  try {
    return Date.now() - fs.statSync(lockPath).mtimeMs > STALE_MS;
  } catch {
    return false;
  }
}

function takeAway(lockPath, judged) {
  const aside = `${lockPath}.stale-${crypto.randomUUID()}`;
  try {
    fs.renameSync(lockPath, aside);
  } catch {
    return; // its owner, or another waiter, was quicker
  }
  // Between the judgement and the rename another waiter may have taken it over: then it is theirs, and goes back.
  if (readOwner(aside)?.token !== judged?.token) {
    try {
      fs.renameSync(aside, lockPath);
      return;
    } catch {
      // A third one holds it by now. What the lock guards is renamed into place whole, so the worst is work done twice.
    }
  }
  fs.rmSync(aside, { recursive: true, force: true });
}

function touch(lockPath) {
  try {
    fs.utimesSync(lockPath, new Date(), new Date());
  } catch {
    // Taken away from us; nothing to keep alive.
  }
}

/** Whether a process with this id exists, ours or not. */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
