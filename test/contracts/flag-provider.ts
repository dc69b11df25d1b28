import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerRules } from './flag-provider/answers.ts';
import { openBench } from './flag-provider/bench.ts';
import { goneRules } from './flag-provider/gone.ts';
import { restoringRules } from './flag-provider/restoring.ts';
import { secrecyRules } from './flag-provider/secrecy.ts';
import { columnOf, columnOfRun, TABLE_COMMAND, TABLE_FILE, type ContractRun } from './flag-provider/table.ts';
import { isCannot, type ProviderUnderTest } from './flag-provider/under-test.ts';
import { userRules } from './flag-provider/users.ts';
import { writingRules } from './flag-provider/writing.ts';

const ROOT = path.resolve(import.meta.dirname, '..', '..');

/** The suite that every flag provider passes, against the real vendor's server wherever one can be started. */
export function flagProviderContract(name: string, setup: () => Promise<ProviderUnderTest>): void {
  describe(`${name} keeps the contract of a flag provider`, () => {
    let opened: ProviderUnderTest | undefined;
    const bench = openBench(() => {
      if (opened === undefined) throw new Error(`${name} was not opened; see above`);
      return opened;
    });
    beforeAll(async () => {
      opened = await setup();
    });
    afterAll(async () => {
      await opened?.close();
    });

    for (const room of [writingRules, restoringRules, goneRules, answerRules, userRules, secrecyRules]) room(bench);

    it(`is on the page ${TABLE_FILE} as it was seen here`, (context) => {
      const { dressed } = bench.under();
      const { measured } = bench;
      const ignored = isCannot(dressed) ? [] : dressed.ignored;
      const run: ContractRun = { provider: name, cells: bench.cells, ignored, ...(measured === undefined ? {} : { measured }) };
      const lines = run.cells.map(({ rule, outcome, reason }) => `  ${outcome}${reason === undefined ? '' : `: ${reason}`}  <- ${rule}`);
      const took =
        measured && `\n  write -> evaluator: p50 ${Math.round(measured.p50)} ms, p99 ${Math.round(measured.p99)} ms, declared ${measured.declared} ms`;
      console.log(`${name}\n${lines.join('\n')}${took ?? ''}`);
      // One rule tried alone says nothing of the page.
      if (run.cells.length < bench.rules.length) return context.skip('not all rules were run');
      const folder = path.join(ROOT, '.gonogo', 'contract');
      mkdirSync(folder, { recursive: true });
      writeFileSync(path.join(folder, `${name}.json`), JSON.stringify(run, undefined, 2));
      const page = columnOf(readFileSync(path.join(ROOT, TABLE_FILE), 'utf8'), name);
      if (page === undefined) throw new Error(`${TABLE_FILE} has no column of ${name}; make it again: ${TABLE_COMMAND}`);
      expect(Object.fromEntries(page), `${TABLE_FILE} is old; make it again: ${TABLE_COMMAND}`).toEqual(Object.fromEntries(columnOfRun(run)));
    });
  });
}
