-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table raw.dead_events ( -- An event that could not be interpreted. The event itself stays in raw.webhook_events; every other one was handled.
    event_seq bigint primary key references raw.webhook_events on delete cascade, -- The event.
    reason text not null, -- Why, in one line that names the thing.
    died_at timestamptz not null default clock_timestamp() -- When it was set aside (our clock). `kombo-pipeline replay EVENT_ID` takes it up again.
);

create table raw.refused_deliveries ( -- How many deliveries a receiver refused, added up. Several rows may speak of one minute: each receiver adds its own.
    minute timestamptz not null, -- The minute in which they came (the receiver's clock).
    reason text not null, -- wrong_signature (401), no_signature (401), too_large (413), too_slow (408) or cut_off (the sender left before the end).
    deliveries bigint not null, -- How many.
    constraint something_was_refused check (deliveries > 0)
);
create index on raw.refused_deliveries (minute);

alter table core.integrations
    add identity_event_seq bigint,
    add identity_told_at timestamptz,
    add details_read_at timestamptz,
    add claimed_customer_id text collate "C",
    add claimed_at timestamptz,
    add declined_customer_id text collate "C",
    add owner_answered_by text,
    add owner_answered_at timestamptz,
    add sync_time_is_ours boolean not null default false,
    add state_time_is_ours boolean not null default false;
comment on column core.integrations.identity_event_seq is 'The newest event that told whose the integration is, its organization or its tool. An event that landed before it changes none of these.';
comment on column core.integrations.identity_told_at is 'Kombo''s own time inside that event, where it had one.';
comment on column core.integrations.details_read_at is 'When the details (GET /integrations/{id}) were last asked for that told whose it is (our clock). An event received before changes none of these.';
comment on column core.integrations.claimed_customer_id is 'Another customer to whom the integration belongs now, as Kombo says, while a person has not answered. Its links are suspended meanwhile (owner_in_doubt); null when there is no doubt.';
comment on column core.integrations.claimed_at is 'Since when there is that doubt.';
comment on column core.integrations.declined_customer_id is 'The claimed customer of whom a person has said that it is not the owner. The same claim raises no second question.';
comment on column core.integrations.owner_answered_by is 'Who answered last whose the integration is.';
comment on column core.integrations.owner_answered_at is 'When.';
comment on column core.integrations.sync_time_is_ours is 'Whether last_sync_ended_at is when the event came, because Kombo''s own time was missing, unreadable or in the future. The next event is the newer one then.';
comment on column core.integrations.state_time_is_ours is 'The same of state_updated_at.';

-- A time in the future would hide everything that Kombo tells later.
update core.integrations set last_sync_ended_at = now(), sync_time_is_ours = true where last_sync_ended_at > now();
update core.integrations set last_sync_succeeded_at = now() where last_sync_succeeded_at > now();
update core.integrations set state_updated_at = now(), state_time_is_ours = true where state_updated_at > now();

comment on column core.job_links.reason is 'Suspended: the lifecycle of the ATS job, withdrawn (the own job) or owner_in_doubt (Kombo names another customer of the integration). Retired: undone, rejected, superseded, withdrawn, identifiers_changed or customer_changed.';

-- Why a link of these cannot be active now; null when it can. Everything that makes, resumes or suspends a link asks here.
create function core.suspended_by(j core.jobs, i core.integrations, o core.own_jobs) returns text language sql stable
    return case
        when (j).lifecycle <> 'open' then (j).lifecycle
        when (i).claimed_customer_id is not null then 'owner_in_doubt'
        when (o).withdrawn_at is not null then 'withdrawn'
    end;
