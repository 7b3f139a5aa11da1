-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table core.forgotten ( -- An integration that must not come back: a typing error, or a customer that is gone.
    integration_id text collate "C" primary key, -- Its id. Events that name it are landed and ignored.
    forgotten_at timestamptz not null default now(), -- Since when.
    forgotten_by text not null, -- Who wanted it forgotten.
    reason text -- Why, if a reason was given.
);

-- The details of an integration (GET /integrations/{id}) are a help: its jobs are fetched without them too.
alter table core.integrations
    add details_error text,
    add details_error_by text,
    add closures_await_details boolean not null default false,
    add constraint details_error_by_is_known check (details_error_by in ('us', 'kombo', 'customer'));
comment on column core.integrations.details_error is 'Why the newest fetch could not read the details, or which of their fields; null when it could. Until then the older ones hold, and absent jobs and mass deletions wait.';
comment on column core.integrations.details_error_by is 'Who must act on details_error; null when it passes by itself.';
comment on column core.integrations.closures_await_details is 'Whether a fetch left jobs open because the details were unknown; the first fetch that can read them is a full one.';
comment on column core.held_closures.reason is 'vanished (a full fetch did not show them), jobs_model_off (deleted while the model was off or its data expired), details_unknown (deleted while Kombo did not give the details of the integration) or status_off (all lost their status).';

-- What your product is told outlives the link that it speaks of: the end of a link that is forgotten is told too.
alter table core.link_notices drop constraint link_notices_link_id_fkey;
comment on column core.link_notices.link_id is 'The link. Its row is gone where the integration was forgotten.';

-- Answers are append-only for everybody. Only the owner of the table, who may delete at all, can forget an integration.
create or replace function core.refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('kombo_pipeline.forgets', true) = 'yes' then
        return null;
    end if;
    raise exception '%.% is append-only', tg_table_schema, tg_table_name;
end $$;
