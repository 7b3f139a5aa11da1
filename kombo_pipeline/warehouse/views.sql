-- Everything analysts may read. Re-created by `kombo-pipeline migrate` whenever this file differs.
-- A column without a comment takes that of the column of the same name in core or raw.

create view marts.jobs as ( -- Every job of every customer, with its state and how fresh it is.
    select
        i.customer_id,
        i.organization_name,
        i.tool,
        j.integration_id,
        j.kombo_job_id,
        j.name,
        j.lifecycle,
        j.publishable,
        j.status,
        j.visibility,
        j.job_code,
        j.remote_id,
        j.department,
        j.category,
        j.employment_type,
        j.experience_level,
        j.remote_work_status,
        j.weekly_hours,
        j.location_city,
        j.location_state,
        j.location_country,
        j.location_zip_code,
        j.location_street_1,
        j.location_street_2,
        j.location_raw,
        j.salary_amount,
        j.salary_amount_from,
        j.salary_amount_to,
        j.salary_currency,
        j.salary_period,
        j.post_url,
        j.remote_url,
        j.description,
        j.custom_fields,
        j.integration_fields,
        j.unknown_fields,
        j.opened_at,
        j.closed_at,
        j.remote_created_at,
        j.remote_updated_at,
        j.changed_at,
        j.remote_deleted_at,
        j.vanished_at,
        j.integration_gone_at,
        j.first_seen_at,
        j.last_fetch_id,
        i.kombo_last_sync_started_at as data_as_of -- The row shows everything Kombo knew at this instant (its clock).
    from core.jobs j
    join core.integrations i using (integration_id)
);

create view marts.open_jobs as ( -- Jobs that are open in the ATS. Those with publishable = false are internal, confidential or of unknown visibility.
    select * from marts.jobs where lifecycle = 'open'
);

create view marts.job_stages as ( -- Application stages of every job.
    select * from core.job_stages
);

create view marts.job_screening_questions as ( -- Screening questions of every job.
    select * from core.job_screening_questions
);

create view marts.job_postings as ( -- Publications of every job.
    select * from core.job_postings
);

create view marts.job_hiring_team as ( -- People responsible for every job. Personal data.
    select * from core.job_hiring_team
);

create view marts.job_changes as ( -- Every change of every job, oldest first by change_id, with the customer and the title.
    select
        i.customer_id,
        i.organization_name,
        c.integration_id,
        c.kombo_job_id,
        j.name,
        c.change_id,
        c.event,
        c.field,
        c.old_value,
        c.new_value,
        c.observed_at,
        c.fetch_id
    from core.job_changes c
    join core.integrations i using (integration_id)
    left join core.jobs j using (integration_id, kombo_job_id)
);

create view marts.integration_health as ( -- Each customer's connection: is the copy current, and who must act if not.
    select
        i.customer_id,
        i.organization_name,
        i.tool,
        i.integration_id,
        case
            when i.deleted_at is not null then 'gone'
            when i.fetch_state in ('never', 'waiting') then 'waiting'
            when i.fetch_state in ('refused', 'unavailable') then 'failing'
            when i.state in ('INVALID', 'INACTIVE') or i.who_must_act is not null or kombo.is_silent then 'needs attention'
            else 'healthy'
        end as health, -- healthy, waiting (first sync pending), needs attention, failing (our newest fetch did not succeed) or gone.
        i.who_must_act,
        i.what_to_do,
        i.kombo_last_sync_started_at as fresh_as_of, -- Everything Kombo knew at this instant (its clock) is in core.jobs.
        now() - i.fetched_at as age, -- Time since the newest complete fetch was applied.
        (coalesce(now() - i.fetched_at > interval '24 hours', true) or kombo.is_silent) and i.deleted_at is null as stale, -- No complete fetch for 24 hours, or Kombo itself has brought nothing for 48.
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
        coalesce(quarantined.records, 0) as quarantined_records, -- Records that could not be read.
        coalesce(issues.open, 0) as open_issues -- Problems Kombo has raised and not resolved.
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
        select integration_id, count(*) as records
        from raw.quarantined_records where released_at is null group by integration_id
    ) quarantined using (integration_id)
    left join (
        select integration_id, count(*) as open from core.integration_issues where status = 'OPEN' group by integration_id
    ) issues using (integration_id)
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
        f.*
    from raw.fetches f
    join core.integrations i using (integration_id)
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

create view marts.quarantined_records as ( -- Records that could not be read, without their content.
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

create view marts.own_jobs as ( -- Jobs of your own database, as they were imported or written.
    select * from core.own_jobs
);
