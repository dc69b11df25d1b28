import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { brokenLink, type Link } from '../../src/store/chain.ts';
import { hold, resume } from '../../src/store/people.ts';
import { openStage } from '../../src/store/stages.ts';
import { until } from '../support/until.ts';
import { openBench, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => bench.close());

const at = () => new Date().toISOString();
const carl = { name: 'carl', roles: ['on-call'] };

interface Frame {
  readonly id?: string;
  readonly event?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Reads an event stream until it is told to stop. */
async function listen(
  launch: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly frames: Frame[]; readonly ended: Promise<void>; readonly stop: () => void }> {
  const stop = new AbortController();
  const response = await fetch(`${bench.url}/api/launches/${launch}/events`, {
    headers: { authorization: `Bearer ${bench.tokens.vera}`, accept: 'text/event-stream', ...headers },
    signal: stop.signal,
  });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const frames: Frame[] = [];
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        frames.push({ ...fields, data: JSON.parse(fields['data'] ?? '{}') as Record<string, unknown> });
      }
    }
  };
  return { frames, ended: read().catch(() => undefined), stop: () => stop.abort() };
}

const seqs = (frames: readonly Frame[]) => frames.filter((frame) => frame.event === undefined).map((frame) => Number(frame.id));

describe('a list of launches', () => {
  test('is newest first, filtered, and carries the same headline as the view', async () => {
    const [first, second] = [await bench.open(), await bench.open()];
    await hold(bench.store, first, 'carl', at(), 'lunch', 'person');
    const { body } = await bench.call('GET', '/api/launches?environment=stage', { as: 'vera' });
    const launches = body['launches'] as { id: string; headline: string; state: string }[];
    expect(launches.map((one) => one.id).slice(0, 2)).toEqual([second, first]);
    const held = (await bench.call('GET', '/api/launches?state=held', { as: 'vera' })).body['launches'] as { id: string; headline: string }[];
    expect(held.map((one) => one.id)).toEqual([first]);
    const view = await bench.call('GET', `/api/launches/${first}`, { as: 'vera' });
    expect(held[0]?.headline).toBe(view.body['headline']);
    expect(view.body['headline']).toBe('Held by carl at the first stage: lunch; nothing has moved. Rollback stays armed.');
    expect((await bench.call('GET', '/api/launches?environment=prod', { as: 'vera' })).body['launches'] as unknown[]).toEqual([]);
  });
});

describe('an event stream', () => {
  test('brings what was and what comes, each once, in order, after a heartbeat with a name', async () => {
    const launch = await bench.open();
    const stream = await listen(launch);
    await openStage(bench.store, launch, 'dark', at(), []);
    for (let round = 0; round < 5; round += 1) {
      await hold(bench.store, launch, 'carl', at(), `round ${round}`, 'person');
      await resume(bench.store, launch, carl, at(), 'go on');
    }
    await until('twelve events', () => seqs(stream.frames).length >= 12);
    expect(seqs(stream.frames)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(stream.frames[0]).toMatchObject({ event: 'heartbeat' });
    expect(stream.frames.find((frame) => frame.id === '1')?.data).toMatchObject({ seq: 1, kind: 'opened', launch });
    stream.stop();
    await stream.ended;
  });

  test('is resumed after the event last seen, and told to begin again when it knows more than there is', async () => {
    const launch = await bench.open();
    await openStage(bench.store, launch, 'dark', at(), []);
    const resumed = await listen(launch, { 'last-event-id': '1' });
    await until('the second event', () => seqs(resumed.frames).length > 0);
    expect(seqs(resumed.frames)).toEqual([2]);
    resumed.stop();
    const ahead = await listen(launch, { 'last-event-id': '99' });
    await until('both events', () => seqs(ahead.frames).length === 2);
    expect(ahead.frames[0]).toMatchObject({ event: 'resync', data: { seq: 2 } });
    ahead.stop();
  });

  test('beats every five seconds', async () => {
    const launch = await bench.open();
    const stream = await listen(launch);
    const began = performance.now();
    await until('a second heartbeat', () => stream.frames.filter((frame) => frame.event === 'heartbeat').length === 2, 8_000);
    expect(performance.now() - began).toBeGreaterThan(4_000);
    stream.stop();
  });

  test('ends when the server closes', async () => {
    const other = await openBench();
    const launch = await other.open();
    const response = await fetch(`${other.url}/api/launches/${launch}/events`, {
      headers: { authorization: `Bearer ${other.tokens.vera}`, accept: 'text/event-stream' },
    });
    const text = response.text();
    await other.close();
    expect(await text).toContain('event: heartbeat');
  });
});

describe('a report', () => {
  test('can be checked by who trusts nobody here: its links hold, and a changed byte does not', async () => {
    const launch = await bench.open();
    await openStage(bench.store, launch, 'dark', at(), []);
    await bench.call('POST', `/api/launches/${launch}/checklist/load-test`, { as: 'dmitri', body: { done: true, evidence: 'https://records.example/1' } });
    const { body } = await bench.call('GET', `/api/launches/${launch}/report`, { as: 'vera' });
    const links = body['links'] as Link[];
    expect(brokenLink(links)).toBeUndefined();
    expect(body['chain']).toEqual({ events: 3, head: links.at(-1)?.hash });
    const forged = links.map((link) => (link.seq === 3 ? { ...link, body: link.body.replace('dmitri', 'nobody') } : link));
    expect(brokenLink(forged)).toMatchObject({ seq: 3 });
    expect((await bench.call('GET', `/api/launches/${launch}/report`, { as: 'vera' })).body).toEqual(body);
  });

  test('comes as Markdown and HTML when asked, with what people wrote escaped', async () => {
    const launch = await bench.open();
    await openStage(bench.store, launch, 'dark', at(), []);
    await hold(bench.store, launch, 'carl', at(), '<script>alert(1)</script> | [click](javascript:x) =cmd()', 'person');
    const markdown = await bench.call('GET', `/api/launches/${launch}/report`, { as: 'vera', headers: { accept: 'text/markdown' } });
    expect(markdown.headers.get('content-type')).toBe('text/markdown; charset=utf-8');
    expect(markdown.text).toContain('\\<script\\>alert(1)\\</script\\> \\| \\[click\\](javascript:x)');
    const html = await bench.call('GET', `/api/launches/${launch}/report?format=html`, { as: 'vera' });
    expect(html.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html.text).not.toContain('<script>');
    expect((await bench.call('GET', `/api/launches/${launch}/report`, { as: 'vera', headers: { accept: 'image/png' } })).body).toMatchObject({
      code: 'not_acceptable',
    });
  });
});
