/** Raised when the SQL below changes: a process of an older version leaves a newer schema alone. */
export const FLAG_SCHEMA_VERSION = 1;

/** Told to everyone who listens when flags have changed: the changed keys joined by commas, or `*` for look at everything. */
export const FLAG_CHANNEL = 'gonogo_flag';

/** What a flag row says, as the functions answer it. */
const ROW = (flag: string) => `jsonb_build_object(
      'key', ${flag}.key, 'type', ${flag}.type, 'allowed', ${flag}.allowed, 'offValue', ${flag}.off_value, 'exposure', ${flag}.exposure,
      'salt', ${flag}.salt, 'revision', ${flag}.revision::text, 'exposed', ${flag}.exposed, 'owner', ${flag}.owner, 'description', ${flag}.description,
      'updatedBy', ${flag}.updated_by, 'changeId', ${flag}.change_id, 'updatedAt', to_char(${flag}.updated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;

/**
 * Tables and functions of the built-in flag store, for a database of its own or gonogo's. Safe to run again, and by two
 * processes at once (run it as one simple query: one transaction, under an advisory lock).
 *
 * The functions lock the rows in a statement of their own, in key order: the statements after it see what was committed
 * while they waited (one statement that locks and reads misses it). The old value comes by a self-join of the locked
 * rows, which PostgreSQL before 18 understands too. Nothing notifies in here: a NOTIFY inside the transaction makes
 * commits wait for one another; the store sends one after the commit.
 */
export const FLAG_SCHEMA = `
select pg_advisory_xact_lock(hashtext('gonogo flag schema'));

create table if not exists flag_schema (version integer not null);

create table if not exists flag (
  key text primary key check (length(key) between 1 and 200),
  type text not null check (type in ('boolean', 'string')),
  allowed jsonb not null,
  off_value jsonb not null,
  exposure jsonb not null,
  salt text not null,
  revision bigint not null default 1,
  exposed boolean not null default false,
  owner text not null default '',
  description text not null default '',
  updated_by text not null,
  change_id text not null,
  updated_at timestamptz not null default clock_timestamp()
);

create table if not exists flag_change (
  seq bigint generated always as identity primary key,
  key text not null references flag (key),
  kind text not null check (kind in ('create', 'write', 'restore', 'fence')),
  old jsonb,
  new jsonb not null,
  old_revision bigint,
  new_revision bigint not null,
  who text not null,
  at timestamptz not null default clock_timestamp(),
  change_id text not null,
  comment text not null default ''
);
create index if not exists flag_change_by_key on flag_change (key, seq desc);
create index if not exists flag_change_by_id on flag_change (change_id, key);

create table if not exists flag_segment (
  name text primary key check (length(name) between 1 and 200),
  listed jsonb not null,
  revision bigint not null default 1,
  updated_by text not null,
  updated_at timestamptz not null default clock_timestamp()
);

create or replace function flag_create(flags jsonb, who text, change text, note text) returns table (key text, doc jsonb)
language sql as $body$
  with made as (
    insert into flag (key, type, allowed, off_value, exposure, salt, exposed, owner, description, updated_by, change_id)
    select f->>'key', f->>'type', f->'allowed', f->'offValue', f->'exposure', f->>'salt', (f->>'exposed')::boolean, f->>'owner', f->>'description', who, change
    from jsonb_array_elements(flags) f
    order by f->>'key'
    on conflict do nothing
    returning *
  ), noted as (
    insert into flag_change (key, kind, new, new_revision, who, change_id, comment)
    select m.key, 'create', m.exposure, m.revision, who, change, note from made m
  )
  select m.key, ${ROW('m')} from made m
$body$;

create or replace function flag_read(keys text[]) returns table (flags jsonb, segments jsonb)
language sql stable as $body$
  select (select coalesce(jsonb_agg(${ROW('f')} order by f.key), '[]') from flag f where keys is null or f.key = any (keys)),
         (select coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'listed', s.listed, 'revision', s.revision::text) order by s.name), '[]') from flag_segment s)
$body$;

