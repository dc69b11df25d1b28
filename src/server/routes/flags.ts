import { z } from 'zod';
import type { Exposure } from '../../core/exposure.ts';
import type { Flag } from '../../flags/flag.ts';
import { stateOf } from '../../flags/flag.ts';
import type { NewFlag } from '../../flags/rules.ts';
import { evaluateAll, evaluateOne, sampled, type OfrepAnswer } from '../../flags/ofrep.ts';
import { parseJson } from '../body.ts';
import type { FlagService, ServerDeps } from '../deps.ts';
import { HttpProblem } from '../problem.ts';
import { caller, FLAG_ROLES, route, type Answer, type Call, type Route } from '../route.ts';
import { wholeNumber } from './launches.ts';

const value = z.union([z.boolean(), z.string()]);
const exposureForm = z.strictObject({
  value,
  share: z.number().min(0).max(100).describe('Percent of everyone who is not listed.'),
  by: z.string().default('key').describe('The attribute that the share is drawn by.'),
  listed: z.array(z.strictObject({ attribute: z.string(), values: z.array(z.string()) })).default([]),
});
const newFlagForm = z.strictObject({
  key: z.string(),
  type: z.union([z.literal('boolean'), z.strictObject({ oneOf: z.array(z.string()) })]),
  offValue: value.optional(),
  exposure: exposureForm.optional(),
  exposed: z.boolean().optional(),
  owner: z.string().optional(),
  description: z.string().optional(),
});
const createForm = z.strictObject({ flags: z.array(newFlagForm).min(1).max(500), comment: z.string().max(2_000).optional() });
const putForm = z.strictObject({ exposure: exposureForm, comment: z.string().max(2_000).optional() });

/** A flag as the API shows it: never its salt, with which buckets could be worked out. */
function shown({ salt: _salt, ...flag }: Flag): Readonly<Record<string, unknown>> {
  return { ...flag, state: stateOf(flag.exposure) };
}

function withETag(flag: Flag, status: number): Answer {
  return { status, body: shown(flag), headers: { etag: `"${flag.revision}"` } };
}

function expectedRevision(header: string | undefined): string {
  if (header === undefined)
    throw new HttpProblem(428, 'if_match_missing', 'the header If-Match is missing; expected the revision that you saw, e.g. "3", or * for whatever stands');
  const found = /^(?:W\/)?"?(\d{1,18}|\*)"?$/.exec(header.trim());
  if (found?.[1] === undefined) throw new HttpProblem(422, 'invalid_if_match', 'If-Match is no revision; expected e.g. "3", or *');
  return found[1];
}

/** A new flag without the keys that were left out. */
function newFlag({ key, type, offValue, exposure, exposed, owner, description }: z.output<typeof newFlagForm>): NewFlag {
  const given = { offValue, exposure: exposure as Exposure | undefined, exposed, owner, description };
  return { key, type, ...(Object.fromEntries(Object.entries(given).filter(([, each]) => each !== undefined)) as Partial<NewFlag>) };
}

/** The built-in flag store: flags, their change log, and OFREP evaluation. */
export function flagRoutes(flags: FlagService, deps: ServerDeps): readonly Route[] {
  const onEvaluation = sampled(flags.sample ?? 0.01, deps.log);

  function ofrep({ person }: Call<unknown>, answer: (options: { publicOnly: boolean; onEvaluation: typeof onEvaluation }) => OfrepAnswer): Answer {
    if (person === undefined && flags.openToPublic === false)
      throw new HttpProblem(401, 'unauthenticated', 'flags are not open to the public here; send authorization: Bearer gng_...');
    const { status, body, etag } = answer({ publicOnly: person === undefined, onEvaluation });
    return { status, ...(body === undefined ? {} : { body }), ...(etag === undefined ? {} : { headers: { etag } }) };
  }

  const context = ({ raw, req }: Call<unknown>): unknown => (raw.length === 0 ? undefined : parseJson(raw, req.headers['content-type']));

  return [
    {
      method: 'get',
      path: '/api/flags',
      summary: 'Every flag of the built-in store',
      access: 'person',
      responses: { 200: 'The flags' },
      handle: async () => ({ status: 200, body: { flags: (await flags.store.list()).map(shown) } }),
    },
    route({
      method: 'post',
      path: '/api/flags',
      summary: 'Make flags, all or none',
      access: FLAG_ROLES,
      body: createForm,
      responses: { 201: 'Made', 409: 'One exists already', 422: 'A key, value or text breaks the rules' },
      async handle(call) {
        const { flags: wanted, comment } = call.body;
        const made = await flags.store.create(wanted.map(newFlag), { by: caller(call).name, ...(comment === undefined ? {} : { comment }) });
        return { status: 201, body: { flags: made.map(shown) } };
      },
    }),
    {
      method: 'get',
      path: '/api/flags/:key',
      summary: 'One flag, its revision as ETag',
      access: 'person',
      responses: { 200: 'The flag', 404: 'There is no such flag' },
      handle: async ({ param }) => withETag(await flags.store.get(param('key')), 200),
    },
    route({
      method: 'put',
      path: '/api/flags/:key',
      summary: 'Replace who gets the value; If-Match is the revision you saw',
      access: FLAG_ROLES,
      body: putForm,
      responses: { 200: 'The flag as it stands now', 404: 'There is no such flag', 412: 'Someone else wrote it since', 428: 'If-Match is missing' },
      async handle(call) {
        const { exposure, comment } = call.body;
        const expected = expectedRevision(call.req.headers['if-match']);
        const flag = await flags.store.putExposure(call.param('key'), exposure, expected, {
          by: caller(call).name,
          ...(comment === undefined ? {} : { comment }),
        });
        return withETag(flag, 200);
      },
    }),
    {
      method: 'get',
      path: '/api/flags/:key/history',
      summary: 'Who changed it, newest first (limit, before)',
      access: 'person',
      responses: { 200: 'The changes', 404: 'There is no such flag' },
      async handle({ param, query }) {
        const before = query('before');
        const page = { limit: wholeNumber('limit', query('limit'), 1, 500, 50), ...(before === undefined ? {} : { before }) };
        return { status: 200, body: { changes: await flags.store.history(param('key'), page) } };
      },
    },
    {
      method: 'post',
      path: '/ofrep/v1/evaluate/flags/:key',
      summary: 'OpenFeature remote evaluation of one flag; without a token only exposed flags are there',
      access: 'optional',
      body: 'any',
      responses: { 200: 'Its value for the subject', 400: 'The context cannot be used', 404: 'There is no such flag' },
      handle: async (call) => Promise.resolve(ofrep(call, (options) => evaluateOne(flags.cache.view(), call.param('key'), context(call), options))),
    },
    {
      method: 'post',
      path: '/ofrep/v1/evaluate/flags',
      summary: 'OpenFeature remote evaluation of all flags, with an ETag',
      access: 'optional',
      body: 'any',
      responses: { 200: 'The values', 304: 'Nothing has changed for this subject', 400: 'The context cannot be used' },
      handle: async (call) =>
        Promise.resolve(ofrep(call, (options) => evaluateAll(flags.cache.view(), context(call), call.req.headers['if-none-match'], options))),
    },
  ];
}
