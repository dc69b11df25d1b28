import type { Outcome } from '../src/core/event.ts';
import { evidence, type GateState } from '../src/core/gate.ts';
import type { House } from '../src/house.ts';
import { open } from '../src/launch/open.ts';
import { remember, shift, witness, type Shifted } from '../src/launch/shift.ts';
import { endLaunch, launchRow } from '../src/store/launches.ts';
import { openStage, outcomeOf, startWatching } from '../src/store/stages.ts';
import { gateRows } from '../src/store/watch.ts';
import type { LaunchInput } from '../workflows/messages.ts';
import { again, refused, translated } from './failures.ts';

/** The steps of a launch; each may be tried again at any time. `stopped`: a rollback was asked for. */
export interface Journey {
  open(input: LaunchInput): Promise<void>;
  openStage(launch: string, stage: string): Promise<'open' | 'stopped'>;
  remember(launch: string, stage: string): Promise<'remembered' | 'stopped'>;
  shift(launch: string, stage: string): Promise<Shifted>;
  witness(launch: string, stage: string): Promise<'witnessed' | 'stopped'>;
  startWatching(launch: string): Promise<'watching' | 'stopped'>;
  finish(launch: string): Promise<'launched' | 'stopped'>;
  outcome(launch: string): Promise<Outcome>;
}

const iso = async (house: House) => new Date(await house.clock.now()).toISOString();

async function evidenceNow(house: House, launch: string) {
  const row = await launchRow(house.store.db, launch);
  const rows = await gateRows(house.store, launch);
  return rows.flatMap((one) => {
    const gate = row?.order.plan.gates.find((planned) => planned.id === one.gate);
    return gate === undefined ? [] : [evidence(gate, one.state as GateState)];
  });
}

/** The steps over a house. */
export function openJourney(house: House): Journey {
  return translated(house, {
    async open(input) {
      const problem = await open(house, input);
      if (problem !== undefined) throw refused(problem);
    },
    async openStage(launch, stage) {
      return (await openStage(house.store, launch, stage, await iso(house), await evidenceNow(house, launch))) ? 'open' : 'stopped';
    },
    async remember(launch, stage) {
      const done = await remember(house, launch, stage);
      if (done.kind === 'wait') throw again(done.why, 2_000);
      return done.kind;
    },
    shift: (launch, stage) => shift(house, launch, stage),
    witness: (launch, stage) => witness(house, launch, stage),
    async startWatching(launch) {
      const now = await house.clock.now();
      const row = await launchRow(house.store.db, launch);
      const until = new Date(now + (row?.order.plan.watch ?? 0)).toISOString();
      return (await startWatching(house.store, launch, now, { kind: 'watching', at: new Date(now).toISOString(), by: house.hand, until }))
        ? 'watching'
        : 'stopped';
    },
    async finish(launch) {
      const at = await iso(house);
      const ended = await endLaunch(house.store, launch, 'launched', {
        kind: 'ended',
        at,
        by: 'gonogo',
        outcome: 'launched',
        why: 'every stage passed and the watch is over',
      });
      if (ended.kind === 'not-yet') throw again(ended.why, 2_000);
      return ended.kind === 'ended' && ended.outcome === 'launched' ? 'launched' : 'stopped';
    },
    async outcome(launch) {
      const outcome = await outcomeOf(house.store.db, launch);
      if (outcome === undefined || outcome === 'stuck') throw again(`${launch} has not ended`, 2_000);
      return outcome;
    },
  });
}
