import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second in /proc: 100 on every Linux that Node runs on (sysconf(_SC_CLK_TCK)). */
const TICKS = 100;

interface Stat {
  readonly parent: number;
  readonly seconds: number;
}

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // Fields after the name, which may hold anything: state, ppid, ...; utime, stime and those of reaped children are fields 14 to 17 of proc(5).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [parent, user, system, childUser, childSystem] = [fields[1], fields[11], fields[12], fields[13], fields[14]].map(Number);
  return { parent: parent ?? 0, seconds: ((user ?? 0) + (system ?? 0) + (childUser ?? 0) + (childSystem ?? 0)) / TICKS };
}

/** CPU seconds that a process, its children, and those of them that have ended have used. Linux only: undefined elsewhere. */
export function cpuSeconds(root: number): number | undefined {
  let names: readonly string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return undefined;
  }
  const stats = new Map(
    names
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name): [number, Stat][] => {
        const stat = statOf(Number(name));
        return stat === undefined ? [] : [[Number(name), stat]];
      }),
  );
  const within = (pid: number): boolean => pid === root || (pid > 1 && within(stats.get(pid)?.parent ?? 0));
  return [...stats].filter(([pid]) => within(pid)).reduce((sum, [, stat]) => sum + stat.seconds, 0);
}
