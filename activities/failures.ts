import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { Retryable, Terminal } from '../src/core/failure.ts';
import type { House } from '../src/house.ts';
import { callPerson } from '../src/watch/call-person.ts';
import { REFUSED, type RefusedLaunch } from '../workflows/messages.ts';

/** Not now: tried again, after `delay` ms where it is given, else by the proxy's policy. */
export function again(why: string, delay?: number): ApplicationFailure {
  return ApplicationFailure.create({ message: why, type: 'Again', ...(delay === undefined ? {} : { nextRetryDelay: delay }) });
}

/** The launch is refused before anything was written; its workflow ends with this. */
export function refused(problem: RefusedLaunch): ApplicationFailure {
  return ApplicationFailure.create({
    message: problem.problems.map((one) => `${one.where} ${one.message}`).join('; '),
    type: REFUSED,
    nonRetryable: true,
    details: [problem],
  });
}

type Steps = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;

/** The same steps, their failures in Temporal's words: Retryable with its delay; Terminal called out and tried again, since a person can mend it. */
export function translated<T extends object>(house: House, steps: T): T {
  const wrapped = Object.entries(steps as Steps).map(([name, step]) => [
    name,
    async (...args: never[]) => {
      try {
        return await step(...args);
      } catch (error) {
        if (error instanceof ApplicationFailure || error instanceof CancelledFailure) throw error;
        if (error instanceof Retryable) throw again(error.message, error.delay);
        if (error instanceof Terminal && typeof args[0] === 'string') {
          await callPerson(house, args[0], 'readiness', error.message, error.code);
          throw again(error.message, 30_000);
        }
        house.log.warn({ step: name, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'a step failed and is tried again');
        throw again(error instanceof Error ? error.message : String(error));
      }
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}
