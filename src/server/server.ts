import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { Registry as Metrics } from 'prom-client';
import { countByState } from '../store/lists.ts';
import { audit } from '../store/audit.ts';
import { countLaunches } from '../telemetry.ts';
import { authenticator } from './auth.ts';
import { checkBody, parseJson, readBody } from './body.ts';
import type { ServerDeps } from './deps.ts';
import { HttpProblem, problemBody, toProblem } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { actRoutes } from './routes/acts.ts';
import { eventRoutes, openStreams } from './routes/events.ts';
import { flagRoutes } from './routes/flags.ts';
import { hookRoutes } from './routes/hooks.ts';
import { launchRoutes } from './routes/launches.ts';
import { operationRoutes } from './routes/operations.ts';
import { planRoutes } from './routes/plans.ts';

/** A server that is not listening yet. */
export interface Server {
  /** The express application, for a page to be served beside the API: put it before `listen`. */
  readonly app: Express;
  /** Listens; port 0 takes a free one. Throws when the port is taken. */
  readonly listen: (port: number, host?: string) => Promise<{ readonly port: number; readonly url: string }>;
  /** Takes no new requests, ends event streams, lets the others finish (at most 10 s). */
  readonly close: () => Promise<void>;
}

const CLOSE_WITHIN = 10_000;
const MUTATING = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

const SECURITY = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      'default-src': ["'self'"],
      'base-uri': ["'none'"],
      'form-action': ["'self'"],
      'frame-ancestors': ["'none'"],
      'object-src': ["'none'"],
      'img-src': ["'self'", 'data:'],
    },
  },
  strictTransportSecurity: { maxAge: 31_536_000 },
  referrerPolicy: { policy: 'no-referrer' },
  xFrameOptions: { action: 'deny' },
});

/** What the checks before a route leave for it. */
interface Locals {
  requestId: string;
  raw: Buffer;
}

function localsOf(res: Response): Locals {
  return res.locals as Locals;
}

function send(res: Response, answer: Answer): void {
  res.status(answer.status).set(answer.headers ?? {});
  if (answer.text !== undefined) res.type(answer.type ?? 'text/plain').send(answer.text);
  else if (answer.body === undefined) res.end();
  else res.json(answer.body);
}

function one(given: unknown): string | undefined {
  return typeof given === 'string' ? given : undefined;
}

/** The routes over the deps, as express middleware: each with its access and its body's schema in front. */
function handlerOf(deps: ServerDeps, route: Route, authenticate: ReturnType<typeof authenticator>): RequestHandler {
  return async (req, res) => {
    const { requestId, raw } = localsOf(res);
    const person = await authenticate(req, res, route.access);
    if (person !== undefined) res.locals['person'] = person.name;
    const body = route.body === undefined || route.body === 'any' ? undefined : checkBody(route.body, parseJson(raw, req.headers['content-type']));
    const call: Call<unknown> = {
      deps,
      req,
      res,
      person,
      body,
      raw,
      requestId,
      param: (name) => one(req.params[name]) ?? '',
      query: (name) => one(req.query[name]),
    };
    const answer = await route.handle(call);
    if (answer !== undefined) send(res, answer);
  };
}

function prepare(req: Request, res: Response, next: NextFunction): void {
  const locals = localsOf(res);
  locals.requestId = randomUUID();
  locals.raw = Buffer.alloc(0);
  res.set({ 'x-request-id': locals.requestId, 'cache-control': 'no-store' });
  if (!MUTATING.has(req.method)) {
    next();
    return;
  }
  readBody(req).then(
    (raw) => {
      locals.raw = raw;
      next();
    },
    (error: unknown) => next(error),
  );
}

/** After a body that was not read to its end: the rest is thrown away for a second, then the connection. */
function letGo(req: Request, res: Response): void {
  if (req.complete) return;
  res.on('finish', () => {
    req.resume();
    setTimeout(() => req.socket.destroy(), 1_000).unref();
  });
}

