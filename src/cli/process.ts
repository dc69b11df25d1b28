import { readFileSync } from 'node:fs';
import { loadRegistry, type Registry } from '../flags/registry.ts';
import type { Config } from '../config.ts';
import { openLog, type FullLog, type LogTarget } from '../log.ts';
import { formatProblem } from '../plan/problem.ts';
import type { Cli } from './cli.ts';
import { EXIT, Exit, usage } from './exit.ts';

/** The process's log, by LOG_LEVEL, with the config's secrets masked. Throws Exit. */
export function processLog(cli: Cli, config: Config, name: string, to?: LogTarget): FullLog {
  try {
    const level = cli.env['LOG_LEVEL'];
    return openLog({
      secrets: config.secrets,
      fields: { process: name, pid: process.pid },
      ...(level === undefined ? {} : { level }),
      ...(to === undefined ? {} : { to }),
    });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

/** The registry that the config names. Throws Exit with its problems. */
export function configuredRegistry(config: Config): Registry {
  let text: string;
  try {
    text = readFileSync(config.registry, 'utf8');
  } catch (error) {
    throw usage(
      `${config.registry} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'}); expected the registry of flags`,
      'set registry in gonogo.yaml, or GONOGO_REGISTRY',
    );
  }
  const loaded = loadRegistry(text);
  if (loaded.ok) return loaded.registry;
  throw new Exit(EXIT.usage, loaded.problems.map((problem) => formatProblem(config.registry, problem)).join('\n'));
}

/** Longest time that a graceful end may take, ms: orchestrators kill after 30 s. */
const STOP_WITHIN = 25_000;

/**
 * Waits for SIGTERM, SIGINT or SIGHUP, then calls `stop` and resolves; the process then ends with 0. A second signal exits at once, and so does
 * an ending that takes too long.
 */
export async function untilTold(stop: (signal: string) => Promise<void>): Promise<void> {
  const told = await new Promise<string>((resolve) => {
    let first = true;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (!first) process.exit(EXIT.interrupted);
        first = false;
        resolve(signal);
      });
    }
  });
  const timer = setTimeout(() => {
    process.stderr.write(`not ended within ${STOP_WITHIN / 1000} s; exiting now\n`);
    process.exit(EXIT.error);
  }, STOP_WITHIN);
  try {
    await stop(told);
  } finally {
    clearTimeout(timer);
  }
}
