import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, type ServerProcess } from '../../../src/embedded/process.ts';

/** One process of a fleet, with whatever it spawned: killed as the kernel kills, frozen as a hung machine is, and started again as its supervisor would. */
export interface Member {
  readonly name: string;
  /** Its process id; undefined while it is down. */
  pid(): number | undefined;
  /** Starts it where it is down, again and again until it is ready. Throws after a minute. */
  start(): Promise<void>;
  /** SIGKILL to it and all its children, at once; resolves when they are gone. */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Asks it to end, and waits. */
  stop(): Promise<void>;
}

/** How long (ms) a supervisor goes on starting what does not come up. */
const COMES_UP_WITHIN = 60_000;

/** A member that `launch` starts; each start may give another process, at the same address. */
export function openMember(name: string, launch: () => Promise<ServerProcess>): Member {
  let server: ServerProcess | undefined;
  let starting: Promise<void> | undefined;
  let over = false;
  const pid = (): number | undefined => (server !== undefined && isAlive(server.pid) ? server.pid : undefined);
  const send = (signal: NodeJS.Signals): readonly number[] => {
    const sent = server === undefined ? [] : familyOf(server.pid, signal === 'SIGSTOP');
    for (const one of sent) signalTo(one, signal);
    return sent;
  };
  async function begin(): Promise<void> {
    const deadline = Date.now() + COMES_UP_WITHIN;
    while (!over) {
      try {
        server = await launch();
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await pause(200);
      }
    }
  }
  return {
    name,
    pid,
    start: () => {
      if (pid() !== undefined) return Promise.resolve();
      starting ??= begin().finally(() => {
        starting = undefined;
      });
      return starting;
    },
    kill: async () => {
      const killed = send('SIGKILL');
      while (killed.some(isAlive)) await pause(5);
    },
    freeze: () => void send('SIGSTOP'),
    thaw: () => void send('SIGCONT'),
    stop: async () => {
      over = true;
      await starting?.catch(() => undefined);
      send('SIGCONT');
      await server?.stop();
    },
  };
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone meanwhile.
  }
}

/** A process and all that descend from it, the parent first. With `frozen` each is stopped before its children are looked for, so that none is missed. */
function familyOf(pid: number, frozen: boolean): readonly number[] {
  if (frozen) signalTo(pid, 'SIGSTOP');
  const children = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && parentOf(Number(entry)) === pid);
  return [pid, ...children.flatMap((child) => familyOf(Number(child), frozen))];
}

function parentOf(pid: number): number | undefined {
  try {
    // The name, which may hold anything, is in parentheses; the state and the parent follow.
    const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return Number(parent);
  } catch {
    return undefined;
  }
}
