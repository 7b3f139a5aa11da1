-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

alter table core.jobs add unreadable_fields jsonb;
comment on column core.jobs.unreadable_fields is 'What could not be read of the newest record, with the reason: {"salary_amount": "expected a number, got an object"}. Such a field has the last readable value (or lost what the reason names). Null when all could be read.';
create index unreadable_jobs on core.jobs (integration_id) where unreadable_fields is not null;

comment on column core.jobs.lifecycle is 'open, closed, draft, archived, deleted, vanished, integration_gone, or unknown (no status, one that cannot be read, or a word we do not know).';
comment on column core.jobs.publishable is 'Open, not deleted, and not internal, confidential or of a visibility that we do not know or cannot read.';
comment on table raw.quarantined_records is 'A record that could not be read whole. What could be read of it was applied, unless it has no readable id.';
comment on column raw.quarantined_records.released_at is 'When another version of the job was applied, the job was gone, or a person released it and all of it could be read.';
comment on column raw.fetches.jobs_quarantined is 'Records that could not be read whole.';
