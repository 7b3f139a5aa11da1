"""Statements on core.integrations as matching sees it: one matching at a time, what was matched, and what waits."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchedIntegration:
    """Whose an integration is, and with what it was last matched."""

    integration_id: str
    customer_id: str | None
    organization_name: str | None
    matched_with: str | None
    """The versions and settings of the last matching; None where there was none."""
    matched_fetch_id: int | None
    """The newest fetch that the last matching knew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingMatching:
    """An integration for which own jobs are to be matched."""

    integration_id: str
    own_jobs: int
    matched_at: datetime | None
    """When it was last matched; None where it never was."""
    state: str
    """A hash of what is to be done: another one when there is something else to do."""


def integration(conn: Connection, integration_id: str) -> MatchedIntegration | None:
    """Return an integration; None when it is not registered."""
    with conn.cursor(row_factory=class_row(MatchedIntegration)) as cursor:
        return cursor.execute(
            """
            select integration_id, customer_id, organization_name, matched_with, matched_fetch_id
            from core.integrations
            where integration_id = %s
            """,
            (integration_id,),
        ).fetchone()


def only_one_matching(conn: Connection, integration_id: str) -> None:
    """Wait for another matching of the integration to end, and keep others waiting until the transaction ends.

    The lease keeps runs apart while their processes work. This lock is for a run that takes over from a killed one:
    it waits until the server has ended the old transaction, because both would write the same rows.
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


def own_jobs_waiting(conn: Connection) -> list[WaitingMatching]:
    """Return the integrations for which own jobs are to be matched, the longest unmatched first.

    Due are own jobs that are new, changed or withdrawn, and those with a candidate that a person has rejected, or an
    answer that was taken back.
    """
    with conn.cursor(row_factory=class_row(WaitingMatching)) as cursor:
        return cursor.execute(
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
