-- Who may what: group roles, to which you add a login role for each program and person. Applied by every
-- `kombo-pipeline migrate`, after the views; a right that is not written here is taken from these roles again.
-- Views run with the rights of their owner, so marts shows its readers what they could not read in core.

revoke all on schema raw, core, marts
    from kombo_receiver, kombo_backoffice, kombo_pipeline_loader, kombo_analyst;
revoke all on all tables in schema raw, core, marts
    from kombo_receiver, kombo_backoffice, kombo_pipeline_loader, kombo_analyst;
revoke all on all functions in schema core
    from kombo_receiver, kombo_backoffice, kombo_pipeline_loader, kombo_analyst;
revoke all on function core.seen_since from public;

-- The receiver stands in the internet: it can add events and counts of what it refused, and not even read them.
grant usage on schema raw to kombo_receiver;
grant insert on raw.webhook_events, raw.refused_deliveries to kombo_receiver;
-- Every program asks first whether it may work on this schema.
grant usage on schema core to kombo_receiver;
grant select on core.schema_versions to kombo_receiver, kombo_backoffice;

-- Runs and commands. What a person answered is added to, never changed.
grant usage on schema raw, core, marts to kombo_pipeline_loader;
grant select, insert, update, delete on all tables in schema raw, core to kombo_pipeline_loader;
revoke update, delete on core.link_decisions, core.carried_decisions from kombo_pipeline_loader;
grant select on all tables in schema marts to kombo_pipeline_loader;
grant execute on function core.seen_since to kombo_pipeline_loader;

-- The back office: people's answers and what follows from them. It cannot see what Kombo sent, nor fetch anything.
grant usage on schema core, marts to kombo_backoffice;
grant select on all tables in schema marts to kombo_backoffice;
-- No page shows the people of the hiring team.
revoke all on marts.job_hiring_team from kombo_backoffice;
grant select on core.integrations, core.integration_issues, core.jobs, core.job_changes, core.held_closures,
    core.own_jobs, core.matchable_jobs, core.own_job_matches, core.job_match_candidates, core.job_links,
    core.link_decisions, core.exposed_jobs, core.notices, core.link_notices, core.backoffice_users,
    core.backoffice_sessions to kombo_backoffice;
grant insert on core.own_jobs, core.job_links, core.link_decisions, core.exposed_jobs, core.backoffice_sessions
    to kombo_backoffice;
-- Notices are written by triggers, with the rights of their owner; the back office delivers them.
grant update on core.own_jobs, core.job_links, core.exposed_jobs, core.notices, core.link_notices,
    core.backoffice_sessions to kombo_backoffice;
grant delete on core.backoffice_sessions to kombo_backoffice;
-- Counting wrong passwords.
grant select, insert, update, delete on core.sign_in_attempts to kombo_backoffice;
-- Holding a withdrawal that the own-jobs feed brings, and releasing it.
grant select, insert, update on core.held_withdrawals to kombo_backoffice;
-- Releasing a held closure.
grant update (decision, decided_at, decided_by) on core.held_closures to kombo_backoffice;
grant update (remote_deleted_at, vanished_at, status, record_hash, last_fetch_id) on core.jobs to kombo_backoffice;
grant update (job_hash) on core.matchable_jobs to kombo_backoffice;
grant insert on core.job_changes to kombo_backoffice;
-- Letting a connection take over from another one, and taking that back.
grant select, update on core.successions to kombo_backoffice;
grant select, insert, update on core.carried_links to kombo_backoffice;
grant select, insert on core.carried_decisions to kombo_backoffice;
grant update (succeeded_by, succeeded_at, matched_with, who_must_act, what_to_do) on core.integrations to kombo_backoffice;
grant update (integration_gone_at) on core.jobs to kombo_backoffice;
grant update (own_hash) on core.own_job_matches to kombo_backoffice;
grant execute on function core.seen_since to kombo_backoffice;
-- Saying whose an integration is.
grant update (customer_id, claimed_customer_id, claimed_at, declined_customer_id, owner_answered_by, owner_answered_at,
    who_must_act, what_to_do) on core.integrations to kombo_backoffice;
grant delete on core.own_job_matches to kombo_backoffice;

-- Whose turn it is to ask Kombo for what somebody pasted.
grant select, insert, update, delete on core.lookups to kombo_backoffice;

grant usage on schema marts to kombo_analyst;
grant select on all tables in schema marts to kombo_analyst;

-- Postgres lets everybody make temporary tables and large objects, with which an analyst could fill the disk. Both rights
-- are everybody's, so they can be taken from nobody alone. They are taken where the database holds nothing but the
-- pipeline; elsewhere that would stop programs that we do not know, and docs/operations.md says how to do it by hand.
do $$
begin
    if exists (
        select
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not in ('raw', 'core', 'marts', 'pg_catalog', 'pg_toast', 'information_schema')
            and n.nspname !~ '^pg_(toast_)?temp_'
            and c.relname !~ '_pipeline_revision'
    ) then
        return;
    end if;
    execute format('revoke temporary on database %I from public', current_database());
    execute format(
        'grant temporary on database %I to kombo_backoffice, kombo_pipeline_loader, %s',
        current_database(),
        (select nspowner::regrole from pg_namespace where nspname = 'marts')
    );
    -- Only a superuser can do this; for others Postgres changes nothing.
    revoke execute on function lo_create, lo_creat, lo_from_bytea from public;
exception when insufficient_privilege then null;
end $$;
