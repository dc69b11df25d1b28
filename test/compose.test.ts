import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../src/config.ts';
import { startAlertmanager } from './support/servers/alertmanager.ts';
import { startPrometheus } from './support/servers/prometheus.ts';
import { hasTool, requireTool } from './support/servers/require-tool.ts';

const ROOT = path.resolve(import.meta.dirname, '..');

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly (string | { readonly host_ip?: string })[];
  readonly secrets?: readonly unknown[];
}

type Answer = { readonly ok: true; readonly services: Readonly<Record<string, Service>> } | { readonly ok: false; readonly said: string };

describe.skipIf(!hasTool('docker-compose'))('docker-compose.yml', { timeout: 60_000 }, () => {
  let dir: string;
  let secrets: Readonly<Record<string, string>>;
  let found: Readonly<Record<string, Service>>;
  beforeAll(async () => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-compose-'));
    const file = path.join(dir, 'alertmanager-token');
    writeFileSync(file, 'a'.repeat(64));
    secrets = { POSTGRES_PASSWORD: 'one', GONOGO_DATABASE_PASSWORD: 'two', GONOGO_EVALUATOR_TOKEN: 'three', GONOGO_ALERTMANAGER_TOKEN_FILE: file };
    const answer = await config(secrets);
    if (!answer.ok) throw new Error(answer.said);
    found = answer.services;
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  // An .env file of the checkout must not stand in for a secret that a test leaves out.
  async function config(env: Readonly<Record<string, string>>): Promise<Answer> {
    const empty = path.join(dir, 'empty.env');
    writeFileSync(empty, '');
    const args = ['--env-file', empty, '-f', path.join(ROOT, 'docker-compose.yml'), '--profile', 'demo', 'config'];
    try {
      const { stdout } = await promisify(execFile)(requireTool('docker-compose'), args, {
        cwd: dir,
        env: { PATH: process.env['PATH'] ?? '', HOME: dir, ...env },
      });
      return { ok: true, services: (parse(stdout) as { services: Record<string, Service> }).services };
    } catch (error) {
      return { ok: false, said: error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error) };
    }
  }

  it('is understood by the tool and holds Temporal on Postgres, a server, two workers, Prometheus and Alertmanager', () => {
    expect(Object.keys(found).sort()).toEqual(['alertmanager', 'marketplace', 'postgres', 'prometheus', 'server', 'temporal', 'worker-1', 'worker-2']);
    expect(found['server']?.command).toEqual(['serve']);
    for (const name of ['worker-1', 'worker-2']) expect(found[name]?.command?.[0]).toBe('worker');
    expect(found['temporal']?.environment).toMatchObject({ DB: 'postgres12', POSTGRES_SEEDS: 'postgres' });
  });

  it('pins every image to a version', () => {
    const images = Object.values(found).map((service) => service.image);
    for (const image of images.filter((one) => one !== 'gonogo:local')) expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$/);
    expect(images).toHaveLength(8);
  });

  it('publishes ports on loopback only', () => {
    const ports = Object.values(found).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(typeof port === 'string' ? port : port.host_ip).toMatch(/^127\.0\.0\.1/);
  });

  it('gives server, workers and Alertmanager the file of the one webhook token', () => {
    for (const name of ['server', 'worker-1', 'worker-2', 'alertmanager']) expect(JSON.stringify(found[name]?.secrets)).toContain('alertmanager_token');
    expect(found['prometheus']?.secrets).toBeUndefined();
  });

  it.each([
    ['POSTGRES_PASSWORD', 'openssl rand -hex 32'],
    ['GONOGO_DATABASE_PASSWORD', 'openssl rand -hex 32'],
    ['GONOGO_ALERTMANAGER_TOKEN_FILE', 'openssl rand -hex 32 > secrets/alertmanager-token'],
    ['GONOGO_EVALUATOR_TOKEN', 'token create evaluator'],
  ])('refuses to start without %s and says how to make it', async (name, how) => {
    const { [name]: _left, ...others } = secrets;
    const without = await config(others);
    expect(without.ok).toBe(false);
    expect(without.ok ? '' : without.said).toContain(how);
  });

  it('takes a secret that is set to nothing for one that is not set', async () => {
    expect(await config({ ...secrets, POSTGRES_PASSWORD: '' })).toMatchObject({ ok: false });
  });
});

describe('the files that docker-compose.yml mounts', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-compose-files-'));
    writeFileSync(path.join(dir, 'token'), 'a'.repeat(64));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const mounted = (name: string): string =>
    readFileSync(path.join(ROOT, 'docker', name), 'utf8').replaceAll('/run/secrets/alertmanager_token', path.join(dir, 'token'));

  it('hold a config that server and workers take, its secrets by reference', () => {
    writeFileSync(path.join(dir, 'gonogo.yaml'), mounted('gonogo.yaml'));
    const config = loadConfig(path.join(dir, 'gonogo.yaml'), {
      GONOGO_DATABASE_URL: 'postgres://gonogo:secret@postgres:5432/gonogo',
      GONOGO_EVALUATOR_TOKEN: 'gng_x',
    });
    expect(config.hooks.alertmanager['main']).toEqual({ token: 'a'.repeat(64), plans: ['*'] });
    expect(Object.keys(config.evaluators).sort()).toEqual(['http', 'ofrep', 'store']);
    expect(Object.keys(config.sources).sort()).toEqual(['app', 'prometheus']);
  });

  it.skipIf(!hasTool('alertmanager'))('hold a config that a real Alertmanager takes, wired to the webhook', async () => {
    const alertmanager = await startAlertmanager(parse(mounted('alertmanager.yml')));
    const status = await (await fetch(`${alertmanager.url}/api/v2/status`)).text().finally(alertmanager.stop);
    expect(status).toContain(`credentials_file: ${path.join(dir, 'token')}`);
    // Alertmanager shows no address of a webhook.
    expect(mounted('alertmanager.yml')).toContain('url: http://server:7077/hooks/alertmanager');
  });

  it.skipIf(!hasTool('prometheus'))('hold targets and rules that a real Prometheus takes', async () => {
    writeFileSync(path.join(dir, 'alerts.yml'), mounted('alerts.yml'));
    const config = parse(mounted('prometheus.yml').replace('/etc/prometheus/alerts.yml', path.join(dir, 'alerts.yml'))) as unknown;
    const prometheus = await startPrometheus(config);
    const rules = await (await fetch(`${prometheus.url}/api/v1/rules`)).text().finally(prometheus.stop);
    for (const name of ['ChatSlow', 'GonogoWatcherSilent', 'GonogoRollbackStuck']) expect(rules).toContain(name);
  });
});
