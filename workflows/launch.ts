import { CancellationScope } from '@temporalio/workflow';
import { WATCH } from '../src/core/state.ts';
import { openDesk, Stopped } from './desk.ts';
import type { Ending, LaunchInput } from './messages.ts';
import { journey, watching } from './proxies.ts';

const HEARTBEAT = 10_000;

/**
 * A launch, as its runbook reads: for each stage clearance, remember, shift, witness, bake; then the watch. The database
 * decides every step and the end; this carries it through crashes, deploys and days.
 */
export async function launch(input: LaunchInput): Promise<Ending> {
  const { launch: id, order } = input;
  const desk = openDesk();
  const steps = journey();
  await steps.open(input);
  // The watcher ends with the launch: whoever was not told that it is stopped, hears it here.
  void CancellationScope.nonCancellable(() => watching(input.heartbeat ?? HEARTBEAT).watch(id)).then(
    (end) => {
      if (end === 'over') desk.stop();
    },
    () => undefined,
  );
  try {
    await desk.run(async () => {
      for (const { id: stage } of order.plan.stages) {
        await desk.step(steps.openStage(id, stage));
        await desk.cleared(stage);
        do await desk.step(steps.remember(id, stage));
        while ((await desk.step(steps.shift(id, stage))) === 'drifted');
        await desk.step(steps.witness(id, stage));
        await desk.passed(stage);
      }
      await desk.step(steps.startWatching(id));
      await desk.passed(WATCH);
      await desk.step(steps.finish(id));
    });
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  }
  return { outcome: await CancellationScope.nonCancellable(() => steps.outcome(id)) };
}
