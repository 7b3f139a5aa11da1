alter table core.job_links add look_again_since timestamptz;
comment on column core.job_links.look_again_since is 'Since when the ATS job is open again, or its title, code or place are not what was looked at; null while a person need not look again. Kept by the transaction that changes the jobs.';

update core.job_links l set look_again_since = now() from core.jobs j
where j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id and j.lifecycle = 'open'
    and (l.state = 'suspended' and l.reason <> 'withdrawn' or l.state = 'active' and l.ats_seen <> core.seen(j));
