-- What analysts may read of integrations and fetches. See jobs.sql.

create view marts.integration_health as ( -- Each customer's connection: is the copy current, and who must act if not.
    select
        i.customer_id,
        i.organization_name,
        i.tool,
        i.integration_id,
        case
            when i.deleted_at is not null or i.succeeded_by is not null and i.who_must_act is null then 'gone'
            when i.fetch_state in ('never', 'waiting') then 'waiting'
            when i.fetch_state in ('refused', 'unavailable') then 'failing'
            when i.state in ('INVALID', 'INACTIVE') or i.who_must_act is not null or kombo.is_silent then 'needs attention'
            else 'healthy'
        end as health, -- healthy, waiting (first sync pending), needs attention, failing (our newest fetch did not succeed) or gone (deleted in Kombo, or another connection has taken over).
        i.who_must_act,
        i.what_to_do,
        i.kombo_last_sync_started_at as fresh_as_of, -- Everything Kombo knew at this instant (its clock) is in core.jobs.
        now() - i.fetched_at as age, -- Time since the newest complete fetch was applied.
        (coalesce(now() - i.fetched_at > interval '24 hours', true) or kombo.is_silent) and i.deleted_at is null and i.succeeded_by is null as stale, -- No complete fetch for 24 hours, or Kombo itself has brought nothing for 48.
        kombo.read_at as kombo_read_at, -- When Kombo last said that it had read the ATS: a good sync, or changed data. Null when it never said so.
        i.state,
        i.setup_status,
        i.qa_status,
        i.last_sync_state,
        i.last_sync_ended_at,
        i.last_sync_succeeded_at,
        i.last_sync_log_url,
        i.fetch_state,
        i.fetch_error_code,
        i.fetch_error,
        i.fetch_attempted_at,
        i.fetched_at,
        i.full_fetched_at,
        i.full_fetched_at + interval '14 days' as full_fetch_deadline, -- Kombo purges tombstones after 14 days; a full fetch is forced before.
        i.jobs_model_enabled,
        i.data_expired_at,
        i.registered_at,
        i.deleted_at,
        coalesce(jobs.total, 0) as jobs, -- Jobs known.
        coalesce(jobs.open, 0) as open_jobs, -- Jobs open in the ATS.
        coalesce(held.jobs, 0) as held_jobs, -- Jobs whose closure waits for a person's decision.
        coalesce(quarantined.records, 0) as quarantined_records, -- Records that could not be read whole, those without a readable id included.
        coalesce(issues.open, 0) as open_issues, -- Problems Kombo has raised and not resolved.
        coalesce(quarantined.jobs, 0) as unreadable_jobs, -- Jobs with a field that could not be read in their newest record. More than 10 and more than 5 % of them turn the health to "needs attention".
        unreadable.fields as unreadable_fields, -- Which fields those are, with the number of jobs: {"salary_amount": 12}. Null when there are none.
        i.succeeded_by,
        i.succeeded_at,
        i.claimed_customer_id,
        i.claimed_at,
        coalesce(dead.events, 0) as dead_events, -- Events of it that could not be interpreted.
        i.details_error,
        i.stale_since
    from core.integrations i
    cross join lateral (
        select
            greatest(i.last_sync_succeeded_at, i.last_data_changed_at) as read_at,
            -- Kombo's slowest rhythm is a sync a day. Without sync-finished, silence may mean that nothing changed.
            i.last_sync_succeeded_at is not null
            and now() - greatest(i.last_sync_succeeded_at, i.last_data_changed_at) > interval '48 hours' as is_silent
    ) kombo
    left join (
        select integration_id, count(*) as total, count(*) filter (where lifecycle = 'open') as open
        from core.jobs group by integration_id
    ) jobs using (integration_id)
    left join (
        select integration_id, sum(cardinality(kombo_job_ids)) as jobs
        from core.held_closures where decision is null group by integration_id
    ) held using (integration_id)
    left join (
        select q.integration_id, count(distinct q.quarantine_id) as records, count(distinct j.kombo_job_id) as jobs
        from raw.quarantined_records q
        left join core.jobs j on j.integration_id = q.integration_id
            and j.kombo_job_id = q.kombo_job_id
            and j.unreadable_fields is not null
        where q.released_at is null
        group by q.integration_id
    ) quarantined using (integration_id)
    left join (
        select integration_id, jsonb_object_agg(field, jobs) as fields
        from (
            select j.integration_id, field, count(distinct j.kombo_job_id) as jobs
            from core.jobs j
            join raw.quarantined_records q using (integration_id, kombo_job_id)
            cross join lateral jsonb_object_keys(j.unreadable_fields) as field
            where j.unreadable_fields is not null and q.released_at is null
            group by j.integration_id, field
        ) of_fields
        group by integration_id
    ) unreadable using (integration_id)
    left join (
        select integration_id, count(*) as open from core.integration_issues where status = 'OPEN' group by integration_id
    ) issues using (integration_id)
    left join (
        select e.integration_id, count(*) as events
        from raw.dead_events d join raw.webhook_events e using (event_seq) group by e.integration_id
    ) dead using (integration_id)
);

