-- Whoever releases a held closure must know which of its jobs a later fetch has shown, and nothing else of the pages.
create function core.seen_since(integration text, after_fetch bigint, kombo_job_ids text[]) returns setof text
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
        select distinct r.id from raw.fetches f join raw.job_pages p using (fetch_id)
            cross join lateral unnest(p.record_ids) r (id)
            where f.integration_id = integration and f.fetch_id > after_fetch and f.status = 'applied'
                and p.record_ids && kombo_job_ids and r.id = any(kombo_job_ids);
    end;
