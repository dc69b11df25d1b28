import { STATUS_CODES } from 'node:http';
import { Drift, Retryable, Terminal } from '../core/failure.ts';
import { Refusal } from '../store/people.ts';

/** One thing wrong inside a request, by its place. */
export interface Detail {
  readonly path: string;
  readonly message: string;
  readonly [more: string]: unknown;
}

/** What else a problem says: details by place, headers, further members. */
export interface ProblemExtras {
  readonly problems?: readonly Detail[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly members?: Readonly<Record<string, unknown>>;
  /** Written to `audit`: a refused authority or login. */
  readonly audited?: boolean;
}

/** An answer that is no: an RFC 9457 problem with a stable `code`. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly extras: ProblemExtras;
  constructor(status: number, code: string, detail: string, extras: ProblemExtras = {}) {
    super(detail);
    this.name = 'HttpProblem';
    this.status = status;
    this.code = code;
    this.extras = extras;
  }
}

/** The problem as the document that is sent; never a stack, never an inner error's words. */
export function problemBody(problem: HttpProblem, instance: string): Readonly<Record<string, unknown>> {
  return {
    type: `urn:gonogo:problem:${problem.code}`,
    title: STATUS_CODES[problem.status] ?? 'Problem',
    status: problem.status,
    code: problem.code,
    detail: problem.message,
    instance: `urn:uuid:${instance}`,
    ...(problem.extras.problems === undefined ? {} : { problems: problem.extras.problems }),
    ...problem.extras.members,
  };
}

const REFUSALS = { authority: 403, conflict: 409, missing: 404, invalid: 422 } as const;
const FLAG_STATUS: Readonly<Record<string, number>> = { 'flag-missing': 404, 'flag-exists': 409, 'flag-invalid': 422 };
/** Connection lost or refused, out of connections, shutting down, statement cancelled. */
const DATABASE_AWAY = /^(08|53|57|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_|55P03|25006)/;

/** Whether an error means that a database could not be asked, not that it said no. */
export function databaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.some(databaseAway);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return DATABASE_AWAY.test(code) || /timeout|terminated|Connection ended|not queryable|driver has already been destroyed/i.test(error.message);
}

/** Every error as the problem that the caller is told; an unknown one is 500 `internal` without its words. */
export function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof Refusal) return new HttpProblem(REFUSALS[error.kind], error.code, error.message, { audited: error.kind === 'authority' });
  if (error instanceof Drift) return new HttpProblem(412, 'flag_moved', error.message);
  if (error instanceof Terminal) {
    const status = FLAG_STATUS[error.code];
    return status === undefined
      ? new HttpProblem(502, 'flag_store_refused', 'the flag store refused; an operator must look')
      : new HttpProblem(status, error.code.replaceAll('-', '_'), error.message);
  }
  if (error instanceof Retryable || databaseAway(error)) {
    return new HttpProblem(503, 'database_unreachable', 'the database did not answer; nothing is confirmed. Try again, a repeat is harmless', {
      headers: { 'retry-after': '1' },
    });
  }
  return new HttpProblem(500, 'internal', 'something failed here; it is in the log under this instance');
}
