import type { Request, Response } from 'express';
import { rateLimit } from 'express-rate-limit';
import { personOf } from '../store/tokens.ts';
import type { Person } from '../store/people.ts';
import type { ServerDeps } from './deps.ts';
import { HttpProblem } from './problem.ts';
import type { Access } from './route.ts';

/** The bearer token of a request; only the Authorization header counts, never a query or another header. */
export function bearer(request: Request): string | undefined {
  const header = request.headers.authorization;
  const found = header === undefined ? null : /^Bearer ([\x21-\x7e]{1,512})$/i.exec(header);
  return found?.[1];
}

/** Counts failures by address: resolves while there are few, throws 429 when there are too many. Who shows a good token is never counted. */
export function failureLimit(perMinute: number, code: string): (request: Request, response: Response) => Promise<void> {
  const limiter = rateLimit({
    windowMs: 60_000,
    limit: perMinute,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    validate: false,
    keyGenerator: (request) => request.socket.remoteAddress ?? 'unknown',
    handler: (_request, _response, next) =>
      next(new HttpProblem(429, code, 'too many failed attempts from this address; wait a minute', { headers: { 'retry-after': '60' } })),
  });
  return (request, response) =>
    new Promise((resolve, reject) => {
      void limiter(request, response, (error?: unknown) =>
        error === undefined ? resolve() : reject(error instanceof Error ? error : new Error('the limit failed', { cause: error })),
      );
    });
}

/** Finds out who calls and whether they may. Throws 401 `unauthenticated`, 403 `forbidden`, 429 `too_many_attempts`. */
export function authenticator(deps: ServerDeps): (request: Request, response: Response, access: Access) => Promise<Person | undefined> {
  const failed = failureLimit(deps.failedLogins ?? 30, 'too_many_attempts');
  return async (request, response, access) => {
    if (access === 'anyone') return undefined;
    const shown = request.headers.authorization;
    if (shown === undefined && access === 'optional') return undefined;
    const token = bearer(request);
    const person = token === undefined ? undefined : await personOf(deps.store, token);
    if (person === undefined) {
      await failed(request, response);
      const detail = shown === undefined ? 'no token was shown; send authorization: Bearer gng_...' : 'the token is unknown, expired or revoked';
      // Who shows nothing tried nothing: only a wrong token is worth a line in the audit.
      throw new HttpProblem(401, 'unauthenticated', detail, { headers: { 'www-authenticate': 'Bearer realm="gonogo"' }, audited: shown !== undefined });
    }
    if (typeof access !== 'string' && !access.some((role) => person.roles.includes(role))) {
      throw new HttpProblem(
        403,
        'forbidden',
        `${person.name} holds ${person.roles.join(', ') || 'no role'}; this needs one of ${access.join(', ')}. Ask who gives out roles`,
        { audited: true, members: { person: person.name } },
      );
    }
    return person;
  };
}
