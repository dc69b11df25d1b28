import { sql, type Kysely } from 'kysely';

/** What several providers, and hands that may be frozen, need: answers counted, parts of a rollback marked, and a way back from its end. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [columns, functions]) await sql.raw(statement).execute(db);
}

const columns = `
alter table journal add column sends int not null default 0, add column answers int not null default 0;
`;

const functions = `
-- Some of a rollback's flags are proven while others are not yet. True when any moved; the event goes with it.
create function mark_part_proven(p_launch text, p_scope text, p_flags jsonb, p_body text) returns boolean language plpgsql as $$
declare
  l launch%rowtype;
begin
  select * into l from launch where id = p_launch for update;
  if p_scope <> 'launch' and exists (select 1 from rollback_request where launch = p_launch and scope = 'launch') then return false; end if;
  if not exists (select 1 from rollback_request where launch = p_launch and scope = p_scope and proven_at is null) then return false; end if;
  update journal j set phase = 'proven' from jsonb_array_elements_text(p_flags) f
    where j.launch = p_launch and j.flag = f and j.phase = 'restored' and (p_scope = 'launch' or j.stage = substr(p_scope, 7));
  if not found then return false; end if;
  update rollback_request set progress_at = clock_timestamp() where launch = p_launch and proven_at is null;
  perform append_event(p_launch, 'part-proven:' || p_scope || ':' || l.last_seq, p_body);
  return true;
end $$;

-- What was written back or proven is not so after all, while the rest of the rollback is still tried.
create function relapse_part(p_launch text, p_scope text, p_flags jsonb, p_body text) returns boolean language plpgsql as $$
declare
  l launch%rowtype;
begin
  select * into l from launch where id = p_launch for update;
  if not exists (select 1 from rollback_request where launch = p_launch and scope = p_scope and proven_at is null) then return false; end if;
  update journal j set phase = 'applied' from jsonb_array_elements_text(p_flags) f
    where j.launch = p_launch and j.flag = f and j.phase in ('restored', 'proven') and (p_scope = 'launch' or j.stage = substr(p_scope, 7));
  if not found then return false; end if;
  perform append_event(p_launch, 'relapsed:' || p_scope || ':' || l.last_seq, p_body);
  return true;
end $$;

-- A patrol's finding: the rollback is taken up again with clocks of its own, also after its end while the locks are kept.
create function take_up_again(p_launch text, p_scope text, p_flags jsonb, p_body text) returns boolean language plpgsql as $$
declare
  l launch%rowtype;
begin
  select * into l from launch where id = p_launch for update;
  if not found or l.outcome in ('launched', 'aborted') then return false; end if;
  if l.outcome = 'rolled-back' and not exists (select 1 from flag_lock where launch = p_launch) then return false; end if;
  update rollback_request set proven_at = null, verified_at = null, paged_at = null, stuck_at = null,
      first_bad_at = clock_timestamp(), requested_at = clock_timestamp(), progress_at = clock_timestamp()
    where launch = p_launch and scope = p_scope and proven_at is not null;
  if not found then return false; end if;
  update launch set outcome = null, ended_at = null where id = p_launch;
  update flag_lock set kept_until = null where launch = p_launch;
  update journal j set phase = 'applied' from jsonb_array_elements_text(p_flags) f
    where j.launch = p_launch and j.flag = f and j.phase = 'proven' and (p_scope = 'launch' or j.stage = substr(p_scope, 7));
  perform append_event(p_launch, 'relapsed:' || p_scope || ':' || l.last_seq, p_body, 'rolling-back');
  perform pg_notify('gonogo_rollback', p_launch);
  return true;
end $$;
`;
