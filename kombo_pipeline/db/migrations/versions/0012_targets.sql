-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

-- One outbox for everything that the product is told. The notices of links stay as they are; others come beside them.
alter table core.link_notices rename to notices;
alter table core.notices rename column notice_seq to sequence;
alter table core.notices rename column event_type to type;
alter table core.notices alter column link_id drop not null;
alter sequence core.link_notices_notice_seq_seq rename to notices_sequence_seq;
alter table core.notices rename constraint link_notices_pkey to notices_pkey;
alter table core.notices rename constraint link_notices_notice_seq_key to notices_sequence_key;
alter index core.link_notices_next_attempt_at_idx rename to notices_next_attempt_at_idx;
alter index core.link_notices_link_id_idx rename to notices_link_id_idx;
-- A hash, for the ids together may be longer than an index entry.
create function core.ordering_key(customer text, own_job text, integration text, job text) returns uuid language sql immutable
    return md5(
        case
            when own_job is not null then 'own job' || chr(31) || coalesce(customer, '') || chr(31) || own_job
            else 'ATS job' || chr(31) || coalesce(integration, '') || chr(31) || coalesce(job, '')
        end
    )::uuid;
alter table core.notices add ordering_key uuid not null generated always as (
    core.ordering_key(
        payload #>> '{data,customer_id}', payload #>> '{data,own_job_id}',
        payload #>> '{data,integration_id}', payload #>> '{data,kombo_job_id}'
    )
) stored;
create index on core.notices (ordering_key, sequence);
comment on table core.notices is 'A notice to your product: the outbox. Written in the transaction that causes it, as the last thing before its commit; delivered as a signed webhook.';
comment on column core.notices.sequence is 'Order of telling: that of the commits. Taken from the clock (microseconds since 1970), so that it goes on rising after an older backup was restored.';
comment on column core.notices.type is 'link.started, link.suspended, link.resumed, link.ended; target.opened, target.closed; exposure.started, exposure.ended; integration.ready, integration.needs_reconnect, integration.gone.';
comment on column core.notices.ordering_key is 'Notices of one key are delivered in the order of their sequence: those of an own job, else those of an ATS job, else those of an integration.';
comment on column core.notices.link_id is 'The link that a notice of links speaks of; null for the others. Its row is gone where the integration was forgotten.';
comment on column core.notices.created_at is 'When the transaction began that caused it.';

create view core.link_notices as ( -- The notices of links alone, under the names that they had before the other ones came.
    select
        notice_id, -- The webhook-id header; the same for every attempt.
        sequence as notice_seq, -- Order of writing.
        link_id, -- The link.
        type as event_type, -- link.started, link.suspended, link.resumed or link.ended.
        payload, -- The body that is sent.
        created_at, -- When the link changed.
        attempts, -- Deliveries tried.
        next_attempt_at, -- When the next one is due; null when there is none.
        delivered_at, -- When the receiver answered 2xx.
        dead_at, -- When it was given up.
        last_error -- What the newest failed attempt met.
    from core.notices
    where link_id is not null
);

alter table core.integrations add stale_since timestamptz;
comment on column core.integrations.stale_since is 'Since when its data is too old for applications: no complete fetch, or no success while Kombo reports failures, within KOMBO_STALE_AFTER_DAYS. Null while it is fresh. Kept by the webhook sensor.';

-- No foreign keys: a row says what was told, and stays until the product was told otherwise, whatever is deleted.
create table core.targets ( -- What your product was told last: an own job for which it may create applications, and the ATS job that they go to.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration of the ATS job.
    kombo_job_id text collate "C" not null, -- The ATS job.
    title text, -- Title of the ATS job as it was told.
    remote_id text, -- Its id in the ATS as it was told.
    post_url text, -- Its public posting as it was told.
    told_at timestamptz not null default now(), -- Since when.
    sequence bigint not null, -- The notice that told it.
    primary key (customer_id, own_job_id, integration_id)
);
create index on core.targets (integration_id, kombo_job_id);

create table core.targets_due ( -- What a transaction has changed and compares with core.targets as its last act. Empty but for transactions at work.
    transaction_id xid8 not null, -- The transaction.
    integration_id text collate "C" not null, -- The integration.
    kombo_job_id text collate "C", -- The ATS job; null where all of the integration are to be compared.
    is_first boolean not null, -- Whether it is the transaction's first row, which starts the comparison at the commit.
    unique nulls not distinct (transaction_id, integration_id, kombo_job_id)
);

