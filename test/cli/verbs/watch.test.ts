import { describe, expect, test } from 'vitest';
import type { LaunchView } from '../../../src/core/view.ts';
import { decider } from '../../../src/cli/verbs/watch.ts';

/** Only what a decision looks at. */
const view = (state: LaunchView['state'], stage?: string): LaunchView => ({ state, ...(stage === undefined ? {} : { stage }) }) as LaunchView;

describe('what a watch ends with', () => {
  test.each<[string, 'bake-end' | 'signed' | 'done', (readonly [LaunchView['state'], string?])[], number | undefined]>([
    ['done: launched', 'done', [['baking', 'a'], ['launched']], 0],
    ['done: rolled back', 'done', [['baking', 'a'], ['rolling-back', 'a'], ['rolled-back']], 5],
    ['done: not proven', 'done', [['rolling-back', 'a'], ['stuck']], 6],
    ['done: aborted', 'done', [['waiting', 'a'], ['aborted']], 3],
    ['done: goes on at a no-go, which will be asked again', 'done', [['no-go', 'a']], undefined],
    [
      'bake-end: the next stage waits',
      'bake-end',
      [
        ['baking', 'a'],
        ['waiting', 'b'],
      ],
      0,
    ],
    [
      'bake-end: the next stage shifts at once',
      'bake-end',
      [
        ['baking', 'a'],
        ['shifting', 'b'],
      ],
      0,
    ],
    ['bake-end: the watch begins', 'bake-end', [['baking', 'a'], ['watching']], 0],
    [
      'bake-end: a hold while baking is not its end',
      'bake-end',
      [
        ['baking', 'a'],
        ['held', 'a'],
        ['baking', 'a'],
      ],
      undefined,
    ],
    [
      'bake-end: rolled back while baking',
      'bake-end',
      [
        ['baking', 'a'],
        ['rolling-back', 'a'],
        ['rolled-back', 'a'],
      ],
      5,
    ],
    ['bake-end: nothing bakes, people are waited for', 'bake-end', [['waiting', 'a']], 7],
    ['bake-end: no-go', 'bake-end', [['no-go', 'a']], 3],
    [
      'signed: cleared',
      'signed',
      [
        ['waiting', 'a'],
        ['shifting', 'a'],
      ],
      0,
    ],
    ['signed: nothing was open yet', 'signed', [['baking', 'a']], undefined],
    [
      'signed: frozen after the signatures is not cleared yet',
      'signed',
      [
        ['waiting', 'a'],
        ['frozen', 'a'],
      ],
      undefined,
    ],
    [
      'signed: no-go',
      'signed',
      [
        ['waiting', 'a'],
        ['no-go', 'a'],
      ],
      3,
    ],
  ])('%s', (_rule, until, states, code) => {
    const decide = decider(until);
    const codes = states.map(([state, stage]) => decide(view(state, stage)));
    expect(codes.at(-1)).toBe(code);
    expect(codes.slice(0, -1).every((one) => one === undefined)).toBe(true);
  });
});
