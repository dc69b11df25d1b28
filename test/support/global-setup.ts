import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { toolPath } from '../../src/embedded/tools.ts';
import { removeLeftovers, serverDir } from './servers/server-dir.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The superuser's connection string of the run's Postgres (fsync off). */
    pgUrl: string;
    /** host:port of the run's Temporal dev server, namespace "default". */
    temporalAddress: string;
  }
}

/** Starts one Postgres and one Temporal for the whole run, in a temporary folder that goes with it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 18)) {
    throw new Error(`the tests run on Node ${process.versions.node}; expected 22.18 or later. Use "npm test", or node_modules/.bin/node`);
  }
  const cli = toolPath('temporal');
  if (cli === undefined) throw new Error('the Temporal CLI is missing; expected it in .tools/ or on PATH. Run "npm run setup"');
  await removeLeftovers();
  const place = serverDir('run');
  const log = (): void => undefined;
  const [postgres, temporal] = await Promise.allSettled([
    startPostgres({ dataDir: path.join(place.dir, 'postgres'), fsync: false, log }),
    startTemporal({ cli, dbFile: path.join(place.dir, 'temporal', 'temporal.db'), headless: true, log }),
  ]);
  const teardown = async (): Promise<void> => {
    if (postgres.status === 'fulfilled') await postgres.value.stop();
    if (temporal.status === 'fulfilled') await temporal.value.stop();
    place.remove();
  };
  if (postgres.status === 'rejected' || temporal.status === 'rejected') {
    await teardown();
    throw new AggregateError(
      [postgres, temporal].flatMap((server) => (server.status === 'rejected' ? [server.reason as unknown] : [])),
      'a server of the tests could not be started',
    );
  }
  project.provide('pgUrl', postgres.value.url);
  project.provide('temporalAddress', temporal.value.address);
  return teardown;
}
