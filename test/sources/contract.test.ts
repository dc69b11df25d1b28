import { describe } from 'vitest';
import { openSource, sourceConfig, type SourceConfig } from '../../src/sources/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { metricSourceContract } from '../contracts/metric-source.ts';
import { freshDatabase } from '../support/database.ts';
import { hostileHttp, says } from '../support/hostile-http.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { startPrometheus } from '../support/servers/prometheus.ts';
import { hasTool } from '../support/servers/require-tool.ts';

const open = (config: unknown): MetricSource => openSource('test', sourceConfig.parse(config) satisfies SourceConfig);
const staleAfter = 30_000;

describe.skipIf(!hasTool('prometheus'))('prometheus', () => {
  metricSourceContract('prometheus', async () => {
    const server = await startPrometheus({ global: {} });
    await remoteWrite(server.url, [
      { labels: { __name__: 'm' }, samples: Array.from({ length: 5 }, (_, i) => ({ at: Date.now() - 60_000 + i * 15_000, value: 4 })) },
    ]);
    let stopped = false;
    const stop = async (): Promise<void> => {
      if (!stopped) await server.stop();
      stopped = true;
    };
    return {
      source: open({ kind: 'prometheus', url: server.url }),
      good: { text: 'sum(m)', staleAfter },
      value: 4,
      nothing: { text: 'sum(n)', staleAfter },
      broken: { text: 'sum(', staleAfter },
      takeAway: stop,
      whenAway: 'error',
      close: stop,
    };
  });
});

metricSourceContract('web', async () => {
  const server = await hostileHttp();
  server.behave(says(200, '{"chat":{"p95":0.25,"uses":null}}'));
  return {
    source: open({ kind: 'web', url: `${server.url}/numbers.json`, timeout: '2s' }),
    good: { text: 'chat.p95', staleAfter },
    value: 0.25,
    nothing: { text: 'chat.uses', staleAfter },
    broken: { text: 'chat.', staleAfter },
    takeAway: () => server.close(),
    whenAway: 'error',
    close: () => server.close(),
  };
});

metricSourceContract('sql', async () => {
  const database = await freshDatabase();
  let dropped = false;
  const drop = async (): Promise<void> => {
    if (!dropped) await database.drop();
    dropped = true;
  };
  return {
    source: open({ kind: 'sql', url: database.url, timeout: '2s' }),
    good: { text: 'select 7 as n where $1::timestamptz is not null', staleAfter },
    value: 7,
    nothing: { text: 'select avg(n) from (select 1 as n where false) as none', staleAfter },
    broken: { text: 'select from nowhere', staleAfter },
    takeAway: drop,
    whenAway: 'error',
    close: drop,
  };
});

metricSourceContract('probe', async () => {
  const server = await hostileHttp();
  server.behave(says(200, 'ok', 'text/plain'));
  return {
    source: open({ kind: 'probe', url: server.url, timeout: '2s' }),
    good: { text: '/healthz', staleAfter },
    value: 1,
    broken: { text: 'http://169.254.169.254/', staleAfter },
    takeAway: () => server.close(),
    whenAway: 'value 0',
    close: () => server.close(),
  };
});
