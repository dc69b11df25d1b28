import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LaunchEvent, LoggedEvent } from '../../src/core/event.ts';
import { everyone, off } from '../../src/core/exposure.ts';
import { fold } from '../../src/core/fold.ts';
import { freshGate, judge } from '../../src/core/gate.ts';
import { headline } from '../../src/core/headline.ts';
import type { Order } from '../../src/core/plan.ts';
import { report, type ReportLink } from '../../src/core/report.ts';
import { reportHtml, reportMarkdown } from '../../src/core/report-text.ts';
import { view } from '../../src/core/view.ts';
import { gate, order, stage } from '../support/orders.ts';

type Bare = LaunchEvent extends infer Event ? (Event extends LaunchEvent ? Omit<Event, 'at' | 'by'> & { readonly by?: string } : never) : never;

/** A log of events, one minute apart, with hashes that tell them apart. */
function log(...events: readonly Bare[]): readonly LoggedEvent[] {
  return events.map((event, index) => {
    const at = new Date(Date.parse('2026-04-23T12:00:00Z') + index * 60_000).toISOString();
    const hash = String(index + 1).padStart(64, '0');
    return { launch: 'l', seq: index + 1, key: `k${index}`, recordedAt: at, event: { by: 'gonogo', at, ...event }, hash, prev: '' };
  });
}

const plan: Order = order(
  [
    stage('dark', ['chat'], {
      gates: ['slow'],
      bake: 86_400_000,
      signOff: [{ role: 'qa', count: 1 }],
      checklist: [{ id: 'tested', text: 'Tested', role: 'qa', evidence: 'link' }],
    }),
    stage('beta', ['notify'], { signOff: [{ role: 'product', count: 2 }] }),
  ],
  [gate('slow', { unit: 's' })],
  { watch: 3_600_000 },
);
const NONE = { gates: new Map(), earned: new Map() };

const opened: Bare = {
  kind: 'opened',
  by: 'rita',
  launch: 'chat-prod-1',
  plan: 'chat',
  planHash: plan.hash,
  environment: 'prod',
  speed: 1,
  deadline: '2026-05-07T12:00:00.000Z',
  stages: ['dark', 'beta'],
  flags: [
    { flag: 'chat', provider: 'builtin', key: 'chat' },
    { flag: 'notify', provider: 'builtin', key: 'notify' },
  ],
};
const before = (flag: string) => ({ flag, provider: 'builtin', key: flag, revision: '1', exposure: off(true) });
const after = (flag: string) => ({ ...before(flag), revision: '2', exposure: everyone(true) });
const proof = (flag: string, agreed = 3) => ({ flag, instances: ['pod-1', 'pod-2'], asked: 3, agreed });
const open = (id: string): Bare => ({ kind: 'stage-opened', stage: id, round: 1, evidence: [] });
const live = (id: string, flag: string): readonly Bare[] => [
  { kind: 'cleared', stage: id },
  { kind: 'remembered', stage: id, flags: [{ ...before(flag), to: everyone(true) }] },
  { kind: 'shifted', stage: id, flags: [after(flag)] },
  { kind: 'witnessed', stage: id, proofs: [proof(flag)] },
];
const sign = (id: string, person: string, role: string, decision: 'go' | 'no-go' = 'go', round = 1): Bare => ({
  kind: 'signed',
  by: person,
  stage: id,
  round,
  role,
  decision,
  planHash: plan.hash,
  seal: 's',
  ...(decision === 'go' ? {} : { reason: 'e2e is red', recheckAt: '2026-04-24T10:00:00.000Z', bugs: ['CHAT-7'], meanwhile: 'hold' as const }),
});
const baked = (id: string): Bare => ({ kind: 'baked', stage: id, earned: 86_400_000, required: 86_400_000, gates: [] });
const asked: Bare = { kind: 'rollback-requested', by: 'carl', scope: { kind: 'launch' }, cause: { kind: 'person', reason: 'customers complain' } };
const back: Bare = { kind: 'restored', scope: { kind: 'launch' }, hand: 'w', flags: [{ ...before('chat'), revision: '3', outcome: 'restored' }] };
const provenBack: Bare = {
  kind: 'rollback-proven',
  scope: { kind: 'launch' },
  hand: 'w',
  proofs: [proof('chat')],
  seconds: 4.2,
  verifiedAt: '2026-04-23T12:09:00.000Z',
};
const begun = [opened, open('dark'), ...live('dark', 'chat')] as const;