-- Why no application can be created through a link; null when one can. The conditions of marts.application_targets, in words.
create function core.no_target_because(
    l core.job_links, j core.jobs, i core.integrations, o core.own_jobs, is_exposed boolean
) returns text language sql stable
    return case
        when (i).integration_id is null or (i).deleted_at is not null or (i).succeeded_by is not null then 'connection_lost'
        when (o).own_job_id is null or (o).withdrawn_at is not null then 'own_job_withdrawn'
        when (l).link_id is null or (l).state = 'retired' then 'link_ended'
        when (j).lifecycle = 'integration_gone' then 'connection_lost'
        when (j).lifecycle in ('deleted', 'vanished') then (j).lifecycle
        when (j).lifecycle <> 'open' then 'closed'
        when not (j).publishable then 'not_publishable'
        when (l).state <> 'active' or (i).claimed_customer_id is not null then 'link_suspended'
        when not is_exposed then 'exposure_ended'
        when (i).state in ('INVALID', 'INACTIVE') then 'connection_lost'
        when (i).stale_since is not null then 'stale'
    end;

-- The same of a pair, by its newest link.
create function core.no_target_because(customer text, own_job text, integration text, job text) returns text
    language plpgsql stable as $$
begin
    return (
        select core.no_target_because(l, j, i, o, exists (
            select
            from core.exposed_jobs e
            where e.integration_id = integration and e.kombo_job_id = job and e.exposed_until is null
        ))
        from (
            select max(n.link_id) as link_id
            from core.job_links n
            where n.customer_id = customer and n.own_job_id = own_job
                and n.integration_id = integration and n.kombo_job_id = job
        ) newest
        left join core.job_links l on l.link_id = newest.link_id
        left join core.jobs j on j.integration_id = integration and j.kombo_job_id = job
        left join core.integrations i on i.integration_id = integration
        left join core.own_jobs o on o.customer_id = customer and o.own_job_id = own_job
    );
end $$;

-- Notices are written by one transaction at a time, by triggers that wait for its commit: so their sequence is the order
-- of the commits, and of two transactions that make a target together the later one sees both.
create function core.wait_for_turn_to_tell() returns void language sql
    begin atomic
        select pg_advisory_xact_lock(hashtextextended('kombo_pipeline notices', 0));
    end;

create function core.number_notice() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform core.wait_for_turn_to_tell();
    new.sequence := greatest(
        nextval('core.notices_sequence_seq'), (extract(epoch from clock_timestamp()) * 1000000)::bigint
    );
    perform setval('core.notices_sequence_seq', new.sequence);
    -- The body of a notice of links keeps its form.
    if new.link_id is null then
        new.payload := jsonb_set(new.payload, '{data,sequence}', to_jsonb(new.sequence));
    end if;
    return new;
end $$;
create trigger number_notice before insert on core.notices for each row execute function core.number_notice();

-- A notice about an own job, an ATS job or an integration, with what is true of the job now, else what is `known` of it.
create function core.tell(
    told text, customer text, integration text, own_job text, job text, reason text default null, known jsonb default '{}'
) returns bigint language plpgsql as $$
declare
    number bigint;
begin
    insert into core.notices (type, payload)
    values (told, jsonb_build_object('type', told, 'timestamp', now(), 'data', jsonb_build_object(
        'customer_id', customer, 'own_job_id', own_job, 'integration_id', integration, 'kombo_job_id', job,
        'title', null, 'remote_id', null, 'post_url', null, 'data_as_of', null, 'reason', reason
    ) || known || coalesce((
        select jsonb_build_object(
            'title', m.name, 'remote_id', m.remote_id, 'post_url', m.post_url, 'data_as_of', m.data_as_of
        )
        from marts.jobs m
        where m.integration_id = integration and m.kombo_job_id = job
    ), '{}')))
    returning sequence into number;
    return number;
end $$;

-- Links and exposures: told as they change.
create or replace function core.write_link_notice() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    told text := case
        when new.state = 'active' and tg_op = 'UPDATE' then 'link.resumed'
        when new.state = 'active' then 'link.started'
        when new.state = 'suspended' then 'link.suspended'
        else 'link.ended'
    end;
begin
    insert into core.notices (link_id, type, payload)
    values (new.link_id, told, jsonb_build_object('type', told, 'timestamp', new.state_since, 'data', jsonb_build_object(
        'link_id', new.link_id, 'customer_id', new.customer_id, 'own_job_id', new.own_job_id,
        'integration_id', new.integration_id, 'kombo_job_id', new.kombo_job_id,
        'method', new.method, 'state', new.state, 'reason', new.reason
    )));
    return null;
