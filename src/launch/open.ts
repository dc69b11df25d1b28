import type { LaunchEvent } from '../core/event.ts';
import { isOff, sameExposure, describe, type Exposure } from '../core/exposure.ts';
import type { FlagRef, Order } from '../core/plan.ts';
import { sayFinding } from '../core/preflight.ts';
import type { Finding } from '../core/finding.ts';
import { canWitness } from '../core/witness.ts';
import type { House } from '../house.ts';
import type { FlagProvider, Problem } from '../providers/provider.ts';
import { drawFor, exposuresOf, look } from '../rollback/look.ts';
import { openLaunch } from '../store/launches.ts';
import { lastMoved, preflight, type Tried } from './preflight.ts';
import { attempt, byEvaluator, evaluatorProblems, providerProblems, READY_WITHIN } from './ready.ts';

/** What a launch is opened with: an order that may be divided by `speed`, and who starts it. */
export interface Opening {
  readonly launch: string;
  readonly order: Order;
  readonly startedBy: string;
  readonly note?: string;
  readonly speed: number;
}

/** Why a launch is refused; nothing was written. */
export interface Refused {
  readonly code: 'flag_locked' | 'not_ready';
  readonly problems: readonly Problem[];
}

function capabilityProblems(flag: FlagRef, provider: FlagProvider, exposures: readonly Exposure[]): readonly Problem[] {
  const { can } = provider;
  const says = (message: string): Problem => ({ where: flag.flag, message, hint: `choose another exposure, or keep ${flag.flag} at a provider that can` });
  return [
    ...(!can.share && exposures.some((e) => e.share > 0 && e.share < 100) ? [says(`${flag.provider} cannot give a flag to a share`)] : []),
    ...exposures
      .filter(({ share }) => can.shareStep !== undefined && share % can.shareStep !== 0)
      .map(({ share }) => says(`${flag.provider} draws shares in steps of ${can.shareStep ?? 0} %, and the plan asks for ${share} %`)),
    ...(!can.lists && exposures.some((e) => e.listed.length > 0) ? [says(`${flag.provider} cannot give a flag to listed subjects`)] : []),
    ...(!can.values && flag.type !== 'boolean' ? [says(`${flag.provider} has no string values`)] : []),
  ];
}

/** The flag as it stands now, and whether the plan's first change of it moves anything that a witness can show. */
async function flagProblems(house: House, order: Order, flag: FlagRef, provider: FlagProvider, signal: AbortSignal): Promise<readonly Problem[]> {
  const snapshot = await provider.read(flag, signal);
  const first = order.plan.stages.flatMap((stage) => stage.set).find((change) => change.flag === flag.flag);
  if (first === undefined) return [];
  if (sameExposure(snapshot.exposure, first.to)) {
    return [
      { where: flag.flag, message: `is ${describe(first.to)} already; the plan would change nothing`, hint: 'turn it back first, or leave it out of the plan' },
    ];
  }
  if (!first.narrows && !isOff(snapshot.exposure) && snapshot.exposure.value === first.to.value && snapshot.exposure.share > first.to.share) {
    return [
      {
        where: flag.flag,
        message: `is ${describe(snapshot.exposure)} now; the plan would narrow it to ${describe(first.to)}`,
        hint: 'say narrows: true, or start from where it is',
      },
    ];
  }
  const seen = await look(house, [{ flag, drawn: drawFor(order.plan, flag, snapshot.exposure) }], signal);
  return canWitness(first.to, seen.get(flag.flag) ?? [], flag.offValue)
    ? []
    : [
        {
          where: flag.flag,
          message: `no witness can show the change to ${describe(first.to)}`,
          hint: 'its evaluator must be able to see the subjects that the plan names',
        },
      ];
}

/** What was found before a launch. */
interface Readiness {
  readonly problems: readonly Problem[];
  /** What does not stand in its way, and should be known. */
  readonly warnings: readonly Problem[];
  /** What could not be looked at, and why. */
  readonly notes: readonly Problem[];
}

const problemOf = (finding: Finding): Problem => ({ where: finding.where, message: sayFinding(finding), hint: finding.hint });

