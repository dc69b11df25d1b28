import { z } from 'zod';
import { placesConfig } from '../../flags/places.ts';

const base = z.url({ protocol: /^https?$/ });

/** Settings of an evaluator of kind `launchdarkly-sdk`. */
export const launchdarklySdkConfig = z.strictObject({
  kind: z.literal('launchdarkly-sdk'),
  host: z
    .union([z.enum(['us', 'eu', 'federal']), base, z.array(base).min(1)])
    .default('us')
    .describe('us, eu or federal, or the base URL of each Relay Proxy that apps read: every one is asked by a client of its own'),
  sdkKey: z.string().min(1).describe('SDK key of the environment, as a reference: ${LAUNCHDARKLY_SDK_KEY} or file:/path'),
  ...placesConfig,
  caFile: z.string().optional().describe("PEM file of the authority that signed the hosts' certificates"),
});

/** Settings of an evaluator of kind `launchdarkly-sdk`, parsed. */
export type LaunchdarklySdkConfig = z.infer<typeof launchdarklySdkConfig>;

/** Where an SDK reads: flags at once, flags as they change, and where it would send events. */
export interface Endpoints {
  readonly name: string;
  readonly baseUri: string;
  readonly streamUri: string;
  readonly eventsUri: string;
}

function vendor(domain: string): Endpoints {
  return { name: domain, baseUri: `https://sdk.${domain}`, streamUri: `https://stream.${domain}`, eventsUri: `https://events.${domain}` };
}

/** The endpoints of every instance that `host` means. */
export function endpointsOf(host: LaunchdarklySdkConfig['host']): readonly Endpoints[] {
  if (host === 'us') return [vendor('launchdarkly.com')];
  if (host === 'eu') return [vendor('eu.launchdarkly.com')];
  if (host === 'federal') return [vendor('launchdarkly.us')];
  return (typeof host === 'string' ? [host] : host).map((url) => {
    const uri = url.replace(/\/+$/, '');
    return { name: new URL(uri).host, baseUri: uri, streamUri: uri, eventsUri: uri };
  });
}