create or replace function flag_write_many(changes jsonb) returns table (key text, outcome text, doc jsonb)
language plpgsql as $body$
#variable_conflict use_column
begin
  perform 1 from flag f where f.key in (select c->>'key' from jsonb_array_elements(changes) c) order by f.key for update;
  return query
  with wanted as (
    select c->>'key' as key, c->'to' as exposure, (c->>'expected')::bigint as expected, c->>'change' as change, c->>'by' as who, c->>'comment' as comment
    from jsonb_array_elements(changes) c
  ), judged as (
    select w.*, case
      when f.key is null then 'missing'
      when exists (select 1 from flag_change h where h.change_id = w.change and h.key = w.key and h.kind = 'write') then 'repeated'
      when w.expected <> f.revision then 'drift'
      else 'written' end as outcome
    from wanted w left join flag f on f.key = w.key
  ), moved as (
    update flag f
    set exposure = j.exposure, revision = f.revision + 1, updated_by = j.who, change_id = j.change, updated_at = clock_timestamp()
    from judged j join flag o on o.key = j.key
    where f.key = j.key and j.outcome = 'written' and not exists (select 1 from judged b where b.outcome in ('missing', 'drift'))
    returning f.*, o.exposure as old_exposure, o.revision as old_revision, j.comment as comment
  ), noted as (
    insert into flag_change (key, kind, old, new, old_revision, new_revision, who, change_id, comment)
    select m.key, 'write', m.old_exposure, m.exposure, m.old_revision, m.revision, m.updated_by, m.change_id, m.comment from moved m order by m.key
  )
  select j.key, case when j.outcome = 'written' and m.key is null then 'withheld' else j.outcome end,
         case when m.key is not null then ${ROW('m')} when f.key is not null then ${ROW('f')} end
  from judged j left join moved m on m.key = j.key left join flag f on f.key = j.key;
end
$body$;

create or replace function flag_restore_many(entries jsonb, patient boolean) returns table (key text, outcome text, doc jsonb)
language plpgsql as $body$
#variable_conflict use_column
declare
  held text[];
begin
  if patient then
    select array_agg(l.key) into held from (select f.key from flag f where f.key in (select e->>'key' from jsonb_array_elements(entries) e) order by f.key for update) l;
  else
    select array_agg(l.key) into held from (select f.key from flag f where f.key in (select e->>'key' from jsonb_array_elements(entries) e) order by f.key for update skip locked) l;
  end if;
  return query
  with wanted as (
    select e->>'key' as key, e->>'kind' as kind, e->'to' as exposure, (e->>'seen')::bigint as seen, e->>'change' as change, e->>'by' as who, e->>'comment' as comment
    from jsonb_array_elements(entries) e
  ), judged as (
    select w.*, case
      when f.key is null then 'missing'
      when not (w.key = any (coalesce(held, '{}'))) then 'locked'
      when w.seen <> f.revision then 'moved'
      when w.kind = 'restore' and w.exposure = f.exposure then 'same'
      else 'written' end as outcome
    from wanted w left join flag f on f.key = w.key
  ), moved as (
    update flag f
    set exposure = case when j.kind = 'restore' then j.exposure else f.exposure end,
        revision = f.revision + 1, updated_by = j.who, change_id = j.change, updated_at = clock_timestamp()
    from judged j join flag o on o.key = j.key
    where f.key = j.key and j.outcome = 'written'
    returning f.*, o.exposure as old_exposure, o.revision as old_revision, j.comment as comment, j.kind as kind
  ), noted as (
    insert into flag_change (key, kind, old, new, old_revision, new_revision, who, change_id, comment)
    select m.key, m.kind, m.old_exposure, m.exposure, m.old_revision, m.revision, m.updated_by, m.change_id, m.comment from moved m order by m.key
  )
  select j.key, j.outcome, case when m.key is not null then ${ROW('m')} when f.key is not null then ${ROW('f')} end
  from judged j left join moved m on m.key = j.key left join flag f on f.key = j.key;
end
$body$;

create or replace function flag_segment_put(name text, listed jsonb, who text) returns table (doc jsonb)
language sql as $body$
  insert into flag_segment as s (name, listed, updated_by) values (name, listed, who)
  on conflict (name) do update set listed = excluded.listed, revision = s.revision + 1, updated_by = excluded.updated_by, updated_at = clock_timestamp()
  returning jsonb_build_object('name', s.name, 'listed', s.listed, 'revision', s.revision::text)
$body$;

delete from flag_schema;
insert into flag_schema (version) values (${FLAG_SCHEMA_VERSION});
`;
