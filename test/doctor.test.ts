import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import type { Order } from '../src/core/plan.ts';
import { examine, type Examined } from '../src/doctor.ts';
import { loadRegistry, type Registry } from '../src/flags/registry.ts';
import { open } from '../src/launch/open.ts';
import { openHouse } from '../src/open-house.ts';
import { loadPlan } from '../src/plan/load.ts';
import { bindOrder } from '../src/plan/order.ts';
import { hangingServer } from './evaluators/support.ts';
import { openReceiver } from './notifiers/support.ts';
import { serveOfrep } from './support/ofrep-server.ts';
import { openWorld, quietLog, quietMeter, type World } from './support/world.ts';

const SECRET = 'token-of-the-house-0123456789';
const REGISTRY = `
chat:
  title: Chat
  owner: team
  type: boolean
  purpose: Chat.
  effect: Chat is there.
  lives: { stage: builtin, prod: builtin }
  default: { stage: false, prod: false }
  proof: [{ store: {} }, { ofrep: {} }, { openfeature: { evaluator: sdk } }]
files:
  title: Files
  owner: team
  type: boolean
  purpose: Files.
  effect: Files can be sent.
  lives: { prod: elsewhere }
  default: { prod: false }
  proof: [{ store: {} }]
`;
const PLAN = `
name: chat
gates: { errors: { source: app, query: errors, max: 1 } }
stages: [{ id: on, set: [{ flag: chat, to: everyone }], bake: 1m, gates: [errors] }]
`;

