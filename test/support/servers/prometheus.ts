import { startPrometheus as start } from '../../../src/embedded/prometheus.ts';
import type { Prometheus } from '../../../src/embedded/prometheus.ts';
import { freezable } from './freezable.ts';
import type { Freezable } from './freezable.ts';
import { requireTool } from './require-tool.ts';
import { serverDir } from './server-dir.ts';

/** A real Prometheus in a temporary folder, given prometheus.yml as an object. Stopping removes the folder. Intervals down to 1 s work. */
export async function startPrometheus(config: unknown, port?: number, flags: readonly string[] = []): Promise<Freezable<Prometheus>> {
  const place = serverDir('prometheus');
  const server = await start({
    bin: requireTool('prometheus'),
    dir: place.dir,
    config,
    ...(port === undefined ? {} : { port }),
    flags,
    log: () => undefined,
  }).catch((error: unknown) => {
    place.remove();
    throw error;
  });
  return freezable(server, place);
}
