-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table core.schema_versions ( -- A schema that this warehouse has had since 0011, and the oldest code that can work on it.
    revision text collate "C" primary key, -- Revision of the schema. The newest one is the present one.
    oldest_code text collate "C" not null, -- The code must know this revision or a later one; older code refuses to start.
    migrated_at timestamptz not null default now(), -- When the warehouse was migrated to it.
    migrated_by text not null -- The version of kombo_pipeline that did it.
);

-- Rule 1 has read every record up to now.
alter table raw.fetches add record_rule integer not null default 1;
comment on column raw.fetches.record_rule is 'The version of the rule with which its records were read into core.jobs (kombo/record.py). Code that knows no such version is of rule 1.';
comment on column raw.fetches.kind is 'full, incremental, or release: landed records that were read again, because a person released them from quarantine or because newer code reads more of them.';

alter table core.integrations add record_rule integer not null default 1;
comment on column core.integrations.record_rule is 'Every job of core.jobs was read with this version of the rule or a later one. Older than that of the code: its landed records are read again.';

-- Older code may still run when newer code has read everything again: what it applies counts as old.
create function core.note_record_rule() returns trigger language plpgsql as $$
begin
    update core.integrations
    set record_rule = new.record_rule
    where integration_id = new.integration_id and record_rule > new.record_rule;
    return null;
end $$;
create trigger note_record_rule after update of status on raw.fetches
    for each row when (new.status = 'applied' and old.status <> 'applied') execute function core.note_record_rule();
