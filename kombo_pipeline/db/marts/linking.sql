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
        f.*,
        (select count(*) from raw.job_pages p where p.fetch_id = f.fetch_id) as pages_landed -- Pages that are there now: while it runs those that have landed, none once they are pruned.
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

create view marts.own_jobs as ( -- The guide's table: jobs of your own database, and the ATS job that each is.
    select
        o.own_job_id as id, -- Your id of the job.
        o.title,
        o.customer_id,
        l.kombo_job_id, -- The ATS job it is linked to; null while it is linked to none, or its link is suspended.
        l.integration_id,
        l.method as linked_by, -- The identifier that decided; title or search where a person did.
        o.source,
        o.location,
        o.department,
        o.employment_type,
        o.job_code,
        o.remote_id,
        o.post_url,
        o.posted_at,
        o.created_at,
        o.imported_at,
        o.withdrawn_at
    from core.own_jobs o
    left join lateral (
        select kombo_job_id, integration_id, method from core.job_links l
        where l.customer_id = o.customer_id and l.own_job_id = o.own_job_id and l.state = 'active'
        order by l.link_id desc limit 1
    ) l on true
);

create view marts.link_decisions as ( -- Every answer of a person about an own job, whether it was undone, and whether it still holds.
    select
        d.*,
        u.decided_at as undone_at, -- When it was taken back.
        u.decided_by as undone_by, -- By whom.
        d.decision <> 'undone' and u.decision_id is null and d.own_seen = core.seen(o)
            and (d.ats_seen is null or d.ats_seen = core.seen(j)) as stands -- Not undone, and both jobs are what they were on the screen.
    from core.link_decisions d
    join core.own_jobs o using (customer_id, own_job_id)
    left join core.jobs j on j.integration_id = d.integration_id and j.kombo_job_id = d.kombo_job_id
    left join core.link_decisions u on u.undoes = d.decision_id
);

create view marts.match_candidates as ( -- The ATS jobs that an own job may be, the likeliest first, with the reasons.
    select
        c.customer_id,
        c.own_job_id,
        o.title as own_title, -- Title of the own job.
        c.rank,
        c.integration_id,
        c.kombo_job_id,
        j.name as ats_title, -- Title of the ATS job.
        c.confidence,
        c.band,
        c.method,
        m.outcome,
        m.reason,
        m.none_probability,
        j.lifecycle,
        j.publishable,
        o.location as own_place, -- Place of the own job.
        core.place(j) as ats_place, -- Place of the ATS job.
        (select string_agg(format('%s %s', e ->> 'text', to_char((e ->> 'weight')::float, 'SGFM990.0')), '; ')
            from jsonb_array_elements(c.evidence -> 'contributions') e) as why, -- The evidence in words, the weightiest first, in log-odds.
        exists (
            select from marts.link_decisions d where d.customer_id = c.customer_id and d.own_job_id = c.own_job_id
                and d.integration_id = c.integration_id and d.kombo_job_id = c.kombo_job_id
                and d.decision = 'rejected' and d.stands
        ) as rejected, -- Whether a person has said that it is not.
        c.evidence,
        c.score,
        c.matcher_version,
        c.proposed_at
    from core.job_match_candidates c
    join core.own_jobs o using (customer_id, own_job_id)
    join core.own_job_matches m using (customer_id, own_job_id, integration_id)
    join core.jobs j on j.integration_id = c.integration_id and j.kombo_job_id = c.kombo_job_id
);

create view marts.job_links as ( -- Every link, active, suspended and past, with both titles.
    select
        l.customer_id,
        l.own_job_id,
        o.title as own_title, -- Title of the own job.
        l.integration_id,
        l.kombo_job_id,
        j.name as ats_title, -- Title of the ATS job.
        l.state,
        l.reason,
        l.state_since,
        j.lifecycle,
        l.method,
        l.confirmed_by,
        l.created_at,
        l.link_id,
        l.matcher_version
    from core.job_links l
    join core.own_jobs o using (customer_id, own_job_id)
    join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
);

create view marts.exposed_jobs as ( -- The customers' choices of jobs to expose, current and past.
    select
        i.customer_id,
        e.integration_id,
        e.kombo_job_id,
        j.name,
        j.lifecycle,
        j.publishable,
        e.exposed_from,
        e.exposed_until,
        e.exposed_by,
        e.channel,
        e.ended_by,
        e.exposure_id
    from core.exposed_jobs e
    join core.integrations i using (integration_id)
    join core.jobs j using (integration_id, kombo_job_id)
);

create view marts.application_targets as ( -- Where applications may be created now: linked, exposed, open and publishable.
    select
        l.customer_id,
        l.own_job_id,
        l.integration_id,
        l.kombo_job_id,
        j.remote_id,
        j.name,
        j.post_url,
        l.method,
        l.state_since as linked_since, -- Since when the link is active.
        e.exposed_from,
        i.kombo_last_sync_started_at as data_as_of -- The row shows everything Kombo knew at this instant (its clock).
    from core.job_links l
    join core.own_jobs o using (customer_id, own_job_id)
    join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
    join core.exposed_jobs e on e.integration_id = l.integration_id and e.kombo_job_id = l.kombo_job_id
        and e.exposed_until is null
    join core.integrations i on i.integration_id = l.integration_id
    where l.state = 'active' and j.publishable and o.withdrawn_at is null and i.deleted_at is null
);

