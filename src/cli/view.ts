import { formatDuration } from '../core/duration.ts';
import { describe, type Exposure } from '../core/exposure.ts';
import type { Cli } from './cli.ts';
import { EXIT, Exit, type ExitCode } from './exit.ts';
import { ago, clean, glyph, markdownTable, table } from './text.ts';

/** A gate as a view shows it. */
export interface GateView {
  readonly id: string;
  readonly verdict?: string;
  readonly value?: number | string | null;
  readonly threshold?: string;
  readonly reason?: string;
  readonly at?: string;
}

/** A role that a stage asks, and who answered. */
export interface SignOffView {
  readonly role: string;
  readonly count?: number;
  readonly decision?: string;
  readonly person?: string;
  readonly at?: string;
  readonly given?: readonly { readonly person: string; readonly decision: string; readonly at?: string }[];
}

/** A checklist item and its tick. */
export interface ItemView {
  readonly id: string;
  readonly text?: string;
  readonly role?: string;
  readonly done?: boolean;
  readonly person?: string;
  readonly evidence?: string;
}

/** One stage of a view; bake times in ms. */
export interface StageView {
  readonly id: string;
  readonly state: string;
  readonly bake?: { readonly required: number; readonly earned: number };
  readonly gates?: readonly GateView[];
  readonly signOffs?: readonly SignOffView[];
  readonly checklist?: readonly ItemView[];
  readonly seal?: string;
}

/** A launch as the API shows it: the fields that the command line reads. */
export interface LaunchView {
  readonly id: string;
  readonly headline: string;
  readonly plan: { readonly name: string; readonly hash: string };
  readonly environment: string;
  readonly state: string;
  readonly stage?: string;
  readonly stages: readonly StageView[];
  readonly flags?: readonly { readonly provider: string; readonly key: string; readonly flag?: string; readonly exposure?: Exposure | string; readonly verified?: boolean | string }[];
  readonly rollback?: { readonly cause?: unknown; readonly requestedAt?: string; readonly verifiedAt?: string; readonly seconds?: number };
  readonly speed?: number;
  readonly startedBy?: string;
  readonly startedAt?: string;
  readonly outcome?: string;
}

/** What the API answered, if it is a launch. Throws Exit. */
export function asView(answer: unknown): LaunchView {
  if (typeof answer === 'object' && answer !== null && 'id' in answer && 'state' in answer && 'stages' in answer) return answer as LaunchView;
  throw new Exit(EXIT.error, 'the server’s answer is not a launch; expected id, state and stages', 'check --server, and that both sides have the same version');
}

/** One launch. */
export async function getView(cli: Cli, launch: string): Promise<LaunchView> {
  return asView(await cli.api().get(launchPath(launch)));
}

/** The launch's path in the API. */
export function launchPath(launch: string, rest = ''): string {
  return `/api/launches/${encodeURIComponent(launch)}${rest}`;
}

/** The code for how a launch stands: 0 while it goes on or when it is launched. */
export function exitOf(view: Pick<LaunchView, 'state' | 'outcome'>): ExitCode {
  switch (view.outcome ?? view.state) {
    case 'rolled-back':
      return EXIT.rolledBack;
    case 'stuck':
      return EXIT.notProven;
    case 'aborted':
    case 'no-go':
      return EXIT.noGo;
    default:
      return EXIT.done;
  }
}

/** Line 1 of everything: the state's mark and the headline. */
export function headline(cli: Pick<Cli, 'ascii'>, view: Pick<LaunchView, 'state' | 'headline'>): string {
  return `${glyph(view.state, cli.ascii)} ${clean(view.headline)}`;
}

const GATES = ['', 'GATE', 'NOW', 'LIMIT', 'AGE', 'WHY'];
const VERDICTS: Readonly<Record<string, string>> = { go: '✓', 'no-go': '✗', inconclusive: '?' };

function gateRow(gate: GateView, now: number): string[] {
  const value = gate.value === undefined || gate.value === null ? 'no data' : String(typeof gate.value === 'number' ? Number(gate.value.toPrecision(4)) : gate.value);
  return [VERDICTS[gate.verdict ?? ''] ?? '·', gate.id, value, gate.threshold ?? '-', ago(gate.at, now), gate.reason ?? ''];
}

