"""Statements on core.link_decisions: answers are added and taken back; how far one is, how often a band was right."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from kombo_pipeline.db.connection import Connection

Row = dict[str, Any]

LONGEST_PAUSE_SECONDS = 300
"""A longer time between two answers is a pause, not time spent on an own job."""
BAND_SAMPLE = 2000
"""The precision of a band is that of the newest answers, so many of them."""


def insert_decision(conn: Connection, decision: Mapping[str, Any]) -> Row:
    """Append a decision and return its row."""
    row = conn.execute(
        """
        insert into core.link_decisions (
            answer_id,
            batch_id,
            customer_id,
            own_job_id,
            integration_id,
            kombo_job_id,
            decision,
            method,
            undoes,
            decided_by,
            note,
            own_seen,
            ats_seen,
            on_screen,
            matcher_version
        )
        values
            (
                %(answer_id)s,
                %(batch_id)s,
                %(customer_id)s,
                %(own_job_id)s,
                %(integration_id)s,
                %(kombo_job_id)s,
                %(decision)s,
                %(method)s,
                %(undoes)s,
                %(decided_by)s,
                %(note)s,
                %(own_seen)s,
                %(ats_seen)s,
                %(on_screen)s,
                %(matcher_version)s
            )
        returning *
        """,
        {
            **dict.fromkeys(("batch_id", "kombo_job_id", "method", "undoes", "note", "matcher_version")),
            **decision,
            **{name: _jsonb(decision.get(name)) for name in ("own_seen", "ats_seen", "on_screen")},
        },
    ).fetchone()
    assert row is not None
    return row


def decisions_of_answer(conn: Connection, answer_id: UUID) -> list[Row]:
    """Return the rows of an answer, in order; empty when it was never given."""
    return conn.execute(
        """
        select *
        from core.link_decisions
        where answer_id = %s
        order by decision_id
        """,
        (answer_id,),
    ).fetchall()


def decisions_since(
    conn: Connection, decision_id: int, *, customer_id: str, own_job_id: str, integration_id: str
) -> list[Row]:
    """Return what was decided about an own job later than `decision_id`, in order."""
    return conn.execute(
        """
        select *
        from core.link_decisions
        where customer_id = %s
            and own_job_id = %s
            and integration_id = %s
            and decision_id > %s
        order by decision_id
        """,
        (customer_id, own_job_id, integration_id, decision_id),
    ).fetchall()


def standing_of(conn: Connection, *, answer_id: UUID | None = None, batch_id: UUID | None = None) -> list[Row]:
    """Return the decisions of an answer or a batch that were not undone, the newest first, their own jobs locked.

    With them those that carry them on in a connection that has taken over.
    """
    return conn.execute(
        """
        with recursive given as (
            select decision_id
            from core.link_decisions
            where answer_id = %s or batch_id = %s
            union
            select c.decision_id
            from core.carried_decisions c
            join given on given.decision_id = c.carried_from
        )
        select d.*
        from core.link_decisions d
        join core.own_jobs o using (customer_id, own_job_id)
        where d.decision_id in (select decision_id from given)
            and d.decision <> 'undone'
            and not exists (select from core.link_decisions u where u.undoes = d.decision_id)
        order by d.decision_id desc
        for update of o
        """,
        (answer_id, batch_id),
    ).fetchall()


def newest_decision(
    conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str
) -> tuple[int, datetime | None]:
    """Return the id and time of the newest decision about an own job; (0, None) when there is none."""
    row = conn.execute(
        """
        select decision_id, decided_at
        from core.link_decisions
        where customer_id = %s
            and own_job_id = %s
            and integration_id = %s
        order by decision_id desc
        limit 1
        """,
        (customer_id, own_job_id, integration_id),
    ).fetchone()
    return (row["decision_id"], row["decided_at"]) if row else (0, None)


def rejected_pairs(conn: Connection, integration_id: str) -> set[tuple[str, str]]:
    """Return the (own job, ATS job) pairs of the integration of which a person said no, as long as that stands."""
    rows = conn.execute(
        """
        select own_job_id, kombo_job_id
        from marts.link_decisions
        where integration_id = %s and decision = 'rejected' and stands
        """,
        (integration_id,),
    )
    return {(row["own_job_id"], row["kombo_job_id"]) for row in rows}


def without_counterpart(conn: Connection, integration_id: str) -> set[str]:
    """Return the own jobs of which a person said that the ATS has none of them, as long as that stands."""
    rows = conn.execute(
        """
        select own_job_id
        from marts.link_decisions
        where integration_id = %s
            and decision = 'no_counterpart'
            and stands
        """,
        (integration_id,),
    )
    return {row["own_job_id"] for row in rows}


def progress(conn: Connection, decided_by: str) -> tuple[int, float | None]:
    """Return how many answers a person gave today (UTC) that stand, and the median seconds from one to the next."""
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


def band_precision(conn: Connection) -> dict[str, tuple[int, int]]:
    """Return by band how many first candidates were accepted, and of how many a person has judged."""
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
            select *
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
        group by 1
        """,
        (BAND_SAMPLE,),
    )
    return {row["band"]: (row["accepted"], row["judged"]) for row in rows if row["band"]}