create view marts.link_notices as ( -- What your product was told, or is to be told, of links.
    select
        l.customer_id,
        n.*
    from core.link_notices n
    join core.job_links l using (link_id)
);

create view marts.review_queue as ( -- Own jobs that wait for a person's answer, and why.
    select
        m.customer_id,
        m.own_job_id,
        m.integration_id,
        o.title,
        o.source,
        o.created_at,
        case
            when l.state = 'suspended' and l.look_again_since is not null then 'reopened'
            when l.state = 'suspended' then 'successor'
            when l.state = 'active' then 'changed'
            when m.outcome = 'review' then 'identifiers'
            when m.outcome = 'candidates' then 'candidates'
            else 'unlikely'
        end as why, -- identifiers (they collide or contradict), candidates (titles propose some), reopened (a suspended link may resume), successor (the linked job is gone, another is alike), changed (a linked job is not what it was, or the identifier that linked it is not unique any more) or unlikely (candidates without confidence).
        m.outcome,
        m.reason,
        m.band,
        m.confidence,
        m.none_probability,
        m.matched_at,
        l.link_id, -- The link that is to be looked at again; null where there is none.
        l.kombo_job_id as linked_kombo_job_id -- The ATS job of that link.
    from core.own_job_matches m
    join core.own_jobs o using (customer_id, own_job_id)
    left join core.job_links l on l.customer_id = m.customer_id and l.own_job_id = m.own_job_id
        and l.integration_id = m.integration_id and l.state <> 'retired'
    where o.withdrawn_at is null
        and case
            when l.state = 'active' then l.look_again_since is not null or l.own_seen <> core.seen(o)
                or m.outcome = 'review' and l.confirmed_by is null
            when l.state = 'suspended' and l.look_again_since is not null then true
            when m.confidence is null or l.state = 'suspended' and m.outcome = 'none' then false
            -- Most own jobs wait for their first answer: for those it is enough that there is a candidate.
            when not exists (
                select from core.link_decisions d where d.customer_id = m.customer_id and d.own_job_id = m.own_job_id
                    and d.integration_id = m.integration_id and d.decision in ('rejected', 'no_counterpart')
            ) then l.link_id is null or exists (
                select from core.job_match_candidates c
                where c.customer_id = m.customer_id and c.own_job_id = m.own_job_id
                    and c.integration_id = m.integration_id and c.kombo_job_id <> l.kombo_job_id
            )
            else exists (
                select from core.job_match_candidates c
                where c.customer_id = m.customer_id and c.own_job_id = m.own_job_id
                    and c.integration_id = m.integration_id and c.kombo_job_id is distinct from l.kombo_job_id
                    and not exists (
                        select from marts.link_decisions d where d.customer_id = c.customer_id
                            and d.own_job_id = c.own_job_id and d.integration_id = c.integration_id and d.stands
                            and (d.decision = 'rejected' and d.kombo_job_id = c.kombo_job_id
                                or d.decision = 'no_counterpart' and (c.band in ('weak', 'none') or d.on_screen @> jsonb_build_object(
                                    'candidates', jsonb_build_array(jsonb_build_object('kombo_job_id', c.kombo_job_id)))))
                    )
            )
        end
        and not exists (
            select from marts.link_decisions d where d.customer_id = m.customer_id and d.own_job_id = m.own_job_id
                and d.integration_id = m.integration_id and d.decision = 'unsure' and d.stands
                and d.decided_at > now() - interval '3 days'
        )
);

create view marts.link_funnel as ( -- How far linking has come, an integration a row: own jobs, links, what waits, where applications are possible.
    select
        i.customer_id,
        i.organization_name,
        i.integration_id,
        count(o.own_job_id) as own_jobs, -- Own jobs of the customer that are not withdrawn.
        count(m.own_job_id) as matched, -- Of those, the ones that matching has looked at.
        count(*) filter (where l.state = 'active' and l.confirmed_by is null) as linked_by_identifier, -- Active links that an identifier made.
        count(*) filter (where l.state = 'active' and l.confirmed_by is not null) as linked_by_person, -- Active links that a person confirmed.
        count(*) filter (where l.state = 'suspended') as suspended, -- Links whose ATS job is not open.
        count(*) filter (where q.why <> 'unlikely') as waiting_for_review, -- Own jobs that wait for a person's answer.
        count(*) filter (where l.link_id is null and m.outcome = 'none') as without_counterpart, -- Own jobs for which nothing likely was found.
        count(*) filter (where t.own_job_id is not null) as application_targets -- Own jobs for which applications may be created now.
    from core.integrations i
    left join core.own_jobs o on o.customer_id = i.customer_id and o.withdrawn_at is null
    left join core.own_job_matches m on m.customer_id = o.customer_id and m.own_job_id = o.own_job_id
        and m.integration_id = i.integration_id
    left join core.job_links l on l.customer_id = o.customer_id and l.own_job_id = o.own_job_id
        and l.integration_id = i.integration_id and l.state <> 'retired'
    left join marts.review_queue q on q.customer_id = o.customer_id and q.own_job_id = o.own_job_id
        and q.integration_id = i.integration_id
    left join marts.application_targets t on t.customer_id = o.customer_id and t.own_job_id = o.own_job_id
        and t.integration_id = i.integration_id
    group by i.customer_id, i.organization_name, i.integration_id
);
