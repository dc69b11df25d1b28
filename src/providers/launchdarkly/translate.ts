import { isOff, normalize, type Exposure } from '../../core/exposure.ts';
import { Terminal } from '../../core/failure.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { Places } from '../../flags/places.ts';
import type { Snapshot } from '../provider.ts';
import { describeOurs, isOurs, targetsOf, type LdRule, type LdServe, type LdTarget, type Standing } from './document.ts';
import { foreign, idOf, indexOf, listedBy, nameOfRule, readExposure, served, WHOLE } from './reading.ts';

/** One instruction of a semantic patch. */
export type Instruction = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** What a snapshot keeps: the flag's variations and its setting in the environment. Rule ids, salt and seeds are not put back. */
export interface Native extends Standing {
  /** What somebody else keeps on the flag, in words: left alone by every write and by the rollback. */
  readonly foreign: readonly string[];
}

/** The flag as a snapshot. Throws Terminal `not-expressible` where no exposure says how it stands. */
export function toSnapshot(ref: FlagRef, flag: Standing, places: Places): Snapshot {
  const read = readExposure(ref, flag, places);
  if ('obstacle' in read) throw new Terminal('not-expressible', `${read.obstacle.message}; ${read.obstacle.hint}`);
  return { revision: String(flag.setting.version), exposure: read.exposure, native: toNative(ref, flag) };
}

function toNative(ref: FlagRef, flag: Standing): Native {
  return { key: flag.key, variations: flag.variations, setting: flag.setting, foreign: foreign(flag, ref.offValue) };
}

/** The snapshot's own document. Throws Terminal `snapshot` where it is none of LaunchDarkly's. */
export function nativeOf(snapshot: Snapshot): Native {
  const native = snapshot.native;
  if (typeof native === 'object' && native !== null && 'setting' in native && 'variations' in native) return native as Native;
  throw new Terminal('snapshot', 'the snapshot holds no LaunchDarkly flag; expected one that this provider read');
}

/** What a rule or the default rule serves, as patches say it. */
export function serving(flag: Standing, serve: LdServe): Readonly<Record<string, unknown>> {
  if (serve.variation !== undefined) return { variationId: idOf(flag, serve.variation) };
  const { variations = [], contextKind, bucketBy } = serve.rollout ?? {};
  return {
    rolloutContextKind: contextKind ?? 'user',
    ...(bucketBy === undefined ? {} : { rolloutBucketBy: bucketBy }),
    rolloutWeights: Object.fromEntries(variations.map((part) => [idOf(flag, part.variation), part.weight])),
  };
}

/** One spelling for every way to write the same serving; seeds are not compared. */
function spell(serve: LdServe): string {
  if (serve.variation !== undefined) return `v${serve.variation}`;
  const { variations = [], contextKind = 'user', bucketBy = 'key' } = serve.rollout ?? {};
  const parts = variations.filter((part) => part.weight > 0).sort((a, b) => a.variation - b.variation);
  return JSON.stringify([contextKind, bucketBy, parts.map((part) => [part.variation, part.weight])]);
}

function fallthroughTo(flag: Standing, wanted: LdServe, now: LdServe): readonly Instruction[] {
  return spell(wanted) === spell(now) ? [] : [{ kind: 'updateFallthroughVariationOrRollout', ...serving(flag, wanted) }];
}

type Targets = ReadonlyMap<string, { readonly variation: number; readonly contextKind: string; readonly values: ReadonlySet<string> }>;

function byName(targets: readonly LdTarget[]): Targets {
  return new Map(targets.map((one) => [`${one.variation} ${one.contextKind}`, { ...one, values: new Set(one.values) }]));
}

/** Removals first: a key may stand in one variation only. */
function targetsTo(flag: Standing, wanted: Targets, now: Targets): readonly Instruction[] {
  const change = (kind: string, from: Targets, to: Targets): readonly Instruction[] =>
    [...from].flatMap(([name, { variation, contextKind, values }]) => {
      const missing = [...values].filter((value) => to.get(name)?.values.has(value) !== true);
      return missing.length === 0 ? [] : [{ kind, contextKind, variationId: idOf(flag, variation), values: missing }];
    });
  return [...change('removeTargets', now, wanted), ...change('addTargets', wanted, now)];
}

