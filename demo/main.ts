// npm run demo: a plan is launched, launched and broken, launched and broken again, on real servers. Exit 0 only if all three ended as they should.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { LaunchEvent } from '../src/core/event.ts';
import type { Report } from '../src/core/report.ts';
import type { LaunchView } from '../src/core/view.ts';
import { sweepLeftovers } from '../src/embedded/leftovers.ts';
import { toolPath } from '../src/embedded/tools.ts';
import { defaultExposure } from '../src/flags/registry.ts';
import { drive } from './launch.ts';
import { openMarket, type Market } from './market.ts';
import { openStops, ROOT, startStack, type Stack } from './stack.ts';
import { openStory, type Story } from './story.ts';
import { throughWeb } from './web-plan.ts';

const ENVIRONMENT = 'stage';
/** 24 h are 3 s: three measurements of each gate. The windows of the queries stay as they are. */
const SPEED = 28_800;
const PREFIX = 'gonogo-demo-';
/** A launch of the demo takes half a minute on a quiet machine; one that takes so long is stuck. */
const LAUNCH_WITHIN = 240_000;
/** The most that a rollback of the demo may take from the first bad sample to the proof, s. */
const AT_MOST = 10;

interface Told {
  readonly view: LaunchView;
  readonly report: Report;
}

const stay = process.argv.includes('--stay');
const out = outFrom(process.argv);
const stops = openStops();
const story = openStory((line) => process.stdout.write(`${line}\n`));
let ending: Promise<void> | undefined;

/** Where reports and logs go: `--out <dir>`. */
function outFrom(args: readonly string[]): string {
  const at = args.indexOf('--out');
  return at === -1 ? path.join(ROOT, '.gonogo', 'demo') : path.resolve(args[at + 1] ?? '.');
}

/** Stops every server, once, whoever asks. */
function end(data: string): Promise<void> {
  ending ??= stops.all((line) => story.line(line)).finally(() => rmSync(data, { recursive: true, force: true }));
  return ending;
}

function expect(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what} is ${String(found)}; expected ${String(wanted)}`);
}

async function keepReport(stack: Stack, view: LaunchView, name: string): Promise<Report> {
  const reader = stack.crew.as('releaser');
  const report = await reader.get<Report>(`/api/launches/${view.id}/report`);
  writeFileSync(path.join(out, 'reports', `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(path.join(out, 'reports', `${name}.md`), await reader.text(`/api/launches/${view.id}/report`, 'text/markdown'));
  expect(`the outcome in the report of ${view.id}`, report.outcome, view.outcome);
  return report;
}

/** Every flag of the plan as the registry says it is before any launch: the baseline of the next one. */
async function turnBack(stack: Stack, view: LaunchView): Promise<void> {
  const writer = stack.crew.as('releaser');
  for (const { flag } of view.flags) {
    const entry = stack.registry.entries.get(flag);
    if (entry === undefined) throw new Error(`${flag} is not in the registry`);
    const exposure = defaultExposure(entry, ENVIRONMENT);
    await writer.put(`/api/flags/${flag}`, { exposure, comment: 'the demo begins anew' }, { 'if-match': '*' });
  }
}

function proofOf({ view, report }: Told, flags: number): string {
  const [rollback] = report.rollbacks;
  const seconds = rollback?.seconds;
  if (seconds === undefined) throw new Error(`launch ${view.id} has no proven rollback; expected one`);
  if (seconds > AT_MOST) throw new Error(`the rollback of ${view.id} took ${seconds} s; expected at most ${AT_MOST}`);
  expect(`the number of rollbacks of ${view.id}`, report.rollbacks.length, 1);
  const put = report.flags.filter((flag) => flag.writes.some((write) => write.outcome === 'restored'));
  const back = put.filter((flag) => flag.verified).length;
  expect(`the number of flags of ${view.id} that were put back`, put.length, flags);
  expect(`the number of flags of ${view.id} that were proven back`, back, flags);
  return `proven ${back}/${flags} in ${seconds.toFixed(2)} s`;
}

