import { httpClient, redact } from '../../http.ts';
import { clip, EVERY_STATUS, failing, type Failing } from '../ask.ts';
import type { WebConfig } from './config.ts';

/** The document's text, or why it could not be had. */
export type Page = { readonly ok: true; readonly text: string; readonly servedAt: number } | { readonly ok: false; readonly failing: Failing };

export interface WebClient {
  fetch(signal: AbortSignal): Promise<Page>;
  close(): void;
}

/** Opens a client for the one document. Never rejects. */
export function webClient(name: string, config: WebConfig): WebClient {
  const secrets = [...(config.token === undefined ? [] : [config.token]), ...Object.values(config.headers ?? {})];
  const http = httpClient({
    name: `source ${name}`,
    timeout: config.timeout,
    headers: { accept: 'application/json', ...config.headers, ...(config.token === undefined ? {} : { authorization: `Bearer ${config.token}` }) },
    secrets,
    ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
  });
  return {
    async fetch(signal) {
      try {
        const { status, text, servedAt } = await http.send({ url: config.url, accept: EVERY_STATUS }, signal);
        if (status !== 200) return { ok: false, failing: { reason: 'status', detail: `answered ${status}; expected 200: ${clip(redact(text, secrets))}` } };
        return { ok: true, text, servedAt };
      } catch (error) {
        return { ok: false, failing: failing(error) };
      }
    },
    close: () => {
      http.close();
    },
  };
}
