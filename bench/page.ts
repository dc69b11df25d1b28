import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** A page of one number per slot, for the `web` source: 0 is well, 9 is a breach. It decides who sees a breach, and when. */
export interface Page {
  readonly url: string;
  /** How often a slot has been asked. */
  asked(slot: string): number;
  /** The slot's number is well again. */
  heal(slot: string): void;
  /**
   * Breaks one slot after another: whichever of them asks next is served the first bad sample, and nobody else before
   * `done` has settled for it. Resolves when all were served. `done` is given the time (performance.now) right before the sample left.
   */
  breakInTurn(slots: readonly string[], done: (slot: string, servedAt: number) => Promise<void>): Promise<void>;
  /**
   * Keeps these slots waiting until all of them do, then serves all of them bad at once. Whoever gives up meanwhile asks
   * again and waits again. Resolves with the time right before the first sample left; rejects when they are not all there within `patience` ms.
   */
  breakAtOnce(slots: readonly string[], patience: number): Promise<number>;
  close(): Promise<void>;
}

/** Starts the page on a free port. */
export async function openPage(): Promise<Page> {
  const bad = new Set<string>();
  const counts = new Map<string, number>();
  let turn: { readonly left: Set<string>; busy: boolean; readonly serve: (slot: string, servedAt: number) => void } | undefined;
  let dam: { readonly slots: ReadonlySet<string>; readonly waiting: Map<string, () => void>; readonly full: () => void } | undefined;

  const server = http.createServer((request, response) => {
    const slot = (request.url ?? '').slice(1);
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
    const answer = (): void => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ errors: bad.has(slot) ? 9 : 0 }));
    };
    if (dam?.slots.has(slot) === true) {
      const { waiting, slots, full } = dam;
      waiting.set(slot, answer);
      response.once('close', () => {
        if (waiting.get(slot) === answer) waiting.delete(slot);
      });
      if (waiting.size === slots.size) full();
      return;
    }
    if (turn !== undefined && !turn.busy && turn.left.delete(slot)) {
      turn.busy = true;
      bad.add(slot);
      // Taken before it leaves: the time to write it is on our side of the clock.
      const servedAt = performance.now();
      answer();
      turn.serve(slot, servedAt);
      return;
    }
    answer();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    asked: (slot) => counts.get(slot) ?? 0,
    heal: (slot) => void bad.delete(slot),
    breakInTurn: (slots, done) =>
      new Promise((resolve, reject) => {
        const left = new Set(slots);
        const serve = (slot: string, servedAt: number): void => {
          done(slot, servedAt).then(() => {
            if (turn !== undefined) turn.busy = false;
            if (left.size > 0) return;
            turn = undefined;
            resolve();
          }, reject);
        };
        turn = { left, busy: false, serve };
      }),
    breakAtOnce: (slots, patience) =>
      new Promise((resolve, reject) => {
        const waiting = new Map<string, () => void>();
        const timer = setTimeout(() => {
          dam = undefined;
          reject(new Error(`${waiting.size} of ${slots.length} gates ask at the same time; expected all within ${patience / 1_000} s`));
        }, patience);
        const full = (): void => {
          clearTimeout(timer);
          dam = undefined;
          for (const slot of slots) bad.add(slot);
          const servedAt = performance.now();
          for (const answer of [...waiting.values()]) answer();
          resolve(servedAt);
        };
        dam = { slots: new Set(slots), waiting, full };
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
