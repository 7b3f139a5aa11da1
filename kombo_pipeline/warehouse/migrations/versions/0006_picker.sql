-- Answers counts by state from the index alone; serves what the one on open jobs served.
create index jobs_by_lifecycle on core.jobs (integration_id, lifecycle, publishable, kombo_job_id);
drop index core.jobs_integration_id_idx;

create index matchable_jobs_newest on core.matchable_jobs (integration_id, posted_on desc nulls last, kombo_job_id);
create index matchable_jobs_by_title on core.matchable_jobs (integration_id, lower(left(title, 100)), kombo_job_id);
