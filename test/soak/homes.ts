import type { FlagRef } from '../../src/core/plan.ts';
import { strategyOf, type Admin } from '../providers/unleash/admin.ts';
import { ownedOf } from '../support/servers/launchdarkly/people.ts';
import type { LaunchdarklyServer } from '../support/servers/launchdarkly/server.ts';
import { WORN, type Dress, type EditKind } from './story.ts';

/** All that somebody else adds is called so: it is theirs, and left out where what gonogo owns is compared. */
const MALLORY = 'mallory';

/** What somebody else did, and how it is seen that it is still there. */
export interface Edit {
  readonly said: string;
  see(): Promise<unknown>;
}

/** One vendor as the soak knows it: straight at the server, never through a fault. */
export interface Home {
  make(flag: FlagRef, dress: Dress): Promise<void>;
  /** A flag that is on for everyone from the moment it is made. */
  makeOn(key: string): Promise<void>;
  /** The fields that gonogo owns, without what `edit` does; no two flags' times or ids in it. */
  owned(flag: FlagRef): Promise<unknown>;
  /** Changes something that is not gonogo's. */
  edit(flag: FlagRef, kind: EditKind, mark: string): Promise<Edit>;
  /** Every flag that there is, archived ones included. */
  names(): Promise<readonly string[]>;
  /** Who did what to the flag, oldest first. */
  audit(flag: FlagRef): Promise<readonly string[]>;
}

const clause = (attribute: string, op: string, ...values: string[]) => ({ contextKind: 'user', attribute, op, negate: false, values });

interface OwnedAtLaunchdarkly {
  readonly targets: readonly (readonly [string, unknown, readonly string[]])[];
  readonly rules: readonly { readonly description?: string }[];
  readonly tags: readonly string[];
}