function signOffRow(role: SignOffView): string[] {
  const given = role.given ?? (role.decision === undefined ? [] : [{ person: role.person ?? '?', decision: role.decision, ...(role.at === undefined ? {} : { at: role.at }) }]);
  const [first] = given;
  const mark = first === undefined ? '?' : first.decision === 'go' ? '✓' : '✗';
  const wanted = (role.count ?? 1) > 1 ? ` (${given.length} of ${role.count ?? 1})` : '';
  return [mark, `${role.role}${wanted}`, given.map((one) => `${one.person}: ${one.decision}${one.at === undefined ? '' : ` ${one.at}`}`).join(', ') || 'not yet'];
}

function stageLine(stage: StageView, current: string | undefined): string {
  const bake = stage.bake === undefined || stage.bake.required === 0 ? '' : `, baked ${formatDuration(Math.floor(stage.bake.earned / 1000) * 1000)} of ${formatDuration(stage.bake.required)}`;
  const mark = stage.state === 'passed' || stage.state === 'done' ? '✓' : stage.id === current ? '●' : '·';
  return `${mark} ${clean(stage.id)}  ${clean(stage.state)}${bake}`;
}

function exposureWords(exposure: Exposure | string | undefined): string {
  if (exposure === undefined) return '-';
  return typeof exposure === 'string' ? exposure : describe(exposure);
}

/** The launch for people: headline, stages, gates with value, limit and age, who is waited for, checklist, flags, rollback. */
export function renderView(cli: Pick<Cli, 'ascii' | 'format'>, view: LaunchView, now: number): string {
  const grid = cli.format === 'md' ? markdownTable : table;
  const head = cli.format === 'md' ? (text: string) => `\n## ${text}\n` : (text: string) => `\n${text.toUpperCase()}`;
  const gates = view.stages.flatMap((stage) => stage.gates ?? []);
  const current = view.stages.find((stage) => stage.id === view.stage);
  const lines = [
    `${cli.format === 'md' ? '# ' : ''}${headline(cli, view)}`,
    `${clean(view.id)}  ${clean(view.environment)}  plan ${clean(view.plan.hash).slice(0, 12)}  ${clean(view.startedBy ?? '')} ${clean(view.startedAt ?? '')}${(view.speed ?? 1) > 1 ? `  SPEED ${view.speed ?? 1} x` : ''}`,
    head('Stages'),
    ...view.stages.map((stage) => `${cli.format === 'md' ? '- ' : '  '}${stageLine(stage, view.stage)}`),
  ];
  if (gates.length > 0) lines.push(head('Gates'), grid(GATES, gates.map((gate) => gateRow(gate, now))));
  const asked = current?.signOffs ?? [];
  if (asked.length > 0) lines.push(head(`Sign-offs of ${clean(current?.id ?? '')}`), grid(['', 'ROLE', 'ANSWER'], asked.map(signOffRow)));
  const items = view.stages.flatMap((stage) => stage.checklist ?? []);
  if (items.length > 0) {
    const rows = items.map((item) => [item.done === true ? '☑' : '☐', item.id, item.person ?? item.role ?? '', item.evidence ?? '', item.text ?? '']);
    lines.push(head('Checklist'), grid(['', 'ITEM', 'WHO', 'EVIDENCE', 'WHAT'], rows));
  }
  const flags = view.flags ?? [];
  if (flags.length > 0) {
    const rows = flags.map((flag) => [flag.flag ?? flag.key, flag.provider, exposureWords(flag.exposure), flag.verified === undefined ? '-' : String(flag.verified)]);
    lines.push(head('Flags'), grid(['FLAG', 'PROVIDER', 'EXPOSURE', 'VERIFIED'], rows));
  }
  if (view.rollback !== undefined) {
    const { seconds, verifiedAt, requestedAt } = view.rollback;
    lines.push(head('Rollback'), `asked ${clean(requestedAt ?? '-')}, ${verifiedAt === undefined ? 'NOT VERIFIED' : `verified ${clean(verifiedAt)}`}${seconds === undefined ? '' : `, ${seconds.toFixed(1)} s`}`);
  }
  return lines.join('\n');
}