function tell(deps: ServerDeps): (error: unknown, req: Request, res: Response, next: NextFunction) => void {
  return (error, req, res, _next) => {
    const problem = toProblem(error);
    const { requestId } = localsOf(res);
    const person = one(res.locals['person']) ?? one(problem.extras.members?.['person']);
    if (problem.status >= 500)
      deps.log.error(
        {
          request: requestId,
          method: req.method,
          path: req.path,
          code: problem.code,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        },
        'a request failed',
      );
    if (problem.extras.audited === true) {
      const why = `${problem.code}: ${problem.message}`.slice(0, 1_000);
      deps.log.warn({ request: requestId, method: req.method, path: req.path, person, code: problem.code }, 'refused');
      const entry = {
        action: `${req.method} ${req.path}`.slice(0, 300),
        why,
        origin: req.socket.remoteAddress ?? 'unknown',
        ...(person === undefined ? {} : { person }),
      };
      audit(deps.store, entry).catch((failure: unknown) => deps.log.error({ request: requestId, reason: String(failure) }, 'a refusal could not be audited'));
    }
    if (res.headersSent) {
      res.destroy();
      return;
    }
    letGo(req, res);
    res
      .status(problem.status)
      .set(problem.extras.headers ?? {})
      .type('application/problem+json')
      .send(JSON.stringify(problemBody(problem, requestId)));
  };
}

/** The path as sent, before any decoding: doubled slashes, dots and parameters are no way around a route. */
function oddPath(req: Request): boolean {
  const path = req.originalUrl.split('?')[0] ?? '';
  return /\/\/|\/\.{1,2}(\/|$)|%2e|%2f|%5c|\\|;/i.test(path) && !path.startsWith('/ofrep/');
}

function build(deps: ServerDeps, routes: readonly Route[]): Express {
  const app = express();
  app
    .disable('x-powered-by')
    .disable('etag')
    .set('case sensitive routing', true)
    .set('strict routing', true)
    .set('query parser', 'simple')
    .set('trust proxy', false);
  app.use(SECURITY, prepare);
  app.use((req, _res, next) => next(oddPath(req) ? new HttpProblem(404, 'not_found', 'there is nothing here') : undefined));
  const authenticate = authenticator(deps);
  const methods = new Map<string, string[]>();
  for (const route of routes) {
    app[route.method](route.path, handlerOf(deps, route, authenticate));
    methods.set(route.path, [...(methods.get(route.path) ?? []), ...(route.method === 'get' ? ['GET', 'HEAD'] : [route.method.toUpperCase()])]);
  }
  for (const [path, allowed] of methods) {
    app.all(path, (req, _res, next) =>
      next(
        new HttpProblem(405, 'method_not_allowed', `${req.method} is not for this; expected ${allowed.join(', ')}`, { headers: { allow: allowed.join(', ') } }),
      ),
    );
  }
  return app;
}

/**
 * The API, webhooks, views, reports and event streams. Stateless: any number of them may run beside each other. Nothing
 * listens before `listen`; only loopback unless told otherwise.
 */
export function createServer(deps: ServerDeps): Server {
  const streams = openStreams();
  const metrics = deps.metrics ?? new Metrics();
  if (metrics.getSingleMetric('gonogo_launches') === undefined) countLaunches(metrics, () => countByState(deps.store));
  const routes: readonly Route[] = [
    ...planRoutes,
    ...launchRoutes,
    ...actRoutes,
    ...eventRoutes(streams),
    ...hookRoutes(deps),
    ...(deps.flags === undefined ? [] : flagRoutes(deps.flags, deps)),
  ];
  const app = build(deps, [...routes, ...operationRoutes(metrics, routes, deps.publicUrl)]);
  // Slow headers are cut off; large ones get 431 from Node itself.
  const http: HttpServer = createHttpServer(
    { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 20_000, maxHeaderSize: 16_384, connectionsCheckingInterval: 2_000 },
    app,
  );
  return {
    app,
    listen: (port, host = '127.0.0.1') =>
      new Promise((resolve, reject) => {
        app.use((_req, _res, next) => next(new HttpProblem(404, 'not_found', 'there is nothing here')));
        app.use(tell(deps));
        http.once('error', reject);
        http.listen(port, host, () => {
          http.off('error', reject);
          const { port: taken, address } = http.address() as AddressInfo;
          resolve({ port: taken, url: `http://${address.includes(':') ? `[${address}]` : address}:${taken}` });
        });
      }),
    close: async () => {
      streams.endAll();
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      http.closeIdleConnections();
      const timer = setTimeout(() => http.closeAllConnections(), CLOSE_WITHIN);
      await closed;
      clearTimeout(timer);
    },
  };
}