/** Everything that stands in a launch's way: providers, capabilities, evaluators, sources, gates, and changes that nobody could see. */
async function readiness(house: House, order: Order, launch: string, signal: AbortSignal): Promise<Readiness> {
  const atProvider = async (name: string, flags: readonly FlagRef[]): Promise<readonly Problem[]> => {
    const found = await providerProblems(house, name, flags, signal);
    const provider = house.providers.get(name);
    if (provider === undefined) return found;
    const all = [...found, ...flags.flatMap((flag) => capabilityProblems(flag, provider, exposuresOf(order.plan, flag.flag)))];
    if (all.length > 0) return all;
    return attempt('providers', name, signal, async (limit) =>
      (await Promise.all(flags.map((flag) => flagProblems(house, order, flag, provider, limit)))).flat(),
    );
  };
  const tryGates = async (): Promise<Tried> => {
    const moved = await lastMoved(house.store, order, launch);
    return preflight(house, { plan: order.plan, ...(moved === undefined ? {} : { moved }) }, signal);
  };
  const trying = tryGates();
  const found = await Promise.all([
    ...[...Map.groupBy(order.flags, (flag) => flag.provider)].map(([name, flags]) => atProvider(name, flags)),
    ...[...byEvaluator(order.flags)].map(([name, flags]) => evaluatorProblems(house, name, flags, signal)),
    trying.then(({ problems }) => problems),
  ]);
  const { findings } = await trying;
  const problems = [...found.flat(), ...findings.filter(({ severity }) => severity === 'error').map(problemOf)];
  for (const stage of order.plan.stages) {
    for (const item of stage.checklist.concat(order.plan.checklist)) {
      if (item.check !== undefined && !house.sources.has(item.check.source)) {
        problems.push({ where: item.id, message: `no source is called ${item.check.source}`, hint: `add sources.${item.check.source} to the config` });
      }
    }
  }
  return {
    problems: [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()],
    warnings: findings.filter(({ severity }) => severity === 'warning').map(problemOf),
    notes: findings.filter(({ severity }) => severity === 'note').map(problemOf),
  };
}

/** Checks everything, then writes the launch and takes all its locks in one transaction. Refused: nothing is written. A repeat changes nothing. */
export async function open(house: House, opening: Opening): Promise<Refused | undefined> {
  const { order, launch } = opening;
  const known = await house.store.db.selectFrom('launch').select('id').where('id', '=', launch).executeTakeFirst();
  if (known !== undefined) return undefined;
  const { problems, warnings, notes } = await readiness(house, order, launch, AbortSignal.timeout(READY_WITHIN));
  if (problems.length > 0) return { code: 'not_ready', problems };
  for (const { where, message, hint } of notes) house.log.info({ launch, where, hint }, message);
  for (const { where, message, hint } of warnings) house.log.warn({ launch, where, hint }, message);
  const now = await house.clock.now();
  const { plan } = order;
  const deadline = now + plan.maxDuration;
  const event: LaunchEvent = {
    kind: 'opened',
    at: new Date(now).toISOString(),
    by: opening.startedBy,
    launch,
    plan: plan.name,
    planHash: order.hash,
    environment: order.environment,
    speed: opening.speed,
    deadline: new Date(deadline).toISOString(),
    stages: plan.stages.map((stage) => stage.id),
    flags: order.flags.map(({ flag, provider, key }) => ({ flag, provider, key })),
    ...(plan.title === undefined ? {} : { title: plan.title }),
    ...(opening.note === undefined ? {} : { note: opening.note }),
    ...(warnings.length === 0 ? {} : { warnings: warnings.map(({ where, message, hint }) => `${where}: ${message}. ${hint}`) }),
  };
  const held = await openLaunch(house.store, { ...opening, deadline: Date.now() + plan.maxDuration, event });
  if (held.length === 0) return undefined;
  return {
    code: 'flag_locked',
    problems: held.map((one) => ({
      where: one.flag,
      message: `is held by ${one.launch}`,
      hint: 'wait until that launch has ended; two launches never share a flag',
    })),
  };
}