end $$;
drop trigger tell_of_new_link on core.job_links;
drop trigger tell_of_changed_link on core.job_links;
create constraint trigger tell_of_new_link after insert on core.job_links deferrable initially deferred
    for each row when (new.state <> 'retired') execute function core.write_link_notice();
create constraint trigger tell_of_changed_link after update of state on core.job_links deferrable initially deferred
    for each row when (new.state is distinct from old.state) execute function core.write_link_notice();

create function core.write_exposure_notice() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform core.tell(
        case when tg_op = 'INSERT' then 'exposure.started' else 'exposure.ended' end,
        (select i.customer_id from core.integrations i where i.integration_id = new.integration_id),
        new.integration_id, null, new.kombo_job_id
    );
    return null;
end $$;
create constraint trigger tell_of_new_exposure after insert on core.exposed_jobs deferrable initially deferred
    for each row when (new.exposed_until is null) execute function core.write_exposure_notice();
create constraint trigger tell_of_ended_exposure after update on core.exposed_jobs deferrable initially deferred
    for each row when (old.exposed_until is null and new.exposed_until is not null)
    execute function core.write_exposure_notice();

-- Connections: told when another of these words is true of one, and when it is another customer's.
create function core.connection_state(i core.integrations) returns text language sql stable
    return case
        when (i).deleted_at is not null or (i).succeeded_by is not null then 'gone'
        when (i).state = 'INVALID' then 'needs_reconnect'
        when (i).state = 'INACTIVE' then 'inactive'
        when (i).fetched_at is not null then 'ready'
        else 'waiting'
    end;
create function core.write_integration_notice() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    before text := core.connection_state(old);
    after text := case when tg_op = 'UPDATE' then core.connection_state(new) else 'gone' end;
    known jsonb := jsonb_build_object('data_as_of', old.kombo_last_sync_started_at);
begin
    if tg_op = 'DELETE' then
        -- A typing error that never brought anything is no news.
        if before not in ('gone', 'waiting') then
            perform core.tell('integration.gone', old.customer_id, old.integration_id, null, null, null, known);
        end if;
        return null;
    end if;
    if old.customer_id <> new.customer_id and before <> 'gone' then
        perform core.tell('integration.gone', old.customer_id, old.integration_id, null, null, null, known);
    end if;
    if after in ('ready', 'needs_reconnect', 'gone') then
        known := jsonb_build_object('data_as_of', new.kombo_last_sync_started_at);
        perform core.tell('integration.' || after, new.customer_id, new.integration_id, null, null, null, known);
    end if;
    return null;
end $$;
create constraint trigger tell_of_changed_integration after update on core.integrations deferrable initially deferred
    for each row when (
        core.connection_state(new) <> core.connection_state(old) or new.customer_id is distinct from old.customer_id
    ) execute function core.write_integration_notice();
create constraint trigger tell_of_forgotten_integration after delete on core.integrations deferrable initially deferred
    for each row execute function core.write_integration_notice();

-- Targets: every change of what marts.application_targets reads notes which ATS jobs it concerns, and the commit compares
-- them with what was told last. Nobody has to remember to ask for it, not even who writes core.own_jobs by SQL.
create function core.compare_targets(integration text, job text default null) returns void language plpgsql as $$
declare
    mine constant xid8 := pg_current_xact_id();
begin
    insert into core.targets_due (transaction_id, integration_id, kombo_job_id, is_first)
    select mine, integration, job, not exists (select from core.targets_due d where d.transaction_id = mine)
    where not exists (
        select
        from core.targets_due d
        where d.transaction_id = mine and d.integration_id = integration and d.kombo_job_id is null
    )
    on conflict do nothing;
end $$;

-- What was told as open and is no target any more, and what is one and was not told: of the jobs named, or of all. Planned
-- anew each time, for a few jobs are looked up and all of an integration are joined.
create function core.closed_targets(integration text, jobs text[]) returns setof core.targets
    language plpgsql set plan_cache_mode = force_custom_plan as $$
begin
    return query
        select t.*
        from core.targets t
        where t.integration_id = integration
            and (jobs is null or t.kombo_job_id = any(jobs))
            and not exists (
                select
                from marts.application_targets a
                where a.integration_id = integration
                    and (jobs is null or a.kombo_job_id = any(jobs))
                    and a.customer_id = t.customer_id
                    and a.own_job_id = t.own_job_id
                    and a.kombo_job_id = t.kombo_job_id
            );
end $$;
create function core.opened_targets(integration text, jobs text[]) returns setof core.targets
    language plpgsql set plan_cache_mode = force_custom_plan as $$
