"""Statements on core.matchable_jobs, core.own_job_matches and core.job_match_candidates."""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql
from psycopg.rows import tuple_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number

Row = dict[str, Any]

MATCHABLE_COLUMNS = (
    *("kombo_job_id", "title", "place", "department", "employment_type", "posted_on", "job_code"),
    *("identifiers", "vector", "search_text", "job_hash"),
)
MATCH_COLUMNS = (
    *("own_job_id", "outcome", "reason", "none_probability", "confidence", "band", "own_hash", "matcher_version"),
    *("identifiers", "vector", "shortlist_floor", "shortlist"),
)
CANDIDATE_COLUMNS = (
    *("own_job_id", "kombo_job_id", "rank", "score", "confidence", "band", "method", "evidence", "matcher_version"),
)


def integration(conn: Connection, integration_id: str) -> Row | None:
    """Return whose an integration is, and with what it was matched; None when it is not registered."""
    return conn.execute(
        """
        select integration_id, customer_id, organization_name, matched_with, matched_fetch_id
        from core.integrations
        where integration_id = %s
        """,
        (integration_id,),
    ).fetchone()


def only_one_matching(conn: Connection, integration_id: str) -> None:
    """Wait for another matching of the integration to end, and keep others waiting until the transaction ends.

    The lease keeps runs apart for as long as a process works. This lock is for the one that was taken over and whose
    transaction the server has not ended yet: who took over waits for that, where it would collide with its rows.
    """
    conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"kombo_pipeline match {integration_id}",))


def newest_fetch(conn: Connection, integration_id: str) -> int:
    """Return the id of the newest applied fetch, 0 when there is none."""
    return number(
        conn,
        """
        select coalesce(max(fetch_id), 0) as n
        from raw.fetches
        where integration_id = %s and status = 'applied'
        """,
        (integration_id,),
    )


def jobs_to_look_at(conn: Connection, integration_id: str, *, since_fetch: int) -> list[str]:
    """Return the ATS jobs that fetches later than `since_fetch` changed, and those to be looked at again."""
    rows = conn.execute(
        """
        select kombo_job_id
        from core.job_changes
        where fetch_id in (
            select fetch_id
            from raw.fetches
            where integration_id = %(integration)s
                and fetch_id > %(since)s
                and status = 'applied'
        )
            and integration_id = %(integration)s
        union
        select kombo_job_id
        from core.matchable_jobs
        where integration_id = %(integration)s and job_hash = ''
        """,
        {"integration": integration_id, "since": since_fetch},
    )
    return sorted(row["kombo_job_id"] for row in rows)


def ats_jobs(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str] | None) -> list[Row]:
    """Return what matching looks at of the ATS jobs named (None: of all) that are not gone, in order of their ids."""
    return conn.execute(
        """
        select
            j.integration_id, i.tool, j.kombo_job_id,
            j.lifecycle in ('open', 'unknown') as is_proposable,
            coalesce(j.name, '') as title,
            coalesce(core.place(j), '') as place,
            coalesce(j.department, '') as department,
            coalesce(j.employment_type, '') as employment_type,
            coalesce(
                case when j.opened_at >= '1900-01-01' and j.opened_at < '2200-01-01' then j.opened_at end,
                case
                    when j.remote_created_at >= '1900-01-01' and j.remote_created_at < '2200-01-01'
                        then j.remote_created_at
                end
            )::date as posted_on,
            coalesce(j.job_code, '') as job_code,
            coalesce(j.remote_id, '') as remote_id,
            array_remove(array[j.post_url, j.remote_url] || p.urls, null) as urls
        from core.jobs j
        join core.integrations i using (integration_id)
        left join (
            select kombo_job_id, array_agg(url order by id) as urls
            from core.job_postings
            where integration_id = %(integration)s
                and (%(ids)s::text[] is null or kombo_job_id = any(%(ids)s))
            group by kombo_job_id
        ) p using (kombo_job_id)
        where j.integration_id = %(integration)s
            and (%(ids)s::text[] is null or j.kombo_job_id = any(%(ids)s))
            and j.lifecycle not in ('deleted', 'vanished', 'integration_gone')
        order by j.kombo_job_id
        """,
        {"integration": integration_id, "ids": None if kombo_job_ids is None else list(kombo_job_ids)},
    ).fetchall()


