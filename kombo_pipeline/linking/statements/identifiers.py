"""Statements on what names jobs: the columns `identifiers`, and the codes of all jobs of a customer."""

from collections.abc import Collection, Sequence

from psycopg.rows import tuple_row

from kombo_pipeline.db.connection import Connection

_KEYS_AT_ONCE = 5000


def only_one_matching_of_customer(conn: Connection, customer_id: str) -> None:
    """As `only_one_matching`, for all integrations of a customer: what one of them links depends on the others' jobs.

    It is taken after the lock of the integration, never before.
    """
    conn.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"kombo_pipeline match customer {customer_id}",)
    )


def integrations_beside(conn: Connection, *, customer_id: str, integration_id: str) -> list[str]:
    """Return the other integrations of the customer whose jobs count for uniqueness: those that live."""
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


def own_codes(conn: Connection, customer_id: str) -> list[tuple[str, int]]:
    """Return the codes of a customer's own jobs that are not withdrawn, and how many bear each."""
    with conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            """
            select btrim(job_code), count(*)
            from core.own_jobs
            where customer_id = %s and withdrawn_at is null and btrim(job_code) <> ''
            group by 1
            """,
            (customer_id,),
        )
        return cursor.fetchall()


def ats_codes(conn: Connection, integration_ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return the codes of the ATS jobs, open and closed, and how many jobs of one integration bear each."""
    with conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            """
            select btrim(job_code), count(*)
            from core.matchable_jobs
            where integration_id = any(%s) and btrim(job_code) <> ''
            group by integration_id, 1
            """,
            (list(integration_ids),),
        )
        return cursor.fetchall()


def match_again_beside(conn: Connection, *, customer_id: str, integration_id: str, keys: Collection[str]) -> None:
    """Have the other integrations decide again of the own jobs that bear one of `keys`.

    To be called by the matching of an integration whose jobs bear or bore them.
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
    """Return what the own jobs named ATS jobs by when they were last matched."""
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
    """Return the own jobs that bear one of `identifiers`, each with all of its own."""
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
    """Return the ATS jobs that bear one of `identifiers`, each with all of its own."""
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
    """Return the content_hash with which own jobs were last matched; empty where they are to be matched again."""
    rows = conn.execute(
        """
        select own_job_id, own_hash
        from core.own_job_matches
        where integration_id = %s and own_job_id = any(%s)
        """,
        (integration_id, list(own_job_ids)),
    )
    return {row["own_job_id"]: row["own_hash"] for row in rows}
