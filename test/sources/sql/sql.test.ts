import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Measurement } from '../../../src/core/measurement.ts';
import type { MetricSource, Query } from '../../../src/sources/source.ts';
import { openSql } from '../../../src/sources/sql/index.ts';
import { freshDatabase, type FreshDatabase } from '../../support/database.ts';
import { hostileHttp } from '../../support/hostile-http.ts';

const never = new AbortController().signal;
const outcome = (m: Measurement): string => (m.kind === 'value' ? `value ${m.value}` : `${m.kind} ${m.reason}`);
const ask = (text: string, more: Partial<Query> = {}): Query => ({ text, staleAfter: 1, ...more });

describe('the sql source', () => {
  let database: FreshDatabase;
  let source: MetricSource;
  let admin: pg.Client;
  beforeAll(async () => {
    database = await freshDatabase();
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    await admin.query('create table used (at timestamptz not null, n int)');
    await admin.query(`insert into used select timestamptz '2026-01-01T00:00:00Z' + i * interval '1 minute', i from generate_series(0, 9) as i`);
    source = openSql('test', { kind: 'sql', url: database.url, timeout: 400 });
  });
  afterAll(async () => {
    await source.close();
    await admin.end();
    await database.drop();
  });

  const table: readonly (readonly [string, Query, string])[] = [
    ['an int', ask('select count(*)::int from used'), 'value 10'],
    ['a bigint', ask('select count(*) from used'), 'value 10'],
    ['a numeric', ask('select avg(n) from used'), 'value 4.5'],
    ['a double', ask('select 0.1::float8'), 'value 0.1'],
    ['a text that ends in a semicolon and a comment', ask('select 1; '), 'value 1'],
    ['a comment at the end', ask('select 1 -- one'), 'value 1'],
    ['null: no uses is not 0 %', ask('select sum(n) filter (where n > 100) / nullif(count(*) filter (where n > 100), 0) from used'), 'no-data empty'],
    ['no row', ask('select n from used where n > 100'), 'no-data empty'],
    ['NaN', ask(`select 'NaN'::float8`), 'no-data nan'],
    ['NaN of numeric', ask(`select 'NaN'::numeric`), 'no-data nan'],
    ['Infinity', ask(`select '-Infinity'::float8`), 'no-data infinite'],
    ['several rows', ask('select n from used'), 'error several-series'],
    ['ten million rows, of which it reads two', ask('select generate_series(1, 10000000)'), 'error several-series'],
    ['two columns', ask('select 1, 2'), 'error wrong-type'],
    ['a text', ask(`select '1'`), 'error wrong-type'],
    ['an interval', ask(`select interval '1 day'`), 'error wrong-type'],
    ['a division by zero', ask('select 1 / 0'), 'error malformed'],
    ['a table that is not there', ask('select n from nowhere'), 'error status'],
    ['a statement that takes too long', ask('select 1 from pg_sleep(5)'), 'error timeout'],
    ['alive: true', ask('select 1', { alive: 'select true' }), 'value 1'],
    ['alive: 1', ask('select 1', { alive: 'select 1' }), 'value 1'],
    ['alive: false', ask('select 1', { alive: 'select false' }), 'no-data stale'],
    ['alive without a row', ask('select 1', { alive: 'select 1 where false' }), 'no-data stale'],
    ['alive that fails', ask('select 1', { alive: 'select nonsense' }), 'error status'],
  ];
  it.each(table)('answers %s by its name', async (_, query, expected) => {
    expect(outcome(await source.measure(query, never))).toBe(expected);
  });

  const attacks = [
    'delete from used',
    'with gone as (delete from used returning n) select count(*) from gone',
    'select 1) as q; delete from used; select (1',
    'select 1; commit; delete from used',
    'commit',
    `select set_config('transaction_read_only', 'off', false)::text from (select 1) as x; delete from used`,
    `select count(set_config('transaction_read_only', 'off', true)) from used`,
    `select nextval('counted')`,
  ];
  it.each(attacks)('lets nothing be written: %s', async (text) => {
    await admin.query('create sequence if not exists counted');
    expect((await source.measure(ask(text), never)).kind).toBe('error');
    expect((await admin.query<{ n: string }>('select count(*) as n from used')).rows[0]?.n).toBe('10');
    // The connection is as it was.
    expect(outcome(await source.measure(ask('select count(*) from used'), never))).toBe('value 10');
  });

  it('looks back with a query that takes the moment, and says that it cannot with one that does not', async () => {
    const from = Date.parse('2026-01-01T00:00:30Z');
    const text = 'select count(*) from used where at <= $1::timestamptz';
    const { points, remembers } = await source.series(ask(text), from, from + 3 * 60_000, 60_000, never);
    expect(remembers).toBe(true);
    expect(points.map(outcome)).toEqual(['value 1', 'value 2', 'value 3', 'value 4']);
    expect(points.map(({ at }) => at - from)).toEqual([0, 60_000, 120_000, 180_000]);
    expect(await source.series(ask('select 1'), from, from + 60_000, 1000, never)).toEqual({ points: [], remembers: false });
  });

  it('judges the present moment by the clock of the database', async () => {
    const m = await source.measure(ask('select abs(extract(epoch from $1::timestamptz - clock_timestamp()))'), never);
    expect(m.kind === 'value' && m.value < 1).toBe(true);
  });

  it('answers timeout when the server takes the connection and says nothing, and its password nowhere', async () => {
    const silent = await hostileHttp();
    const hung = openSql('test', { kind: 'sql', url: silent.url.replace('http://', 'postgres://me:s3cret-word@') + '/db', timeout: 200 });
    const m = await hung.measure(ask('select 1'), never);
    expect(outcome(m)).toBe('error timeout');
    expect(JSON.stringify(m)).not.toContain('s3cret-word');
    await hung.close();
    await silent.close();
  });

  it('answers an error when it is stopped in the middle, and works on', async () => {
    const stop = new AbortController();
    const measuring = source.measure(ask('select 1 from pg_sleep(5)'), stop.signal);
    setTimeout(() => stop.abort(), 50);
    expect(outcome(await measuring)).toBe('error other');
    expect(outcome(await source.measure(ask('select 1'), never))).toBe('value 1');
  });
});
