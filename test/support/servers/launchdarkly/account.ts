import { randomUUID } from 'node:crypto';

/** What the fake's account holds: LaunchDarkly's own documents, without the links. */
export interface Variation {
  _id: string;
  value: unknown;
  name: string;
}

export interface Rollout {
  variations: { variation: number; weight: number }[];
  bucketBy?: string;
  contextKind?: string;
  seed?: number;
}

export interface Serve {
  variation?: number;
  rollout?: Rollout;
}

export interface Clause {
  _id: string;
  attribute: string;
  op: string;
  values: unknown[];
  contextKind: string;
  negate: boolean;
}

export interface Rule extends Serve {
  _id: string;
  clauses: Clause[];
  trackEvents: boolean;
  description?: string;
  disabled?: boolean;
}

export interface Target {
  values: string[];
  variation: number;
  contextKind: string;
}

export interface Setting {
  on: boolean;
  archived: boolean;
  salt: string;
  sel: string;
  lastModified: number;
  version: number;
  targets: Target[];
  contextTargets: Target[];
  rules: Rule[];
  fallthrough: Serve;
  offVariation?: number;
  prerequisites: { key: string; variation: number }[];
  trackEvents: boolean;
  trackEventsFallthrough: boolean;
}

export interface Flag {
  key: string;
  name: string;
  description: string;
  kind: 'boolean' | 'multivariate';
  _version: number;
  creationDate: number;
  variations: Variation[];
  temporary: boolean;
  tags: string[];
  archived: boolean;
  deprecated: boolean;
  environments: Record<string, Setting>;
}

export interface Segment {
  key: string;
  name: string;
  version: number;
  included: string[];
  excluded: string[];
  creationDate: number;
  lastModifiedDate: number;
}

export interface Environment {
  key: string;
  sdkKey: string;
  requireComments: boolean;
  approvals: { required: boolean; tags: string[] };
  segments: Map<string, Segment>;
  /** Flags with a change that is scheduled. */
  scheduled: Set<string>;
}

export interface Token {
  name: string;
  /** Actions of the token's role; `*` is all of them. */
  actions: ReadonlySet<string>;
}

export interface Entry {
  _id: string;
  date: number;
  environment: string;
  flag: string;
  by: string;
  comment: string;
  description: string;
}

export interface Trigger {
  _id: string;
  flag: string;
  environment: string;
  secret: string;
  kind: 'turnFlagOn' | 'turnFlagOff';
  enabled: boolean;
  pulled: number;
}

/** One account with one project. */
export interface Account {
  project: string;
  environments: Map<string, Environment>;
  flags: Map<string, Flag>;
  tokens: Map<string, Token>;
  entries: Entry[];
  triggers: Trigger[];
}

/** An account with a project `shop`, its environments, and one token that may do everything. */
export function newAccount(token: string, environments: readonly string[] = ['production', 'staging']): Account {
  return {
    project: 'shop',
    environments: new Map(
      environments.map((key) => [
        key,
        { key, sdkKey: `sdk-${randomUUID()}`, requireComments: true, approvals: { required: false, tags: [] }, segments: new Map(), scheduled: new Set() },
      ]),
    ),
    flags: new Map(),
    tokens: new Map([[token, { name: 'gonogo', actions: new Set(['*']) }]]),
    entries: [],
    triggers: [],
  };
}

/** A new flag, off everywhere: the last of `values` is the off variation, and the first is served when it is turned on. */
export function newFlag(account: Account, key: string, values: readonly unknown[] = [true, false]): Flag {
  const variations = values.map((value) => ({ _id: randomUUID(), value, name: String(value) }));
  const last = variations.length - 1;
  const now = Date.now();
  const setting = (): Setting => ({
    on: false,
    archived: false,
    salt: randomUUID().replaceAll('-', ''),
    sel: randomUUID().replaceAll('-', ''),
    lastModified: now,
    version: 1,
    targets: [],
    contextTargets: [],
    rules: [],
    fallthrough: { variation: 0 },
    offVariation: last,
    prerequisites: [],
    trackEvents: false,
    trackEventsFallthrough: false,
  });
  const flag: Flag = {
    key,
    name: key,
    description: '',
    kind: typeof values[0] === 'boolean' ? 'boolean' : 'multivariate',
    _version: 1,
    creationDate: now,
    variations,
    temporary: true,
    tags: [],
    archived: false,
    deprecated: false,
    environments: Object.fromEntries([...account.environments.keys()].map((name) => [name, setting()])),
  };
  account.flags.set(key, flag);
  return flag;
}
