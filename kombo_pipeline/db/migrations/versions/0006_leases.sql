-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table core.leases ( -- Work that a process does on an integration now. Renewed while it works, deleted when it ends.
    integration_id text collate "C", -- The integration.
    work text, -- fetch (a release of quarantined records too), apply or rematch. Each is done by one process at a time.
    owner uuid not null, -- Who works: a new value for each time the work is taken up.
    held_by text not null, -- The process, as host:pid.
    run_id text, -- Dagster's run; null for a command.
    acquired_at timestamptz not null default clock_timestamp(), -- When the owner took the work up.
    until timestamptz not null, -- Until when it holds unless it is renewed. Expired: the process is gone, and another may take over.
    attempts integer not null default 1, -- How often the work was taken up since it last ended. 2 or more: a process was killed in it.
    primary key (integration_id, work),
    constraint work_is_known check (work in ('fetch', 'apply', 'rematch'))
);

create table core.run_requests ( -- What the sensors asked Dagster for last: those not asked for yet go first.
    integration_id text collate "C", -- The integration.
    work text, -- fetch or rematch.
    run_key text not null, -- The key of the request.
    requested_at timestamptz not null, -- When it was asked for.
    primary key (integration_id, work)
);
