-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

-- Links name the customer and the integration; this key lets the database hold them to each other.
alter table core.integrations add constraint customer_of_integration unique (integration_id, customer_id);
alter table core.integrations add matched_fetch_id bigint, add matched_with text, add matched_at timestamptz;
comment on column core.integrations.matched_fetch_id is 'The newest applied fetch whose jobs matching has seen.';
comment on column core.integrations.matched_with is 'Matcher, kind of search and customer name of the newest matching; another one matches everything again.';
comment on column core.integrations.matched_at is 'When the jobs of the integration were last matched with own jobs.';

-- The identity of a job as a person sees it. An answer, and a link that was looked at, hold as long as it is the same.
create function core.seen(o core.own_jobs) returns jsonb language sql stable
    return jsonb_build_object('title', (o).title, 'job_code', (o).job_code, 'place', (o).location);
create function core.place(j core.jobs) returns text language sql stable
    return coalesce(
        nullif((j).location_raw, ''),
        nullif(concat_ws(', ', nullif((j).location_city, ''), nullif((j).location_state, ''), nullif((j).location_country, '')), '')
    );
create function core.seen(j core.jobs) returns jsonb language sql stable
    return jsonb_build_object('title', (j).name, 'job_code', (j).job_code, 'place', core.place(j));

create table core.matchable_jobs ( -- An ATS job as matching and search last saw it: a narrow row beside the wide one of core.jobs.
    integration_id text collate "C" not null, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- The job.
    title text not null, -- Title.
    place text not null, -- Place as one text.
    department text not null, -- Department.
    employment_type text not null, -- Employment type.
    posted_on date, -- Day on which it was opened, else created in the ATS.
    job_code text not null, -- Requisition code.
    identifiers text[] collate "C" not null, -- What own jobs may name it by, in every form that is compared: "job_code:REQ-12", "post_url:greenhouse:401".
    vector bytea, -- Title and place as a sparse vector; null where titles may not propose it, because it is not open.
    search_text text not null, -- Title, code, place, department and ids in lower case, for the search box.
    job_hash bytea not null, -- Of everything that matching looks at; empty when the job must be looked at again.
    primary key (integration_id, kombo_job_id),
    foreign key (integration_id, kombo_job_id) references core.jobs on delete cascade
);
create index on core.matchable_jobs using gin (identifiers);
create index matchable_jobs_newest on core.matchable_jobs (integration_id, posted_on desc nulls last, kombo_job_id);
create index matchable_jobs_by_title on core.matchable_jobs (integration_id, lower(left(title, 100)), kombo_job_id);

-- Answers counts by state from the index alone; serves what the one on open jobs served.
create index jobs_by_lifecycle on core.jobs (integration_id, lifecycle, publishable, kombo_job_id);
drop index core.jobs_integration_id_idx;

create table core.own_job_matches ( -- What matching last found for an own job among the jobs of one integration.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration that was searched.
    outcome text not null, -- linked (an identifier decides), review (identifiers collide or contradict), candidates (titles propose some) or none (nothing alike).
    reason text, -- Why identifiers did not decide, in words; null where none names an ATS job.
    none_probability real, -- Probability that the ATS has no counterpart; null where an identifier decides.
    confidence real, -- Of the first candidate; null without one.
    band text, -- Of the first candidate: strong, possible, weak or none.
    own_hash text not null, -- content_hash of the own job that was matched.
    matcher_version text not null, -- The matcher that decided: its weights and rules.
    identifiers text[] collate "C" not null, -- What the own job names ATS jobs by, in every form that is compared.
    vector bytea not null, -- Its title and place as a sparse vector.
    shortlist_floor real not null, -- An ATS job less alike than this cannot change the result; 0 where any may.
    shortlist integer[] not null, -- CRC-32 of the ids of the ATS jobs that were compared in full.
    matched_at timestamptz not null default now(), -- When.
    primary key (customer_id, own_job_id, integration_id),
    foreign key (customer_id, own_job_id) references core.own_jobs on delete cascade,
    foreign key (integration_id, customer_id) references core.integrations (integration_id, customer_id),
    constraint outcome_is_known check (outcome in ('linked', 'review', 'candidates', 'none'))
);
create index on core.own_job_matches (integration_id);
create index on core.own_job_matches using gin (identifiers);