describe('the fold', () => {
  test.each([
    ['waiting', [opened]],
    ['waiting', [opened, open('dark')]],
    ['shifting', [opened, open('dark'), ...live('dark', 'chat').slice(0, 2)]],
    ['baking', begun],
    ['held', [...begun, { kind: 'held', reason: 'lunch', cause: 'person' }]],
    ['baking', [...begun, { kind: 'held', reason: 'lunch', cause: 'person' }, { kind: 'resumed', reason: 'back' }]],
    ['waiting', [...begun, baked('dark')]],
    ['no-go', [...begun, baked('dark'), open('beta'), sign('beta', 'lena', 'product', 'no-go')]],
    [
      'waiting',
      [...begun, baked('dark'), open('beta'), sign('beta', 'lena', 'product', 'no-go'), { kind: 'reopened', stage: 'beta', round: 2, reason: 'recheck' }],
    ],
    ['frozen', [opened, open('dark'), { kind: 'frozen', stage: 'dark', reason: 'holidays', until: '2026-05-02T00:00:00.000Z' }]],
    ['watching', [...begun, baked('dark'), open('beta'), ...live('beta', 'notify'), baked('beta'), { kind: 'watching', until: '2026-04-24T12:00:00.000Z' }]],
    ['rolling-back', [...begun, asked]],
    ['rolling-back', [...begun, asked, back, provenBack]],
    ['rolling-back', [...begun, asked, back, provenBack, { kind: 'relapsed', flags: ['chat'] }]],
    ['stuck', [...begun, asked, { kind: 'stuck', remainder: ['chat'] }]],
    ['rolled-back', [...begun, asked, back, provenBack, { kind: 'ended', outcome: 'rolled-back', why: 'proven' }]],
  ] satisfies readonly (readonly [string, readonly Bare[]])[])('says %s', (state, events) => {
    expect(fold(log(...events)).state).toBe(state);
  });

  test('of any beginning of a log never fails, and nothing after a request makes it go on', () => {
    const whole = [
      ...begun,
      baked('dark'),
      open('beta'),
      sign('beta', 'lena', 'product'),
      asked,
      { kind: 'held', reason: 'x', cause: 'gate' } as Bare,
      back,
      provenBack,
    ];
    fc.assert(
      fc.property(fc.nat(whole.length), (length) => {
        const told = fold(log(...whole.slice(0, length)));
        expect(headline(told, { plan: plan.plan })).not.toBe('');
        expect(told.state === 'rolling-back').toBe(length > whole.indexOf(asked));
      }),
    );
  });

  test('clears signatures with the round that a no-go ended, and keeps them for the report', () => {
    const told = fold(
      log(
        ...begun,
        baked('dark'),
        open('beta'),
        sign('beta', 'max', 'product'),
        sign('beta', 'lena', 'product', 'no-go'),
        { kind: 'reopened', stage: 'beta', round: 2, reason: 'recheck' },
        sign('beta', 'lena', 'product', 'go', 2),
      ),
    );
    expect(told.stages[1]?.signatures.map((one) => [one.person, one.round, one.stands])).toEqual([
      ['max', 1, false],
      ['lena', 1, false],
      ['lena', 2, true],
    ]);
  });

  test('takes a proof back when a flag relapses', () => {
    const proven = [...begun, asked, back, provenBack];
    expect(fold(log(...proven)).flags[0]).toMatchObject({ flag: 'chat', verified: true });
    const relapsed = fold(log(...proven, { kind: 'relapsed', flags: ['chat'] }));
    expect(relapsed.flags[0]?.verified).toBe(false);
    expect(relapsed.rollbacks[0]).toMatchObject({ relapses: 1 });
    expect(relapsed.rollbacks[0]).not.toHaveProperty('seconds');
  });

  test('never calls a flag verified for whom nobody was asked', () => {
    const told = fold(log(...begun.slice(0, -1), { kind: 'witnessed', stage: 'dark', proofs: [{ flag: 'chat', instances: [], asked: 0, agreed: 0 }] }));
    expect(told.flags[0]?.verified).toBe(false);
  });
});

