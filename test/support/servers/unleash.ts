import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { freePort, startProcess, type ServerProcess } from '../../../src/embedded/process.ts';
import { freshDatabase } from '../database.ts';
import { freezable, type Freezable } from './freezable.ts';
import { serverDir } from './server-dir.ts';

const PROGRAM = fileURLToPath(new URL('./start-unleash.ts', import.meta.url));

/** A real Unleash, open source, on a database of its own, with the tokens of one run. */
export interface UnleashServer extends ServerProcess {
  /** Its base URL, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly tokens: {
    /** Admin tokens; Unleash knows their writes by the names `gonogo` and `mallory`. */
    readonly gonogo: string;
    readonly mallory: string;
    /** A backend (SDK) token of each environment. */
    readonly development: string;
    readonly production: string;
  };
}

/** Starts one: its own process, port, database and tokens. Stopping it drops the database and removes its folder. */
export async function startUnleash(): Promise<Freezable<UnleashServer>> {
  const secret = (): string => randomBytes(24).toString('hex');
  const tokens = {
    gonogo: `*:*.${secret()}`,
    mallory: `*:*.${secret()}`,
    development: `default:development.${secret()}`,
    production: `default:production.${secret()}`,
  };
  const admin = (tokenName: string, token: string) => ({ environment: '*', projects: ['*'], secret: token, type: 'admin', tokenName });
  const backend = (environment: string, token: string) => ({
    environment,
    projects: ['default'],
    secret: token,
    type: 'client',
    tokenName: `sdk-${environment}`,
  });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const place = serverDir('unleash');
  const database = await freshDatabase();
  const clean = async (): Promise<void> => {
    place.remove();
    await database.drop();
  };
  try {
    const server = await startProcess({
      name: 'unleash',
      command: process.execPath,
      // The folder is named so that a server left behind by a killed run is known by its command line.
      args: [PROGRAM, place.dir],
      dir: place.dir,
      env: {
        ...(process.env['PATH'] === undefined ? {} : { PATH: process.env['PATH'] }),
        TZ: 'UTC',
        GONOGO_UNLEASH: JSON.stringify({
          databaseUrl: database.url,
          port,
          tokens: [
            admin('gonogo', tokens.gonogo),
            admin('mallory', tokens.mallory),
            backend('development', tokens.development),
            backend('production', tokens.production),
          ],
        }),
      },
      ready: async () => (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) })).ok,
      readyWithin: 60_000,
      stopSignal: 'SIGTERM',
    });
    const started = freezable({ ...server, url, port, tokens });
    return {
      ...started,
      async stop() {
        await started.stop();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}
