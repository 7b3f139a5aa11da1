-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table core.lookups ( -- Pastes of the last day that asked Kombo for jobs: who asks now, and how much was asked this hour.
    lookup_id bigint generated always as identity primary key, -- Counts up.
    customer_id text, -- The customer that pasted by its link; null for staff.
    asked_by text not null, -- Who pasted.
    started_at timestamptz not null default clock_timestamp(), -- When Kombo was first asked.
    until timestamptz not null, -- When it counts as ended at the latest: a killed process ends nothing.
    ended_at timestamptz, -- When it ended; null while it asks, and for ever where its process was killed.
    requests integer not null -- Requests to Kombo: those it may make while it asks, those it made once it has ended.
);
create index on core.lookups (customer_id, started_at);
