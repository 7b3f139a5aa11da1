-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

alter table core.own_jobs add list text collate "C";
update core.own_jobs set list = source;
alter table core.own_jobs
    alter list set not null,
    add constraint list_is_not_blank check (list <> '');
comment on column core.own_jobs.list is 'The list that brought it last; its source where none is named. A list that replaces withdraws the jobs of the same list that it lacks.';

-- Whoever writes by SQL, and code that does not know lists yet, names none.
create function core.name_list() returns trigger language plpgsql as $$
begin
    new.list := new.source;
    return new;
end $$;
create trigger list_is_source_by_default before insert or update on core.own_jobs
    for each row when (new.list is null) execute function core.name_list();

create table core.held_withdrawals ( -- A withdrawal of so many own jobs at once that a person must confirm it.
    hold_id bigint generated always as identity primary key, -- For `kombo-pipeline release own-jobs`.
    customer_id text collate "C" not null, -- Whose own jobs they are.
    list text collate "C" not null, -- The list that lacks them.
    own_job_ids text[] collate "C" not null, -- The very set that a release withdraws. A job that a later list brings is taken out.
    living_jobs integer not null, -- Jobs of the list that were not withdrawn, before the list came that lacks these.
    held_at timestamptz not null default now(), -- When it was held.
    decision text, -- released, refused, or superseded by a later list; null while it waits.
    decided_at timestamptz, -- When.
    decided_by text, -- By whom.
    returned_at timestamptz, -- When a list brought a job of a refused set again. Until then the same set is not held again.
    constraint decision_is_known check (decision in ('released', 'refused', 'superseded')),
    constraint a_person_decides check (decision not in ('released', 'refused') or decided_by is not null)
);
create unique index on core.held_withdrawals (customer_id, list) where decision is null;

comment on column core.backoffice_users.role is 'viewer (looks), reviewer (answers, chooses and starts fetches) or admin (also holds and links for customers).';
