import path from 'node:path';
import { everyone, off, type Exposure } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { evaluatorContract } from '../../contracts/evaluator.ts';
import { flagRef, openContext } from '../../flags/support.ts';
import { until } from '../../support/until.ts';
import { hangingServer } from '../support.ts';
import { flagdDocument, flagdFlag, startFlagdSync, type FlagdFlags } from './flagd.ts';

const SECRET = 'token-of-the-provider-0123456789';
const ODD = path.join(import.meta.dirname, 'fixtures.ts');

evaluatorContract('openfeature', async () => {
  const flags: FlagdFlags = {};
  let version = 0;
  const servers = await Promise.all([startFlagdSync(flagdDocument(flags)), startFlagdSync(flagdDocument(flags))]);
  const hanging = await hangingServer();
  const flagd = (port: number | string) => ({
    host: '127.0.0.1',
    port: Number(port),
    resolverType: 'in-process',
    deadlineMs: 500,
    retryGracePeriod: 1,
    token: SECRET,
  });
  const open = (module: string, name: string, more: object) => openEvaluator('sdk', { kind: 'openfeature', module, export: name, ...more }, openContext());
  const evaluator = await open('@openfeature/flagd-provider', 'FlagdProvider', {
    instances: Object.fromEntries(servers.map(({ port }, i) => [`pod-${i}`, { options: flagd(port) }])),
  });
  const broken = await Promise.all([
    open('@openfeature/flagd-provider', 'FlagdProvider', { options: flagd(1) }),
    open('@openfeature/flagd-provider', 'FlagdProvider', { options: { ...flagd(new URL(hanging.url).port), deadlineMs: 60_000 } }),
    open(ODD, 'Odd', { options: { token: SECRET, start: 'fails' } }),
    open(ODD, 'Odd', { options: { token: SECRET, start: 'hangs' } }),
    open(ODD, 'Odd', { options: { token: SECRET, doing: 'throws' } }),
    open(ODD, 'Odd', { options: { token: SECRET, doing: 'hangs' } }),
    open(ODD, 'Odd', { options: { token: SECRET, doing: 'default' } }),
    open(ODD, 'OddByKey', { args: [SECRET, { start: 'fails' }] }),
  ]);

  /** Pushes the flags with their version as one more flag, and returns when every instance shows that version. */
  async function put(flag: FlagRef, to: Exposure): Promise<void> {
    const mark = flagRef('version', { oneOf: ['0', String((version += 1))] });
    flags[flag.key] = flagdFlag(flag, to);
    flags[mark.key] = flagdFlag(mark, everyone(String(version)));
    for (const server of servers) server.push(flagdDocument(flags));
    await until('every instance to have the flags', async () => {
      const [answers = []] = await evaluator.evaluate([{ flag: mark, subject: { key: 'u', attributes: {} }, with: {} }], AbortSignal.timeout(5_000));
      return answers.every((answer) => answer.kind === 'value' && answer.value === String(version));
    });
  }
  return {
    evaluator,
    instances: 2,
    async newFlag(type = 'boolean') {
      const flag = flagRef(`asked.flag_${version}`, type);
      await put(flag, off(type === 'boolean' ? true : (type.oneOf[1] ?? '')));
      return flag;
    },
    set: put,
    settings: () => ({}),
    broken,
    secrets: [SECRET],
    async close() {
      await Promise.all([evaluator, ...broken].map((each) => each.close()));
      for (const server of servers) server.kill();
      await hanging.close();
    },
  };
});