def matchable_jobs(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str] | None) -> list[Row]:
    """Return the stored rows of the ATS jobs named (None: of all) without their vectors, in order of their ids."""
    return conn.execute(
        """
        select
            kombo_job_id, title, place, department, employment_type, posted_on, job_code,
            identifiers, job_hash
        from core.matchable_jobs
        where integration_id = %(integration)s
            and (%(ids)s::text[] is null or kombo_job_id = any(%(ids)s))
        order by kombo_job_id
        """,
        {"integration": integration_id, "ids": None if kombo_job_ids is None else list(kombo_job_ids)},
    ).fetchall()


def job_vectors(conn: Connection, integration_id: str) -> list[tuple[str, bytes]]:
    """Return id and vector of each ATS job that titles may propose, in order of their ids."""
    with conn.cursor(binary=True, row_factory=tuple_row) as cursor:
        cursor.execute(
            """
            select kombo_job_id, vector
            from core.matchable_jobs
            where integration_id = %s and vector is not null
            order by kombo_job_id
            """,
            (integration_id,),
        )
        return cursor.fetchall()


def proposable_count(conn: Connection, integration_id: str) -> int:
    """Return how many ATS jobs titles may propose."""
    return number(
        conn,
        """
        select count(*) as n
        from core.matchable_jobs
        where integration_id = %s and vector is not null
        """,
        (integration_id,),
    )


def write_matchable_jobs(
    conn: Connection, integration_id: str, rows: Iterable[Sequence[Any]], *, gone: Sequence[str]
) -> None:
    """Insert or replace rows of MATCHABLE_COLUMNS, and remove the ATS jobs that are gone."""
    conn.execute(
        """
        delete from core.matchable_jobs
        where integration_id = %s and kombo_job_id = any(%s)
        """,
        (integration_id, list(gone)),
    )
    _stage(conn, "matchable_jobs", MATCHABLE_COLUMNS, rows)
    _merge(conn, "matchable_jobs", MATCHABLE_COLUMNS, keys={"integration_id": integration_id}, key=("kombo_job_id",))


def own_jobs(conn: Connection, customer_id: str, own_job_ids: Sequence[str] | None) -> list[Row]:
    """Return the own jobs named (None: all) that are not withdrawn, in order of their ids."""
    return conn.execute(
        """
        select o.*, core.seen(o) as seen
        from core.own_jobs o
        where customer_id = %(customer)s
            and withdrawn_at is null
            and (%(ids)s::text[] is null or own_job_id = any(%(ids)s))
        order by own_job_id
        """,
        {"customer": customer_id, "ids": None if own_job_ids is None else list(own_job_ids)},
    ).fetchall()


def changed_own_jobs(conn: Connection, *, customer_id: str, integration_id: str, version: str) -> list[str]:
    """Return the own jobs that are not matched as they are now, or of which a person has said something since.

    Answers are looked back for ten minutes, for the transaction of one may have ended after a matching began.
    """
    rows = conn.execute(
        """
        select o.own_job_id
        from core.own_jobs o
        left join core.own_job_matches m
            on m.customer_id = o.customer_id
            and m.own_job_id = o.own_job_id
            and m.integration_id = %(integration)s
        where o.customer_id = %(customer)s
            and o.withdrawn_at is null
            and (m.own_hash is distinct from o.content_hash or m.matcher_version <> %(version)s)
        union
        select d.own_job_id
        from core.link_decisions d
        join core.own_job_matches m using (customer_id, own_job_id, integration_id)
        where d.integration_id = %(integration)s
            and d.decided_at > m.matched_at - interval '10 minutes'
            and d.decided_at > (
                select min(matched_at)
                from core.own_job_matches
                where integration_id = %(integration)s
            ) - interval '10 minutes'
        """,
        {"integration": integration_id, "customer": customer_id, "version": version},
    )
    return sorted(row["own_job_id"] for row in rows)


def delete_withdrawn(conn: Connection, integration_id: str) -> list[list[str]]:
    """Forget the matches of withdrawn own jobs; return the identifiers that they had."""
    rows = conn.execute(
        """
        delete from core.own_job_matches m
        using core.own_jobs o
        where m.integration_id = %s
            and o.customer_id = m.customer_id
            and o.own_job_id = m.own_job_id
            and o.withdrawn_at is not null
        returning m.identifiers
        """,
        (integration_id,),
    ).fetchall()
    return [row["identifiers"] for row in rows]


