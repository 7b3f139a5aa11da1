-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table core.own_jobs ( -- A job in your own database, to be linked to the ATS job that it is. You may write here by SQL.
    customer_id text collate "C" not null, -- Your id of the customer: the origin_id under which it connected its ATS to Kombo.
    own_job_id text collate "C" not null, -- Your id of the job.
    title text, -- Title as your product shows it.
    kombo_job_id text collate "C", -- Kombo's id of the ATS job, where your product knows it.
    remote_id text, -- Id in the ATS, where it is known.
    job_code text, -- Requisition code, where it is known.
    post_url text, -- Public posting, or the address that came with the job. Compared as text, never fetched.
    location text, -- Place in any form.
    department text, -- Department.
    employment_type text, -- FULL_TIME, PART_TIME, ... or your own word.
    posted_at date, -- Day on which it was posted.
    source text not null default 'manual', -- How it came: manual, email, import or multiposter.
    created_at timestamptz not null default now(), -- When it came first.
    imported_at timestamptz not null default now(), -- When it was last imported or written.
    withdrawn_at timestamptz, -- When it went out of your database; it is not matched any more.
    content_hash text not null generated always as (
        md5(
            coalesce(title, '') || chr(31) || coalesce(kombo_job_id, '') || chr(31) || coalesce(remote_id, '') || chr(31)
            || coalesce(job_code, '') || chr(31) || coalesce(post_url, '') || chr(31) || coalesce(location, '') || chr(31)
            || coalesce(department, '') || chr(31) || coalesce(employment_type, '') || chr(31)
            || coalesce((posted_at - date '2000-01-01')::text, '') || chr(31)
            || case when withdrawn_at is null then '' else 'withdrawn' end
        )
    ) stored, -- Changes with everything that matching looks at, however the row was written.
    primary key (customer_id, own_job_id),
    constraint source_is_known check (source in ('manual', 'email', 'import', 'multiposter')),
    constraint ids_are_not_blank check (customer_id <> '' and own_job_id <> '')
);
