import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { freePort, livePid, makeDir, startProcess, stopProcess } from './process.ts';
import type { Log, ServerProcess } from './process.ts';

/** How a Prometheus is started. */
export interface PrometheusOptions {
  /** The program: `toolPath('prometheus')`. */
  readonly bin: string;
  /** Holds its configuration, its samples and its log; made when missing. */
  readonly dir: string;
  /** What goes into prometheus.yml, as an object. */
  readonly config: unknown;
  /** A free port when left out. */
  readonly port?: number;
  /** Further arguments of the program. */
  readonly flags?: readonly string[];
  readonly log: Log;
}

/** A running Prometheus. */
export interface Prometheus extends ServerProcess {
  /** Its base URL, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Writes another configuration and has it read. */
  readonly reload: (config: unknown) => Promise<void>;
}

/**
 * Starts Prometheus on 127.0.0.1 with remote write open, and resolves when it answers queries.
 * One that a killed program left behind in the same folder is ended first: the samples allow one server.
 */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const dir = makeDir(options.dir);
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const configFile = path.join(dir, 'prometheus.yml');
  writeFileSync(configFile, stringify(options.config));
  const left = livePid(path.join(dir, 'prometheus.pid'), configFile);
  if (left !== undefined) await stopProcess(left, 'SIGTERM');
  const server = await startProcess({
    name: 'prometheus',
    command: options.bin,
    args: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${path.join(dir, 'samples')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-lifecycle',
      '--web.enable-remote-write-receiver',
      '--log.level=warn',
      ...(options.flags ?? []),
    ],
    dir,
    ready: async () => (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1000) })).ok,
    readyWithin: 30_000,
    stopSignal: 'SIGTERM',
  });
  options.log(`Prometheus at ${url} (pid ${server.pid})`);
  const reload = async (config: unknown): Promise<void> => {
    writeFileSync(configFile, stringify(config));
    const answer = await fetch(`${url}/-/reload`, { method: 'POST', signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`${url}/-/reload answered ${answer.status}; expected 200. ${await answer.text()}`);
  };
  return { ...server, url, port, reload };
}