describe('the view', () => {
  test('lays the gates’ and the bake’s live values over the events', () => {
    const bad = judge(plan.plan.gates[0] ?? gate('slow'), freshGate(0), { kind: 'value', value: 1.31, at: 60_000, query: 'q' });
    const shown = view(plan, log(...begun), { gates: new Map([['slow', bad.state]]), earned: new Map([['dark', 82_080_000]]) });
    expect(shown.stages[0]).toMatchObject({
      state: 'live',
      bake: { required: 86_400_000, earned: 82_080_000 },
      gates: [{ id: 'slow', armed: true, verdict: 'no-go', value: 1.31, threshold: '≤ 1 s', at: '1970-01-01T00:01:00.000Z', worst: 1.31, breaches: 1 }],
    });
    expect(shown.headline).toBe(`Baking stage 1 of 2, dark: chat everyone. ${bad.verdict.why}. 22h48m of 24h healthy.`);
    expect(shown.flags).toMatchObject([
      { flag: 'chat', exposure: 'everyone', before: 'off', touched: true, verified: true },
      { flag: 'notify', touched: false, verified: false },
    ]);
  });

  test('says of a gate that was not asked yet that it was not, and never that it is healthy', () => {
    expect(view(plan, log(opened), NONE).stages[0]?.gates).toMatchObject([{ verdict: 'inconclusive', armed: false, reason: 'not armed yet' }]);
    expect(view(plan, log(...begun), NONE).stages[0]?.gates).toMatchObject([{ verdict: 'inconclusive', armed: true, reason: 'not asked yet' }]);
  });

  test('shows whom a stage waits for, by role and item', () => {
    const shown = view(plan, log(opened, open('dark')), NONE);
    expect(shown.headline).toBe('Waiting to begin stage 1 of 2, dark: needs checklist item tested and sign-off by qa; nothing has moved.');
    expect(shown.stages[0]).toMatchObject({
      seal: '2'.padStart(64, '0'),
      signOffs: [{ role: 'qa', count: 1, missing: 1, signatures: [] }],
      checklist: [{ id: 'tested', done: false, evidence: 'link' }],
    });
    const signed = view(plan, log(...begun, baked('dark'), open('beta'), sign('beta', 'lena', 'product')), NONE);
    expect(signed.stages[1]?.signOffs).toMatchObject([{ role: 'product', count: 2, missing: 1, signatures: [{ person: 'lena', decision: 'go' }] }]);
  });

  test('of a rolled back launch tells why and how fast', () => {
    const shown = view(plan, log(...begun, asked, back, provenBack, { kind: 'ended', outcome: 'rolled-back', why: 'proven' }), NONE);
    expect(shown).toMatchObject({
      outcome: 'rolled-back',
      rollback: { why: 'customers complain', by: 'carl', seconds: 4.2 },
      headline: 'Rolled back, proven in 4.2 s: customers complain.',
    });
  });
});

describe('the report', () => {
  const links = (events: readonly LoggedEvent[]): readonly ReportLink[] =>
    events.map(({ seq, recordedAt, event, hash }) => ({ seq, recordedAt, hash, body: JSON.stringify(event) }));
  const whole = links(
    log(...begun, { kind: 'gate', gate: 'slow', verdict: { kind: 'no-go', value: 1.31, at: 0, since: 0, why: 'slow 1.31 s > 1 s' } }, asked, back, provenBack, {
      kind: 'ended',
      outcome: 'rolled-back',
      why: 'proven',
    }),
  );

  test('holds every verdict with its numbers, every write with its revision and proof, and the rollback’s clock', () => {
    const told = report(whole);
    expect(told.verdicts).toEqual([{ seq: 7, gate: 'slow', verdict: { kind: 'no-go', value: 1.31, at: 0, since: 0, why: 'slow 1.31 s > 1 s' } }]);
    expect(told.flags[0]).toMatchObject({
      before: { exposure: 'off', revision: '1' },
      writes: [
        { stage: 'dark', exposure: 'everyone', revision: '2', outcome: 'written' },
        { exposure: 'off', revision: '3', outcome: 'restored' },
      ],
      after: { exposure: 'off', revision: '3' },
      proofs: [
        { agreed: 3, asked: 3 },
        { agreed: 3, asked: 3 },
      ],
      verified: true,
    });
    expect(told.rollbacks).toMatchObject([{ scope: 'launch', seconds: 4.2, promised: 300, by: 'carl' }]);
    expect(told.timeline).toHaveLength(whole.length);
    expect(told.chain).toEqual({ events: whole.length, head: whole.at(-1)?.hash });
  });

  test('is the same, byte for byte, from the same links', () => {
    expect(JSON.stringify(report(whole))).toBe(JSON.stringify(report(structuredClone(whole))));
    expect(reportMarkdown(report(whole))).toBe(reportMarkdown(report(structuredClone(whole))));
  });

  test('lets nothing that people wrote become markup, in Markdown or HTML', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('<', '>', '|', '[', ']', '`', '*', '"', "'", '&', '\n', '\u202e', 'x', 'script') }), (text) => {
        const told = report(links(log(...begun, { kind: 'held', reason: text, cause: 'person' })));
        const html = reportHtml(told);
        expect(html).not.toMatch(/<script|\u202e/);
        expect(reportMarkdown(told)).not.toMatch(/(?<!\\)<(?!!)|\u202e/);
      }),
    );
  });
});
