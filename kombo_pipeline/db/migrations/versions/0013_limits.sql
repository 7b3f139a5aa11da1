-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

-- The limits of kombo_pipeline/limits.py, for who writes own jobs by SQL. They hold for what is written from now on.
alter table core.own_jobs
    add constraint title_is_not_too_long check (length(title) <= 1000) not valid,
    add constraint kombo_job_id_is_not_too_long check (length(kombo_job_id) <= 500) not valid,
    add constraint remote_id_is_not_too_long check (length(remote_id) <= 500) not valid,
    add constraint job_code_is_not_too_long check (length(job_code) <= 500) not valid,
    add constraint post_url_is_not_too_long check (length(post_url) <= 4000) not valid,
    add constraint location_is_not_too_long check (length(location) <= 4000) not valid,
    add constraint department_is_not_too_long check (length(department) <= 1000) not valid,
    add constraint employment_type_is_not_too_long check (length(employment_type) <= 1000) not valid,
    add constraint list_is_not_too_long check (length(list) <= 200) not valid;

-- A row that breaks them could not be changed any more, not even withdrawn. Words are shortened. A part of an id, a code
-- or an address could be another job's, so these are taken out.
update core.own_jobs
set
    title = left(title, 1000),
    kombo_job_id = case when length(kombo_job_id) <= 500 then kombo_job_id end,
    remote_id = case when length(remote_id) <= 500 then remote_id end,
    job_code = case when length(job_code) <= 500 then job_code end,
    post_url = case when length(post_url) <= 4000 then post_url end,
    location = left(location, 4000),
    department = left(department, 1000),
    employment_type = left(employment_type, 1000),
    list = left(list, 200)
where length(title) > 1000
    or length(kombo_job_id) > 500
    or length(remote_id) > 500
    or length(job_code) > 500
    or length(post_url) > 4000
    or length(location) > 4000
    or length(department) > 1000
    or length(employment_type) > 1000
    or length(list) > 200;