/** Flags of the fake's project. */
export function launchdarklyHome(server: LaunchdarklyServer): Home {
  server.newSegment('beta', ['ann']);
  server.newFlag('master');
  server.edit('master', [{ kind: 'turnFlagOn' }]);

  const flagOf = (key: string) => {
    const flag = server.account.flags.get(key);
    const [production, staging] = [flag?.environments['production'], flag?.environments['staging']];
    if (flag === undefined || production === undefined || staging === undefined) throw new Error(`no flag ${key}`);
    return { flag, production, staging };
  };
  const idOf = (key: string, value: unknown): string => {
    const found = flagOf(key).flag.variations.find((variation) => variation.value === value);
    if (found === undefined) throw new Error(`flag ${key} has no variation ${String(value)}`);
    return found._id;
  };

  return {
    make({ key, type, offValue }, dress) {
      const values = type === 'boolean' ? [true, false] : [...type.oneOf];
      const made = server.newFlag(key, values);
      for (const setting of Object.values(made.environments)) Object.assign(setting, { fallthrough: { variation: values.length - 1 } });
      if (dress === 'plain') return Promise.resolve();
      const [on, off] = [idOf(key, type === 'boolean' ? true : WORN), idOf(key, offValue)];
      const worn = dress === 'worn';
      server.edit(key, [
        { kind: 'addTargets', contextKind: 'user', variationId: on, values: worn ? ['bob', "o'hara", '$(id)'] : ['bob'] },
        { kind: 'addTargets', contextKind: 'user', variationId: off, values: ['eve'] },
        { kind: 'addRule', description: 'embargo', variationId: off, clauses: [clause('country', 'in', 'XX'), clause('plan', 'startsWith', 'free')] },
        { kind: 'addPrerequisite', key: 'master', variationId: idOf('master', true) },
        { kind: 'updateTrackEvents', trackEvents: true },
        { kind: 'addTags', values: ['chat'] },
      ]);
      if (worn)
        server.edit(key, [
          { kind: 'addTargets', contextKind: 'contract', variationId: on, values: ['c-1'] },
          { kind: 'addRule', description: 'beta', variationId: on, clauses: [clause('segmentMatch', 'segmentMatch', 'beta')] },
          { kind: 'addRule', description: 'gonogo: listed by country', variationId: on, clauses: [clause('country', 'in', 'CH', 'Ελλάδα')] },
          {
            kind: 'updateFallthroughVariationOrRollout',
            rolloutContextKind: 'contract',
            rolloutBucketBy: 'key',
            rolloutWeights: { [on]: 12_500, [off]: 87_500 },
          },
          { kind: 'turnFlagOn' },
        ]);
      return Promise.resolve();
    },
    makeOn(key) {
      server.newFlag(key);
      server.edit(key, [{ kind: 'turnFlagOn' }]);
      return Promise.resolve();
    },
    owned({ key }) {
      const owned = ownedOf(server, key) as OwnedAtLaunchdarkly;
      const theirs = (name: string | undefined): boolean => name?.startsWith(MALLORY) === true;
      return Promise.resolve({
        ...owned,
        targets: owned.targets.map(([kind, value, keys]) => [kind, value, keys.filter((one) => !theirs(one))] as const).filter(([, , keys]) => keys.length > 0),
        rules: owned.rules.filter((rule) => !theirs(rule.description)),
        tags: owned.tags.filter((tag) => !theirs(tag)),
      });
    },
    edit({ key, offValue }, kind, mark) {
      const name = `${MALLORY}-${mark}`;
      const off = idOf(key, offValue);
      const edited = (instructions: readonly unknown[], see: () => unknown, environment?: string): Promise<Edit> => {
        server.edit(key, instructions, 'mallory@example.com', environment);
        return Promise.resolve({ said: `${kind} of ${key}`, see: () => Promise.resolve(structuredClone(see())) });
      };
      switch (kind) {
        // Nothing at LaunchDarkly lets people in and leaves a share as it is: there it is a rule as well.
        case 'wide':
        case 'rule':
          return edited([{ kind: 'addRule', description: name, variationId: off, clauses: [clause('country', 'in', 'XX')] }], () =>
            flagOf(key).production.rules.filter((rule) => rule.description === name),
          );
        case 'description':
          return edited([{ kind: 'updateDescription', value: name }], () => flagOf(key).flag.description);
        case 'tag':
          return edited([{ kind: 'addTags', values: [name] }], () => flagOf(key).flag.tags.includes(name));
        case 'theirs':
          return edited([{ kind: 'addTargets', contextKind: 'user', variationId: off, values: [name] }], () =>
            flagOf(key)
              .production.targets.filter((target) => target.values.includes(name))
              .map((target) => target.variation),
          );
        case 'elsewhere':
          return edited([{ kind: 'turnFlagOn' }], () => flagOf(key).staging, 'staging');
      }
    },
    names: () => Promise.resolve([...server.account.flags.keys()]),
    audit: ({ key }) =>
      Promise.resolve(
        server.account.entries
          .filter((entry) => entry.flag === key)
          .map((entry) => `${new Date(entry.date).toISOString()} ${entry.environment} ${entry.by}: ${entry.description} (${entry.comment})`),
      ),
  };
}

/** The strategy of somebody else that is switched off, and that they may edit. */
const OLD_APPS = 'old apps';