begin
    return query
        select
            a.customer_id, a.own_job_id, a.integration_id, a.kombo_job_id, a.name, a.remote_id, a.post_url,
            now(), 0::bigint
        from marts.application_targets a
        where a.integration_id = integration
            and (jobs is null or a.kombo_job_id = any(jobs))
            and not exists (
                select
                from core.targets t
                where t.customer_id = a.customer_id
                    and t.own_job_id = a.own_job_id
                    and t.integration_id = a.integration_id
            );
end $$;

create function core.tell_targets() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    mine constant xid8 := pg_current_xact_id();
    due record;
    target core.targets;
begin
    if tg_op = 'INSERT' then
        -- Once more, at the end of what waits for the commit: what is told of links and exposures comes before.
        update core.targets_due d set is_first = true where d.transaction_id = mine and d.is_first;
        return null;
    end if;
    perform core.wait_for_turn_to_tell();
    -- All that closes before all that opens: an own job may go from one connection to another.
    for due in
        select p.closes, d.integration_id, case when count(*) = count(d.kombo_job_id) then array_agg(d.kombo_job_id) end as jobs
        from core.targets_due d
        cross join (values (true), (false)) p (closes)
        where d.transaction_id = mine
        group by p.closes, d.integration_id
        order by p.closes desc, d.integration_id
    loop
        if due.closes then
            for target in select * from core.closed_targets(due.integration_id, due.jobs) loop
                delete from core.targets t
                where t.customer_id = target.customer_id
                    and t.own_job_id = target.own_job_id
                    and t.integration_id = target.integration_id;
                perform core.tell(
                    'target.closed', target.customer_id, target.integration_id, target.own_job_id, target.kombo_job_id,
                    core.no_target_because(target.customer_id, target.own_job_id, target.integration_id, target.kombo_job_id),
                    jsonb_build_object('title', target.title, 'remote_id', target.remote_id, 'post_url', target.post_url)
                );
            end loop;
        else
            for target in select * from core.opened_targets(due.integration_id, due.jobs) loop
                target.sequence := core.tell(
                    'target.opened', target.customer_id, target.integration_id, target.own_job_id, target.kombo_job_id
                );
                insert into core.targets values (target.*);
            end loop;
        end if;
    end loop;
    delete from core.targets_due d where d.transaction_id = mine;
    return null;
end $$;
create constraint trigger tell_targets after insert or update on core.targets_due deferrable initially deferred
    for each row when (new.is_first) execute function core.tell_targets();

create function core.note_changed_job() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'DELETE' then
        perform core.compare_targets(old.integration_id, old.kombo_job_id);
    else
        perform core.compare_targets(new.integration_id, new.kombo_job_id);
    end if;
    return null;
end $$;
create trigger compare_targets_of_changed_job after update on core.jobs
    for each row when (new.publishable <> old.publishable) execute function core.note_changed_job();
create trigger compare_targets_of_link after insert or delete on core.job_links
    for each row execute function core.note_changed_job();
create trigger compare_targets_of_changed_link after update on core.job_links
    for each row when (new.state <> old.state) execute function core.note_changed_job();
create trigger compare_targets_of_exposure after insert or update or delete on core.exposed_jobs
    for each row execute function core.note_changed_job();

create function core.note_changed_own_job() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform core.compare_targets(l.integration_id, l.kombo_job_id)
    from core.job_links l
    where l.customer_id = new.customer_id and l.own_job_id = new.own_job_id and l.state <> 'retired';
    return null;
end $$;
create trigger compare_targets_of_changed_own_job after update on core.own_jobs
    for each row when ((new.withdrawn_at is null) <> (old.withdrawn_at is null))
    execute function core.note_changed_own_job();

create function core.note_changed_integration() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform core.compare_targets(old.integration_id);
    return null;
end $$;
create trigger compare_targets_of_changed_integration after update on core.integrations
    for each row when (
        (new.customer_id, new.state, new.deleted_at, new.succeeded_by, new.claimed_customer_id, new.stale_since)
        is distinct from
        (old.customer_id, old.state, old.deleted_at, old.succeeded_by, old.claimed_customer_id, old.stale_since)
    ) execute function core.note_changed_integration();
create trigger compare_targets_of_forgotten_integration after delete on core.integrations
    for each row execute function core.note_changed_integration();

-- They write with the rights of the owner of the tables, for whoever changes a job; nobody calls them directly.
revoke all on function
    core.write_link_notice, core.write_exposure_notice, core.write_integration_notice, core.tell_targets,
    core.number_notice, core.note_changed_job, core.note_changed_own_job, core.note_changed_integration
from public;

-- What is a target at the upgrade is told as well, at its commit.
select core.compare_targets(integration_id) from core.integrations;
