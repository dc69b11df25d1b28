import type { LDFeatureStore } from '@launchdarkly/node-server-sdk';

/** One flag or segment as LaunchDarkly sent it to the SDK. */
export interface Item {
  readonly version: number;
  readonly deleted?: boolean;
  readonly [field: string]: unknown;
}

/** What one SDK holds: the SDK's own store, which can also say which version it has, and when it heard of it. */
export interface Held extends LDFeatureStore {
  flag(key: string): Item | undefined;
  segment(key: string): Item | undefined;
  /** When (ms since the epoch) the stream last said something about this flag; everything is said when it connects. */
  heard(key: string): number;
}

/** A store in memory, empty. */
export function openHeld(): Held {
  let kinds = new Map<string, Map<string, Item>>();
  let connected = 0;
  const heard = new Map<string, number>();
  const of = (namespace: string): Map<string, Item> => {
    const found = kinds.get(namespace) ?? new Map<string, Item>();
    kinds.set(namespace, found);
    return found;
  };
  const live = (item: Item | undefined): Item | null => (item === undefined || item.deleted === true ? null : item);
  function put(namespace: string, key: string, item: Item): void {
    if (namespace === 'features') heard.set(key, Date.now());
    const old = of(namespace).get(key);
    if (old === undefined || old.version < item.version) of(namespace).set(key, item);
  }
  return {
    get(kind, key, callback) {
      callback(live(of(kind.namespace).get(key)));
    },
    all(kind, callback) {
      callback(Object.fromEntries([...of(kind.namespace)].filter(([, item]) => item.deleted !== true)));
    },
    init(all, callback) {
      kinds = new Map(Object.entries(all).map(([namespace, items]) => [namespace, new Map<string, Item>(Object.entries(items))]));
      connected = Date.now();
      callback();
    },
    delete(kind, key, version, callback) {
      put(kind.namespace, key, { key, version, deleted: true });
      callback();
    },
    upsert(kind, data, callback) {
      put(kind.namespace, data.key, data);
      callback();
    },
    initialized(callback) {
      callback(connected > 0);
    },
    close: () => undefined,
    getDescription: () => 'memory',
    flag: (key) => live(of('features').get(key)) ?? undefined,
    segment: (key) => live(of('segments').get(key)) ?? undefined,
    heard: (key) => Math.max(heard.get(key) ?? 0, connected),
  };
}
