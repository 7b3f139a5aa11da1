"""What pages show of answers: the history, one own job's answers, a person's newest ones, progress and precision.

An answer is shown as its rows in order: one for each ATS job that it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline import vocabulary
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.own_job_key import OwnJobKey
from kombo_pipeline.linking.statements.link_decisions import Decision, decision_columns
from kombo_pipeline.vocabulary import Band, LinkReason, LinkState

LONGEST_PAUSE_SECONDS: Final = 300
"""A longer time between two answers is a pause, not time spent on an own job."""
BAND_SAMPLE: Final = 2000
"""The precision of a band is computed from this many of the newest answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweredRow(Decision):
    """A row of an answer, with what has become of it."""

    organization_name: str | None
    undone_at: datetime | None
    undone_by: str | None
    took_back: vocabulary.Decision | None
    """What an undoing row has taken back."""
    link_state: LinkState | None
    """Of the link of the same pair that is not retired; None where there is none."""
    link_reason: LinkReason | None


def progress(conn: Connection, decided_by: str) -> tuple[int, float | None]:
    """Return how many of a person's answers of today (UTC) stand, and the median of the seconds between two of them.

    The median is None before the second answer.
    """
    row = conn.execute(
        """
        select
            count(*) as answers,
            percentile_cont(0.5) within group (order by pause) filter (where pause <= %(longest)s) as seconds
        from (
            select
                extract(
                    epoch from min(d.decided_at) - lag(min(d.decided_at)) over (
                        order by min(d.decided_at)
                    )
                )::float as pause
            from core.link_decisions d
            where d.decided_by = %(by)s
                and d.decided_at >= date_trunc('day', now())
                and d.decision <> 'undone'
                and not exists (
                    select
                    from core.link_decisions u
                    where u.undoes = d.decision_id
                )
                and not exists (
                    select
                    from core.carried_decisions c
                    where c.decision_id = d.decision_id
                )
            group by coalesce(d.batch_id, d.answer_id)
        ) answers
        """,
        {"by": decided_by, "longest": LONGEST_PAUSE_SECONDS},
    ).fetchone()
    assert row is not None
    return int(row["answers"]), row["seconds"]


def band_precision(conn: Connection) -> dict[Band, tuple[int, int]]:
    """Return for each band how many first candidates were accepted, and how many a person has judged."""
    rows = conn.execute(
        """
        select
            d.on_screen #>> '{candidates,0,band}' as band,
            count(*) as judged,
            count(*) filter (
                where d.decision = 'accepted'
                and d.kombo_job_id = d.on_screen #>> '{candidates,0,kombo_job_id}'
            ) as accepted
        from (
            select decision_id, decision, kombo_job_id, on_screen
            from core.link_decisions
            where decision in ('accepted', 'rejected', 'no_counterpart')
                and not exists (
                    select
                    from core.carried_decisions c
                    where c.decision_id = link_decisions.decision_id
                )
            order by decision_id desc
            limit %s
        ) d
        where (d.decision <> 'rejected' or d.kombo_job_id = d.on_screen #>> '{candidates,0,kombo_job_id}')
            and not exists (
                select
                from core.link_decisions u
                where u.undoes = d.decision_id
            )
        group by d.on_screen #>> '{candidates,0,band}'
        """,
        (BAND_SAMPLE,),
    )
    return {row["band"]: (row["accepted"], row["judged"]) for row in rows if row["band"]}