async function tellAll(data: string): Promise<{ readonly stack: Stack; readonly endings: readonly string[] }> {
  const prometheus = !process.argv.includes('--no-prometheus') && toolPath('prometheus') !== undefined;
  if (!prometheus)
    story.line(
      '! without a Prometheus: the gates read the numbers of the marketplace itself, through the `web` source, by a plan made from communications.yaml',
    );
  const stack = await startStack({
    data,
    logs: path.join(out, 'logs'),
    environment: ENVIRONMENT,
    say: story.line,
    stops,
    ...(prometheus ? { prometheus: scraping } : { window: 10 }),
  });
  const market = openMarket(stack.marketplace);
  await market.ready(stack.prometheus?.url);
  const text = readFileSync(path.join(ROOT, 'plans', 'communications.yaml'), 'utf8');
  const plan = prometheus ? { planYaml: text } : { plan: throughWeb(text) };
  const body = { ...plan, environment: ENVIRONMENT, speed: SPEED };
  const driven = { crew: stack.crew, story };
  story.line(
    `plans/communications.yaml in ${ENVIRONMENT} at ${SPEED} times the speed: a bake of 24 h is 3 s${prometheus ? '; the windows of its queries stay 1 m' : ''}`,
  );

  story.heading('1. All is well');
  const one = await drive({ ...driven, body }, LAUNCH_WITHIN);
  expect('the first launch', one.outcome, 'launched');
  const opened = await market.communications('1');
  expect('chat for contract 1, asked of the app', opened.chat.open, true);
  expect('the mode of chat, asked of the app', opened.chat.mode, 'ws+sse');
  const first = { view: one, report: await keepReport(stack, one, '1-launched') };
  await turnBack(stack, one);
  expect('chat for contract 1 after the flags were turned back', (await market.until('1', (now) => !now.chat.open)).chat.open, false);
  story.line('  the flags are turned back by hand: the baseline of the next launch');

  story.heading('2. Stage 2 is broken: whoever has the beta gets no notifications');
  const breakAt =
    (stage: string, what: 'notifications' | 'chat') =>
    async (event: LaunchEvent): Promise<void> => {
      if (event.kind !== 'witnessed' || event.stage !== stage) return;
      await market.break(what);
      story.line(`  (the demo breaks ${what} for those who have ${stage})`);
    };
  const breakNotifications = breakAt('chat_notifications_beta', 'notifications');
  let renewed: Promise<void> | undefined;
  const two = await drive(
    {
      ...driven,
      body,
      lastStage: 'chat_notifications_beta',
      onEvent: async (event) => {
        await breakNotifications(event);
        // While the launch takes its last look: in the 1 m windows of the old one the drops would be seen for another minute.
        if (event.kind === 'rollback-proven') renewed = renew(stack, market);
      },
    },
    LAUNCH_WITHIN,
  );
  expect('the second launch', two.outcome, 'rolled-back');
  expect('what rolled it back', two.rollback?.cause.kind === 'gate' ? two.rollback.cause.gate : two.rollback?.cause.kind, 'drop-rate');
  expect('chat.enabled for contract 1, asked of the app', (await market.communications('1')).flags['chat.enabled'], false);
  const second = { view: two, report: await keepReport(stack, two, '2-rolled-back') };
  const secondProof = proofOf(second, 5);
  await renewed;
  if (stack.prometheus !== undefined)
    story.line('  a Prometheus without memory for the third launch: the drops would stay in its 1 m windows for another minute');

  story.heading('3. Stage 4 is broken: chat is slow for everyone who has the full release');
  const three = await drive({ ...driven, body, onEvent: breakAt('chat_full_release', 'chat') }, LAUNCH_WITHIN);
  expect('the third launch', three.state, 'held');
  const fallen = await market.until('1', (now) => now.chat.mode === 'sse-only');
  expect('the mode of chat, asked of the app', fallen.chat.mode, 'sse-only');
  expect('the full release, asked of the app', fallen.flags['chat_full_release'], false);
  expect('chat for internal users is left on', fallen.flags['chat.enabled'], true);
  const p95 = await market.fastAgain(0.5);
  story.line(`  the app answers in SSE-only mode; p95 of its newest messages ${p95.toFixed(2)} s`);
  const closer = stack.crew.as('on-call');
  await closer.post(`/api/launches/${three.id}/conclude`, { reason: 'SSE-only until WebSocket is mended; a new launch then' });
  const over = await closer.get<LaunchView>(`/api/launches/${three.id}`);
  story.line(`  concluded by ${closer.name}: ${over.headline}`);
  expect('the third launch', over.outcome, 'rolled-back');
  const third = { view: over, report: await keepReport(stack, over, '3-held-concluded') };
  const thirdProof = proofOf(third, 1);
  await market.mend();

  const reports = path.relative(process.cwd(), path.join(out, 'reports')) || '.';
  const endings = [
    `reports: ${['1-launched', '2-rolled-back', '3-held-concluded'].map((name) => path.join(reports, `${name}.md`)).join('  ')}  (and .json; logs beside them)`,
    `1  launched     ${first.view.id}, ${first.report.chain.events} events`,
    `2  rolled-back  ${second.view.id}, ${secondProof}`,
    `3  held in SSE-only mode, then concluded  ${third.view.id}, ${thirdProof}`,
  ];
  return { stack, endings };
}

