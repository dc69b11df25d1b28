import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Person } from '../store/people.ts';
import type { ServerDeps } from './deps.ts';

/** Roles that may sign: they, releasers and those on call may stop a launch. */
export const SIGNING_ROLES = ['release-engineer', 'qa', 'product', 'legal'] as const;
/** Who may roll back, hold, resume, conclude and tick. */
export const ACTING_ROLES: readonly string[] = [...SIGNING_ROLES, 'releaser', 'on-call'];
/** Who may start a launch. */
export const STARTING_ROLES: readonly string[] = ['releaser'];
/** Who may write flags by hand. */
export const FLAG_ROLES: readonly string[] = ['releaser', 'release-engineer', 'on-call'];

/** Who may call: anyone, anyone with their token looked at if they show one, any person, or persons with one of the roles. */
export type Access = 'anyone' | 'optional' | 'person' | readonly string[];

/** One call of a route. `person` is there wherever a person is required. */
export interface Call<Body> {
  readonly deps: ServerDeps;
  readonly req: Request;
  readonly res: Response;
  readonly person: Person | undefined;
  readonly body: Body;
  /** The body's bytes as they came. */
  readonly raw: Buffer;
  readonly param: (name: string) => string;
  readonly query: (name: string) => string | undefined;
  readonly requestId: string;
}

/** What is sent back: JSON `body`, or `text` of a type. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One route: all that the router, the checks before it and the OpenAPI document need. */
export interface Route {
  readonly method: 'get' | 'post' | 'put';
  /** Express' spelling: `/api/launches/:id`. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  /** Checked before `handle`. `any`: the route reads the bytes itself. Absent: no body. */
  readonly body?: z.ZodType | 'any';
  readonly responses: Readonly<Record<number, string>>;
  /** Undefined when the route answered by itself. */
  readonly handle: (call: Call<unknown>) => Promise<Answer | undefined>;
}

/** A route whose body is typed by its schema. */
export function route<T extends z.ZodType>(
  given: Omit<Route, 'body' | 'handle'> & { readonly body: T; readonly handle: (call: Call<z.output<T>>) => Promise<Answer | undefined> },
): Route {
  // The router has put the body through this very schema before.
  return { ...given, handle: (call) => given.handle(call as Call<z.output<T>>) };
}

/** The caller of a route that requires a person; throws where the route does not (a mistake of ours). */
export function caller(call: { readonly person: Person | undefined }): Person {
  if (call.person === undefined) throw new Error('this route has no person; expected one by its access');
  return call.person;
}
