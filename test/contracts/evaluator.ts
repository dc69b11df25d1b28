import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Exposure, FlagValue } from '../../src/core/exposure.ts';
import { everyone, off } from '../../src/core/exposure.ts';
import type { FlagRef } from '../../src/core/plan.ts';
import type { Subject } from '../../src/core/subject.ts';
import type { Evaluator, Question } from '../../src/evaluators/evaluator.ts';

/** What the suite needs of an evaluator under test. */
export interface EvaluatorUnderTest {
  readonly evaluator: Evaluator;
  /** Names or hosts of the instances it asks. */
  readonly instances: number;
  /** Makes a flag that the evaluator can see, off. */
  newFlag(type?: FlagRef['type']): Promise<FlagRef>;
  /** Sets the exposure at the source of the flag, and returns when its users can see it. */
  set(flag: FlagRef, to: Exposure): Promise<void>;
  /** The `with` of a question about this flag. */
  settings(flag: FlagRef): Readonly<Record<string, unknown>>;
  /** An evaluator whose server is away, one whose server accepts and never answers, one whose token is wrong... each config holds one of `secrets`. */
  readonly broken: readonly Evaluator[];
  readonly secrets: readonly string[];
  close(): Promise<void>;
}

const signal = (): AbortSignal => AbortSignal.timeout(10_000);
const subject = (key: string, attributes: Readonly<Record<string, string>> = {}): Subject => ({ key, attributes });

/** The suite that every evaluator passes. */
export function evaluatorContract(name: string, setup: () => Promise<EvaluatorUnderTest>): void {
  describe(`${name} keeps the contract of an evaluator`, () => {
    let it_: EvaluatorUnderTest;
    beforeAll(async () => {
      it_ = await setup();
    });
    afterAll(() => it_.close());

    const question = (flag: FlagRef, who: Subject): Question => ({ flag, subject: who, with: it_.settings(flag) });
    async function values(questions: readonly Question[]): Promise<readonly (readonly FlagValue[])[]> {
      const answers = await it_.evaluator.evaluate(questions, signal());
      return answers.map((each) =>
        each.map((answer) => {
          if (answer.kind !== 'value') throw new Error(`${answer.kind}: ${answer.detail}`);
          return answer.value;
        }),
      );
    }
    const each = (value: FlagValue): readonly FlagValue[] => Array.from({ length: it_.instances }, () => value);

    it('answers every question at every instance, in the order asked, each instance under its own name', async () => {
      const [a, b] = [await it_.newFlag(), await it_.newFlag()];
      await it_.set(a, everyone(true));
      const people = Array.from({ length: 40 }, (_, i) => subject(`u-${i}`));
      const found = await values(people.flatMap((who) => [question(a, who), question(b, who)]));
      expect(found).toEqual(people.flatMap(() => [each(true), each(false)]));
      const [answers] = await it_.evaluator.evaluate([question(a, subject('u-1'))], signal());
      expect(new Set(answers?.map((answer) => answer.instance)).size).toBe(it_.instances);
    });

    it('tells a listed subject from others, by its key and by an attribute', async () => {
      const flag = await it_.newFlag();
      await it_.set(flag, {
        value: true,
        share: 0,
        by: 'key',
        listed: [
          { attribute: 'key', values: ['ann'] },
          { attribute: 'team', values: ['dispute_ops'] },
        ],
      });
      expect(await values([question(flag, subject('ann')), question(flag, subject('bob', { team: 'dispute_ops' })), question(flag, subject('bob'))])).toEqual([
        each(true),
        each(true),
        each(false),
      ]);
    });

    it('sees a flag go on, off, and on again', async () => {
      const flag = await it_.newFlag();
      for (const [to, value] of [
        [everyone(true), true],
        [off(true), false],
        [everyone(true), true],
      ] as const) {
        await it_.set(flag, to);
        expect(await values([question(flag, subject('u-1'))])).toEqual([each(value)]);
      }
    });

    it('answers one of the allowed strings', async () => {
      const flag = await it_.newFlag({ oneOf: ['full', 'sse-only'] });
      await it_.set(flag, everyone('sse-only'));
      expect(await values([question(flag, subject('u-1'))])).toEqual([each('sse-only')]);
    });

    it('is silent about a flag that is not there, and its check says so', async () => {
      const flag = { ...(await it_.newFlag()), flag: 'missing.flag', key: 'missing_flag_of_nobody' };
      const [answers] = await it_.evaluator.evaluate([question(flag, subject('u-1'))], signal());
      expect(answers?.map((answer) => answer.kind)).toEqual(Array.from({ length: it_.instances }, () => 'silent'));
    });

    it('is silent, soon, and never throws when an instance cannot be asked, and holds no secret', async () => {
      const flag = await it_.newFlag();
      expect(it_.broken.length).toBeGreaterThan(0);
      for (const evaluator of it_.broken) {
        const started = performance.now();
        const answers = await evaluator.evaluate(
          Array.from({ length: 100 }, (_, i) => question(flag, subject(`u-${i}`))),
          signal(),
        );
        expect(performance.now() - started).toBeLessThan(5_000);
        expect(answers).toHaveLength(100);
        expect(answers.flat().map((answer) => answer.kind)).toEqual(answers.flat().map(() => 'silent'));
        expect(answers.every((some) => some.length > 0)).toBe(true);
        const problems = await evaluator.check([{ ...flag, proof: [{ evaluator: 'x', with: it_.settings(flag) }] }], signal());
        expect(problems.length).toBeGreaterThan(0);
        for (const secret of it_.secrets) expect(inspect([answers, problems], { depth: 10 })).not.toContain(secret);
      }
    });

    it('is silent when it is told to stop', async () => {
      const flag = await it_.newFlag();
      const answers = await it_.evaluator.evaluate([question(flag, subject('u-1'))], AbortSignal.abort());
      expect(answers.flat().every((answer) => answer.kind === 'silent')).toBe(true);
      expect(answers).toHaveLength(1);
    });
  });
}
