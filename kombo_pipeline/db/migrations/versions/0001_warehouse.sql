-- The comment after a table, column or schema is its COMMENT in the database (see db/ddl.py).

create schema raw; -- What Kombo sent, as it was received. Written by the receiver and by raw_job_pages.
create schema core; -- Typed tables, current and historic. Written by the pipeline, read through marts.
create schema marts; -- Views: the contract with analysts and the only schema they are granted.

create table core.integrations ( -- A customer's connection to one ATS.
    integration_id text collate "C" primary key, -- Kombo's integration id; the Dagster partition key. Opaque.
    customer_id text collate "C", -- Your id of the customer: end_user.origin_id in Kombo. Null when the connect flow gave none.
    organization_name text, -- The customer's name as given in the connect flow.
    tool text, -- The ATS, as Kombo's slug (greenhouse, personio).
    category text, -- Kombo's category; only ATS integrations are fetched.
    state text, -- ACTIVE, INVALID (credentials) or INACTIVE (switched off), from Kombo. ACTIVE does not mean fresh.
    setup_status text, -- INCOMPLETE, FINAL_SYNC_PENDING or COMPLETED, from Kombo.
    qa_status text, -- PENDING, FAILED or PASSED: Kombo's quality check of the first sync.
    state_updated_at timestamptz, -- Kombo's time of the newest integration-state-changed that was applied.
    jobs_model_enabled boolean, -- False when the jobs model is switched off in the scope configuration: Kombo then reports every job deleted.
    data_expired_at timestamptz, -- Set by Kombo when scopes or filters changed and its stored data awaits the next sync.
    last_sync_id text, -- Kombo's id of the newest sync it reported.
    last_sync_state text, -- How the newest reported sync ended (SUCCEEDED, PARTIALLY_FAILED, FAILED, ...).
    last_sync_ended_at timestamptz, -- Kombo's time at which that sync ended.
    last_sync_succeeded_at timestamptz, -- End of the newest sync that brought data (SUCCEEDED or PARTIALLY_FAILED).
    last_data_changed_at timestamptz, -- When the newest data-changed event was received: proof that Kombo reads the ATS.
    last_sync_log_url text, -- Kombo's log of that sync.
    fetch_state text not null default 'never', -- Outcome of our newest fetch: never, current, waiting (first sync pending), refused, unavailable.
    fetch_error_code text, -- Kombo's error.code behind fetch_state, where it gave one.
    fetch_error text, -- The error in words.
    fetch_attempted_at timestamptz, -- When our newest fetch began, whatever came of it (our clock).
    fetched_at timestamptz, -- When our newest complete fetch was applied (our clock).
    full_fetched_at timestamptz, -- When our newest complete full fetch began (our clock). Kombo purges tombstones 14 days after deletion.
    kombo_last_sync_started_at timestamptz, -- The watermark: Kombo's clock at the start of the newest fetch that completed. Never moves back.
    who_must_act text, -- us, kombo or customer; null when nobody has to.
    what_to_do text, -- What to tell whoever must act.
    registered_at timestamptz not null default now(), -- When the pipeline first heard of the integration.
    deleted_at timestamptz, -- Kombo's time of integration-deleted. Final: reconnecting gives another integration id.
    constraint who_must_act_is_known check (who_must_act in ('us', 'kombo', 'customer')),
    constraint fetch_state_is_known check (fetch_state in ('never', 'current', 'waiting', 'refused', 'unavailable'))
);
create index on core.integrations (customer_id);

create table core.integration_issues ( -- A problem that Kombo raised about an integration (issue-status-changed).
    issue_id text collate "C" primary key, -- Kombo's id of the issue.
    integration_id text collate "C", -- The integration concerned; null for an environment-wide issue.
    issue_type text, -- Kombo's type, an open set (integration.authentication_failed, ...).
    title text, -- Title in Kombo's words.
    status text, -- OPEN or RESOLVED.
    message text, -- Kombo's explanation, Markdown.
    first_observed_at timestamptz, -- When Kombo first saw it.
    resolved_at timestamptz -- When Kombo saw it resolved. A resolved issue is not opened again by a late event.
);

