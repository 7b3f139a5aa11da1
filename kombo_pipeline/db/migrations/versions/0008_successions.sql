-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table core.successions ( -- A connection that takes over from an older one of the same customer and tool, or may do so.
    integration_id text collate "C" not null references core.integrations on delete cascade, -- The newer connection: the successor.
    predecessor_id text collate "C" not null references core.integrations on delete cascade, -- The older connection: the predecessor.
    state text not null, -- proposed (a person is asked), accepted (the successor has taken over), refused, or undone (it had taken over).
    agreeing_jobs integer not null, -- Jobs with the same remote id and the same title on both sides, when this was last judged.
    compared_jobs integer not null, -- Jobs that were compared then: those of the predecessor that were open when it stopped, and open ones of the successor that are not newer.
    decided_by text, -- Who accepted, refused or undid it; null where the rule accepted, or nobody has decided yet.
    decided_at timestamptz, -- When; null while it is proposed.
    created_at timestamptz not null default now(), -- When the agreement was first seen.
    primary key (integration_id, predecessor_id),
    constraint succession_state_is_known check (state in ('proposed', 'accepted', 'refused', 'undone')),
    constraint nobody_succeeds_itself check (integration_id <> predecessor_id),
    constraint a_decision_has_a_time check ((state = 'proposed') = (decided_at is null))
);
create unique index one_successor_per_integration on core.successions (predecessor_id) where state = 'accepted';
create index on core.successions (predecessor_id);

create table core.carried_links ( -- What became of a predecessor's link when another connection took over: what an undo puts back.
    from_link_id bigint not null references core.job_links on delete cascade, -- The predecessor's link.
    to_link_id bigint references core.job_links on delete cascade, -- The successor's link that carries it on; null where it did not follow.
    integration_id text collate "C" not null, -- The successor.
    predecessor_id text collate "C" not null, -- The predecessor.
    state_before text not null, -- State of the predecessor's link before.
    reason_before text, -- Its reason before.
    carried_at timestamptz not null default now(), -- When the successor took over.
    taken_back_at timestamptz, -- When the succession was undone.
    primary key (from_link_id, carried_at),
    foreign key (integration_id, predecessor_id) references core.successions on delete cascade
);
create index on core.carried_links (integration_id, predecessor_id);
create index on core.carried_links (to_link_id);

alter table core.integrations add succeeded_by text collate "C" references core.integrations on delete set null, add succeeded_at timestamptz;
comment on column core.integrations.succeeded_by is 'The connection that has taken over from this one (core.successions); null while none has. It is not fetched any more.';
comment on column core.integrations.succeeded_at is 'When that connection took over.';
create index on core.integrations (succeeded_by) where succeeded_by is not null;

create table core.carried_decisions ( -- An answer that was carried over to the job of the connection that took over.
    decision_id bigint primary key references core.link_decisions on delete cascade, -- The row that carries it on, with the person and the time of the answer.
    carried_from bigint not null references core.link_decisions on delete cascade, -- The answer as it was given, about the predecessor's job.
    carried_at timestamptz not null default now() -- When the other connection took over.
);
create index on core.carried_decisions (carried_from);

comment on column core.jobs.integration_gone_at is 'When the integration was deleted in Kombo, or another one took over from it.';
comment on column core.job_links.reason is 'Suspended: the lifecycle of the ATS job, withdrawn (the own job), owner_in_doubt (Kombo names another customer of the integration), undone, or succeeded (carried over to a job whose title differs). Retired: undone, rejected, superseded, withdrawn, identifiers_changed, customer_changed or succeeded (it lives on in the connection that took over).';

-- A carried link keeps the time at which it was first made; the notice tells when it became what it is.
create or replace function core.write_link_notice() returns trigger language plpgsql as $$
declare
    told text := case
        when new.state = 'active' and tg_op = 'UPDATE' then 'link.resumed'
        when new.state = 'active' then 'link.started'
        when new.state = 'suspended' then 'link.suspended'
        else 'link.ended'
    end;
begin
    insert into core.link_notices (link_id, event_type, payload)
    values (new.link_id, told, jsonb_build_object('type', told, 'timestamp', new.state_since, 'data', jsonb_build_object(
        'link_id', new.link_id, 'customer_id', new.customer_id, 'own_job_id', new.own_job_id,
        'integration_id', new.integration_id, 'kombo_job_id', new.kombo_job_id,
        'method', new.method, 'state', new.state, 'reason', new.reason
    )));
    return null;
end $$;
