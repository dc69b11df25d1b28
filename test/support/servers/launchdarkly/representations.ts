import type { Account, Entry, Environment, Flag, Segment, Setting, Trigger } from './account.ts';

const link = (href: string) => ({ href, type: 'application/json' });

function settingRep(flag: Flag, environment: string, setting: Setting): unknown {
  return {
    ...setting,
    _site: link(`/default/${environment}/features/${flag.key}`),
    _environmentName: environment,
    rules: setting.rules.map((rule) => ({ ...rule })),
  };
}

/** A flag as `GET /api/v2/flags/...` shows it, in one environment or in all. */
export function flagRep(account: Account, flag: Flag, only?: string): unknown {
  return {
    _links: { self: link(`/api/v2/flags/${account.project}/${flag.key}`) },
    name: flag.name,
    kind: flag.kind,
    description: flag.description,
    key: flag.key,
    _version: flag._version,
    creationDate: flag.creationDate,
    clientSideAvailability: { usingMobileKey: false, usingEnvironmentId: false },
    variations: flag.variations,
    temporary: flag.temporary,
    tags: flag.tags,
    experiments: { baselineIdx: 0, items: [] },
    customProperties: {},
    archived: flag.archived,
    deprecated: flag.deprecated,
    defaults: { onVariation: 0, offVariation: flag.variations.length - 1 },
    environments: Object.fromEntries(
      Object.entries(flag.environments)
        .filter(([name]) => only === undefined || name === only)
        .map(([name, setting]) => [name, settingRep(flag, name, setting)]),
    ),
  };
}

/** An environment, SDK keys included, as LaunchDarkly shows it. */
export function environmentRep(account: Account, environment: Environment): unknown {
  return {
    _links: { self: link(`/api/v2/projects/${account.project}/environments/${environment.key}`) },
    _id: `id-${environment.key}`,
    key: environment.key,
    name: environment.key,
    apiKey: environment.sdkKey,
    mobileKey: `mob-${environment.key}`,
    color: '417505',
    defaultTtl: 0,
    secureMode: false,
    defaultTrackEvents: false,
    requireComments: environment.requireComments,
    confirmChanges: false,
    tags: [],
    critical: environment.key === 'production',
    approvalSettings: {
      required: environment.approvals.required,
      bypassApprovalsForPendingChanges: false,
      minNumApprovals: 1,
      canReviewOwnRequest: false,
      canApplyDeclinedChanges: false,
      autoApplyApprovedChanges: false,
      serviceKind: 'launchdarkly',
      serviceConfig: {},
      requiredApprovalTags: environment.approvals.tags,
    },
  };
}

/** The project with its environments. */
export function projectRep(account: Account): unknown {
  return {
    _links: { self: link(`/api/v2/projects/${account.project}`) },
    _id: 'id-project',
    key: account.project,
    includeInSnippetByDefault: false,
    name: account.project,
    tags: [],
    environments: [...account.environments.values()].map((environment) => environmentRep(account, environment)),
  };
}

/** Entries of the audit log, newest first. */
export function auditRep(account: Account, entries: readonly Entry[]): unknown {
  return {
    _links: { self: link('/api/v2/auditlog') },
    items: entries.map((entry) => ({
      _links: { self: link(`/api/v2/auditlog/${entry._id}`) },
      _id: entry._id,
      _accountId: 'account',
      date: entry.date,
      accesses: [{ action: 'updateOn', resource: `proj/${account.project}:env/${entry.environment}:flag/${entry.flag}` }],
      kind: 'flag',
      name: entry.flag,
      description: entry.description,
      shortDescription: '',
      comment: entry.comment,
      ...(entry.by.includes('@') ? { member: { email: entry.by } } : { token: { name: entry.by } }),
      titleVerb: 'updated the flag',
      title: `${entry.by} updated the flag ${entry.flag} in ${entry.environment}`,
    })),
  };
}

/** A segment of one environment. */
export function segmentRep(account: Account, environment: string, segment: Segment): unknown {
  return {
    name: segment.name,
    tags: [],
    creationDate: segment.creationDate,
    lastModifiedDate: segment.lastModifiedDate,
    key: segment.key,
    included: segment.included,
    excluded: segment.excluded,
    _links: { self: link(`/api/v2/segments/${account.project}/${environment}/${segment.key}`) },
    rules: [],
    version: segment.version,
    deleted: false,
    unbounded: false,
    generation: 1,
  };
}

/** A trigger; its URL is told once, to who makes it. */
export function triggerRep(account: Account, trigger: Trigger, url?: string): unknown {
  return {
    _id: trigger._id,
    _version: 1,
    _creationDate: 0,
    _maintainerId: 'maintainer',
    enabled: trigger.enabled,
    _integrationKey: 'generic-trigger',
    instructions: [{ kind: trigger.kind }],
    _triggerCount: trigger.pulled,
    ...(url === undefined ? {} : { triggerURL: url }),
    _links: { self: link(`/api/v2/flags/${account.project}/${trigger.flag}/triggers/${trigger.environment}/${trigger._id}`) },
  };
}

/** A flag as the SDKs are sent it; an archived one is none to them. */
export function sdkFlag(flag: Flag, setting: Setting): unknown {
  return {
    key: flag.key,
    version: setting.version,
    deleted: false,
    on: setting.on,
    salt: setting.salt,
    sel: setting.sel,
    targets: setting.targets.map(({ values, variation }) => ({ values, variation })),
    contextTargets: setting.contextTargets,
    rules: setting.rules
      .filter((rule) => rule.disabled !== true)
      .map(({ _id, clauses, description: _description, disabled: _disabled, ...rule }) => ({
        ...rule,
        id: _id,
        clauses: clauses.map(({ _id: _clause, ...clause }) => clause),
      })),
    fallthrough: setting.fallthrough,
    ...(setting.offVariation === undefined ? {} : { offVariation: setting.offVariation }),
    prerequisites: setting.prerequisites,
    variations: flag.variations.map((variation) => variation.value),
    clientSide: false,
    clientSideAvailability: { usingMobileKey: false, usingEnvironmentId: false },
    trackEvents: setting.trackEvents,
    trackEventsFallthrough: setting.trackEventsFallthrough,
  };
}

/** A segment as the SDKs are sent it. */
export function sdkSegment(segment: Segment): unknown {
  return {
    key: segment.key,
    version: segment.version,
    deleted: false,
    included: segment.included,
    excluded: segment.excluded,
    rules: [],
    salt: segment.key,
    unbounded: false,
  };
}
