-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

alter table core.held_closures add returned_at timestamptz;
comment on column core.held_closures.returned_at is 'When a fetch showed a job of a refused set as it was. Until then the same set is not held again.';

-- The link of an own job may be made by a transaction that does not see yet that it is withdrawn, and that the withdrawing
-- one does not see either. So the withdrawing one looks for links at its commit, when nobody else is telling anything.
create function core.note_withdrawn_own_job() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform core.wait_for_turn_to_tell();
    perform core.compare_targets(l.integration_id, l.kombo_job_id)
    from core.job_links l
    where l.customer_id = new.customer_id and l.own_job_id = new.own_job_id and l.state <> 'retired';
    return null;
end $$;
create constraint trigger compare_targets_of_withdrawn_own_job after update on core.own_jobs
    deferrable initially deferred
    for each row when (new.withdrawn_at is not null and old.withdrawn_at is null)
    execute function core.note_withdrawn_own_job();
revoke all on function core.note_withdrawn_own_job from public;
