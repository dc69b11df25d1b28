import { startPostgres } from '/work/main/src/embedded/postgres.ts';
import { openFlagStore } from '/work/main/src/flags/store.ts';
import { openFlagCache } from '/work/main/src/flags/cache.ts';
import { everyone, off } from '/work/main/src/core/exposure.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
const dir = mkdtempSync('/tmp/benchpg-');
const { chmodSync } = await import('node:fs'); chmodSync(dir, 0o755);
const fsync = process.argv[2] !== 'nofsync';
const postgres = await startPostgres({ dataDir: path.join(dir, 'pg'), fsync, log: () => undefined });
try {
  const store = await openFlagStore(postgres.url);
  const cache = await openFlagCache(postgres.url, store);
  const q = (xs: number[], p: number) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length * p)]!.toFixed(2);
  async function run(N: number, parallel: boolean, label: string) {
    const units = Array.from({ length: N }, (_, i) => [0, 1, 2].map((j) => `b${label}.u${i}_${j}`));
    await store.create(units.flat().map((key) => ({ key, type: 'boolean' as const })), { by: 'b' });
    const revs: string[][] = [];
    for (const [i, keys] of units.entries()) revs.push((await store.writeMany(keys.map((key) => ({ key, to: everyone(true), expected: '1', change: `${label}${i}`, by: 'b', comment: '' })))).map((f) => f.revision));
    const entries = (i: number) => units[i]!.map((key, j) => ({ key, snapshot: { revision: '1', exposure: off(true) }, phase: 'applied' as const, written: [everyone(true)], revision: revs[i]![j]!, change: `r${i}`, by: 'g', comment: '' }));
    const times: number[] = []; const seen: number[] = [];
    if (parallel) {
      const t0 = performance.now();
      await Promise.all(units.map(async (_, i) => { await store.restoreMany(entries(i)); times.push(performance.now() - t0); }));
      console.log(label, 'last off', Math.max(...times).toFixed(1));
      return;
    }
    for (let i = 0; i < N; i++) {
      const t0 = performance.now();
      const shown = new Promise<void>((resolve) => { const stop = cache.onChange(() => { if (units[i]!.every((k) => cache.view().flags.get(k)?.exposure.share === 0)) { seen.push(performance.now() - t0); stop(); resolve(); } }); });
      const out = await store.restoreMany(entries(i));
      times.push(performance.now() - t0);
      if (!out.every((o) => o.kind === 'restored' && o.wrote)) throw new Error(JSON.stringify(out));
      await shown;
    }
    console.log(label, 'restored p50', q(times, 0.5), 'p99', q(times, 0.99), 'max', Math.max(...times).toFixed(2), '| in the cache p50', q(seen, 0.5), 'p99', q(seen, 0.99), 'first', times[0]!.toFixed(2));
  }
  await run(500, false, 'a');
  await run(500, false, 'b');
  await run(200, true, 'c');
  await run(200, true, 'd');
  await cache.close(); await store.close();
} finally { await postgres.stop(); rmSync(dir, { recursive: true, force: true }); }
