"""Statements on core.exposed_jobs: which ATS jobs a customer has chosen to be shown in your product, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements.job_filter import IS_EXPOSED, Filter, matching_jobs
from kombo_pipeline.vocabulary import GONE, Channel

Action = Literal["expose", "end"]
"""Expose jobs, or end their exposure."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What `choose_all` would do, in jobs."""

    chosen: int
    """How many jobs would be exposed, or have their exposure ended."""
    digest: str
    """A checksum of the ids of these jobs: it differs when the set has changed."""
    first: list[str]
    """The ids of the first of these jobs, the newest first."""
    left_out: Mapping[str, int]
    """How many other jobs match, by the reason why nothing would be done: `already` (exposed or not exposed),
    `not_open`, `not_visible` (internal, confidential or of unknown visibility)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExposureChange:
    """What one person did at one moment: some jobs were exposed, or their exposure was ended."""

    at: datetime
    what: Literal["exposed", "ended"]
    who: str
    channel: Channel | None
    """None where the exposure was ended."""
    jobs: int
    """How many jobs it was."""
    ids: Sequence[str]
    """The ids of five of them at most."""


# What choosing all would do with each job that matches; `matching` is the query of `matching_jobs`.
_JUDGED: Final = sql.SQL(
    """
    select
        n.kombo_job_id,
        n.opened,
        case
            when {is_exposed} = (%(action)s = 'expose') then 'already'
            when %(action)s = 'end' then 'chosen'
            when n.lifecycle <> 'open' then 'not_open'
            when not n.publishable then 'not_visible'
            else 'chosen'
        end as what
    from ({matching}) n
    """
)


def preview(conn: Connection, wanted: Filter, action: Action, *, show: int = 10) -> Preview:
    """Say what `choose_all` would do, and name the first `show` jobs with which it would be done."""
    matching, values = matching_jobs(conn, wanted)
    judged = _JUDGED.format(is_exposed=IS_EXPOSED.format(job=sql.Identifier("n")), matching=matching)
    counted = conn.execute(
        sql.SQL(
            """
            select what, count(*) as jobs, sum(hashtextextended(kombo_job_id, 0))::text as digest
            from ({}) m
            group by what
            """
        ).format(judged),
        {**values, "action": action},
        prepare=False,
    ).fetchall()
    first = conn.execute(
        sql.SQL(
            """
            select kombo_job_id
            from ({}) m
            where what = 'chosen'
            order by opened desc nulls last, kombo_job_id
            limit %(show)s
            """
        ).format(judged),
        {**values, "action": action, "show": show},
        prepare=False,
    ).fetchall()
    by_what = {row["what"]: row for row in counted}
    chosen = by_what.pop("chosen", {"jobs": 0, "digest": ""})
    return Preview(
        chosen=chosen["jobs"],
        digest=chosen["digest"],
        first=[row["kombo_job_id"] for row in first],
        left_out={what: row["jobs"] for what, row in by_what.items()},
    )


def choose_all(conn: Connection, wanted: Filter, action: Action, *, by: str, channel: Channel) -> int:
    """Expose all jobs that match and may be application targets, or end the exposure of all jobs that match.

    Returns how many jobs have changed. Jobs that are internal, confidential or of unknown visibility stay unexposed.
    """
    matching, values = matching_jobs(conn, wanted)
    rows = conn.execute(
        sql.SQL("select kombo_job_id from ({}) m where publishable or %(action)s = 'end'").format(matching),
        {**values, "action": action},
    ).fetchall()
    ids = [row["kombo_job_id"] for row in rows]
    if action == "expose":
        return len(expose(conn, wanted.integration_id, ids, by=by, channel=channel))
    return len(end_exposures(conn, wanted.integration_id, ids, by=by))


def expose(
    conn: Connection, integration_id: str, kombo_job_ids: Sequence[str], *, by: str, channel: Channel
) -> list[str]:
    """Expose those of the jobs that are not gone and not exposed already; return their ids."""
    rows = conn.execute(
        """
        insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel)
        select j.integration_id, j.kombo_job_id, %(by)s, %(channel)s
        from core.jobs j
        where j.integration_id = %(integration)s
            and j.kombo_job_id = any(%(ids)s)
            and j.lifecycle <> all(%(gone)s)
        order by j.kombo_job_id
        on conflict (integration_id, kombo_job_id) where exposed_until is null do nothing
        returning kombo_job_id
        """,
        {
            "integration": integration_id,
            "ids": list(kombo_job_ids),
            "by": by,
            "channel": channel,
            "gone": list(GONE),
        },
    )
    return [row["kombo_job_id"] for row in rows]


def end_exposures(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str], *, by: str) -> list[str]:
    """End the exposure of those of the jobs that are exposed; return their ids."""
    rows = conn.execute(
        """
        update core.exposed_jobs
        set exposed_until = now(), ended_by = %s
        where integration_id = %s and kombo_job_id = any(%s) and exposed_until is null
        returning kombo_job_id
        """,
        (by, integration_id, list(kombo_job_ids)),
    )
    return [row["kombo_job_id"] for row in rows]


def history(
    conn: Connection,
    integration_id: str,
    *,
    kombo_job_id: str | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[ExposureChange]:
    """Return who exposed jobs and who ended that, the newest first: of one job, or of the whole integration."""
    with conn.cursor(row_factory=class_row(ExposureChange)) as cursor:
        return cursor.execute(
            """
            select
                at, what, who, channel,
                count(*) as jobs,
                (array_agg(kombo_job_id order by kombo_job_id))[:5] as ids
            from (
                select exposed_from as at, 'exposed' as what, exposed_by as who, channel, kombo_job_id
                from core.exposed_jobs
                where integration_id = %(integration)s
                    and (%(job)s::text is null or kombo_job_id = %(job)s)
                union all
                select exposed_until, 'ended', ended_by, null, kombo_job_id
                from core.exposed_jobs
                where integration_id = %(integration)s
                    and exposed_until is not null
                    and (%(job)s::text is null or kombo_job_id = %(job)s)
            ) events
            where %(before)s::timestamptz is null or at < %(before)s
            group by at, what, who, channel
            order by at desc, what, who, channel
            limit %(limit)s
            """,
            {"integration": integration_id, "job": kombo_job_id, "before": before, "limit": limit},
        ).fetchall()
