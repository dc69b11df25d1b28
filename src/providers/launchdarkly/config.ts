import { z } from 'zod';
import { placesConfig } from '../../flags/places.ts';

/** LaunchDarkly's own addresses, by the name of the instance. */
const HOSTS = { us: 'https://app.launchdarkly.com', eu: 'https://app.eu.launchdarkly.com', federal: 'https://app.launchdarkly.us' } as const;

const NAME = /^[A-Za-z0-9._-]+$/;

/** Settings of a provider of kind `launchdarkly`. */
export const launchdarklyConfig = z.strictObject({
  kind: z.literal('launchdarkly'),
  host: z
    .union([z.enum(['us', 'eu', 'federal']), z.url({ protocol: /^https?$/ })])
    .default('us')
    .describe('us, eu or federal, or the base URL of a proxy in front of one of them'),
  project: z.string().regex(NAME).describe('Key of the project that holds the flags'),
  environment: z.string().regex(NAME).describe('Key of the environment in which the flags are changed'),
  token: z.string().min(1).describe('Access token of a service account, as a reference: ${LAUNCHDARKLY_TOKEN} or file:/path'),
  ...placesConfig,
  triggers: z
    .record(z.string(), z.string().min(1))
    .default({})
    .describe('Secret URL of a flag trigger that turns the flag off, by flag key, as a reference: the second path of a rollback'),
  approvals: z
    .enum(['refuse', 'bypassed'])
    .default('refuse')
    .describe("bypassed: the token's role has bypassRequiredApproval and somebody has tried it; else a flag whose changes need an approval is refused"),
  reserve: z.number().min(0).max(90).default(30).describe("Percent of LaunchDarkly's rate limit kept for rollbacks"),
  caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
});

/** Settings of a provider of kind `launchdarkly`, parsed. */
export type LaunchdarklyConfig = z.infer<typeof launchdarklyConfig>;

/** The address that a config's `host` means, without a slash at its end. */
export function addressOf(host: LaunchdarklyConfig['host']): string {
  return (host === 'us' || host === 'eu' || host === 'federal' ? HOSTS[host] : host).replace(/\/+$/, '');
}
