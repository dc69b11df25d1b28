import { expect } from 'vitest';
import { everyone } from '../../../src/core/exposure.ts';
import { Terminal } from '../../../src/core/failure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import { signal, type Bench } from './bench.ts';

/** Flags that are not there, or not any more. */
export function goneRules(bench: Bench): void {
  const { rule, under, read, change, entryOf, way, failureOf, shifted } = bench;

  rule('answers Terminal for a missing flag, reports it in its check, and never makes it', async () => {
    const real = await under().newFlag();
    const flag: FlagRef = { ...real, flag: 'missing.flag', key: 'missing_flag_of_nobody' };
    const before = await read(real);
    const count = await under().countFlags();
    for (const call of [() => read(flag), () => bench.write1(change(flag, everyone(true), before)), () => read(flag)]) {
      expect(await failureOf(call())).toMatchObject({ name: 'Terminal', code: 'flag-missing' });
    }
    expect(await bench.stopped(bench.restore1(entryOf({ flag, before, after: before, to: everyone(true) })))).toBeInstanceOf(Terminal);
    expect(await under().provider.check([real], signal())).toEqual([]);
    const problems = await under().provider.check([real, flag], signal());
    expect(problems).toHaveLength(1);
    expect(problems[0]?.where).toContain('missing.flag');
    expect(await under().countFlags()).toBe(count);
  });

  for (const how of ['archive', 'rename', 'remove'] as const) {
    const done = { archive: 'archived', rename: 'renamed', remove: 'removed' }[how];
    rule(`answers Terminal for a flag that was ${done} under the launch, reports it in its check, and makes none`, async () => {
      const away = way(under().gone[how]);
      const moved = await shifted(everyone(true));
      const { flag, after } = moved;
      await away(flag);
      const count = await under().countFlags();
      expect(await failureOf(read(flag))).toBeInstanceOf(Terminal);
      expect(await failureOf(bench.write1(change(flag, everyone(true), after)))).toBeInstanceOf(Terminal);
      expect(await bench.stopped(bench.restore1(entryOf(moved)))).toBeInstanceOf(Terminal);
      const problems = await under().provider.check([flag], signal());
      expect(problems).toHaveLength(1);
      expect(problems[0]?.where).toContain(flag.flag);
      expect(await under().countFlags()).toBe(count);
    });
  }
}