create table core.job_match_candidates ( -- A proposed pair of an own job and an ATS job of the same customer.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration of the ATS job.
    kombo_job_id text collate "C" not null, -- The ATS job.
    rank smallint not null, -- 1 is the most likely.
    score real not null, -- What the matcher ranks by; comparable within one own job only.
    confidence real not null, -- Probability that the pair is right: of the pairs at 0.9, nine in ten are.
    band text not null, -- strong, possible, weak or none, from the confidence.
    method text not null, -- title, or the identifier whose collision or contradiction a person must resolve.
    evidence jsonb not null, -- Why: signed contributions in words, the normalised titles, the words that only one of them has.
    matcher_version text not null, -- The matcher that proposed it.
    proposed_at timestamptz not null default now(), -- When.
    primary key (customer_id, own_job_id, integration_id, kombo_job_id),
    foreign key (customer_id, own_job_id, integration_id) references core.own_job_matches on delete cascade,
    foreign key (integration_id, kombo_job_id) references core.jobs,
    constraint band_is_known check (band in ('strong', 'possible', 'weak', 'none')),
    constraint method_is_known check (method in ('kombo_id', 'remote_id', 'job_code', 'post_url', 'title')),
    constraint confidence_is_a_probability check (confidence between 0 and 1)
);
create index on core.job_match_candidates (integration_id, kombo_job_id);

create table core.job_links ( -- An own job is an ATS job.
    link_id bigint generated always as identity primary key, -- Order of making.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration of the ATS job.
    kombo_job_id text collate "C" not null, -- The ATS job.
    method text not null, -- kombo_id, remote_id, job_code or post_url where that identifier decided; title or search where a person did.
    state text not null default 'active', -- active, suspended (the ATS job is not open) or retired (no link any more).
    reason text, -- Suspended: the lifecycle of the ATS job. Retired: undone, rejected, superseded, withdrawn, identifiers_changed or customer_changed.
    confirmed_by text, -- The person who confirmed it; an identifier needs none, a title always does.
    created_at timestamptz not null default now(), -- When it was made.
    state_since timestamptz not null default now(), -- Since when it has this state.
    own_seen jsonb not null, -- Title, code and place of the own job when the link was made or last looked at.
    ats_seen jsonb not null, -- Title, code and place of the ATS job when the link was made or last looked at.
    matcher_version text, -- The matcher that made or proposed it.
    look_again_since timestamptz, -- Since when the ATS job is open again, or its title, code or place are not what was looked at; null while a person need not look again. Kept by the transaction that changes the jobs.
    live_customer_id text collate "C" generated always as (case when state <> 'retired' then customer_id end) stored, -- The customer while the link lives: the integration must be the same customer's.
    foreign key (customer_id, own_job_id) references core.own_jobs,
    foreign key (integration_id, live_customer_id) references core.integrations (integration_id, customer_id),
    foreign key (integration_id, kombo_job_id) references core.jobs,
    constraint method_is_known check (method in ('kombo_id', 'remote_id', 'job_code', 'post_url', 'title', 'search')),
    constraint state_is_known check (state in ('active', 'suspended', 'retired')),
    constraint a_reason_is_given check ((state = 'active') = (reason is null)),
    constraint a_title_links_only_with_a_person check (method not in ('title', 'search') or confirmed_by is not null)
);
create unique index one_live_link_per_own_job on core.job_links (customer_id, own_job_id, integration_id) where state <> 'retired';
create index on core.job_links (integration_id, kombo_job_id);

create table core.link_decisions ( -- A person's answer about an own job. Append-only; an answer is taken back by a row that undoes it.
    decision_id bigint generated always as identity primary key, -- Order of answering.
    answer_id uuid not null, -- One answer of a person, of several rows where it speaks of several ATS jobs; a repeated request has the same.
    batch_id uuid, -- Answers given together in bulk; they can be undone together.
    customer_id text collate "C" not null, -- The customer.
    own_job_id text collate "C" not null, -- The own job.
    integration_id text collate "C" not null, -- The integration that was searched.
    kombo_job_id text collate "C", -- The ATS job; null where the answer is about the own job alone.
    decision text not null, -- accepted, rejected, no_counterpart, unsure or undone.
    method text, -- Of an accepted pair: as in core.job_links.
    undoes bigint unique references core.link_decisions, -- The decision that an undone one takes back.
    decided_by text not null, -- Who answered.
    decided_at timestamptz not null default now(), -- When.
    note text, -- The reason given, if any.
    own_seen jsonb not null, -- Title, code and place of the own job on the screen: an answer holds as long as they are the same.
    ats_seen jsonb, -- Likewise of the ATS job.
    on_screen jsonb, -- The candidates that were shown, with confidence, band and evidence.
    matcher_version text, -- The matcher that proposed them.
    foreign key (customer_id, own_job_id) references core.own_jobs,
    foreign key (integration_id, kombo_job_id) references core.jobs,
    foreign key (integration_id) references core.integrations,
    constraint decision_is_known check (decision in ('accepted', 'rejected', 'no_counterpart', 'unsure', 'undone')),
    constraint a_pair_names_its_job check (decision not in ('accepted', 'rejected') or kombo_job_id is not null and ats_seen is not null),
    constraint what_is_undone_is_named check ((decision = 'undone') = (undoes is not null))
);
create unique index on core.link_decisions (answer_id, coalesce(kombo_job_id, ''), decision);
create index on core.link_decisions (customer_id, own_job_id, integration_id, decision_id);
create index on core.link_decisions (decided_at);
create index on core.link_decisions (batch_id) where batch_id is not null;

