import type { MeasurementRow, StagePhase, NoGo, Hold } from './schema.ts';
import type { Outcome, State } from '../core/event.ts';
import type { Store } from './store.ts';

/** What a watcher must know of its launch at every tick. */
export interface WatchState {
  readonly outcome?: Outcome;
  readonly state: State;
  readonly held?: Hold;
  readonly lastSeq: number;
  readonly requests: readonly { readonly scope: string; readonly proven: boolean }[];
  /** How many journal entries there are: the watcher reads them again when it grows. */
  readonly journalled: number;
  readonly stages: readonly {
    readonly stage: string;
    readonly phase: StagePhase;
    readonly round: number;
    readonly shiftedAt?: number;
    /** Whether any of its flags has moved: also before `shiftedAt`, where another one cannot be written. */
    readonly moved?: boolean;
    readonly earned: number;
    /** Judged time up to which `earned` was counted. */
    readonly bakeCursor?: number;
    readonly bakedAt?: number;
    readonly noGo?: NoGo;
  }[];
}

/** A gate's standing, as a tick writes it. Times in ms; `cursor` is judged time. */
export interface GateTick {
  readonly gate: string;
  readonly armedAt: number;
  readonly state: unknown;
  readonly cursor: number;
  readonly every: number;
  readonly measured: boolean;
  readonly passes: boolean;
  readonly pending: boolean;
}

/** What one tick writes: gates, kept measurements, and the bake of the stage that is live. */
export interface Tick {
  readonly gates: readonly GateTick[];
  readonly measurements: readonly MeasurementRow[];
  readonly bake?: { readonly stage: string; readonly earned: number; readonly cursor: number; readonly bakedAt?: number };
}

/** A newer watcher rules: this one's loop ends. */
export type Ticked = { readonly superseded: true } | ({ readonly superseded: false } & WatchState);

/** Begins a watcher's attempt; every older one is refused from now on. Undefined when there is no such launch. */
export async function takeWatch(store: Store, launch: string): Promise<number | undefined> {
  const [row] = await store.urgent('select take_watch($1) as epoch', [launch], 'take_watch');
  return (row?.['epoch'] as number | null) ?? undefined;
}

function watchState(raw: unknown): Ticked {
  const document = raw as Record<string, unknown>;
  if (document['superseded'] === true) return { superseded: true };
  const stages = document['stages'] as Record<string, unknown>[];
  return {
    superseded: false,
    state: document['state'] as State,
    lastSeq: document['lastSeq'] as number,
    journalled: document['journalled'] as number,
    requests: (document['requests'] as { scope: string; provenAt: string | null }[]).map((one) => ({ scope: one.scope, proven: one.provenAt !== null })),
    stages: stages.map((stage) => ({
      stage: stage['stage'] as string,
      phase: stage['phase'] as StagePhase,
      round: stage['round'] as number,
      earned: stage['earned'] as number,
      ...(stage['shiftedAt'] === null ? {} : { shiftedAt: stage['shiftedAt'] as number }),
      ...(stage['moved'] === true ? { moved: true } : {}),
      ...(stage['bakeCursor'] === null ? {} : { bakeCursor: stage['bakeCursor'] as number }),
      ...(stage['bakedAt'] === null ? {} : { bakedAt: stage['bakedAt'] as number }),
      ...(stage['noGo'] === null ? {} : { noGo: stage['noGo'] as NoGo }),
    })),
    ...(document['outcome'] === null ? {} : { outcome: document['outcome'] as Outcome }),
    ...(document['held'] === null ? {} : { held: document['held'] as Hold }),
  };
}

/** One statement: the tick goes in under the watcher's epoch, and the launch as it stands comes out. */
export async function watchTick(store: Store, launch: string, epoch: number, tick: Tick): Promise<Ticked> {
  const [row] = await store.urgent(
    'select watch_tick($1, $2, $3, $4, $5, $6, $7, $8) as state',
    [
      launch,
      epoch,
      JSON.stringify(tick.gates),
      JSON.stringify(tick.measurements),
      tick.bake?.stage ?? null,
      tick.bake === undefined ? null : Math.floor(tick.bake.earned),
      tick.bake === undefined ? null : Math.floor(tick.bake.cursor),
      tick.bake?.bakedAt === undefined ? null : Math.floor(tick.bake.bakedAt),
    ],
    'watch_tick',
  );
  return watchState(row?.['state']);
}

/** A gate as it was left by the watcher before: its state, and how far it was judged. */
export interface GateRow {
  readonly gate: string;
  readonly armedAt: number;
  readonly state: unknown;
  readonly cursor: number;
}

/** The gates of a launch as last written. */
export async function gateRows(store: Store, launch: string): Promise<readonly GateRow[]> {
  const rows = await store.db.selectFrom('gate_state').selectAll().where('launch', '=', launch).execute();
  return rows.map((row) => ({ gate: row.gate, armedAt: Number(row.armed_at), state: row.state, cursor: Number(row.cursor_at) }));
}

/** Launches among `ids` with a rollback that is not proven: what the process reads every 2 s in case an announcement was lost. */
export async function openRequests(store: Store, ids: readonly string[]): Promise<readonly string[]> {
  const rows = await store.urgent('select distinct launch from rollback_request where proven_at is null and launch = any($1)', [ids], 'open_requests');
  return rows.map((row) => row['launch'] as string);
}
