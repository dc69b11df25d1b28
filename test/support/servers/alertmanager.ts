import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { freePort, startProcess } from '../../../src/embedded/process.ts';
import type { ServerProcess } from '../../../src/embedded/process.ts';
import { freezable } from './freezable.ts';
import type { Freezable } from './freezable.ts';
import { requireTool } from './require-tool.ts';
import { serverDir } from './server-dir.ts';

/** A running Alertmanager. */
export interface Alertmanager extends ServerProcess {
  /** Its base URL, without a slash at the end. */
  readonly url: string;
  /** host:port, as Prometheus' `alerting.alertmanagers.static_configs.targets` wants it. */
  readonly target: string;
}

/** A real Alertmanager in a temporary folder, alone (no cluster), given alertmanager.yml as an object. Stopping removes the folder. */
export async function startAlertmanager(config: unknown): Promise<Freezable<Alertmanager>> {
  const bin = requireTool('alertmanager');
  const place = serverDir('alertmanager');
  const target = `127.0.0.1:${await freePort()}`;
  const url = `http://${target}`;
  const configFile = path.join(place.dir, 'alertmanager.yml');
  writeFileSync(configFile, stringify(config));
  const server = await startProcess({
    name: 'alertmanager',
    command: bin,
    args: [
      `--config.file=${configFile}`,
      `--storage.path=${path.join(place.dir, 'data')}`,
      `--web.listen-address=${target}`,
      '--cluster.listen-address=',
      '--log.level=warn',
    ],
    dir: place.dir,
    ready: async () => (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1000) })).ok,
    readyWithin: 30_000,
    stopSignal: 'SIGTERM',
  }).catch((error: unknown) => {
    place.remove();
    throw error;
  });
  return freezable({ ...server, url, target }, place);
}
