import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../../src/core/exposure.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import type { Evaluator } from '../../../src/evaluators/evaluator.ts';
import { flagRef, openContext, storedFlag } from '../../flags/support.ts';
import { serveOfrep, type OfrepServer } from '../../support/ofrep-server.ts';

const keys = ['a', 'b', 'c'];
const view = { flags: new Map(keys.map((key) => [key, storedFlag(everyone(true), { key })])), segments: new Map(), readAt: 0 };
const ask = (key: string, subject: string) => ({ flag: flagRef(key), subject: { key: subject, attributes: {} }, with: {} });

describe('asking over OFREP', () => {
  let server: OfrepServer;
  let evaluator: Evaluator;
  beforeAll(async () => {
    server = await serveOfrep(() => view, { publicOnly: false });
    evaluator = await openEvaluator('app', { kind: 'ofrep', url: [server.url, 'http://127.0.0.1:1'] }, openContext());
  });
  afterAll(async () => {
    await evaluator.close();
    await server.close();
  });

  it('asks for one subject once, whatever the number of flags, and for a single flag by its key', async () => {
    const before = server.served.length;
    await evaluator.evaluate(
      ['x', 'y'].flatMap((subject) => keys.map((key) => ask(key, subject))),
      AbortSignal.timeout(5_000),
    );
    expect(server.served.slice(before)).toEqual(['/ofrep/v1/evaluate/flags', '/ofrep/v1/evaluate/flags']);
    await evaluator.evaluate([ask('a', 'z')], AbortSignal.timeout(5_000));
    expect(server.served.at(-1)).toBe('/ofrep/v1/evaluate/flags/a');
  });

  it('lets the instance that answers answer, and names the one that is silent', async () => {
    const answers = await evaluator.evaluate([ask('a', 'x'), ask('b', 'y')], AbortSignal.timeout(5_000));
    for (const each of answers)
      expect(each).toMatchObject([
        { kind: 'value', value: true, instance: new URL(server.url).host },
        { kind: 'silent', instance: '127.0.0.1:1' },
      ]);
  });

  it('asks three pods one by one, and tells which of them still gives the old value', async () => {
    const old = { ...view, flags: new Map(keys.map((key) => [key, storedFlag(off(true), { key })])) };
    const pods = await Promise.all([view, old, view].map((seen) => serveOfrep(() => seen, { publicOnly: false })));
    const fleet = await openEvaluator('app', { kind: 'ofrep', url: pods.map((pod) => pod.url) }, openContext());
    try {
      const names = pods.map((pod) => new URL(pod.url).host);
      const values = [true, false, true];
      const told = names.map((instance, i) => ({ kind: 'value', instance, value: values[i] }));
      expect(await fleet.evaluate([ask('a', 'x'), ask('b', 'y'), ask('c', 'y')], AbortSignal.timeout(5_000))).toEqual([told, told, told]);
      expect(pods.map((pod) => pod.served.length)).toEqual([2, 2, 2]);
    } finally {
      await fleet.close();
      await Promise.all(pods.map((pod) => pod.close()));
    }
  });

  it('asks a thousand subjects', async () => {
    const answers = await evaluator.evaluate(
      Array.from({ length: 1_000 }, (_, i) => ask('a', `s-${i}`)),
      AbortSignal.timeout(20_000),
    );
    expect(answers.filter((each) => each[0]?.kind === 'value')).toHaveLength(1_000);
  });

  it.each([
    [{ kind: 'flagd' }, 'evaluators.app.kind is "flagd"; expected one of store, ofrep, http'],
    [{ kind: 'ofrep' }, 'evaluators.app.url'],
    [{ kind: 'ofrep', url: 'ftp://x' }, 'evaluators.app.url'],
    [{ kind: 'ofrep', url: 'http://x', extra: 1 }, 'Unrecognized key: "extra"'],
  ])('refuses the config %j', async (config, message) => {
    await expect(Promise.resolve().then(() => openEvaluator('app', config, openContext()))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(message) as string,
    });
  });
});
