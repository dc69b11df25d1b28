import { formatDuration } from '../core/duration.ts';
import type { GateView, LaunchView, SignOffView, StageView } from '../core/view.ts';
import type { Cli } from './cli.ts';
import { EXIT, Exit, type ExitCode } from './exit.ts';
import { ago, clean, glyph, markdownTable, table } from './text.ts';

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
const VERDICTS: Readonly<Record<GateView['verdict'], string>> = { go: '✓', 'no-go': '✗', inconclusive: '?' };

function gateRow(gate: GateView, now: number): string[] {
  const value = gate.value === undefined ? (gate.at === undefined ? '-' : 'no data') : String(Number(gate.value.toPrecision(4)));
  return [gate.armed ? VERDICTS[gate.verdict] : '·', gate.id, value, gate.threshold, ago(gate.at, now), gate.reason];
}

function signOffRow(role: SignOffView): string[] {
  const { signatures, missing, count } = role;
  const mark = signatures.some((one) => one.decision === 'no-go') ? '✗' : missing === 0 ? '✓' : '?';
  const answers = signatures.map((one) => `${one.person}: ${one.decision} ${one.at}`).join(', ');
  return [mark, count > 1 ? `${role.role} (${count - missing} of ${count})` : role.role, answers === '' ? 'not yet' : answers];
}

function stageLine(stage: StageView, current: string | undefined): string {
  const bake =
    stage.bake.required === 0 ? '' : `, baked ${formatDuration(Math.floor(stage.bake.earned / 1000) * 1000)} of ${formatDuration(stage.bake.required)}`;
  const mark = stage.state === 'passed' ? '✓' : stage.id === current ? '●' : '·';
  return `${mark} ${clean(stage.id)}  ${clean(stage.state)}${bake}`;
}

/** The launch for people: headline, stages, gates with value, limit and age, who is waited for, checklist, flags, rollback. */
export function renderView(cli: Pick<Cli, 'ascii' | 'format'>, view: LaunchView, now: number): string {
  const grid = cli.format === 'md' ? markdownTable : table;
  const head = cli.format === 'md' ? (text: string) => `\n## ${text}\n` : (text: string) => `\n${text.toUpperCase()}`;
  // A gate that several stages list is one gate.
  const gates = [...new Map(view.stages.flatMap((stage) => stage.gates).map((gate) => [gate.id, gate])).values()];
  const current = view.stages.find((stage) => stage.id === view.stage);
  const lines = [
    `${cli.format === 'md' ? '# ' : ''}${headline(cli, view)}`,
    `${clean(view.id)}  ${clean(view.environment)}  plan ${clean(view.plan.hash).slice(0, 12)}  by ${clean(view.startedBy)} ${clean(view.startedAt)}${view.speed > 1 ? `  SPEED ${view.speed} x` : ''}`,
    ...(view.held === undefined ? [] : [`held by ${clean(view.held.by)}: ${clean(view.held.reason)}`]),
    head('Stages'),
    ...view.stages.map((stage) => `${cli.format === 'md' ? '- ' : '  '}${stageLine(stage, view.stage)}`),
  ];
  if (gates.length > 0)
    lines.push(
      head('Gates'),
      grid(
        GATES,
        gates.map((gate) => gateRow(gate, now)),
      ),
    );
  const asked = current?.signOffs ?? [];
  if (asked.length > 0) lines.push(head(`Sign-offs of ${clean(current?.id ?? '')}`), grid(['', 'ROLE', 'ANSWER'], asked.map(signOffRow)));
  const items = current?.checklist ?? [];
  if (items.length > 0) {
    const rows = items.map((item) => [
      item.done ? '☑' : '☐',
      item.id,
      item.by ?? (item.machine ? 'the machine' : (item.role ?? 'anyone')),
      item.given ?? item.why ?? '',
      item.text,
    ]);
    lines.push(head(`Checklist of ${clean(current?.id ?? '')}`), grid(['', 'ITEM', 'WHO', 'EVIDENCE', 'WHAT'], rows));
  }
  if (view.flags.length > 0) {
    const rows = view.flags.map((flag) => [
      flag.verified ? '✓' : '·',
      flag.flag,
      flag.provider,
      flag.exposure ?? '-',
      flag.before ?? '-',
      flag.verified ? 'yes' : 'no',
    ]);
    lines.push(head('Flags'), grid(['', 'FLAG', 'PROVIDER', 'EXPOSURE', 'BEFORE', 'SEEN BY USERS'], rows));
  }
  for (const { why, by, requestedAt, verifiedAt, seconds } of view.rollbacks) {
    lines.push(
      head('Rollback'),
      clean(
        `${why}; asked for by ${by} ${requestedAt}, ${verifiedAt === undefined ? 'NOT VERIFIED' : `verified ${verifiedAt}`}${seconds === undefined ? '' : `, ${seconds.toFixed(1)} s`}`,
      ),
    );
  }
  if (view.remainder.length > 0) {
    lines.push(head('Not proven back'));
    for (const { flag, provider, was, undo } of view.remainder)
      lines.push(
        clean(`${flag} at ${provider}, ${was ?? 'unknown'} before${undo === undefined ? '' : `; by hand:`}`),
        ...(undo === undefined ? [] : [`  ${clean(undo)}`]),
      );
  }
  if (view.drifts.length > 0) {
    const rows = view.drifts.map((drift) => [drift.held ? '✗' : '·', drift.at, drift.flag, drift.who, `${drift.before} -> ${drift.now}`, drift.what ?? '']);
    lines.push(head("Others at the launch's flags"), grid(['', 'AT', 'FLAG', 'WHO', 'EXPOSURE', 'WHAT'], rows));
  }
  return lines.join('\n');
}
