-- What analysts may read of own jobs, candidates, links and exposure. See jobs.sql.

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
        o.withdrawn_at,
        o.list
    from core.own_jobs o
    left join lateral (
        select kombo_job_id, integration_id, method from core.job_links l
        where l.customer_id = o.customer_id and l.own_job_id = o.own_job_id and l.state = 'active'
        order by l.link_id desc limit 1
    ) l on true
);

create view marts.held_withdrawals as ( -- Mass withdrawals of own jobs, waiting and decided, one row a job.
    select
        h.customer_id,
        h.hold_id,
        h.list,
        own_job_id, -- The own job that would be withdrawn.
        o.title,
        h.living_jobs,
        h.held_at,
        h.decision,
        h.decided_at,
        h.decided_by
    from core.held_withdrawals h
    cross join lateral unnest(h.own_job_ids) own_job_id
    left join core.own_jobs o using (customer_id, own_job_id)
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
        (
            select m.data_as_of
            from marts.jobs m
            where m.integration_id = l.integration_id and m.kombo_job_id = l.kombo_job_id
        ) as data_as_of -- The row shows everything Kombo knew at this instant (its clock). See marts.jobs.
    from core.job_links l
    join core.own_jobs o using (customer_id, own_job_id)
    join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
    join core.exposed_jobs e on e.integration_id = l.integration_id and e.kombo_job_id = l.kombo_job_id
        and e.exposed_until is null
    join core.integrations i on i.integration_id = l.integration_id
    where l.state = 'active' and j.publishable and o.withdrawn_at is null and i.deleted_at is null
        and i.claimed_customer_id is null
);

create view marts.link_notices as ( -- What your product was told, or is to be told, of links.
    select
        coalesce(l.customer_id, n.payload #>> '{data,customer_id}') as customer_id,
        n.*
    from core.link_notices n
    left join core.job_links l using (link_id)
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
    join core.integrations i using (integration_id)
    left join core.job_links l on l.customer_id = m.customer_id and l.own_job_id = m.own_job_id
        and l.integration_id = m.integration_id and l.state <> 'retired'
    where o.withdrawn_at is null and i.deleted_at is null and i.succeeded_by is null
        and case
            when l.reason = 'owner_in_doubt' then false
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
        count(*) filter (where l.state = 'suspended') as suspended, -- Links whose ATS job is not open, or whose owner is in doubt.
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