create function core.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '%.% is append-only', tg_table_schema, tg_table_name;
end $$;
create trigger append_only before update or delete or truncate on core.link_decisions
    for each statement execute function core.refuse_change();

create table core.exposed_jobs ( -- A time during which the customer exposed an ATS job in your product. The current choice has no end.
    exposure_id bigint generated always as identity primary key, -- Order of choosing.
    integration_id text collate "C" not null, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- The job.
    exposed_from timestamptz not null default now(), -- Since when.
    exposed_until timestamptz, -- Until when; null while it is exposed.
    exposed_by text not null, -- Who chose it.
    channel text not null, -- How: picker, paste, manual, customer (its own link to the picker) or link (with the job's first link, where it is publishable).
    ended_by text, -- Who ended it.
    foreign key (integration_id, kombo_job_id) references core.jobs,
    constraint channel_is_known check (channel in ('picker', 'paste', 'manual', 'customer', 'link')),
    constraint who_ended_it_is_named check ((exposed_until is null) = (ended_by is null))
);
create unique index one_current_exposure_per_job on core.exposed_jobs (integration_id, kombo_job_id) where exposed_until is null;
create index on core.exposed_jobs (integration_id, kombo_job_id);

create table core.link_notices ( -- What your product is told of a link: the outbox. Written with the change itself, delivered as a signed webhook.
    notice_id uuid primary key default gen_random_uuid(), -- The webhook-id header; the same for every attempt.
    notice_seq bigint generated always as identity unique, -- Order of writing.
    link_id bigint not null references core.job_links, -- The link.
    event_type text not null, -- link.started, link.suspended, link.resumed or link.ended.
    payload jsonb not null, -- The body that is sent.
    created_at timestamptz not null default now(), -- When the link changed.
    attempts integer not null default 0, -- Deliveries tried.
    next_attempt_at timestamptz default now(), -- When the next one is due; null when there is none.
    delivered_at timestamptz, -- When the receiver answered 2xx.
    dead_at timestamptz, -- When it was given up.
    last_error text -- What the newest failed attempt met.
);
create index on core.link_notices (next_attempt_at) where next_attempt_at is not null;
create index on core.link_notices (link_id);

create function core.write_link_notice() returns trigger language plpgsql as $$
declare
    told text := case
        when new.state = 'active' and tg_op = 'UPDATE' then 'link.resumed'
        when new.state = 'active' then 'link.started'
        when new.state = 'suspended' then 'link.suspended'
        else 'link.ended'
    end;
    at timestamptz := case when tg_op = 'INSERT' then new.created_at else new.state_since end;
begin
    insert into core.link_notices (link_id, event_type, payload)
    values (new.link_id, told, jsonb_build_object('type', told, 'timestamp', at, 'data', jsonb_build_object(
        'link_id', new.link_id, 'customer_id', new.customer_id, 'own_job_id', new.own_job_id,
        'integration_id', new.integration_id, 'kombo_job_id', new.kombo_job_id,
        'method', new.method, 'state', new.state, 'reason', new.reason
    )));
    return null;
end $$;
create trigger tell_of_new_link after insert on core.job_links
    for each row when (new.state <> 'retired') execute function core.write_link_notice();
create trigger tell_of_changed_link after update of state on core.job_links
    for each row when (new.state is distinct from old.state) execute function core.write_link_notice();

create table core.backoffice_users ( -- A person who may sign in to the back office.
    user_name text primary key, -- Name to sign in with; it stands under each answer.
    password_hash text, -- argon2id; null for one who comes through a trusted proxy.
    role text not null, -- viewer (looks), reviewer (answers, chooses and starts fetches) or admin (also held closures and links for customers).
    created_at timestamptz not null default now(), -- When.
    disabled_at timestamptz, -- Since when the person may not sign in any more.
    constraint role_is_known check (role in ('viewer', 'reviewer', 'admin')),
    constraint name_is_not_blank check (user_name ~ '^\S(.*\S)?$')
);

create table core.backoffice_sessions ( -- A browser that is signed in.
    token_hash bytea primary key, -- SHA-256 of the cookie.
    user_name text not null references core.backoffice_users on delete cascade, -- Who.
    created_at timestamptz not null default now(), -- Since when.
    expires_at timestamptz not null, -- Until when.
    revoked_at timestamptz -- When it was signed out.
);
create index on core.backoffice_sessions (user_name);
create index on core.backoffice_sessions (expires_at);

-- Whoever releases a held closure must know which of its jobs a later fetch has shown, and nothing else of the pages.
create function core.seen_since(integration text, after_fetch bigint, kombo_job_ids text[]) returns setof text
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
        select distinct r.id from raw.fetches f join raw.job_pages p using (fetch_id)
            cross join lateral unnest(p.record_ids) r (id)
            where f.integration_id = integration and f.fetch_id > after_fetch and f.status = 'applied'
                and p.record_ids && kombo_job_ids and r.id = any(kombo_job_ids);
    end;