create table raw.webhook_events ( -- A verified webhook delivery. Landed before it is acknowledged.
    event_seq bigint generated always as identity primary key, -- Order of landing.
    event_id text collate "C" not null unique, -- Kombo's event id, unique for ever; sha256:... of the body where it has none.
    event_type text, -- Kombo's type, open set; null when the body cannot be read.
    integration_id text collate "C", -- The integration it speaks of; null where the type has none or the id is unusable.
    body bytea, -- The body as received; emptied by pruning long after it was handled.
    payload jsonb, -- The body parsed; null when it cannot be.
    secret_index smallint, -- Which of KOMBO_WEBHOOK_SECRETS matched, 0 = the newest.
    received_at timestamptz not null default clock_timestamp(), -- When the receiver had it (our clock).
    starts_fetch boolean, -- Whether it asks for a fetch; null until the webhook sensor has looked at it.
    handled_at timestamptz, -- When a completed fetch covered it, or at once for events that ask for none.
    replays integer not null default 0 -- How often a person asked to handle it again.
);
create index on raw.webhook_events (event_seq) where starts_fetch is null;
create index on raw.webhook_events (integration_id, event_seq) where starts_fetch and handled_at is null;
create index on raw.webhook_events (integration_id, received_at desc);
create index on raw.webhook_events (handled_at) where body is not null;

create table raw.fetches ( -- One traversal of GET /ats/jobs.
    fetch_id bigint generated always as identity primary key, -- Grows with each fetch; a fetch never overwrites what a later one wrote.
    integration_id text collate "C" not null references core.integrations, -- The integration fetched.
    kind text not null, -- full, incremental, or release: records that a person released from quarantine.
    updated_after timestamptz, -- The filter sent: watermark minus overlap; null for a full fetch.
    requested_at timestamptz not null default clock_timestamp(), -- When it began (our clock).
    started_at timestamptz, -- When it began on Kombo's clock, never later than ours: the watermark once it is applied.
    covers_event_seq bigint not null, -- Events landed up to here are covered by this fetch.
    finished_at timestamptz, -- When the last page had landed, or the traversal had ended otherwise.
    applied_at timestamptz, -- When core.jobs showed it.
    status text not null default 'running', -- running, landed, applied, waiting, refused, unavailable or abandoned.
    error text, -- Why it did not land.
    log_url text, -- Kombo's log of the failed call.
    pages integer not null default 0, -- Pages landed.
    records integer not null default 0, -- Records on those pages, repeated ones included.
    jobs_new integer, -- Jobs seen for the first time.
    jobs_changed integer, -- Jobs of which at least one field changed.
    jobs_unchanged integer, -- Jobs whose content was as stored.
    jobs_closed integer, -- Jobs that were open and are not any more, for whatever reason.
    jobs_quarantined integer, -- Records set aside.
    jobs_repaired integer, -- Full fetches: differences that earlier incremental fetches should have brought, vanished jobs included.
    dagster_run_id text, -- The Dagster run that fetched.
    constraint kind_is_known check (kind in ('full', 'incremental', 'release')),
    constraint status_is_known
        check (status in ('running', 'landed', 'applied', 'waiting', 'refused', 'unavailable', 'abandoned'))
);
create index on raw.fetches (integration_id, fetch_id);
create index on raw.fetches (integration_id, fetch_id) where status in ('running', 'landed');

create table raw.job_pages ( -- One page of a fetch, as received.
    fetch_id bigint not null references raw.fetches on delete cascade, -- The fetch.
    page_number integer not null, -- 1 for the first.
    cursor text, -- The cursor sent; null on the first page.
    next_cursor text, -- The cursor received; null on the last page.
    fetched_at timestamptz not null, -- When it arrived (our clock).
    body bytea not null, -- The JSON body, gzip. `kombo-pipeline page FETCH_ID PAGE` prints it.
    record_ids text[] collate "C" not null, -- Kombo job id of each record in order; null where none could be read.
    record_hashes uuid[] not null, -- 128-bit XXH3 of each record's bytes, in order.
    primary key (fetch_id, page_number)
);
alter table raw.job_pages alter body set storage external;
alter table raw.job_pages alter record_ids set storage external;
alter table raw.job_pages alter record_hashes set storage external;

create table raw.quarantined_records ( -- A record that could not be read; the rest of its page was applied.
    quarantine_id bigint generated always as identity primary key, -- For `kombo-pipeline release records`.
    integration_id text collate "C" not null references core.integrations, -- The integration.
    kombo_job_id text collate "C", -- The job, where its id could be read.
    fetch_id bigint not null, -- The fetch that brought it.
    page_number integer not null, -- The page it stood on.
    record_hash uuid not null, -- The same record is quarantined once, however often it arrives.
    record bytea not null, -- The record as received (UTF-8 JSON, perhaps broken).
    reason text not null, -- Why it could not be read, with the place inside the record.
    quarantined_at timestamptz not null default now(), -- When (our clock).
    released_at timestamptz, -- When a readable version of the job was applied, or a person released it.
    unique (integration_id, record_hash)
);

