import { sql, type Kysely } from 'kysely';

/** The first schema: a launch and its events, journal, requests, gates, people's acts, locks, and the functions that decide under the launch row's lock. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [tables, functions]) await sql.raw(statement).execute(db);
}

const tables = `
create table reservation (
  idempotency_key text primary key,
  launch text not null unique,
  body_hash text not null,
  reserved_by text not null,
  reserved_at timestamptz not null default clock_timestamp()
);
create table launch_number (plan_name text, environment text, last int not null, primary key (plan_name, environment));

create table launch (
  id text primary key,
  plan_name text not null,
  environment text not null,
  launch_order jsonb not null,
  plan_hash text not null,
  state text not null,
  outcome text,
  ended_at timestamptz,
  note text,
  speed double precision not null default 1,
  started_by text not null,
  started_at timestamptz not null default clock_timestamp(),
  deadline timestamptz not null,
  held jsonb,
  watcher_epoch int not null default 0,
  watcher_tick timestamptz,
  last_seq int not null default 0,
  head bytea not null default decode(repeat('00', 32), 'hex')
);
create index launch_live on launch (state) where outcome is null or outcome = 'stuck';

create table event (
  launch text not null references launch,
  seq int not null,
  key text not null,
  kind text not null,
  at timestamptz not null,
  recorded_at timestamptz not null,
  body text not null,
  prev_hash bytea not null,
  hash bytea not null,
  primary key (launch, seq),
  unique (launch, key)
);
create index event_recorded on event (recorded_at);

create table stage_state (
  launch text not null references launch,
  stage text not null,
  ordinal int not null,
  phase text not null default 'pending',
  round int not null default 1,
  shifted_at bigint,
  earned bigint not null default 0,
  bake_cursor bigint,
  baked_at bigint,
  no_go jsonb,
  primary key (launch, stage)
);

create table checklist_tick (
  launch text not null references launch,
  item text not null,
  done boolean not null,
  evidence text,
  person text not null,
  role text,
  ticked_at timestamptz not null default clock_timestamp(),
  primary key (launch, item)
);

create table signature (
  launch text not null references launch,
  stage text not null,
  round int not null,
  role text not null,
  person text not null,
  decision text not null,
  plan_hash text not null,
  seal text not null,
  signed_at timestamptz not null default clock_timestamp(),
  primary key (launch, stage, round, person)
);

create table gate_state (
  launch text not null references launch,
  gate text not null,
  armed_at bigint not null,
  state jsonb not null,
  cursor_at bigint not null,
  every_ms bigint not null,
  measured boolean not null default true,
  passes boolean not null default false,
  pending boolean not null default false,
  measured_at timestamptz,
  primary key (launch, gate)
);

create table measurement (
  launch text not null references launch,
  gate text not null,
  at bigint not null,
  value double precision,
  kind text not null,
  detail text,
  primary key (launch, gate, at)
);

create table candidate (
  launch text not null references launch,
  flag text not null,
  candidates jsonb not null,
  primary key (launch, flag)
);

create table journal (
  launch text not null references launch,
  stage text not null,
  flag text not null,
  ordinal int generated always as identity,
  provider text not null,
  unit text not null,
  key text not null,
  fallback boolean not null default false,
  phase text not null default 'intent' check (phase in ('intent', 'applied', 'restored', 'proven', 'void')),
  snapshot jsonb not null,
  target jsonb not null,
  written_revision text,
  restored_revision text,
  restored_as text,
  before jsonb not null default '{}',
  witnesses jsonb,
  undo text not null,
  remembered_at timestamptz not null default clock_timestamp(),
  applied_at timestamptz,
  touched_at timestamptz,
  touched_by text,
  primary key (launch, stage, flag)
);

create table rollback_request (
  launch text not null references launch,
  scope text not null,
  cause jsonb not null,
  requested_by text not null,
  first_bad_at timestamptz,
  requested_at timestamptz not null default clock_timestamp(),
  progress_at timestamptz not null default clock_timestamp(),
  verified_at timestamptz,
  proven_at timestamptz,
  paged_at timestamptz,
  stuck_at timestamptz,
  primary key (launch, scope)
);
create index rollback_open on rollback_request (launch) where proven_at is null;

create table flag_lock (
  provider text not null,
  environment text not null,
  key text not null,
  launch text not null,
  kept_until timestamptz,
  primary key (provider, environment, key)
);
create index flag_lock_launch on flag_lock (launch);

create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  person text,
  action text not null,
  target text,
  why text not null,
  origin text
);

create table notification (
  launch text not null,
  seq int not null,
  channel text not null,
  claimed_at timestamptz not null default clock_timestamp(),
  sent_at timestamptz,
  attempts int not null default 0,
  last_error text,
  primary key (launch, seq, channel)
);

create table alert_receipt (
  source text not null,
  fingerprint text not null,
  starts_at timestamptz not null,
  received_at timestamptz not null default clock_timestamp(),
  labels jsonb not null,
  times int not null default 1,
  last_at timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  primary key (source, fingerprint, starts_at)
);

create table "freeze" (
  id bigint generated always as identity primary key,
  environment text,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  reason text not null
);

create table token (
  hash text primary key,
  person text not null,
  name text not null,
  roles text[] not null,
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz
);
`;

const functions = `
-- The next event of a launch, under its row's lock: number, time of recording and hash are the database's. A known key changes nothing.
create function append_event(p_launch text, p_key text, p_body text, p_state text default null)
returns table (seq int, recorded_at timestamptz, hash bytea, fresh boolean) language plpgsql as $$
declare
  l launch%rowtype;
  e event%rowtype;
  body jsonb := p_body::jsonb;
begin
  select * into l from launch where id = p_launch for update;
  if not found then raise exception 'launch % does not exist', p_launch using errcode = 'GN404'; end if;
  select * into e from event where launch = p_launch and key = p_key;
  if found then return query select e.seq, e.recorded_at, e.hash, false; return; end if;
  e.seq := l.last_seq + 1;
  e.recorded_at := date_trunc('milliseconds', clock_timestamp());
  e.hash := sha256(l.head || int8send(e.seq::bigint)
    || convert_to(to_char(e.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'UTF8') || convert_to(p_body, 'UTF8'));
  insert into event (launch, seq, key, kind, at, recorded_at, body, prev_hash, hash)
    values (p_launch, e.seq, p_key, body->>'kind', (body->>'at')::timestamptz, e.recorded_at, p_body, l.head, e.hash);
  update launch set last_seq = e.seq, head = e.hash, state = coalesce(p_state, state) where id = p_launch;
  perform pg_notify('gonogo_event', p_launch);
  return query select e.seq, e.recorded_at, e.hash, true;
end $$;

-- The journal of a launch, oldest entry first, as one document.
create function journal_of(p_launch text) returns jsonb language sql stable as $$
  select coalesce(jsonb_agg(to_jsonb(j) order by j.ordinal), '[]') from journal j where j.launch = p_launch
$$;

-- One row is the rollback. Accepted only while the launch lives; a launch's request covers a stage's; a repeat changes nothing.
-- The hand that asks may touch the entries at once, so that its first write needs no further call.
create function request_rollback(p_launch text, p_scope text, p_cause jsonb, p_by text, p_first_bad timestamptz, p_body text, p_hand text default null)
returns jsonb language plpgsql as $$
declare
  l launch%rowtype;
  status text := 'requested';
begin
  select * into l from launch where id = p_launch for update;
  if not found then return jsonb_build_object('status', 'unknown'); end if;
  if l.outcome in ('launched', 'rolled-back', 'aborted') then
    return jsonb_build_object('status', 'over', 'outcome', l.outcome);
  end if;
  if exists (select 1 from rollback_request r where r.launch = p_launch and r.scope in ('launch', p_scope)) then
    status := 'covered';
  else
    insert into rollback_request (launch, scope, cause, requested_by, first_bad_at) values (p_launch, p_scope, p_cause, p_by, p_first_bad);
    perform append_event(p_launch, 'rollback-requested:' || p_scope, p_body, 'rolling-back');
    if l.outcome = 'stuck' then update launch set outcome = null where id = p_launch; end if;
    if p_hand is not null then
      update journal set touched_at = clock_timestamp(), touched_by = p_hand
        where launch = p_launch and phase <> 'void' and (p_scope = 'launch' or stage = substr(p_scope, 7));
    end if;
    perform pg_notify('gonogo_rollback', p_launch);
  end if;
  -- only a hand needs the rest
  if p_hand is null then return jsonb_build_object('status', status); end if;
  return rollback_state(p_launch) || jsonb_build_object('status', status);
end $$;

-- What a hand needs for one attempt: requests, journal, order and candidates.
create function rollback_state(p_launch text) returns jsonb language sql stable as $$
  select jsonb_build_object(
    'launch', l.id, 'outcome', l.outcome, 'state', l.state, 'order', l.launch_order, 'now', clock_timestamp(),
    'requests', coalesce((select jsonb_agg(to_jsonb(r) order by r.scope = 'launch' desc) from rollback_request r where r.launch = l.id), '[]'),
    'journal', journal_of(l.id),
    'candidates', coalesce((select jsonb_object_agg(c.flag, c.candidates) from candidate c where c.launch = l.id), '{}'))
  from launch l where l.id = p_launch
$$;

-- A hand says it is about to write a unit: taken when another hand touched it within p_takes ms; always tells the widest scope now.
create function touch_unit(p_launch text, p_provider text, p_unit text, p_hand text, p_takes int) returns jsonb language plpgsql as $$
declare
  mine boolean;
  widest text;
begin
  perform 1 from launch where id = p_launch for update;
  select not exists (
    select 1 from journal where launch = p_launch and provider = p_provider and unit = p_unit
      and touched_by <> p_hand and touched_at > clock_timestamp() - make_interval(secs => p_takes / 1000.0)) into mine;
  if mine then
    update journal set touched_at = clock_timestamp(), touched_by = p_hand where launch = p_launch and provider = p_provider and unit = p_unit and phase <> 'void';
  end if;
  update rollback_request set progress_at = clock_timestamp() where launch = p_launch and proven_at is null;
  select scope into widest from rollback_request where launch = p_launch order by scope = 'launch' desc limit 1;
  return jsonb_build_object('yours', mine, 'widest', widest);
end $$;

-- Marks entries written back; each only from the phase before. The event goes with the first mark.
create function mark_restored(p_launch text, p_marks jsonb, p_key text, p_body text) returns int language plpgsql as $$
declare
  moved int;
begin
  perform 1 from launch where id = p_launch for update;
  update journal j set phase = 'restored', restored_revision = m->>'revision', restored_as = m->>'as'
    from jsonb_array_elements(p_marks) m
    where j.launch = p_launch and j.stage = m->>'stage' and j.flag = m->>'flag' and j.phase in ('intent', 'applied');
  get diagnostics moved = row_count;
  if moved > 0 and p_body is not null then perform append_event(p_launch, p_key || ':' || (select last_seq from launch where id = p_launch), p_body); end if;
  update rollback_request set progress_at = clock_timestamp() where launch = p_launch and proven_at is null;
  return moved;
end $$;

-- Marks entries proven by compare-and-set, and the request with them once nothing in its scope is left. True when this call proved the request.
create function mark_proven(p_launch text, p_scope text, p_flags jsonb, p_verified timestamptz, p_body text) returns boolean language plpgsql as $$
declare
  l launch%rowtype;
  n int;
begin
  select * into l from launch where id = p_launch for update;
  -- a stage's hand proves nothing once the launch is asked for
  if p_scope <> 'launch' and exists (select 1 from rollback_request where launch = p_launch and scope = 'launch') then return false; end if;
  update journal j set phase = 'proven' from jsonb_array_elements_text(p_flags) f
    where j.launch = p_launch and j.flag = f and j.phase = 'restored' and (p_scope = 'launch' or j.stage = substr(p_scope, 7));
  if exists (select 1 from journal j where j.launch = p_launch and j.phase not in ('proven', 'void') and not (j.fallback and p_scope <> 'launch')
      and (p_scope = 'launch' or j.stage = substr(p_scope, 7))) then
    return false;
  end if;
  -- the launch's proof is the stage's as well
  update rollback_request set proven_at = clock_timestamp(), verified_at = p_verified, progress_at = clock_timestamp()
    where launch = p_launch and (scope = p_scope or p_scope = 'launch') and proven_at is null;
  get diagnostics n = row_count;
  if n = 0 then return false; end if;
  perform append_event(p_launch, 'rollback-proven:' || p_scope || ':' || l.last_seq, p_body);
  perform pg_notify('gonogo_rollback', p_launch);
  return true;
end $$;

-- Both marks in one commit, for a proof that came right after the write.
create function finish_rollback(p_launch text, p_marks jsonb, p_restored text, p_scope text, p_flags jsonb, p_verified timestamptz, p_proven text) returns boolean language plpgsql as $$
begin
  perform mark_restored(p_launch, p_marks, 'restored', p_restored);
  return mark_proven(p_launch, p_scope, p_flags, p_verified, p_proven);
end $$;

-- Calls of several launches in one commit, each as if made alone: one that fails takes nothing of the others with it, and one whose row is locked is not waited for.
create function many(p_calls jsonb) returns table (launch text, answer jsonb, failed text) language plpgsql as $$
declare
  c record;
begin
  for c in select value->>'key' as key, value->>'call' as call, value->'with' as w from jsonb_array_elements(p_calls) order by value->>'key' loop
    launch := c.key;
    answer := null;
    failed := null;
    begin
      perform 1 from launch l where l.id = c.key for update skip locked;
      if not found and exists (select 1 from launch l where l.id = c.key) then
        failed := 'busy';
      elsif c.call = 'request' then
        answer := request_rollback(c.key, c.w->>0, c.w->1, c.w->>2, (c.w->>3)::timestamptz, c.w->>4, c.w->>5);
      else
        answer := to_jsonb(finish_rollback(c.key, c.w->0, c.w->>1, c.w->>2, c.w->3, (c.w->>4)::timestamptz, c.w->>5));
      end if;
    exception when others then
      failed := sqlerrm;
    end;
    return next;
  end loop;
end $$;

-- A relapse seen in the look after: what was proven is not, and is tried again.
create function unprove(p_launch text, p_scope text, p_flags jsonb, p_body text) returns boolean language plpgsql as $$
declare
  l launch%rowtype;
begin
  select * into l from launch where id = p_launch for update;
  if l.outcome in ('launched', 'rolled-back', 'aborted') then return false; end if;
  update rollback_request set proven_at = null, verified_at = null, progress_at = clock_timestamp() where launch = p_launch and scope = p_scope and proven_at is not null;
  if not found then return false; end if;
  update journal j set phase = 'applied' from jsonb_array_elements_text(p_flags) f
    where j.launch = p_launch and j.flag = f and j.phase = 'proven' and (p_scope = 'launch' or j.stage = substr(p_scope, 7));
  perform append_event(p_launch, 'relapsed:' || p_scope || ':' || l.last_seq, p_body, 'rolling-back');
  return true;
end $$;

-- A watcher's attempt begins: the epoch it must show with every write.
create function take_watch(p_launch text) returns int language sql as $$
  update launch set watcher_epoch = watcher_epoch + 1, watcher_tick = clock_timestamp() where id = p_launch returning watcher_epoch
$$;

-- One tick of a watcher: its gates and bake clock go in, all that it must know comes out; an older epoch is refused.
create function watch_tick(p_launch text, p_epoch int, p_gates jsonb, p_measurements jsonb, p_stage text, p_earned bigint, p_bake_cursor bigint, p_baked_at bigint)
returns jsonb language plpgsql as $$
declare
  l launch%rowtype;
begin
  select * into l from launch where id = p_launch for no key update;
  if not found or l.watcher_epoch <> p_epoch then return jsonb_build_object('superseded', true); end if;
  if jsonb_array_length(p_gates) > 0 then
    insert into gate_state (launch, gate, armed_at, state, cursor_at, every_ms, measured, passes, pending, measured_at)
      select p_launch, g->>'gate', (g->>'armedAt')::bigint, g->'state', (g->>'cursor')::bigint, (g->>'every')::bigint,
        (g->>'measured')::boolean, (g->>'passes')::boolean, (g->>'pending')::boolean, clock_timestamp()
      from jsonb_array_elements(p_gates) g
    on conflict (launch, gate) do update set state = excluded.state, cursor_at = excluded.cursor_at, passes = excluded.passes,
      pending = excluded.pending, measured_at = excluded.measured_at, measured = excluded.measured;
  end if;
  if jsonb_array_length(p_measurements) > 0 then
    insert into measurement (launch, gate, at, value, kind, detail)
      select p_launch, m->>'gate', (m->>'at')::bigint, (m->>'value')::double precision, m->>'kind', m->>'detail' from jsonb_array_elements(p_measurements) m
    on conflict do nothing;
  end if;
  if p_stage is not null then
    update stage_state set earned = greatest(earned, p_earned), bake_cursor = greatest(bake_cursor, p_bake_cursor), baked_at = coalesce(baked_at, p_baked_at) where launch = p_launch and stage = p_stage;
  end if;
  update launch set watcher_tick = clock_timestamp() where id = p_launch;
  return watch_state(p_launch);
end $$;

create function watch_state(p_launch text) returns jsonb language sql stable as $$
  select jsonb_build_object('superseded', false, 'outcome', l.outcome, 'state', l.state, 'held', l.held, 'epoch', l.watcher_epoch,
    'lastSeq', l.last_seq,
    'requests', (select coalesce(jsonb_agg(jsonb_build_object('scope', r.scope, 'provenAt', r.proven_at)), '[]') from rollback_request r where r.launch = l.id),
    'journalled', (select count(*) from journal j where j.launch = l.id),
    'stages', (select coalesce(jsonb_agg(jsonb_build_object('stage', s.stage, 'phase', s.phase, 'shiftedAt', s.shifted_at,
      'moved', exists (select 1 from journal j where j.launch = l.id and j.stage = s.stage and not j.fallback and j.phase not in ('intent', 'void')),
      'earned', s.earned, 'bakeCursor', s.bake_cursor, 'bakedAt', s.baked_at, 'round', s.round, 'noGo', s.no_go) order by s.ordinal), '[]')
      from stage_state s where s.launch = l.id))
  from launch l where l.id = p_launch
$$;
`;
