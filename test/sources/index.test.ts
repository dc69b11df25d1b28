import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshGate, judge } from '../../src/core/gate.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import { compose, measurementsOf } from '../../src/core/query.ts';
import type { RatioGate } from '../../src/core/plan.ts';
import { openSource, sourceConfig } from '../../src/sources/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { ratio } from '../core/gates.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { startPrometheus } from '../support/servers/prometheus.ts';
import { hasTool } from '../support/servers/require-tool.ts';

describe('the config of a source', () => {
  const said = (config: unknown): string =>
    sourceConfig
      .safeParse(config)
      .error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
      .join('; ') ?? 'good';
  it.each([
    [{ kind: 'prometheus', url: 'http://prometheus:9090' }, 'good'],
    [{ kind: 'prometheus', url: 'https://m.example/prom', token: 't', headers: { 'X-Scope-OrgID': '1' }, timeout: '750ms' }, 'good'],
    [{ kind: 'sql', url: 'postgres://me:word@db/app' }, 'good'],
    [{ kind: 'web', url: 'file:///etc/passwd' }, 'url: expected an http or https URL'],
    [{ kind: 'web', url: 'https://me:word@app.example/' }, 'url: expected no user or password in the URL: use token or headers'],
    [{ kind: 'probe', url: 'https://app.example', timeout: '1m' }, 'timeout: expected a time such as 750ms or 5s'],
    [{ kind: 'probe', url: 'https://app.example', timeout: '30s' }, 'timeout: expected at most 10s: a gate that hangs is blind'],
    [{ kind: 'sql', url: 'mysql://db/app' }, 'url: expected a URL that starts with postgres://'],
  ])('%j: %s', (config, expected) => {
    expect(said(config)).toContain(expected);
  });
  it('refuses fields and kinds that it does not know', () => {
    expect(said({ kind: 'web', url: 'https://app.example', uri: 'x' })).toContain('uri');
    expect(said({ kind: 'graphite', url: 'https://app.example' })).not.toBe('good');
  });
});

describe.skipIf(!hasTool('prometheus'))('a ratio gate over a real Prometheus', () => {
  let server: Awaited<ReturnType<typeof startPrometheus>>;
  let source: MetricSource;
  const never = new AbortController().signal;
  beforeAll(async () => {
    server = await startPrometheus({ global: {} });
    source = openSource('prometheus', sourceConfig.parse({ kind: 'prometheus', url: server.url }));
    const now = Date.now();
    const counter = (name: string, app: string, per15: number, until = 0) => ({
      labels: { __name__: name, app },
      samples: Array.from({ length: 41 }, (_, i) => ({ at: now - 600_000 + i * 15_000, value: i * per15 })).filter(({ at }) => at <= now - until),
    });
    await remoteWrite(server.url, [
      counter('reqs', 'well', 300),
      counter('reqs', 'ill', 300),
      counter('errs', 'ill', 30),
      counter('reqs', 'idle', 0),
      counter('errs', 'idle', 0),
      counter('reqs', 'small', 1),
      counter('errs', 'small', 1),
      counter('reqs', 'dead', 300, 120_000),
    ]);
  });
  afterAll(async () => {
    await source.close();
    await server.stop();
  });
  const gateOf = (app: string): RatioGate =>
    ratio({ bad: `sum(increase(errs{app="${app}"}[5m])) or vector(0)`, total: `sum(increase(reqs{app="${app}"}[5m]))` });
  async function verdict(app: string): Promise<string> {
    const gate = gateOf(app);
    const answers = await Promise.all(
      measurementsOf(gate).map(async ({ name, ...query }): Promise<readonly [string, Measurement]> => [
        name,
        await source.measure({ ...query, staleAfter: 30_000 }, never),
      ]),
    );
    return judge(gate, freshGate(0), compose(gate, Object.fromEntries(answers))).verdict.why.replace(/, at .*/, '');
  }
  it.each([
    ['well', 'drop-rate 0 % < 1 %'],
    ['ill', 'drop-rate 10 % >= 1 %'],
    ['idle', 'drop-rate: no data (no-traffic): total is 0'],
    ['small', 'drop-rate drawn from 20 of at least 200 samples'],
    ['dead', 'drop-rate: no data (stale): total:'],
    ['nobody', 'drop-rate: no data (empty): total: the answer has no series'],
  ])('of the app that is %s says: %s', async (app, why) => {
    expect(await verdict(app)).toContain(why);
  });
});