def own_vectors(
    conn: Connection, integration_id: str, shortlisted: Sequence[int]
) -> list[tuple[str, bytes, float, bool]]:
    """Return id, vector and floor of each own job that titles match, and whether its shortlist has one of these."""
    with conn.cursor(binary=True, row_factory=tuple_row) as cursor:
        cursor.execute(
            """
            select own_job_id, vector, shortlist_floor, shortlist && %s::int[]
            from core.own_job_matches
            where integration_id = %s and outcome <> 'linked'
            order by own_job_id
            """,
            (list(shortlisted), integration_id),
        )
        return cursor.fetchall()


def live_links(conn: Connection, integration_id: str, own_job_ids: Sequence[str] | None) -> dict[str, Row]:
    """Return the links that are not retired by own job, with the lifecycle of their ATS job."""
    rows = conn.execute(
        """
        select
            l.link_id, l.own_job_id, l.kombo_job_id, l.state, l.method, l.confirmed_by, l.own_seen,
            j.lifecycle
        from core.job_links l
        join core.jobs j using (integration_id, kombo_job_id)
        where l.integration_id = %(integration)s
            and l.state <> 'retired'
            and (%(ids)s::text[] is null or l.own_job_id = any(%(ids)s))
        """,
        {"integration": integration_id, "ids": None if own_job_ids is None else list(own_job_ids)},
    )
    return {row["own_job_id"]: row for row in rows}


class Writer:
    """Stages matches and candidates, then brings them into the tables; what is equal is not written."""

    def __init__(self, conn: Connection, *, customer_id: str, integration_id: str) -> None:
        self._conn = conn
        self._keys = {"customer_id": customer_id, "integration_id": integration_id}
        _create_stage(conn, "own_job_matches", MATCH_COLUMNS)
        _create_stage(conn, "job_match_candidates", CANDIDATE_COLUMNS)

    def stage(self, own_rows: Iterable[Sequence[Any]], candidate_rows: Iterable[Sequence[Any]]) -> None:
        """Stage rows of MATCH_COLUMNS and CANDIDATE_COLUMNS."""
        _copy(self._conn, "own_job_matches", MATCH_COLUMNS, own_rows)
        _copy(self._conn, "job_match_candidates", CANDIDATE_COLUMNS, candidate_rows)

    def merge(self) -> None:
        """Replace the matches of the staged own jobs and their candidates."""
        _merge(self._conn, "own_job_matches", MATCH_COLUMNS, keys=self._keys, key=("own_job_id",))
        self._conn.execute("analyze incoming_job_match_candidates")
        self._conn.execute(
            """
            delete from core.job_match_candidates c
            using incoming_own_job_matches m
            where c.customer_id = %(customer_id)s
                and c.integration_id = %(integration_id)s
                and c.own_job_id = m.own_job_id
                and not exists (
                    select
                    from incoming_job_match_candidates i
                    where i.own_job_id = c.own_job_id
                        and i.kombo_job_id = c.kombo_job_id
                )
            """,
            self._keys,
        )
        _merge(
            self._conn,
            "job_match_candidates",
            CANDIDATE_COLUMNS,
            keys=self._keys,
            key=("own_job_id", "kombo_job_id"),
        )
        self._conn.execute(
            """
            update core.own_job_matches m
            set matched_at = now()
            from incoming_own_job_matches i
            where m.customer_id = %(customer_id)s
                and m.integration_id = %(integration_id)s
                and m.own_job_id = i.own_job_id
                and m.matched_at < now()
            """,
            self._keys,
        )


def summary(conn: Connection, integration_id: str) -> dict[str, Any]:
    """Return what matching has found by now, in counts; outcomes, bands and links (by state) are objects of counts.

    `confidences` counts own jobs by the confidence of their first candidate, in ten bins from 0 to 1.
    """
    row = conn.execute(
        """
        with found as materialized (
            select *
            from core.own_job_matches
            where integration_id = %(integration)s
        )
        select
            (select count(*) from found) as own_jobs,
            (
                select count(*)
                from core.job_match_candidates
                where integration_id = %(integration)s
            ) as candidates,
            (
                select count(*)
                from marts.review_queue
                where integration_id = %(integration)s
                    and why <> 'unlikely'
            ) as waiting,
            (
                select coalesce(jsonb_object_agg(outcome, n), '{}')
                from (
                    select outcome, count(*) as n
                    from found
                    group by outcome
                ) o
            ) as outcomes,
            (
                select coalesce(jsonb_object_agg(band, n), '{}')
                from (
                    select band, count(*) as n
                    from found
                    where band is not null
                    group by band
                ) b
            ) as bands,
            (
                select coalesce(jsonb_object_agg(state, n), '{}')
                from (
                    select state, count(*) as n
                    from core.job_links
                    where integration_id = %(integration)s
                    group by state
                ) s
            ) as links,
            (
                select
                    array_agg(
                        (
                            select count(*)
                            from found
                            where least(floor(confidence * 10), 9) = bin
                        ) order by bin
                    )
                from generate_series(0, 9) bin
            ) as confidences
        """,
        {"integration": integration_id},
    ).fetchone()
    assert row is not None
    return row