/** Everything but the ids. */
function sameRule(a: LdRule, b: LdRule): boolean {
  const bare = (rule: LdRule): string =>
    JSON.stringify([spell(rule), rule.disabled === true, rule.clauses.map((c) => [c.contextKind ?? 'user', c.attribute, c.op, c.negate, c.values])]);
  return bare(a) === bare(b);
}

function rulesTo(flag: Standing, wanted: readonly LdRule[], now: readonly LdRule[]): readonly Instruction[] {
  const gone = now.filter((rule) => !wanted.some((other) => other.description === rule.description && sameRule(other, rule)));
  const missing = wanted.filter((rule) => !now.some((other) => other.description === rule.description && sameRule(other, rule)));
  return [
    ...gone.map((rule) => ({ kind: 'removeRule', ruleId: rule._id })),
    ...missing.map((rule) => ({ kind: 'addRule', description: rule.description, clauses: rule.clauses, ...serving(flag, rule) })),
  ];
}

function refuse(flag: Standing, what: string, hint: string): never {
  throw new Terminal('not-expressible', `flag ${flag.key} ${what}; ${hint}`);
}

/** Whom the rules of other people list already: they survive, so the plan must want them listed. */
function covered(flag: Standing, index: number, offIndex: number, to: Exposure, places: Places): ReadonlySet<string> {
  const wanted = new Set(to.listed.flatMap((list) => list.values.map((value) => JSON.stringify([list.attribute, value]))));
  const pairs = new Set<string>();
  for (const rule of flag.setting.rules.filter((one) => !isOurs(one) && one.disabled !== true)) {
    const some = served(rule).filter((one) => one !== offIndex);
    if (some.length === 0) continue;
    if (some.some((one) => one !== index)) refuse(flag, `would serve another value by ${nameOfRule(rule)}`, 'remove or disable the rule');
    if (to.share === 100) continue;
    const list = listedBy(rule, places);
    if (list === undefined)
      refuse(flag, `would reach more people than the plan says, by ${nameOfRule(rule)}`, 'remove or disable the rule, or let it serve off');
    for (const value of list.values) {
      const pair = JSON.stringify([list.attribute, value]);
      if (!wanted.has(pair))
        refuse(
          flag,
          `would reach ${list.attribute} ${value} by ${nameOfRule(rule)}, which the plan does not list`,
          'list them in the plan, or remove or disable the rule',
        );
      pairs.add(pair);
    }
  }
  return pairs;
}

