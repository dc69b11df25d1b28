import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';
import type { Route } from './route.ts';
import { launchForm } from './routes/plans.ts';

const problem = z
  .object({
    type: z.string().describe('urn:gonogo:problem:<code>'),
    title: z.string(),
    status: z.number(),
    code: z.string().describe('Stable: programs decide by it.'),
    detail: z.string(),
    instance: z.string().describe('Names this one request in the log.'),
    problems: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' });

const KNOWN_BODIES: Readonly<Record<string, z.ZodType>> = { '/api/launches': launchForm };

function content(schema: z.ZodType | 'any' | undefined, path: string) {
  const known = KNOWN_BODIES[path] ?? (schema === 'any' ? z.looseObject({}) : schema);
  return known === undefined ? {} : { requestBody: { content: { 'application/json': { schema: known } } } };
}

function operation(route: Route): ZodOpenApiOperationObject {
  const params = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? '');
  const responses = Object.entries(route.responses).map(
    ([status, description]) =>
      [status, Number(status) >= 400 ? { description, content: { 'application/problem+json': { schema: problem } } } : { description }] as const,
  );
  return {
    summary: route.summary,
    operationId: `${route.method} ${route.path}`.replaceAll(/[^a-zA-Z0-9]+/g, '_').replace(/_$/, ''),
    ...(params.length === 0 ? {} : { requestParams: { path: z.object(Object.fromEntries(params.map((name) => [name, z.string()]))) } }),
    ...(route.method === 'get' ? {} : content(route.body, route.path)),
    ...(route.access === 'anyone' ? { security: [] } : {}),
    responses: { ...Object.fromEntries(responses), default: { description: 'A problem', content: { 'application/problem+json': { schema: problem } } } },
  };
}

/** The OpenAPI 3.1 document of the routes. */
export function openApi(routes: readonly Route[], publicUrl: string | undefined): unknown {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  return createDocument({
    openapi: '3.1.1',
    info: { title: 'gonogo', version: '1', description: 'Staged go/no-go launches for feature flags' },
    ...(publicUrl === undefined ? {} : { servers: [{ url: publicUrl }] }),
    security: [{ token: [] }],
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'gng_...' } } },
    paths,
  });
}