def newest(
    conn: Connection,
    *,
    decided_by: str | None = None,
    customer_id: str | None = None,
    decision: vocabulary.Decision | None = None,
    before: int | None = None,
    limit: int,
) -> list[list[AnsweredRow]]:
    """Return the newest answers; None matches every person, customer and kind of answer.

    `before` is the first decision id of the last answer on the page before: older answers are returned.
    """
    heads = conn.execute(
        """
        select d.answer_id
        from core.link_decisions d
        where not exists (
            select
            from core.link_decisions e
            where e.answer_id = d.answer_id
                and e.decision_id < d.decision_id
        )
            and (%(by)s::text is null or d.decided_by = %(by)s)
            and (%(customer)s::text is null or d.customer_id = %(customer)s)
            and (%(decision)s::text is null or d.decision = %(decision)s)
            and (%(before)s::bigint is null or d.decision_id < %(before)s)
        order by d.decision_id desc
        limit %(limit)s
        """,
        {"by": decided_by, "customer": customer_id, "decision": decision, "before": before, "limit": limit},
    ).fetchall()
    return _answers(conn, [row["answer_id"] for row in heads])


def of_own_job(conn: Connection, key: OwnJobKey, *, limit: int = 20) -> list[list[AnsweredRow]]:
    """Return the newest answers about an own job among the jobs of an integration, the newest first."""
    rows = conn.execute(
        """
        select answer_id
        from core.link_decisions
        where customer_id = %(customer_id)s
            and own_job_id = %(own_job_id)s
            and integration_id = %(integration_id)s
        group by answer_id
        order by max(decision_id) desc
        limit %(limit)s
        """,
        {**key._asdict(), "limit": limit},
    ).fetchall()
    return _answers(conn, [row["answer_id"] for row in rows])


def standing_of_person(conn: Connection, decided_by: str, *, since: datetime, limit: int) -> list[list[AnsweredRow]]:
    """Return a person's answers since a moment that were not undone, the newest first."""
    rows = conn.execute(
        """
        select answer_id
        from core.link_decisions d
        where decided_by = %s
            and decided_at >= %s
            and decision <> 'undone'
            and not exists (
                select
                from core.link_decisions u
                where u.undoes = d.decision_id
            )
            and not exists (
                select
                from core.carried_decisions c
                where c.decision_id = d.decision_id
            )
        group by answer_id
        order by max(decision_id) desc
        limit %s
        """,
        (decided_by, since, limit),
    ).fetchall()
    return _answers(conn, [row["answer_id"] for row in rows])


def people(conn: Connection) -> list[str]:
    """Return the names of all people who have answered, in alphabetical order.

    Each name takes one step along an index, however many answers there are.
    """
    rows = conn.execute(
        """
        with recursive person as (
            select min(decided_by) as name
            from core.link_decisions
            union all
            select
                (
                    select min(d.decided_by)
                    from core.link_decisions d
                    where d.decided_by > p.name
                )
            from person p
            where p.name is not null
        )
        select name
        from person
        where name is not null
        """
    )
    return [row["name"] for row in rows]


def _answers(conn: Connection, answer_ids: Sequence[UUID]) -> list[list[AnsweredRow]]:
    with conn.cursor(row_factory=class_row(AnsweredRow)) as cursor:
        rows = cursor.execute(_ANSWERED.format(columns=decision_columns("d")), (list(answer_ids),)).fetchall()
    found: dict[UUID, list[AnsweredRow]] = {answer_id: [] for answer_id in answer_ids}
    for row in rows:
        found[row.answer_id].append(row)
    return list(found.values())


_ANSWERED: Final = sql.SQL(
    """
    select
        {columns},
        i.organization_name,
        u.decided_at as undone_at,
        u.decided_by as undone_by,
        t.decision as took_back,
        l.state as link_state,
        l.reason as link_reason
    from core.link_decisions d
    join core.integrations i using (integration_id)
    left join core.link_decisions u on u.undoes = d.decision_id
    left join core.link_decisions t on t.decision_id = d.undoes
    left join core.job_links l
        on l.customer_id = d.customer_id
        and l.own_job_id = d.own_job_id
        and l.integration_id = d.integration_id
        and l.kombo_job_id = d.kombo_job_id
        and l.state <> 'retired'
    where d.answer_id = any(%s)
    order by d.decision_id
    """
)