/** The patch by which the flag comes to serve `to`. Other people's rules, prerequisites and off targets are left; empty where it does already. Throws Terminal. */
export function toInstructions(ref: FlagRef, flag: Standing, exposure: Exposure, places: Places): readonly Instruction[] {
  const { setting } = flag;
  const to = normalize(exposure);
  const index = indexOf(flag, to.value);
  const offIndex = indexOf(flag, ref.offValue);
  if (setting.offVariation !== offIndex)
    refuse(
      flag,
      `serves ${JSON.stringify(flag.variations[setting.offVariation ?? -1]?.value)} when it is off`,
      `make ${JSON.stringify(ref.offValue)} its off variation`,
    );
  // Some runs of the law give the off value to everyone: that is off.
  if (isOff(to) || index === offIndex) return setting.on ? [{ kind: 'turnFlagOff' }] : [];

  const weight = Math.round(to.share * (WHOLE / 100));
  if (Math.abs(weight - to.share * (WHOLE / 100)) > 1e-6) throw new Terminal('share', `${to.share} % is finer than LaunchDarkly's thousandth of a percent`);
  const covers = covered(flag, index, offIndex, to, places);
  const place = places.placeOf(to.by);
  const fallthrough: LdServe =
    weight === 0 || weight === WHOLE
      ? { variation: weight === 0 ? offIndex : index }
      : {
          rollout: {
            contextKind: place.kind,
            bucketBy: place.attribute,
            variations: [
              { variation: index, weight },
              { variation: offIndex, weight: WHOLE - weight },
            ],
          },
        };

  const now = targetsOf(setting);
  const keptOff = now.filter((target) => target.variation === offIndex);
  const wantedTargets = to.share === 100 ? now.filter((target) => target.variation === index) : [];
  const rules: LdRule[] = to.share === 100 ? setting.rules.filter((rule) => isOurs(rule) && rule.variation === index) : [];
  for (const { attribute, values } of to.listed) {
    const own = values.filter((value) => !covers.has(JSON.stringify([attribute, value])));
    if (own.length === 0) continue;
    const { kind, attribute: name } = places.placeOf(attribute);
    if (attribute === 'segment') {
      rules.push({
        description: describeOurs(attribute),
        variation: index,
        clauses: [{ contextKind: kind, attribute: 'segmentMatch', op: 'segmentMatch', negate: false, values: own }],
      });
    } else if (name !== 'key') {
      rules.push({
        description: describeOurs(attribute),
        variation: index,
        clauses: [{ contextKind: kind, attribute: name, op: 'in', negate: false, values: own }],
      });
    } else {
      const barred = keptOff.find((target) => target.contextKind === kind && own.some((value) => target.values.includes(value)));
      if (barred !== undefined)
        refuse(
          flag,
          `keeps ${kind} ${own.filter((value) => barred.values.includes(value)).join(', ')} off by hand`,
          'drop them from the plan or from the flag',
        );
      wantedTargets.push({ contextKind: kind, variation: index, values: [...own] });
    }
  }
  return [
    ...targetsTo(flag, byName([...wantedTargets, ...keptOff]), byName(now)),
    ...rulesTo(flag, rules, setting.rules.filter(isOurs)),
    ...fallthroughTo(flag, fallthrough, setting.fallthrough),
    ...(setting.on ? [] : [{ kind: 'turnFlagOn' }]),
  ];
}

/**
 * The patch by which the fields that gonogo owns stand again as in the snapshot: on, default rule, off variation,
 * targets, rules of ours. Other people's rules and prerequisites are left; of their targets of the off value, those that
 * were taken away are put back, since that only narrows. Empty where nothing differs.
 */
export function toRestoring(ref: FlagRef, flag: Standing, native: Native): readonly Instruction[] {
  const [now, then] = [flag.setting, native.setting];
  const offIndex = indexOf(flag, ref.offValue);
  const [have, had] = [targetsOf(now), targetsOf(then)];
  const barred = new Set(have.filter((one) => one.variation === offIndex).flatMap((one) => one.values.map((value) => `${one.contextKind} ${value}`)));
  const wanted = had.map((one) =>
    one.variation === offIndex
      ? {
          ...one,
          values: [...new Set([...one.values, ...(have.find((other) => other.variation === offIndex && other.contextKind === one.contextKind)?.values ?? [])])],
        }
      : { ...one, values: one.values.filter((value) => !barred.has(`${one.contextKind} ${value}`)) },
  );
  const theirs = have.filter(
    (one) => one.variation === offIndex && !had.some((other) => other.variation === offIndex && other.contextKind === one.contextKind),
  );
  return [
    ...(now.on && !then.on ? [{ kind: 'turnFlagOff' }] : []),
    ...targetsTo(flag, byName([...wanted, ...theirs]), byName(have)),
    ...rulesTo(flag, then.rules.filter(isOurs), now.rules.filter(isOurs)),
    ...fallthroughTo(flag, then.fallthrough, now.fallthrough),
    ...(then.offVariation !== undefined && then.offVariation !== now.offVariation
      ? [{ kind: 'updateOffVariation', variationId: idOf(flag, then.offVariation) }]
      : []),
    ...(!now.on && then.on ? [{ kind: 'turnFlagOn' }] : []),
  ];
}
