-- The comment after a table or column is its COMMENT in the database (see warehouse/ddl.py).

-- Links name the customer and the integration; this key lets the database hold them to each other.
alter table core.integrations add constraint customer_of_integration unique (integration_id, customer_id);

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

create table core.own_job_matches ( -- What matching last found for an own job among the jobs of one integration.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration that was searched.
    outcome text not null, -- linked (an identifier decides), review (candidates wait for a person), none (no counterpart in sight) or withdrawn.
    none_probability real, -- Probability that the ATS has no counterpart; null where an identifier decides.
    own_content_hash text not null, -- content_hash of the own job at that time.
    jobs_fetch_id bigint not null, -- The newest fetch of the integration that was applied at that time.
    matcher_version text not null, -- The matcher that decided: its weights and rules.
    matched_at timestamptz not null default now(), -- When.
    primary key (customer_id, own_job_id, integration_id),
    foreign key (customer_id, own_job_id) references core.own_jobs,
    foreign key (integration_id, customer_id) references core.integrations (integration_id, customer_id) on update cascade,
    constraint outcome_is_known check (outcome in ('linked', 'review', 'none', 'withdrawn'))
);
create index on core.own_job_matches (integration_id);

create table core.job_match_candidates ( -- A proposed pair of an own job and an ATS job of the same customer.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration of the ATS job.
    kombo_job_id text collate "C" not null, -- The ATS job.
    rank smallint not null, -- 1 is the most likely.
    score real not null, -- What the matcher ranks by; comparable within one own job only.
    confidence real not null, -- Probability that the pair is right: of the pairs at 0.9, nine in ten are.
    band text not null, -- strong, possible or weak, from the confidence.
    method text not null, -- title, or the identifier whose collision or contradiction a person must resolve.
    evidence jsonb not null, -- Signed contributions in words, the normalised forms and the differing words.
    matcher_version text not null, -- The matcher that proposed it.
    proposed_at timestamptz not null default now(), -- When.
    primary key (customer_id, own_job_id, integration_id, kombo_job_id),
    foreign key (customer_id, own_job_id, integration_id) references core.own_job_matches on delete cascade on update cascade,
    foreign key (integration_id, kombo_job_id) references core.jobs,
    constraint band_is_known check (band in ('strong', 'possible', 'weak')),
    constraint confidence_is_a_probability check (confidence between 0 and 1)
);
create index on core.job_match_candidates (integration_id, kombo_job_id);

create table core.job_links ( -- An own job is an ATS job.
    link_id bigint generated always as identity primary key, -- Order of making.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration of the ATS job.
    kombo_job_id text collate "C" not null, -- The ATS job.
    method text not null, -- kombo_id, remote_id, job_code or post_url where that identifier decided; title where a person did.
    state text not null default 'active', -- active, suspended (the ATS job is not open to applications) or retired.
    reason text, -- Why it is suspended or retired.
    confirmed_by text, -- The person who confirmed it; an identifier needs none, a title always does.
    created_at timestamptz not null default now(), -- When it was made.
    state_since timestamptz not null default now(), -- Since when it has this state.
    matcher_version text, -- The matcher that made or proposed it.
    foreign key (customer_id, own_job_id) references core.own_jobs,
    foreign key (integration_id, customer_id) references core.integrations (integration_id, customer_id) on update cascade,
    foreign key (integration_id, kombo_job_id) references core.jobs,
    constraint method_is_known check (method in ('kombo_id', 'remote_id', 'job_code', 'post_url', 'title')),
    constraint state_is_known check (state in ('active', 'suspended', 'retired')),
    constraint a_title_links_only_with_a_person check (method <> 'title' or confirmed_by is not null)
);
create unique index one_active_link_per_own_job on core.job_links (customer_id, own_job_id, integration_id) where state = 'active';
create index on core.job_links (integration_id, kombo_job_id);

create table core.link_decisions ( -- A person's answer to a proposed link. Append-only.
    decision_id bigint generated always as identity primary key, -- Order of answering.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration that was searched.
    kombo_job_id text collate "C", -- The ATS job; null where the answer is about the own job alone.
    decision text not null, -- accepted, rejected, no_counterpart, unsure or undone.
    undoes bigint references core.link_decisions, -- The decision that an undone one takes back.
    decided_by text not null, -- Who answered.
    decided_at timestamptz not null default now(), -- When.
    own_content_hash text not null, -- content_hash of the own job on the screen.
    ats_identity text, -- Title, code and place of the ATS job on the screen; the answer holds as long as they do.
    on_screen jsonb, -- The candidates and evidence that were shown.
    foreign key (customer_id, own_job_id) references core.own_jobs,
    foreign key (integration_id, customer_id) references core.integrations (integration_id, customer_id) on update cascade,
    constraint decision_is_known check (decision in ('accepted', 'rejected', 'no_counterpart', 'unsure', 'undone')),
    constraint a_pair_names_its_job check (decision not in ('accepted', 'rejected') or kombo_job_id is not null)
);
create index on core.link_decisions (customer_id, own_job_id, integration_id, decision_id);