/** Mends the marketplace, and forgets what it was. */
async function renew(stack: Stack, market: Market): Promise<void> {
  await market.mend();
  await stack.prometheus?.renew();
  await market.ready(stack.prometheus?.url);
}

/** prometheus.yml: the marketplace and gonogo itself, each second. */
function scraping({ marketplace, api }: { readonly marketplace: string; readonly api: string }): unknown {
  return {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    scrape_configs: [
      { job_name: 'marketplace', static_configs: [{ targets: [marketplace] }] },
      { job_name: 'gonogo', static_configs: [{ targets: [api] }] },
    ],
  };
}

/** Keeps everything up for a person to play with, until Ctrl-C. */
async function leaveRunning(stack: Stack, told: Story): Promise<void> {
  told.heading('It stays up until Ctrl-C.');
  told.line(`  export GONOGO_URL=${stack.url}`);
  for (const [name, token] of stack.tokens) told.line(`  ${name.padEnd(14)} export GONOGO_TOKEN=${token}`);
  told.line(`  the app:   curl ${stack.marketplace.url}/api/marketplace/contracts/1/communications/`);
  told.line(
    `  break it:  curl -X POST -H 'content-type: application/json' -d '{"what":"notifications"}' ${stack.marketplace.admin}/break    (or "chat"; /mend mends it)`,
  );
  await new Promise(() => undefined);
}

await sweepLeftovers(PREFIX);
for (const old of ['reports', 'logs']) rmSync(path.join(out, old), { recursive: true, force: true });
mkdirSync(path.join(out, 'reports'), { recursive: true });
const data = mkdtempSync(path.join(os.tmpdir(), `${PREFIX}${process.pid}-`));
chmodSync(data, 0o711); // Postgres runs as another user when this runs as root
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    story.line(`${signal}: ending`);
    void end(data).then(() => process.exit(130));
  });
}
let last: readonly string[] = [];
try {
  const { stack, endings } = await tellAll(data);
  last = endings;
  if (stay) {
    for (const line of endings) story.line(line);
    await leaveRunning(stack, story);
  }
} catch (error) {
  // Told by a signal to end, what breaks off is no failure of the demo.
  if (ending === undefined) {
    process.exitCode = 1;
    story.line(`✗ the demo failed: ${error instanceof Error ? error.message : String(error)}`);
    story.line(`  logs: ${path.join(out, 'logs')}`);
  }
}
await end(data);
for (const line of last) process.stdout.write(`${line}\n`);
