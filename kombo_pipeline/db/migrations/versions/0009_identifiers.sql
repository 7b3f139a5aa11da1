-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

comment on column core.integrations.matched_with is 'Kind of search, a digest of the customer''s other integrations and of how its codes behave, matcher, rules of identifiers and customer name of the newest matching; another one matches everything again.';
comment on column core.own_job_matches.own_hash is 'content_hash of the own job that was matched; empty when it is to be matched again, because an ATS job of another integration that shares an identifier has changed.';
comment on column core.own_job_matches.reason is 'Why identifiers did not decide, or why a link that one made is doubted, in words; null where none names an ATS job.';
