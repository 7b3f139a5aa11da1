"""Statements on core.matchable_jobs: the ATS jobs of an integration as matching last read them from core.jobs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.linking.statements import staging
from kombo_pipeline.vocabulary import GONE


@dataclass(frozen=True, kw_only=True, slots=True)
class AtsTexts:
    """What titles are compared with of an ATS job. Unknown texts are empty."""

    kombo_job_id: str
    title: str
    place: str
    department: str
    employment_type: str
    posted_on: date | None
    job_code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AtsJob(AtsTexts):
    """An ATS job as core.jobs has it now: everything that matching looks at."""

    integration_id: str
    tool: str | None
    is_proposable: bool
    """Whether titles may propose it: it is open, or its status is not known."""
    remote_id: str
    urls: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredJob(AtsTexts):
    """An ATS job as matching last read it, without its vector."""

    identifiers: Sequence[str]
    """What own jobs may name it by, in every form that is compared."""
    job_hash: bytes
    """Of everything that matching looks at; empty when the job must be read again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchableJob(StoredJob):
    """A row of core.matchable_jobs as it is written."""

    vector: bytes | None
    """Title and place as a sparse vector; None where titles may not propose the job."""
    search_text: str


class JobVector(NamedTuple):
    """The vector of an ATS job that titles may propose."""

    kombo_job_id: str
    vector: bytes


_COLUMNS: Final = staging.columns_of(MatchableJob)


def jobs_to_read(conn: Connection, integration_id: str, *, since_fetch: int) -> list[str]:
    """Return the ids of the ATS jobs that fetches later than `since_fetch` changed, and of those to be read again."""
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


def ats_jobs(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str] | None) -> list[AtsJob]:
    """Return the ATS jobs named (None: all) that are not gone, in the order of their ids."""
    with conn.cursor(row_factory=class_row(AtsJob)) as cursor:
        return cursor.execute(
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
                and j.lifecycle <> all(%(gone)s)
            order by j.kombo_job_id
            """,
            {
                "integration": integration_id,
                "ids": None if kombo_job_ids is None else list(kombo_job_ids),
                "gone": list(GONE),
            },
        ).fetchall()


def stored_jobs(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str] | None) -> list[StoredJob]:
    """Return the rows of the ATS jobs named (None: of all), in the order of their ids."""
    with conn.cursor(row_factory=class_row(StoredJob)) as cursor:
        return cursor.execute(
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


def job_vectors(conn: Connection, integration_id: str) -> list[JobVector]:
    """Return the vector of each ATS job that titles may propose, in the order of their ids."""
    with conn.cursor(binary=True, row_factory=class_row(JobVector)) as cursor:
        return cursor.execute(
            """
            select kombo_job_id, vector
            from core.matchable_jobs
            where integration_id = %s and vector is not null
            order by kombo_job_id
            """,
            (integration_id,),
        ).fetchall()


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


def write(conn: Connection, integration_id: str, jobs: Iterable[MatchableJob], *, gone: Sequence[str]) -> None:
    """Insert or replace rows, and remove the ATS jobs with the ids `gone`."""
    conn.execute(
        """
        delete from core.matchable_jobs
        where integration_id = %s and kombo_job_id = any(%s)
        """,
        (integration_id, list(gone)),
    )
    staging.create(conn, "matchable_jobs", _COLUMNS)
    staging.copy_rows(conn, "matchable_jobs", _COLUMNS, jobs)
    staging.merge(conn, "matchable_jobs", _COLUMNS, given={"integration_id": integration_id}, key=("kombo_job_id",))
