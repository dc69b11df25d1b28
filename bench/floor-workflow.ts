import { condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';

const { patch } = proxyActivities<{ patch(url: string, n: number): Promise<void> }>({ startToCloseTimeout: '10s' });

/** The bare floor: each signal calls one activity on the workflow's own queue, which sends one PATCH; nothing else. */
export async function floor(url: string): Promise<void> {
  const asked: number[] = [];
  let over = false;
  setHandler(defineSignal<[number]>('go'), (n) => void asked.push(n));
  setHandler(defineSignal('end'), () => {
    over = true;
  });
  for (;;) {
    await condition(() => asked.length > 0 || over);
    const n = asked.shift();
    if (n === undefined) return;
    await patch(url, n);
  }
}
