import { httpClient, redact } from '../../http.ts';
import { EVERY_STATUS, failing, type Failing } from '../ask.ts';
import type { ProbeConfig } from './config.ts';

/** What the app answered, and how long it took to its last byte (ms). */
export type Response =
  | { readonly ok: true; readonly status: number; readonly text: string; readonly took: number }
  | {
      readonly ok: false;
      readonly failing: Failing;
      readonly took: number;
      /** Whoever asked stopped it, before its own time was up. */ readonly stopped: boolean;
    };

export interface ProbeClient {
  /** Silence for `within` ms, or the config's timeout where that is shorter, is no answer. Never rejects. */
  get(url: URL, within: number | undefined, signal: AbortSignal): Promise<Response>;
  close(): void;
}

/** Opens a client for one server. */
export function probeClient(name: string, config: ProbeConfig): ProbeClient {
  const secrets = Object.values(config.headers ?? {});
  const http = httpClient({
    name: `source ${name}`,
    timeout: config.timeout,
    headers: { ...config.headers },
    secrets,
    ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
  });
  return {
    async get(url, within, signal) {
      const start = performance.now();
      try {
        const { status, text } = await http.send({ url: url.href, accept: EVERY_STATUS, timeout: Math.min(config.timeout, within ?? config.timeout) }, signal);
        return { ok: true, status, text: redact(text, secrets), took: performance.now() - start };
      } catch (error) {
        return { ok: false, failing: failing(error), took: performance.now() - start, stopped: signal.aborted };
      }
    },
    close: () => {
      http.close();
    },
  };
}
