import { isOff, type Exposure, type FlagValue } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';

/** An environment of a flag as Unleash's admin API tells it. */
interface EnvironmentAnswer {
  readonly name: string;
  readonly enabled: boolean;
  readonly strategies: readonly (Readonly<Record<string, unknown>> & { readonly id: string; readonly title?: string | null })[];
}

/** Somebody with an admin token, straight at the server. */
export interface Admin {
  call(method: string, path: string, body?: unknown): Promise<unknown>;
  make(key: string): Promise<void>;
  environment(key: string): Promise<EnvironmentAnswer>;
  addStrategy(key: string, strategy: unknown): Promise<string>;
  /** Replaces whatever the flag's environment has by this exposure, as a person would. */
  set(key: string, to: Exposure): Promise<void>;
}

/** A registry entry of a flag in Unleash. */
export function unleashFlag(key: string, type: FlagRef['type'] = 'boolean'): FlagRef {
  return { flag: `registry.${key}`, provider: 'unleash', key, type, offValue: type === 'boolean' ? false : (type.oneOf[0] ?? ''), proof: [] };
}

const userId = (attribute: string): string => (attribute === 'key' ? 'userId' : attribute);

/** A strategy as a person writes it. */
export function strategyOf(key: string, share: number, value: FlagValue = true, by = 'key'): Record<string, unknown> {
  return {
    name: 'flexibleRollout',
    parameters: { rollout: String(share), stickiness: userId(by), groupId: key },
    constraints: [],
    segments: [],
    variants:
      typeof value === 'string' ? [{ name: value, weight: 1000, weightType: 'variable', stickiness: 'default', payload: { type: 'string', value } }] : [],
  };
}

/** Opens an admin at `url`, in the project `default`. */
export function adminOf(url: string, token: string, environment: string): Admin {
  const features = '/api/admin/projects/default/features';
  const at = (key: string): string => `${features}/${key}/environments/${environment}`;
  const admin: Admin = {
    async call(method, path, body) {
      const answer = await fetch(url + path, {
        method,
        headers: { authorization: token, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text.slice(0, 300)}`);
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    },
    async make(key) {
      await admin.call('POST', features, { name: key });
    },
    async environment(key) {
      const { environments } = (await admin.call('GET', `${features}/${key}`)) as { environments: EnvironmentAnswer[] };
      const found = environments.find((each) => each.name === environment);
      if (found === undefined) throw new Error(`flag ${key} has no environment ${environment}`);
      return found;
    },
    async addStrategy(key, strategy) {
      return ((await admin.call('POST', `${at(key)}/strategies`, strategy)) as { id: string }).id;
    },
    async set(key, to) {
      if (isOff(to)) {
        await admin.call('POST', `${at(key)}/off`);
        return;
      }
      for (const { id } of (await admin.environment(key)).strategies) await admin.call('DELETE', `${at(key)}/strategies/${id}`);
      if (to.share > 0) await admin.addStrategy(key, strategyOf(key, to.share, to.value, to.by));
      for (const { attribute, values } of to.listed) {
        await admin.addStrategy(key, { ...strategyOf(key, 100, to.value), constraints: [{ contextName: userId(attribute), operator: 'IN', values }] });
      }
      await admin.call('POST', `${at(key)}/on`);
    },
  };
  return admin;
}
