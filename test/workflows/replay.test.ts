import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { Worker } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { workflowBundle } from '../../src/worker.ts';
import { openControl } from '../rollback/control.ts';
import { dressed } from '../rollback/unfenced.ts';
import { openWorld, type World } from '../support/world.ts';
import { HISTORIES, saveHistories, savePatrol } from './save-histories.ts';

// SAVE_HISTORIES=1 makes them anew: only where running launches may break, or a state is missing.
if (process.env['SAVE_HISTORIES'] !== undefined) {
  it('saves the histories anew', async () => {
    const control = openControl();
    const world = await openWorld({ dress: control.dress });
    await saveHistories(world, control).finally(() => world.close());
    const others = openControl();
    const unfenced: World = await openWorld({ dress: dressed(() => unfenced, others) });
    await savePatrol(unfenced, others).finally(() => unfenced.close());
  }, 300_000);
}

const names = () =>
  readdirSync(HISTORIES)
    .filter((name) => name.endsWith('.json'))
    .sort();
const read = (name: string) => readFileSync(path.join(HISTORIES, name), 'utf8');

async function replay(histories: readonly { readonly name: string; readonly text: string }[]): Promise<ReadonlyMap<string, unknown>> {
  const given = histories.map(({ name, text }) => ({ workflowId: name, history: JSON.parse(text) as object }));
  const errors = new Map<string, unknown>();
  for await (const result of Worker.runReplayHistories({ workflowBundle: await workflowBundle() }, given)) errors.set(result.workflowId, result.error);
  return errors;
}

describe('launches that older code began', () => {
  it('are gone on with by the code of today: every saved history replays', async () => {
    const errors = await replay(names().map((name) => ({ name, text: read(name) })));
    expect([...errors].filter(([, error]) => error !== undefined)).toEqual([]);
    expect([...errors.keys()].sort()).toEqual(names());
    for (const ending of ['launched', 'aborted', 'waiting', 'no-go', 'shifting', 'baking', 'held', 'watching', 'stage-scope'])
      expect(names()).toContain(`launch-${ending}.json`);
    expect(names()).toContain('rollback-patrol.json');
  }, 60_000);

  it('would be noticed if they could not: a history with two steps exchanged does not replay', async () => {
    const text = read('launch-launched.json').replaceAll('"name":"remember"', '"name":"exchanged"');
    expect((await replay([{ name: 'exchanged', text }])).get('exchanged')).toMatchObject({ name: 'DeterminismViolationError' });
  }, 60_000);

  it.each(names())('%s is small, and holds nothing of the machine it was made on', (name) => {
    expect(statSync(path.join(HISTORIES, name)).size).toBeLessThan(200_000);
    expect(read(name)).not.toMatch(/stackTrace|"identity"|\/home\/|\/root\/|file:\/\//);
  });
});