def newest(
    conn: Connection,
    *,
    decided_by: str | None = None,
    customer_id: str | None = None,
    decision: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[list[Row]]:
    """Return the newest answers, each as its rows in order; `before` is the first decision id of the page before.

    Rows say when and by whom they were undone, and what an undoing one took back.
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


def newest_id(conn: Connection) -> int:
    """Return the id of the newest decision, 0 when there is none."""
    row = conn.execute("select coalesce(max(decision_id), 0) as id from core.link_decisions").fetchone()
    assert row is not None
    return int(row["id"])


def decided_since(conn: Connection, decision_id: int, *, limit: int) -> list[Row]:
    """Return of which own jobs something was decided later than `decision_id`, and what."""
    return conn.execute(
        """
        select decision_id, customer_id, own_job_id, integration_id, decision
        from core.link_decisions
        where decision_id > %s
        order by decision_id
        limit %s
        """,
        (decision_id, limit),
    ).fetchall()


def of_own_job(
    conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str, limit: int = 20
) -> list[list[Row]]:
    """Return the newest answers about an own job among the jobs of an integration, the newest first."""
    rows = conn.execute(
        """
        select answer_id
        from core.link_decisions
        where customer_id = %s
            and own_job_id = %s
            and integration_id = %s
        group by answer_id
        order by max(decision_id) desc
        limit %s
        """,
        (customer_id, own_job_id, integration_id, limit),
    ).fetchall()
    return _answers(conn, [row["answer_id"] for row in rows])


def standing_of_person(conn: Connection, decided_by: str, *, since: datetime, limit: int) -> list[list[Row]]:
    """Return a person's newest answers since a moment that were not undone, the newest first."""
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
    """Return who has answered, by name: each name found by one step along an index, however many answers there are."""
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


def batch_size(conn: Connection, batch_id: UUID) -> int:
    """Return how many decisions of a batch stand."""
    row = conn.execute(
        """
        select count(*) as n
        from core.link_decisions d
        where batch_id = %s
            and decision <> 'undone'
            and not exists (
                select
                from core.link_decisions u
                where u.undoes = d.decision_id
            )
        """,
        (batch_id,),
    ).fetchone()
    assert row is not None
    return int(row["n"])


def _answers(conn: Connection, answer_ids: Sequence[UUID]) -> list[list[Row]]:
    rows = conn.execute(
        """
        select
            d.*,
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
        """,
        (list(answer_ids),),
    ).fetchall()
    found: dict[UUID, list[Row]] = {answer_id: [] for answer_id in answer_ids}
    for row in rows:
        found[row["answer_id"]].append(row)
    return list(found.values())


def _jsonb(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)
