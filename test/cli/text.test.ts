import { describe, expect, test } from 'vitest';
import { ago, clean, glyph, markdownTable, table, toAscii, width } from '../../src/cli/text.ts';

describe('text on a terminal', () => {
  test.each([
    ['an escape sequence', '\u001b[31mred', '\\u001b[31mred'],
    ['a line feed', 'a\nb', 'a\\u000ab'],
    ['a C1 control', 'a\u009b2J', 'a\\u009b2J'],
    ['a text that runs backwards', '\u202egnp.exe', '\\u202egnp.exe'],
    ['words in Russian', 'Чат и уведомления', 'Чат и уведомления'],
  ])('%s cannot act', (_what, given, shown) => {
    expect(clean(given)).toBe(shown);
  });

  test.each([
    ['abc', 3],
    ['Смирнова', 8],
    ['e\u0301', 1],
    ['日本', 4],
    ['✓', 1],
    ['↺✓', 2],
  ])('%s takes %i columns', (text, columns) => {
    expect(width(text)).toBe(columns);
  });

  test('columns stay aligned with Cyrillic and combining marks', () => {
    const lines = table(
      ['WHO', 'ROLE'],
      [
        ['Ольга', 'legal'],
        ['Zoe\u0308', 'qa'],
      ],
    ).split('\n');
    expect(lines.map((line) => width(line.slice(0, line.search(/ROLE|legal|qa/))))).toEqual([7, 7, 7]);
  });

  test('a bar does not break a Markdown table', () => {
    expect(markdownTable(['a'], [['x|y']]).split('\n')[2]).toBe('| x\\|y |');
  });

  test('every mark of ours has a plain form, and words are left alone', () => {
    expect(toAscii('✓ ● ≤ 1 s → “да”')).toBe('v * <= 1 s -> "да"');
    expect([glyph('rolled-back', false), glyph('rolled-back', true), glyph('unheard', true)]).toEqual(['↺✓', '<v', '|']);
  });

  test.each([
    ['2026-01-01T00:00:00Z', '6 s'],
    ['2025-12-31T22:55:06Z', '1h5m'],
    [undefined, '-'],
  ])('%s is %s ago', (at, said) => {
    expect(ago(at, Date.parse('2026-01-01T00:00:06Z'))).toBe(said);
  });
});