create view marts.sync_watermarks as ( -- The guide's table: how far each integration has been read.
    select
        customer_id,
        integration_id as kombo_integration_id, -- Kombo's integration id.
        kombo_last_sync_started_at
    from core.integrations
);

create view marts.fetches as ( -- Every fetch, what it brought and how it ended.
    select
        i.customer_id,
        f.fetch_id,
        f.integration_id,
        f.kind,
        f.updated_after,
        f.requested_at,
        f.started_at,
        f.covers_event_seq,
        f.finished_at,
        f.applied_at,
        f.status,
        f.error,
        f.log_url,
        f.pages,
        f.records,
        f.jobs_new,
        f.jobs_changed,
        f.jobs_unchanged,
        f.jobs_closed,
        f.jobs_quarantined,
        f.jobs_repaired,
        f.dagster_run_id,
        (
            select count(*)
            from raw.job_pages p
            where p.fetch_id = f.fetch_id
        ) as pages_landed, -- Pages that are there now: while it runs those that have landed, none once they are pruned.
        f.record_rule
    from raw.fetches f
    join core.integrations i using (integration_id)
);

create view marts.integration_rhythms as ( -- How often each integration is heard of: what the poll of silent ones decides on.
    select
        i.customer_id,
        i.integration_id,
        coalesce((
            select array_agg(received_at order by received_at) from (
                select received_at from raw.webhook_events e
                where e.integration_id = i.integration_id and e.starts_fetch
                order by received_at desc limit 20
            ) newest
        ), '{}') as event_times, -- When its newest 20 events came that ask for a fetch, oldest first (our clock).
        (
            select min(received_at) from raw.webhook_events e
            where e.integration_id = i.integration_id and e.starts_fetch and e.handled_at is null
        ) as waiting_since -- When the oldest event came that no fetch has covered; null when there is none.
    from core.integrations i
);

create view marts.held_closures as ( -- Mass closures, waiting and decided, one row a job.
    select
        i.customer_id,
        h.hold_id,
        h.integration_id,
        job.kombo_job_id, -- The job that would close.
        j.name,
        h.reason,
        job.gone_at, -- Since when the job is gone.
        h.open_jobs,
        h.held_at,
        h.decision,
        h.decided_at,
        h.decided_by
    from core.held_closures h
    join core.integrations i using (integration_id)
    cross join lateral unnest(h.kombo_job_ids, h.gone_at) as job (kombo_job_id, gone_at)
    left join core.jobs j on j.integration_id = h.integration_id and j.kombo_job_id = job.kombo_job_id
);

create view marts.quarantined_records as ( -- Records that could not be read whole, without their content. What could be read of them was applied.
    select
        i.customer_id,
        q.integration_id,
        q.quarantine_id,
        q.kombo_job_id,
        q.fetch_id,
        q.page_number,
        q.reason,
        q.quarantined_at,
        q.released_at
    from raw.quarantined_records q
    join core.integrations i using (integration_id)
);

create view marts.successions as ( -- Connections that take over from older ones of the same customer and tool, or may do so.
    select
        i.customer_id,
        i.organization_name,
        i.tool,
        s.integration_id,
        s.predecessor_id,
        s.state,
        s.agreeing_jobs,
        s.compared_jobs,
        s.decided_by,
        s.decided_at,
        s.created_at
    from core.successions s
    join core.integrations i using (integration_id)
);

create view marts.dead_events as ( -- Events that could not be interpreted, without their content. `kombo-pipeline replay EVENT_ID` takes one up again.
    select
        e.event_id,
        e.event_type,
        e.integration_id,
        i.customer_id,
        d.reason,
        e.received_at,
        d.died_at
    from raw.dead_events d
    join raw.webhook_events e using (event_seq)
    left join core.integrations i on i.integration_id = e.integration_id
);

create view marts.refused_deliveries as ( -- Deliveries that the receivers refused, by minute and reason. Many of wrong_signature: is the webhook secret right?
    select
        minute,
        reason,
        sum(deliveries)::bigint as deliveries -- How many, all receivers together.
    from raw.refused_deliveries
    group by minute, reason
);
