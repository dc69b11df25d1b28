import { z } from 'zod';
import { placesConfig } from '../../flags/places.ts';

/** LaunchDarkly's own addresses, by the name of the instance. */
const HOSTS = { us: 'https://app.launchdarkly.com', eu: 'https://app.eu.launchdarkly.com', federal: 'https://app.launchdarkly.us' } as const;
const NAME = /^[A-Za-z0-9._-]+$/;

/** Settings of an evaluator of kind `launchdarkly-rest`. */
export const launchdarklyRestConfig = z.strictObject({
  kind: z.literal('launchdarkly-rest'),
  host: z
    .union([z.enum(['us', 'eu', 'federal']), z.url({ protocol: /^https?$/ })])
    .default('us')
    .describe('us, eu or federal, or the base URL of a proxy in front of one of them'),
  project: z.string().regex(NAME).describe('Key of the project that holds the flags'),
  environment: z.string().regex(NAME).describe('Key of the environment whose flags are evaluated'),
  token: z.string().min(1).describe('Access token that may read the environment, as a reference: ${LAUNCHDARKLY_TOKEN} or file:/path'),
  ...placesConfig,
  caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
});

/** Settings of an evaluator of kind `launchdarkly-rest`, parsed. */
export type LaunchdarklyRestConfig = z.infer<typeof launchdarklyRestConfig>;

/** The address that a config's `host` means, without a slash at its end. */
export function addressOf(host: LaunchdarklyRestConfig['host']): string {
  return (host === 'us' || host === 'eu' || host === 'federal' ? HOSTS[host] : host).replace(/\/+$/, '');
}