def examples(conn: Connection, integration_id: str, *, limit: int) -> list[Row]:
    """Return first candidates of all bands, as marts.match_candidates shows them: some of each, the surest first."""
    return conn.execute(
        """
        select own_title, ats_title, round(confidence::numeric, 2) as confidence, band, method, why
        from (
            select
                *,
                row_number() over (partition by band order by confidence desc, own_job_id) as place
            from marts.match_candidates
            where integration_id = %s and rank = 1
        ) first
        order by place, confidence desc
        limit %s
        """,
        (integration_id, limit),
    ).fetchall()


def own_jobs_waiting(conn: Connection) -> list[Row]:
    """Return the integrations of which own jobs are to be matched: new, changed, withdrawn, or rejected candidates.

    `state` differs when there is something else to do; `matched_at` is null where nothing was ever matched.
    """
    return conn.execute(
        """
        select
            i.integration_id,
            count(*) as own_jobs,
            i.matched_at,
            md5(string_agg(w.own_job_id || w.what, ' ' order by w.own_job_id, w.what)) as state
        from core.integrations i
        join (
            select i.integration_id, o.own_job_id, o.content_hash as what
            from core.own_jobs o
            join core.integrations i using (customer_id)
            left join core.own_job_matches m
                on m.customer_id = o.customer_id
                and m.own_job_id = o.own_job_id
                and m.integration_id = i.integration_id
            where o.withdrawn_at is null and m.own_hash is distinct from o.content_hash
                or o.withdrawn_at is not null and m.own_job_id is not null
            union all
            select d.integration_id, d.own_job_id, d.decision_id::text
            from core.link_decisions d
            join core.own_job_matches m using (customer_id, own_job_id, integration_id)
            where d.decision in ('rejected', 'undone')
                and d.decided_at > m.matched_at
        ) w using (integration_id)
        where i.deleted_at is null
            and i.succeeded_by is null
            and i.full_fetched_at is not null
        group by i.integration_id
        order by i.matched_at nulls first, i.integration_id
        """
    ).fetchall()


def mark_matched(conn: Connection, integration_id: str, *, fetch_id: int, matched_with: str) -> None:
    """Note what the integration's jobs were matched with and up to which fetch."""
    conn.execute(
        """
        update core.integrations
        set matched_fetch_id = %s, matched_with = %s, matched_at = now()
        where integration_id = %s
        """,
        (fetch_id, matched_with, integration_id),
    )


def _stage(conn: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    _create_stage(conn, table, columns)
    _copy(conn, table, columns, rows)


def _create_stage(conn: Connection, table: str, columns: Sequence[str]) -> None:
    stage = sql.Identifier(f"incoming_{table}")
    conn.execute(sql.SQL("drop table if exists {}").format(stage))
    conn.execute(
        sql.SQL("create temporary table {} on commit drop as select {} from core.{} with no data").format(
            stage, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
        )
    )


def _copy(conn: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(f"incoming_{table}"), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with conn.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _merge(conn: Connection, table: str, columns: Sequence[str], *, keys: dict[str, str], key: Sequence[str]) -> None:
    """Upsert the staged rows under the given leading keys; a row that is equal is not written."""
    written = [sql.Identifier(name) for name in columns]
    values = [name for name in written if name.as_string(None).strip('"') not in key]
    conn.execute(
        sql.SQL(
            """
            insert into core.{table} as t ({keys}, {columns})
            select {given}, {columns}
            from {stage}
            on conflict ({keys}, {key})
            do update
            set ({values}) = row({excluded})
            where ({stored}) is distinct from ({excluded})
            """
        ).format(
            table=sql.Identifier(table),
            stage=sql.Identifier(f"incoming_{table}"),
            keys=sql.SQL(", ").join(map(sql.Identifier, keys)),
            given=sql.SQL(", ").join(map(sql.Literal, keys.values())),
            key=sql.SQL(", ").join(map(sql.Identifier, key)),
            columns=sql.SQL(", ").join(written),
            values=sql.SQL(", ").join(values),
            excluded=sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in values),
            stored=sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in values),
        )
    )
