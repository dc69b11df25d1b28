import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, startProcess, type ServerProcess } from '../../../src/embedded/process.ts';
import { freezable, type Freezable } from './freezable.ts';
import { requireTool } from './require-tool.ts';
import { serverDir } from './server-dir.ts';

/** A fault on a proxy's connections; times in ms, `rate` in KB per second. `timeout: 0` never closes by itself: nothing comes through until the toxic is taken off, which cuts what is open. */
export type Toxic =
  | { readonly type: 'latency'; readonly latency: number; readonly jitter?: number }
  | { readonly type: 'bandwidth'; readonly rate: number }
  | { readonly type: 'slow_close'; readonly delay: number }
  | { readonly type: 'timeout'; readonly timeout: number }
  | { readonly type: 'reset_peer'; readonly timeout: number }
  | { readonly type: 'slicer'; readonly average_size: number; readonly size_variation?: number; readonly delay?: number }
  | { readonly type: 'limit_data'; readonly bytes: number };

/** How a toxic is put on: `downstream` is what the server answers, `upstream` what it is asked; `toxicity` (0..1, default 1) is the share of connections that suffer. */
export interface ToxicOptions {
  readonly stream?: 'downstream' | 'upstream';
  readonly toxicity?: number;
}

/** One proxied address. */
export interface Proxy {
  readonly name: string;
  /** host:port to connect to in place of the server. */
  readonly address: string;
  readonly port: number;
  /** Puts a fault on, for connections that are open too; resolves to how to take it off again. */
  add(toxic: Toxic, options?: ToxicOptions): Promise<() => Promise<void>>;
  /** The toxics that are on, by name. */
  toxics(): Promise<readonly string[]>;
  /** Refuses connections and cuts the open ones, or takes them again. */
  setEnabled(enabled: boolean): Promise<void>;
  remove(): Promise<void>;
}

/** A running Toxiproxy. */
export interface Toxiproxy extends ServerProcess {
  /** Its API, without a slash at the end. */
  readonly url: string;
  /** A proxy to `upstream` (host:port) on a free port. Throws where the name is taken. */
  proxy(name: string, upstream: string): Promise<Proxy>;
  /** Takes every toxic off and enables every proxy. */
  reset(): Promise<void>;
}

/** Starts a Toxiproxy on 127.0.0.1. `seed` makes which connections suffer under a toxicity the same again. Stopping ends every proxy. */
export async function startToxiproxy(seed = 1): Promise<Freezable<Toxiproxy>> {
  const bin = requireTool('toxiproxy-server');
  const place = serverDir('toxiproxy');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // The folder is named in the command line, so that a server left behind by a killed run is known by it.
  const none = path.join(place.dir, 'proxies.json');
  writeFileSync(none, '[]');
  const call = async (method: string, at: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}${at}`, {
      method,
      signal: AbortSignal.timeout(5_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`toxiproxy answered ${response.status} to ${method} ${at}: ${text.trim()}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
  const server = await startProcess({
    name: 'toxiproxy',
    command: bin,
    args: ['-host', '127.0.0.1', '-port', String(port), '-seed', String(seed), '-config', none],
    dir: place.dir,
    ready: async () => (await fetch(`${url}/version`, { signal: AbortSignal.timeout(1_000) })).ok,
    readyWithin: 15_000,
    stopSignal: 'SIGTERM',
  }).catch((error: unknown) => {
    place.remove();
    throw error;
  });

  async function proxy(name: string, upstream: string): Promise<Proxy> {
    const { listen: address } = (await call('POST', '/proxies', { name, listen: '127.0.0.1:0', upstream, enabled: true })) as { readonly listen: string };
    const own = `/proxies/${encodeURIComponent(name)}`;
    return {
      name,
      address,
      port: Number(address.split(':').at(-1)),
      async add({ type, ...attributes }, { stream = 'downstream', toxicity = 1 } = {}) {
        const made = (await call('POST', `${own}/toxics`, { type, stream, toxicity, name: `${type}_${stream}`, attributes })) as { readonly name: string };
        return async () => {
          await call('DELETE', `${own}/toxics/${made.name}`);
        };
      },
      async toxics() {
        return ((await call('GET', `${own}/toxics`)) as readonly { readonly name: string }[]).map((toxic) => toxic.name);
      },
      async setEnabled(enabled) {
        // The port was given by the system the first time: named, it is the same again.
        await call('POST', own, { listen: address, upstream, enabled });
      },
      async remove() {
        await call('DELETE', own);
      },
    };
  }

  return freezable(
    {
      ...server,
      url,
      proxy,
      async reset() {
        await call('POST', '/reset');
      },
    },
    place,
  );
}
