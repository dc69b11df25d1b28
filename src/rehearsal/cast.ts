import type { LaunchEvent } from '../core/event.ts';
import { itemsBefore } from '../core/clearance.ts';
import type { Millis, Order, Stage } from '../core/plan.ts';
import { conclude, Refusal, resume, sign, tickItem, type Person } from '../store/people.ts';
import type { Store } from '../store/store.ts';
import type { Answering, Scenario } from './scenario.ts';

/** Somebody who is asked for something, at a virtual time (ms). */
export interface Asked {
  readonly at: number;
  /** The event that they were asked at. */
  readonly seq: number;
  readonly person: string;
  readonly role: string;
  readonly what: string;
}

interface Deed {
  readonly due: number;
  readonly do: (at: string) => Promise<unknown>;
}

/** The people of a rehearsal: they hear of every event, and do what they are asked when the script says. */
export interface Cast {
  hear(event: LaunchEvent, seq: number): void;
  /** Does everything that is due. True when there was something. */
  act(now: number): Promise<boolean>;
  /** When somebody does something next, ms; undefined when nobody will. */
  next(): number | undefined;
  readonly asked: readonly Asked[];
  /** What somebody tried and was refused. */
  readonly refused: readonly string[];
}

const DAY = 86_400_000;
/** Who is called when a launch holds or pages. */
const ON_CALL = 'on-call';

/** A person for a role, of those whom the config knows or made up; one person fills one role of a stage. */
function casting(people: Readonly<Record<string, readonly string[]>>): (role: string, taken: Set<string>) => Person {
  return (role, taken) => {
    const known = Object.entries(people).find(([name, roles]) => roles.includes(role) && !taken.has(name));
    let name = known?.[0];
    for (let n = 1; name === undefined; n += 1) {
      const made = n === 1 ? `the ${role}` : `${role} number ${n}`;
      if (!taken.has(made)) name = made;
    }
    taken.add(name);
    return { name, roles: [role] };
  };
}

/** Opens the cast of one rehearsal. */
export function openCast(store: Store, launch: string, order: Order, scenario: Scenario, people: Readonly<Record<string, readonly string[]>>): Cast {
  const pick = casting(people);
  const deeds: Deed[] = [];
  const asked: Asked[] = [];
  const refused: string[] = [];
  const stageOf = (id: string): Stage | undefined => order.plan.stages.find((stage) => stage.id === id);
  const answering = (role: string, stage: string): Answering =>
    scenario.people.findLast((one) => (one.role === undefined || one.role === role) && (one.stage === undefined || one.stage === stage)) ?? {};
  const takes = (given: Answering): Millis => given.after ?? scenario.answersAfter;
  const later = (due: number, what: Deed['do']) => void deeds.push({ due, do: what });

  function openStage(stage: Stage, round: number, at: number, seq: number): void {
    const taken = new Set<string>();
    const wanted = new Map<string, { readonly person: Person; readonly role: string; items: number; signs: boolean }>();
    const want = (person: Person, role: string) => {
      const known = wanted.get(person.name) ?? { person, role, items: 0, signs: false };
      wanted.set(person.name, known);
      return known;
    };
    const signers = stage.signOff.flatMap(({ role, count }) => Array.from({ length: count }, () => ({ role, person: pick(role, taken) })));
    for (const item of round > 1 ? [] : itemsBefore(order.plan, stage)) {
      if (item.check !== undefined) continue;
      const role = item.role ?? signers[0]?.role ?? ON_CALL;
      const person = signers.find((one) => one.role === role)?.person ?? [...wanted.values()].find((one) => one.role === role)?.person ?? pick(role, taken);
      want(person, role).items += 1;
      const evidence = item.evidence === 'none' ? {} : { evidence: `https://rehearsal.invalid/${item.id}` };
      later(at + takes(answering(role, stage.id)), (now) => tickItem(store, { launch, item: item.id, done: true, person, at: now, ...evidence }));
    }
    for (const { role, person } of signers) {
      want(person, role).signs = true;
      const how = answering(role, stage.id);
      if (how.never === true) continue;
      const due = at + takes(how);
      const noGo = how.decision === 'no-go' && round === 1;
      later(due, (now) =>
        sign(store, {
          launch,
          stage: stage.id,
          role,
          person,
          at: now,
          decision: noGo ? 'no-go' : 'go',
          ...(noGo
            ? {
                reason: how.reason ?? 'no-go (scripted)',
                recheckAt: new Date(due + (how.recheckAfter ?? DAY)).toISOString(),
                meanwhile: how.meanwhile ?? 'hold',
              }
            : {}),
        }),
      );
    }
    for (const { person, role, items, signs } of wanted.values()) {
      const words = [...(items === 0 ? [] : [`tick ${items} item${items === 1 ? '' : 's'}`]), ...(signs ? [`say go or no-go`] : [])];
      asked.push({ at, seq, person: person.name, role, what: `${words.join(', and ')} for ${stage.id}${round > 1 ? `, round ${round}` : ''}` });
    }
  }

  function called(at: number, seq: number, what: string): Person {
    const person = pick(ON_CALL, new Set());
    asked.push({ at, seq, person: person.name, role: ON_CALL, what });
    return person;
  }

  return {
    asked,
    refused,
    hear(event, seq) {
      const at = Date.parse(event.at);
      const due = at + scenario.answersAfter;
      if (event.kind === 'stage-opened' || event.kind === 'reopened') {
        const stage = stageOf(event.stage);
        if (stage !== undefined) openStage(stage, event.round, at, seq);
      } else if (event.kind === 'held' && event.cause === 'fallback') {
        const person = called(at, seq, `conclude: ${event.reason}`);
        later(due, (now) => conclude(store, launch, person, now, 'the fallback stays for now (scripted)'));
      } else if (event.kind === 'held') {
        const person = called(at, seq, `look and resume, or roll back: ${event.reason}`);
        later(due, (now) => resume(store, launch, person, now, 'looked at it (scripted)'));
      } else if (event.kind === 'paged') {
        called(at, seq, `woken about ${event.about}: ${event.text}${event.commands.length === 0 ? '' : ` Do: ${event.commands.join(' ; ')}`}`);
      }
    },
    async act(now) {
      const due = deeds.filter((deed) => deed.due <= now);
      for (const deed of due) {
        deeds.splice(deeds.indexOf(deed), 1);
        try {
          await deed.do(new Date(now).toISOString());
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          refused.push(error.message);
        }
      }
      return due.length > 0;
    },
    next: () => (deeds.length === 0 ? undefined : Math.min(...deeds.map((deed) => deed.due))),
  };
}
