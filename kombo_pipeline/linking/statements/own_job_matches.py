"""Statements on core.own_job_matches: the own jobs that matching reads, and which of them are due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnJob:
    """An own job as matching reads it."""

    own_job_id: str
    title: str | None
    kombo_job_id: str | None
    remote_id: str | None
    job_code: str | None
    post_url: str | None
    location: str | None
    department: str | None
    employment_type: str | None
    posted_at: date | None
    content_hash: str
    """Changes with everything that matching looks at."""
    seen: dict[str, Any]
    """Title, code and place: what an answer or a link holds for."""


class OwnVector(NamedTuple):
    """How an own job was last matched by title."""

    own_job_id: str
    vector: bytes
    shortlist_floor: float
    """An ATS job less alike than this cannot change the result; 0 where any may."""
    is_concerned: bool
    """Whether one of the ATS jobs asked for is in its shortlist."""


def own_jobs(conn: Connection, customer_id: str, own_job_ids: Sequence[str] | None) -> list[OwnJob]:
    """Return the own jobs named (None: all) that are not withdrawn, in the order of their ids."""
    with conn.cursor(row_factory=class_row(OwnJob)) as cursor:
        return cursor.execute(
            """
            select
                o.own_job_id, o.title, o.kombo_job_id, o.remote_id, o.job_code, o.post_url,
                o.location, o.department, o.employment_type, o.posted_at, o.content_hash,
                core.seen(o) as seen
            from core.own_jobs o
            where customer_id = %(customer)s
                and withdrawn_at is null
                and (%(ids)s::text[] is null or own_job_id = any(%(ids)s))
            order by own_job_id
            """,
            {"customer": customer_id, "ids": None if own_job_ids is None else list(own_job_ids)},
        ).fetchall()


def changed_own_jobs(conn: Connection, *, customer_id: str, integration_id: str, version: str) -> list[str]:
    """Return the ids of own jobs that are not matched as they are now, or about which a person has answered since.

    Answers of the ten minutes before a matching count too: the transaction of one may have ended after it began.
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
    """Delete the matches of withdrawn own jobs; return the identifiers of each."""
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


def own_vectors(conn: Connection, integration_id: str, shortlisted: Sequence[int]) -> list[OwnVector]:
    """Return how each own job was matched by title, with the CRC-32 of the ATS jobs that are asked for."""
    with conn.cursor(binary=True, row_factory=class_row(OwnVector)) as cursor:
        return cursor.execute(
            """
            select own_job_id, vector, shortlist_floor, shortlist && %s::int[] as is_concerned
            from core.own_job_matches
            where integration_id = %s and outcome <> 'linked'
            order by own_job_id
            """,
            (list(shortlisted), integration_id),
        ).fetchall()