create table core.jobs ( -- A job in a customer's ATS, as of the newest applied fetch.
    integration_id text collate "C" not null references core.integrations, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- Kombo's id of the job; stable as long as the integration lives.
    remote_id text, -- Id in the ATS; may be composed of several, no key.
    name text, -- Title.
    job_code text, -- Requisition code; not promised unique.
    description text, -- Usually HTML, foreign: sanitise before showing.
    confidential boolean, -- Deprecated by Kombo in favour of visibility.
    weekly_hours double precision, -- Hours a week.
    employment_type text, -- FULL_TIME, PART_TIME, CONTRACT, SEASONAL, INTERNSHIP, or the ATS's own word.
    status text, -- OPEN, CLOSED, DRAFT, ARCHIVED, or the ATS's own word. See lifecycle.
    visibility text, -- PUBLIC, INTERNAL, UNLISTED, CONFIDENTIAL, or the ATS's own word; null where the ATS has no such notion.
    category text, -- Passed through from the ATS, often the industry.
    department text, -- Passed through from the ATS.
    post_url text, -- The public posting on the ATS.
    experience_level text, -- Passed through from the ATS.
    remote_work_status text, -- REMOTE, HYBRID, TEMPORARY, ON_SITE, or the ATS's own word.
    salary_amount double precision, -- A single salary figure.
    salary_amount_from double precision, -- Lower end of a salary range.
    salary_amount_to double precision, -- Upper end of a salary range.
    salary_currency text, -- Usually ISO 4217.
    salary_period text, -- The period the amounts speak of: YEAR, MONTH, TWO_WEEKS, WEEK, DAY, HOUR, or the ATS's own word.
    location_city text, -- City.
    location_country text, -- ISO 3166 alpha-2 where Kombo could parse it, else as received.
    location_raw text, -- The address as received.
    location_state text, -- State or region.
    location_street_1 text, -- Street.
    location_street_2 text, -- Second address line.
    location_zip_code text, -- Postcode.
    custom_fields jsonb, -- The custom fields configured in Kombo.
    integration_fields jsonb, -- Kombo's mapped integration fields.
    remote_url text, -- The job inside the ATS, for recruiters.
    opened_at timestamptz, -- Business date of opening; may lie in the future.
    closed_at timestamptz, -- Closed, or scheduled to close: a future value does not close the job.
    remote_created_at timestamptz, -- The ATS's clock.
    remote_updated_at timestamptz, -- The ATS's clock; not to be used as a watermark.
    contact_id text, -- Deprecated by Kombo in favour of the hiring team.
    remote_data jsonb, -- The ATS's own payload where Kombo is configured to pass it on.
    changed_at timestamptz, -- When Kombo last noticed a change of the job's own fields; nested changes do not move it.
    remote_deleted_at timestamptz, -- When Kombo stopped seeing the job in the ATS. Null while it is there.
    unknown_fields jsonb, -- What Kombo sent under keys that no column knows, nested lists included.
    vanished_at timestamptz, -- When a complete full fetch did not show the job although Kombo had never called it deleted.
    integration_gone_at timestamptz, -- When the integration was deleted in Kombo.
    lifecycle text not null generated always as (
        case
            when remote_deleted_at is not null then 'deleted'
            when vanished_at is not null then 'vanished'
            when integration_gone_at is not null then 'integration_gone'
            when status = 'OPEN' then 'open'
            when status = 'CLOSED' then 'closed'
            when status = 'DRAFT' then 'draft'
            when status = 'ARCHIVED' then 'archived'
            else 'unknown'
        end
    ) stored, -- open, closed, draft, archived, deleted, vanished, integration_gone, or unknown (no status, or a word we do not know).
    publishable boolean not null generated always as (
        coalesce(status = 'OPEN' and visibility is null or status = 'OPEN' and visibility in ('PUBLIC', 'UNLISTED'), false)
        and remote_deleted_at is null and vanished_at is null and integration_gone_at is null
    ) stored, -- Open, not deleted, and not internal, confidential or of a visibility we do not know.
    record_hash uuid, -- Of the record last applied; null when the next sighting must be applied whatever it holds.
    first_seen_at timestamptz not null default now(), -- When the job was first applied (our clock).
    last_fetch_id bigint not null, -- The fetch that last wrote the row.
    primary key (integration_id, kombo_job_id)
);
alter table core.jobs set (toast_tuple_target = 8160);
create index on core.jobs (integration_id) where lifecycle = 'open';

create table core.job_stages ( -- An application stage of a job.
    integration_id text collate "C" not null, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- The job.
    id text collate "C" not null, -- Kombo's id of the stage.
    position integer not null, -- Place in the list as received, from 0.
    remote_id text, -- Id in the ATS.
    name text, -- Name.
    status text, -- ACTIVE or INACTIVE (archived or hidden).
    index integer, -- Order in the ATS, where it has one.
    custom_fields jsonb, -- The custom fields configured in Kombo.
    remote_data jsonb, -- The ATS's own payload.
    primary key (integration_id, kombo_job_id, id)
);