/** Flags of the real server, seen with the token of mallory. */
export async function unleashHome(admin: Admin, environment: string, elsewhere: string): Promise<Home> {
  const features = '/api/admin/projects/default/features';
  const { id: segment } = (await admin.call('POST', '/api/admin/segments', {
    name: 'gold',
    constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold'] }],
  })) as { readonly id: number };
  const turnOn = (key: string, where: string) => admin.call('POST', `${features}/${key}/environments/${where}/on`);
  const feature = async (key: string) =>
    (await admin.call('GET', `${features}/${key}`)) as { readonly description: string | null; readonly environments: readonly { readonly name: string }[] };
  const titled = async (key: string, title: string) => (await admin.environment(key)).strategies.filter((strategy) => strategy.title === title);

  return {
    async make({ key, type }, dress) {
      await admin.make(key);
      if (dress === 'plain') return;
      const value = type === 'boolean' ? true : WORN;
      const add = (more: Record<string, unknown>, share = 100) => admin.addStrategy(key, { ...strategyOf(key, share, value), ...more });
      await add({ title: OLD_APPS, disabled: true, constraints: [{ contextName: 'appVersion', operator: 'SEMVER_LT', value: '2.0.0' }] });
      await add({ title: 'gold in Chile', segments: [segment], constraints: [{ contextName: 'country', operator: 'IN', values: ['CL', 'PE'] }] }, 60);
      await add({ title: 'gonogo [earlier-1/beta] chat for 10 %' }, 10);
      if (dress === 'resting') return;
      await add({ constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold', 'silver'] }] });
      await add({ title: 'gonogo [earlier-1/beta] chat for 10 %', constraints: [{ contextName: 'userId', operator: 'IN', values: ['ann', 'bob'] }] });
      await turnOn(key, environment);
    },
    async makeOn(key) {
      await admin.make(key);
      await admin.addStrategy(key, strategyOf(key, 100));
      await turnOn(key, environment);
    },
    async owned({ key }) {
      const { enabled, strategies } = await admin.environment(key);
      const ours = strategies.filter((strategy) => strategy.title?.startsWith(MALLORY) !== true && strategy.title !== OLD_APPS);
      // One that had no title has an empty one after it was switched off: Unleash takes no title away.
      return { enabled, strategies: ours.map(({ id: _, title, ...strategy }) => JSON.stringify({ ...strategy, title: title ?? '' })).sort() };
    },
    async edit({ key }, kind, mark) {
      const name = `${MALLORY}-${mark}`;
      const said = `${kind} of ${key}`;
      const gold = { title: name, constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold'] }] };
      const old = kind === 'theirs' ? (await titled(key, OLD_APPS))[0] : undefined;
      switch (kind) {
        case 'wide':
        case 'rule':
        case 'theirs':
          if (old === undefined) await admin.addStrategy(key, { ...strategyOf(key, 30), ...gold, disabled: kind !== 'wide' });
          else {
            const constraints = [{ contextName: 'appVersion', operator: 'SEMVER_LT', value: '3.0.0' }];
            await admin.call('PUT', `${features}/${key}/environments/${environment}/strategies/${old.id}`, { ...old, title: name, constraints });
          }
          return { said, see: () => titled(key, name) };
        case 'description':
          await admin.call('PATCH', `${features}/${key}`, [{ op: 'replace', path: '/description', value: name }]);
          return { said, see: async () => (await feature(key)).description };
        case 'tag':
          await admin.call('POST', `/api/admin/features/${key}/tags`, { type: 'simple', value: name });
          return { said, see: () => admin.call('GET', `/api/admin/features/${key}/tags`) };
        case 'elsewhere':
          await admin.call('POST', `${features}/${key}/environments/${elsewhere}/strategies`, { ...strategyOf(key, 50), title: name });
          await turnOn(key, elsewhere);
          return { said, see: async () => withoutCounters((await feature(key)).environments.find((one) => one.name === elsewhere)) };
      }
    },
    async names() {
      const all = await Promise.all(['false', 'true'].map((archived) => admin.call('GET', `/api/admin/search/features?limit=10000&archived=IS:${archived}`)));
      return (all as { readonly features: readonly { readonly name: string }[] }[]).flatMap((one) => one.features.map(({ name }) => name));
    },
    async audit({ key }) {
      const { events } = (await admin.call('GET', `/api/admin/search/events?feature=IS:${key}&limit=200`)) as {
        readonly events: readonly { readonly createdAt: string; readonly createdBy: string; readonly type: string; readonly data?: unknown }[];
      };
      return events.map((event) => `${event.createdAt} ${event.createdBy} ${event.type} ${JSON.stringify(event.data ?? null)}`).toReversed();
    },
  };
}

/** What the users' SDKs count is no part of a setting. */
function withoutCounters(environment: unknown): unknown {
  return JSON.parse(JSON.stringify(environment ?? null, (key, value: unknown) => (['lastSeenAt', 'yes', 'no'].includes(key) ? undefined : value))) as unknown;
}