let world: World;
let dir = '';
const cleanups: (() => unknown)[] = [];
beforeAll(async () => {
  world = await openWorld({ worker: false });
  dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-doctor-'));
  writeFileSync(path.join(dir, 'flags.yaml'), REGISTRY);
  writeFileSync(path.join(dir, 'chat.yaml'), PLAN);
  writeFileSync(path.join(dir, 'no-plan.yaml'), 'name: [');
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(async () => {
  await world.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A config like a worker's, over the world's databases. */
function configOf(more: string) {
  const file = path.join(dir, 'gonogo.yaml');
  writeFileSync(file, `database: { url: '\${DB}' }\nflagStore: { url: '\${FLAGS}' }\nregistry: flags.yaml\nplansDir: .\n${more}`);
  return loadConfig(file, { DB: world.databaseUrl, FLAGS: world.flagsUrl, TOKEN: SECRET });
}
function registryOf(): Registry {
  const loaded = loadRegistry(REGISTRY);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.registry;
}
function orderOf(environment: string): Order {
  const plan = loadPlan(PLAN);
  if (!plan.ok) throw new Error(JSON.stringify(plan.problems));
  return bindOrder(plan.plan, registryOf(), environment);
}
const signal = (): AbortSignal => AbortSignal.timeout(30_000);
const seen = (all: readonly Examined[], kind: Examined['kind'], name: string): Examined => {
  const found = all.find((one) => one.kind === kind && one.name === name);
  if (found === undefined) throw new Error(`${kind} ${name} was not looked at`);
  return found;
};

describe('gonogo doctor and the check before launch', () => {
  it('say the same of the same defects, and the launch that is refused for them writes nothing', async () => {
    const strict = await serveOfrep(() => ({ flags: new Map(), segments: new Map(), readAt: 0 }), { publicOnly: false }, 'another token');
    cleanups.push(() => strict.close());
    const config = configOf(`
evaluators:
  ofrep: { kind: ofrep, url: '${strict.url}', token: '\${TOKEN}' }
  sdk: { kind: openfeature, module: '@openfeature/flagd-provider', export: FlagdProvider, options: { resolverType: in-process, offlineFlagSourcePath: ${dir}/none.json } }
sources: { app: { kind: prometheus, url: 'http://127.0.0.1:1' } }
`);
    const order = orderOf('stage');
    const { house, close } = await openHouse(config, { log: quietLog, meter: quietMeter, nudge: world.house.nudge, store: world.house.store });
    cleanups.push(close);
    const refused = await open(house, { launch: 'chat-stage-1', order, startedBy: 'releaser', speed: 1 });
    expect(refused?.code).toBe('not_ready');
    const doctor = await examine({ config, registry: registryOf(), environments: ['stage'] }, signal());
    const told = doctor.flatMap((one) => one.problems);
    expect(doctor.filter((one) => one.problems.length > 0).map((one) => `${one.kind} ${one.name}`)).toEqual([
      'provider builtin',
      'evaluator store',
      'evaluator ofrep',
      'evaluator sdk',
      'source app',
    ]);
    expect(new Set(refused?.problems.map((one) => JSON.stringify(one)))).toEqual(new Set(told.map((one) => JSON.stringify(one))));
    const words = told.map((one) => one.message).join('\n');
    for (const part of ['flag chat is not in the flag store builtin', 'flag chat is not in the flag store store', '401', 'File not found', 'ECONNREFUSED'])
      expect(words).toContain(part);
    for (const one of told) expect(one.hint).not.toBe('');
    const { db } = world.house.store;
    for (const table of ['launch', 'event', 'journal', 'flag_lock', 'rollback_request'] as const)
      expect(await db.selectFrom(table).selectAll().execute(), table).toEqual([]);
  });
});

describe('gonogo doctor', () => {
  it('finds nothing wrong where nothing is, says what it asked, and sends no news', async () => {
    await world.seed(orderOf('stage'));
    const receiver = await openReceiver();
    cleanups.push(() => receiver.close());
    const flags = path.join(dir, 'flagd.json');
    writeFileSync(flags, JSON.stringify({ flags: { chat: { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' } } }));
    const ofrep = await serveOfrep(() => ({ flags: new Map(), segments: new Map(), readAt: 0 }), { publicOnly: false });
    cleanups.push(() => ofrep.close());
    world.page.set({ errors: 0 });
    const config = configOf(`
evaluators:
  sdk: { kind: openfeature, module: '@openfeature/flagd-provider', export: FlagdProvider, options: { resolverType: in-process, offlineFlagSourcePath: ${flags} } }
sources: { app: { kind: web, url: '${world.page.url}' }, spare: { kind: prometheus, url: 'http://127.0.0.1:1' } }
notifiers: { ops: { kind: webhook, url: '${receiver.url}', token: '\${TOKEN}' } }
`);
    const all = await examine({ config, registry: registryOf(), environments: ['stage'] }, signal());
    expect(seen(all, 'provider', 'builtin')).toMatchObject({ environments: ['stage'], asked: '1 flag of stage', problems: [] });
    expect(seen(all, 'evaluator', 'store').problems).toEqual([]);
    expect(seen(all, 'evaluator', 'sdk').problems).toEqual([]);
    expect(seen(all, 'source', 'app')).toMatchObject({ asked: '1 query', problems: [] });
    expect(seen(all, 'source', 'spare')).toMatchObject({ asked: 'nothing: no plan asks it', problems: [] });
    expect(seen(all, 'notifier', 'ops').problems).toEqual([]);
    expect(receiver.received).toEqual([]);
    // What the registry names and the config has not is said too.
    expect(seen(all, 'evaluator', 'ofrep').problems).toEqual([
      { where: 'ofrep', message: 'no such evaluator in the config of the workers', hint: 'add evaluators.ofrep' },
    ]);
  });

  it('looks at every environment unless told one, and says what is wrong in two of them once', async () => {
    const config = configOf('');
    const all = await examine({ config, registry: registryOf() }, signal());
    expect(seen(all, 'evaluator', 'ofrep')).toMatchObject({ environments: ['prod', 'stage'], asked: '1 flag of prod, 1 flag of stage' });
    expect(seen(all, 'evaluator', 'ofrep').problems).toHaveLength(1);
    expect(seen(all, 'provider', 'elsewhere').problems).toEqual([
      { where: 'elsewhere', message: 'no such provider in the config of the workers', hint: 'add providers.elsewhere' },
    ]);
    const stage = await examine({ config, registry: registryOf(), environments: ['stage'] }, signal());
    expect(stage.some((one) => one.name === 'elsewhere')).toBe(false);
  });

  it('is stopped by none that is wrong, away or hanging, keeps its deadlines, and shows no secret', { timeout: 40_000 }, async () => {
    const hanging = await hangingServer();
    cleanups.push(() => hanging.close());
    const odd = path.join(import.meta.dirname, 'evaluators', 'openfeature', 'fixtures.ts');
    const config = configOf(`
providers: { typo: { kind: builtin, databse: x } }
evaluators:
  ofrep: { kind: ofrep, url: '${hanging.url}', token: '\${TOKEN}' }
  sdk: { kind: openfeature, module: '${odd}', export: Odd, options: { start: fails, token: '\${TOKEN}' } }
  nowhere: { kind: openfeature, module: '@nobody/has-this', export: X }
sources: { app: { kind: prometheus, url: '${hanging.url}' } }
notifiers: { ops: { kind: webhook, url: 'http://127.0.0.1:1/', token: '\${TOKEN}' } }
`);
    const began = performance.now();
    const all = await examine({ config, registry: registryOf(), environments: ['stage'] }, signal());
    expect(performance.now() - began).toBeLessThan(15_000);
    const messages = (kind: Examined['kind'], name: string): string =>
      seen(all, kind, name)
        .problems.map((one) => one.message)
        .join('; ');
    expect(messages('provider', 'typo')).toContain('Unrecognized key: "databse"');
    expect(messages('evaluator', 'ofrep')).toContain('no whole answer within');
    expect(messages('evaluator', 'sdk')).toContain('the key *** is not known');
    expect(messages('evaluator', 'nowhere')).toContain('npm install @nobody/has-this');
    expect(messages('source', 'app')).not.toBe('');
    expect(messages('notifier', 'ops')).toContain('ECONNREFUSED');
    expect(seen(all, 'evaluator', 'store').problems.every((one) => !one.message.includes('ECONN'))).toBe(true);
    for (const one of all) for (const problem of one.problems) expect(problem.hint, `${one.kind} ${one.name}`).not.toBe('');
    expect(JSON.stringify(all)).not.toContain(SECRET);
  });
});
