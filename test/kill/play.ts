import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet, Name } from '../support/processes/fleet.ts';
import { openReader, persist, startLaunch, untilTold, webhook, type Answered, type ToldEvent } from '../support/processes/people.ts';
import type { Script } from './script.ts';

/** An act that was answered with 2xx: it must be among the events for ever. */
export interface Acknowledged {
  readonly what: string;
  /** Whether an event is this act's. */
  readonly isIn: (event: ToldEvent) => boolean;
}

/** A launch that was played to its end. */
export interface Played {
  readonly script: Script;
  readonly launch: string;
  readonly acknowledged: readonly Acknowledged[];
}

const SIGNERS: Readonly<Record<'qa' | 'release-engineer', Name>> = { qa: 'dmitri', 'release-engineer': 'anna' };
/** How far ahead a recheck is asked for, ms. */
const RECHECK = 1_500;

/** Plays the people of one script against the API until the launch has ended. An act that was cut off is done again, as people would. */
export async function play(fleet: Fleet, script: Script, seed: number): Promise<Played> {
  const launch = await startLaunch(fleet, script.plan, `kill-${seed}-${script.n}`);
  const read = openReader(fleet, launch);
  const acknowledged: Acknowledged[] = [{ what: 'launch', isIn: (event) => event.kind === 'opened' && event.launch === launch }];

  /** Does it until it is answered. A 409 is well too: it was done and the answer lost, or it is too late; but then nothing was acknowledged. */
  async function act(what: string, as: Name, path: string, body: () => object, isIn: (event: ToldEvent) => boolean): Promise<Answered> {
    const answered = await persist(fleet, 'POST', `/api/launches/${launch}${path}`, { as, body });
    const { status, body: said } = answered;
    if (status >= 200 && status < 300) {
      const hash = said['hash'];
      // Somebody else had asked for it before.
      const covered = said['status'] === 'covered';
      acknowledged.push({
        what: `${what} by ${as}`,
        isIn: (event) => isIn(event) && (covered || event.by === as) && (hash === undefined || event.hash === hash),
      });
    } else if (status !== 409) throw new Error(`${what} of ${launch} by ${as} was answered with ${status} ${JSON.stringify(said)}`);
    return answered;
  }
  const rollBack = (reason: string) =>
    act(
      'rollback',
      'carl',
      '/rollback',
      () => ({ reason }),
      (event) => event.kind === 'rollback-requested',
    );
  const alarm = async (): Promise<void> => {
    const { status, body } = await persist(fleet, 'POST', '/hooks/alertmanager', { token: fleet.hookToken, body: webhook(script.alert, new Date()) });
    if (status !== 202) throw new Error(`the alert of ${launch} was answered with ${status} ${JSON.stringify(body)}`);
    acknowledged.push({ what: 'alert', isIn: (event) => event.kind === 'rollback-requested' && event.scope.kind === 'launch' });
  };
  /** False when a rollback was asked for before: a breach in the stage before. */
  const opens = async (stage: string): Promise<boolean> => {
    const stopped = (events: readonly ToldEvent[]): boolean => events.some((event) => event.kind === 'rollback-requested');
    const opened = (events: readonly ToldEvent[]): boolean => events.some((event) => event.kind === 'stage-opened' && event.stage === stage);
    return !stopped(await untilTold(read, `stage ${stage} of ${launch} to open`, (events) => opened(events) || stopped(events)));
  };
  const signs = async (stage: Script['stages'][number]): Promise<void> => {
    for (const role of stage.roles) {
      const as = SIGNERS[role];
      const isIn = (event: ToldEvent): boolean => event.kind === 'signed' && event.stage === stage.id && event.decision === 'go';
      for (;;) {
        const { status, body } = await act(`go to ${stage.id}`, as, `/stages/${stage.id}/sign-offs`, () => ({ role, decision: 'go' }), isIn);
        // A no-go whose answer was lost was said again, after its recheck: it stands once more.
        if (status !== 409 || body['code'] !== 'no_go_stands') break;
        await pause(300);
      }
    }
  };
  const noGo = (stage: string, meanwhile: 'hold' | 'roll-back') => {
    const body = () => ({
      role: 'qa',
      decision: 'no-go',
      reason: 'a bug is open',
      bugs: ['BUG-1'],
      recheckAt: new Date(Date.now() + RECHECK).toISOString(),
      meanwhile,
    });
    return act(
      `no-go to ${stage}`,
      'dmitri',
      `/stages/${stage}/sign-offs`,
      body,
      (event) => event.kind === 'signed' && event.stage === stage && event.decision === 'no-go',
    );
  };

  const { course } = script;
  for (const [index, stage] of script.stages.entries()) {
    const here = 'at' in course && course.at === index + 1;
    if (!(await opens(stage.id))) break;
    if (here && course.kind === 'person before signing') {
      await rollBack('not today');
      break;
    }
    if (here && course.kind === 'no-go and back') {
      await noGo(stage.id, 'roll-back');
      // What was cut off between the signature and the request is asked for by the person: they meant it.
      await rollBack('a bug is open');
      break;
    }
    if (here && course.kind === 'no-go and again') {
      await noGo(stage.id, 'hold');
      await untilTold(read, `${stage.id} of ${launch} to be asked again`, (events) =>
        events.some((event) => event.kind === 'reopened' && event.stage === stage.id),
      );
    }
    if (index === 0) {
      const evidence = `https://ci.example/${script.n}`;
      await act(
        'tick',
        'dmitri',
        `/checklist/${script.item}`,
        () => ({ done: true, evidence }),
        (event) => event.kind === 'ticked' && event.item === script.item && event.done,
      );
    }
    if (course.kind === 'held and resumed' && index === 0) {
      await act(
        'hold',
        'carl',
        '/hold',
        () => ({ reason: 'lunch' }),
        (event) => event.kind === 'held',
      );
      await signs(stage);
      await act(
        'resume',
        'carl',
        '/resume',
        () => ({ reason: 'back' }),
        (event) => event.kind === 'resumed',
      );
    } else await signs(stage);
    if (here && (course.kind === 'person while baking' || course.kind === 'alert')) {
      await untilTold(read, `${stage.id} of ${launch} to bake`, (events) => events.some((event) => event.kind === 'shifted' && event.stage === stage.id));
      await (course.kind === 'alert' ? alarm() : rollBack('I see errors'));
      break;
    }
  }
  await untilTold(read, `the end of ${launch}`, ended);
  return { script, launch, acknowledged };
}

function ended(events: readonly ToldEvent[]): boolean {
  return events.some((event) => event.kind === 'ended');
}
