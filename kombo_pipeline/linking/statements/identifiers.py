"""Statements on the identifiers of jobs: which jobs share one, and how many jobs of a customer have each job code."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection

_KEYS_AT_ONCE: Final = 5000


class CodeCount(NamedTuple):
    """A job code, and how many jobs have it."""

    code: str
    jobs: int


def only_one_matching_of_customer(conn: Connection, customer_id: str) -> None:
    """Keep other matchings of all integrations of a customer waiting until the transaction ends.

    Which links one integration gets depends on the jobs of the others. This lock is taken after that of the integration
    (matched_integrations.only_one_matching), never before it.
    """
    conn.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"kombo_pipeline match customer {customer_id}",)
    )


def integrations_beside(conn: Connection, *, customer_id: str, integration_id: str) -> list[str]:
    """Return the customer's other integrations that are neither deleted nor succeeded.

    Among their jobs too an identifier must be unique.
    """
    rows = conn.execute(
        """
        select integration_id
        from core.integrations
        where customer_id = %s
            and integration_id <> %s
            and deleted_at is null
            and succeeded_by is null
        order by integration_id
        """,
        (customer_id, integration_id),
    )
    return [row["integration_id"] for row in rows]


def own_codes(conn: Connection, customer_id: str) -> list[CodeCount]:
    """Return how many of a customer's own jobs that are not withdrawn have each job code."""
    with conn.cursor(row_factory=class_row(CodeCount)) as cursor:
        return cursor.execute(
            """
            select btrim(job_code) as code, count(*) as jobs
            from core.own_jobs
            where customer_id = %s and withdrawn_at is null and btrim(job_code) <> ''
            group by btrim(job_code)
            """,
            (customer_id,),
        ).fetchall()


def ats_codes(conn: Connection, integration_ids: Sequence[str]) -> list[CodeCount]:
    """Return how many ATS jobs, open and closed, have each job code: an entry for each integration and code."""
    with conn.cursor(row_factory=class_row(CodeCount)) as cursor:
        return cursor.execute(
            """
            select btrim(job_code) as code, count(*) as jobs
            from core.matchable_jobs
            where integration_id = any(%s) and btrim(job_code) <> ''
            group by integration_id, btrim(job_code)
            """,
            (list(integration_ids),),
        ).fetchall()


def match_again_beside(conn: Connection, *, customer_id: str, integration_id: str, keys: Collection[str]) -> None:
    """Have own jobs that have one of `keys` matched again in the customer's other integrations.

    `keys` are the identifiers of the ATS jobs that have just changed in this integration, old and new ones.
    """
    every = sorted(keys)
    for start in range(0, len(every), _KEYS_AT_ONCE):
        conn.execute(
            """
            update core.own_job_matches
            set own_hash = ''
            where customer_id = %s and integration_id <> %s and own_hash <> '' and identifiers && %s
            """,
            (customer_id, integration_id, every[start : start + _KEYS_AT_ONCE]),
        )


def own_identifiers(conn: Connection, integration_id: str, own_job_ids: Sequence[str]) -> set[str]:
    """Return the identifiers that the own jobs had when they were last matched."""
    rows = conn.execute(
        """
        select distinct unnest(identifiers) as key
        from core.own_job_matches
        where integration_id = %s and own_job_id = any(%s)
        """,
        (integration_id, list(own_job_ids)),
    )
    return {row["key"] for row in rows}


def own_bearers(conn: Connection, integration_id: str, identifiers: Collection[str]) -> dict[str, list[str]]:
    """Return the own jobs that have one of `identifiers`, each with all its identifiers."""
    rows = conn.execute(
        """
        select own_job_id, identifiers
        from core.own_job_matches
        where integration_id = %s and identifiers && %s
        """,
        (integration_id, list(identifiers)),
    )
    return {row["own_job_id"]: row["identifiers"] for row in rows}


def ats_bearers(conn: Connection, integration_id: str, identifiers: Collection[str]) -> dict[str, list[str]]:
    """Return the ATS jobs that have one of `identifiers`, each with all its identifiers."""
    rows = conn.execute(
        """
        select kombo_job_id, identifiers
        from core.matchable_jobs
        where integration_id = %s and identifiers && %s
        """,
        (integration_id, list(identifiers)),
    )
    return {row["kombo_job_id"]: row["identifiers"] for row in rows}


def matched_hashes(conn: Connection, integration_id: str, own_job_ids: Sequence[str]) -> dict[str, str]:
    """Return the content_hash with which own jobs were last matched; empty for those to be matched again."""
    rows = conn.execute(
        """
        select own_job_id, own_hash
        from core.own_job_matches
        where integration_id = %s and own_job_id = any(%s)
        """,
        (integration_id, list(own_job_ids)),
    )
    return {row["own_job_id"]: row["own_hash"] for row in rows}
