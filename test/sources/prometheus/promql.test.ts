import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { questionOf } from '../../../src/sources/prometheus/freshness.ts';
import { alertsQuery, durationMillis, parsePromQl, quote } from '../../../src/sources/prometheus/promql.ts';

describe('the selectors of a query', () => {
  const needed = (text: string) => ({ text, optional: false });
  const optional = (text: string) => ({ text, optional: true });
  it.each([
    ['histogram_quantile(0.95, sum by (le) (rate(h_bucket{job="a"}[5m] offset 1m)))', [needed('h_bucket{job="a"}')]],
    ['a / on (x) b @ end()', [needed('a'), needed('b')]],
    ['a + a', [needed('a')]],
    ['sum(a) or vector(0)', [optional('a')]],
    ['(sum(a) or vector(0)) / sum(b)', [optional('a'), needed('b')]],
    ['(a or vector(0)) / (a + b)', [needed('a'), needed('b')]],
    ['absent(a) * b', [optional('a'), needed('b')]],
    ['a unless b', [needed('a'), optional('b')]],
    ['a and b', [needed('a'), needed('b')]],
    ['max_over_time(rate(a[5m])[1h:1m])', [needed('a')]],
    ['{"my.metric", job="a"}', [needed('{"my.metric", job="a"}')]],
    ['vector(1)', []],
  ])('%s', (text, selectors) => {
    expect(parsePromQl(text).selectors).toEqual(selectors);
  });

  it('are needed where the query or the one beside it needs them', () => {
    const { freshness } = questionOf({ text: 'a or vector(0)', staleAfter: 1, with: { beside: 'sum(a) + b' } });
    expect(freshness.kind === 'ages' ? freshness.selectors : []).toEqual([needed('a'), needed('b')]);
    const turned = questionOf({ text: 'sum(a)', staleAfter: 1, with: { beside: 'a or vector(0)' } }).freshness;
    expect(turned.kind === 'ages' ? turned.selectors : []).toEqual([needed('a')]);
  });

  it('are found without throwing in any text', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', '{', '}', '"', '=', '~', '(', ')', '[', ']', '5', 'm', ':', ' ', ',', '+', '\\', '\n', '`', '#', '@'),
          maxLength: 60,
        }),
        (text) => {
          expect(parsePromQl(text).longestSubquery).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });
});

it.each([
  ['5m', 300_000],
  ['1d12h', 129_600_000],
  ['1h30m15s250ms', 5_415_250],
  ['90', 90_000],
  ['step()', undefined],
])('the duration %s', (text, ms) => {
  expect(durationMillis(text)).toBe(ms);
});

it('a value stays one value, whatever it holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom('"', '\\', '\n', '}', ')', ' or ', '#', 'a') }), (one, two) => {
      for (const text of [one, two]) {
        const quoted = quote(text);
        expect(quoted.slice(1, -1)).not.toMatch(/\n|(^|[^\\])(\\\\)*"/);
        expect(parsePromQl(alertsQuery({ alertname: text })).selectors).toEqual([{ text: `ALERTS{alertstate="firing",alertname=${quoted}}`, optional: true }]);
      }
    }),
  );
});

it('matches every series: a selector without a name and without a value', () => {
  expect(parsePromQl('{__name__=~".+"}').boundless).toHaveLength(1);
  expect(parsePromQl('{job=""}').boundless).toHaveLength(1);
  expect(parsePromQl('{job!="a"}').boundless).toHaveLength(1);
  expect(parsePromQl('{job="a"} + b + {"c"} + {"d", e=~".*"}').boundless).toEqual([]);
});