create table core.job_screening_questions ( -- A question that applicants of a job must or may answer.
    integration_id text collate "C" not null, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- The job.
    id text collate "C" not null, -- Kombo's id of the question.
    position integer not null, -- Place in the list as received, from 0.
    remote_id text, -- Id in the ATS.
    title text, -- The question.
    description text, -- Explanation, may hold HTML.
    category text, -- EEO, DEMOGRAPHIC, or a word that is still unknown.
    required boolean, -- Whether an answer is needed.
    index integer, -- Order in the ATS, where it has one.
    format jsonb, -- Kind of answer: TEXT, NUMBER, FILE, SINGLE_SELECT, MULTI_SELECT, BOOLEAN, DATE, INFORMATION, UNKNOWN, with its options.
    precondition_question_id text, -- The question whose answer decides whether this one is asked.
    precondition_options jsonb, -- The answers that make it asked.
    primary key (integration_id, kombo_job_id, id)
);

create table core.job_postings ( -- A publication of a job; one job may have several.
    integration_id text collate "C" not null, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- The job.
    id text collate "C" not null, -- Kombo's id of the posting.
    position integer not null, -- Place in the list as received, from 0.
    remote_id text, -- Id in the ATS.
    title text, -- Title of the posting.
    description_html text, -- Foreign HTML: sanitise before showing.
    status text, -- ACTIVE, INACTIVE, DRAFT, or a word that is still unknown.
    visibility text, -- PUBLIC, INTERNAL, UNLISTED, or a word that is still unknown.
    url text, -- Where it is published.
    remote_data jsonb, -- The ATS's own payload.
    primary key (integration_id, kombo_job_id, id)
);

create table core.job_hiring_team ( -- A person responsible for a job in the ATS. Personal data.
    integration_id text collate "C" not null, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- The job.
    id text collate "C" not null, -- Kombo's id of the user.
    position integer not null, -- Place in the list as received, from 0.
    remote_id text, -- Id in the ATS.
    first_name text, -- First name.
    last_name text, -- Last name.
    email text, -- Address; null where the ATS holds an invalid one.
    hiring_team_roles jsonb, -- Deprecated by Kombo in favour of job_roles.
    job_roles jsonb, -- Roles in this job, Kombo's and the ATS's names.
    primary key (integration_id, kombo_job_id, id)
);

create table core.job_changes ( -- One field of a job that changed. Append-only; starts with the job's creation.
    change_id bigint generated always as identity primary key, -- Order of writing.
    integration_id text collate "C" not null, -- The customer's connection.
    kombo_job_id text collate "C" not null, -- The job.
    field text not null, -- Column of core.jobs, or the nested list (stages, screening_questions, job_postings, hiring_team).
    old_value jsonb, -- Before; null when there was none.
    new_value jsonb, -- After; null when there is none.
    event text not null generated always as (
        case
            when field <> 'lifecycle' then 'changed'
            when old_value is null then 'created'
            when new_value = '"deleted"' then 'deleted'
            when new_value = '"vanished"' then 'vanished'
            when new_value = '"integration_gone"' then 'integration_gone'
            when old_value in ('"deleted"', '"vanished"', '"integration_gone"') then 'restored'
            when new_value = '"open"' then 'opened'
            when old_value = '"open"' then 'closed'
            else 'changed'
        end
    ) stored, -- What it means: created, changed, opened, closed, deleted, vanished, restored or integration_gone.
    fetch_id bigint, -- The fetch that showed it; null where a webhook or a person did.
    observed_at timestamptz not null default now() -- When we applied it (our clock).
);
create index on core.job_changes (integration_id, kombo_job_id, change_id);
create index on core.job_changes (observed_at);
create index on core.job_changes (fetch_id);

create table core.held_closures ( -- A closure of so many jobs at once that a person must confirm it.
    hold_id bigint generated always as identity primary key, -- For `kombo-pipeline release closure`.
    integration_id text collate "C" not null references core.integrations, -- The customer's connection.
    fetch_id bigint not null, -- The fetch that would have closed them.
    reason text not null, -- vanished (a full fetch did not show them), jobs_model_off (deleted while the model was off or its data expired) or status_off (all lost their status).
    kombo_job_ids text[] collate "C" not null, -- The very set that a release closes.
    gone_at timestamptz[] not null, -- Since when, for each of them.
    open_jobs integer not null, -- Open jobs of the integration before the closure.
    held_at timestamptz not null default now(), -- When it was held (our clock).
    decision text, -- released, refused, or superseded by a later fetch; null while it waits.
    decided_at timestamptz, -- When.
    decided_by text, -- By whom.
    constraint decision_is_known check (decision in ('released', 'refused', 'superseded')),
    constraint a_person_decides check (decision not in ('released', 'refused') or decided_by is not null)
);
create unique index on core.held_closures (integration_id, reason) where decision is null;
