-- What analysts may read of jobs. Re-created by `kombo-pipeline migrate` whenever a file of this folder differs.
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
        case
            when j.unreadable_fields is null then i.kombo_last_sync_started_at
            else (
                select max(f.started_at)
                from raw.fetches f
                where f.integration_id = j.integration_id
                    and f.status = 'applied'
                    and f.kind <> 'release'
                    and f.fetch_id < (
                        select c.fetch_id
                        from core.job_changes c
                        where c.integration_id = j.integration_id
                            and c.kombo_job_id = j.kombo_job_id
                            and c.field = 'unreadable_fields'
                            and c.old_value is null
                        order by c.change_id desc
                        limit 1
                    )
            )
        end as data_as_of, -- The row shows everything Kombo knew at this instant (its clock). With unreadable fields: the newest fetch before that; null when the job was never read whole.
        j.unreadable_fields
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
