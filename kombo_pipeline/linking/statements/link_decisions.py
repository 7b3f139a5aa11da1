"""Statements on core.link_decisions: answers are added and taken back, and what stands is read."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kombo_pipeline import vocabulary
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.linking.own_job_key import OwnJobKey
from kombo_pipeline.linking.statements.job_links import Seen
from kombo_pipeline.vocabulary import Method


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDecision:
    """A decision to be recorded: what a person says about an own job, or about it and one ATS job."""

    answer_id: UUID
    """One answer of a person; it has a row for each ATS job that it is about."""
    batch_id: UUID | None = None
    """Answers that were given together in bulk have the same one."""
    customer_id: str
    own_job_id: str
    integration_id: str
    kombo_job_id: str | None = None
    decision: vocabulary.Decision
    method: Method | None = None
    """How an accepted pair was found."""
    undoes: int | None = None
    """The decision that an undone one takes back."""
    decided_by: str
    note: str | None = None
    own_seen: Seen
    """The own job as the person saw it: the answer holds as long as the job is the same."""
    ats_seen: Seen | None = None
    """The ATS job as the person saw it; None where the answer is about the own job alone."""
    on_screen: Any = None
    """What was shown, as JSON: {"candidates": [{"kombo_job_id": ..., "confidence": ..., ...}]}."""
    matcher_version: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision(NewDecision):
    """A recorded decision."""

    decision_id: int
    decided_at: datetime


class DecidedOwnJob(NamedTuple):
    """An own job about which something was decided."""

    decision_id: int
    customer_id: str
    own_job_id: str
    integration_id: str
    decision: vocabulary.Decision


def decision_columns(alias: str) -> sql.Composable:
    """Return the columns of a decision, to be selected from the table with this alias."""
    return sql.SQL(", ").join(sql.Identifier(alias, field.name) for field in fields(Decision))


_DECISIONS: Final = sql.SQL(
    """
    select {columns}
    from core.link_decisions d
    where {condition}
    order by d.decision_id
    """
)


def insert_decision(conn: Connection, decision: NewDecision) -> Decision:
    """Append a decision and return it as recorded."""
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        row = cursor.execute(
            sql.SQL(
                """
                insert into core.link_decisions as d (
                    answer_id, batch_id, customer_id, own_job_id, integration_id, kombo_job_id, decision, method,
                    undoes, decided_by, note, own_seen, ats_seen, on_screen, matcher_version
                )
                values (
                    %(answer_id)s, %(batch_id)s, %(customer_id)s, %(own_job_id)s, %(integration_id)s,
                    %(kombo_job_id)s, %(decision)s, %(method)s, %(undoes)s, %(decided_by)s, %(note)s,
                    %(own_seen)s, %(ats_seen)s, %(on_screen)s, %(matcher_version)s
                )
                returning {columns}
                """
            ).format(columns=decision_columns("d")),
            {
                **asdict(decision),
                **{name: _jsonb(getattr(decision, name)) for name in ("own_seen", "ats_seen", "on_screen")},
            },
        ).fetchone()
    assert row is not None
    return row


def decisions_of_answer(conn: Connection, answer_id: UUID) -> list[Decision]:
    """Return the decisions of an answer, in order; empty when it was never given."""
    statement = _DECISIONS.format(columns=decision_columns("d"), condition=sql.SQL("d.answer_id = %s"))
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(statement, (answer_id,)).fetchall()


def decisions_since(conn: Connection, key: OwnJobKey, decision_id: int) -> list[Decision]:
    """Return what was decided about an own job later than `decision_id`, in order."""
    condition = sql.SQL(
        """
        d.customer_id = %(customer_id)s
            and d.own_job_id = %(own_job_id)s
            and d.integration_id = %(integration_id)s
            and d.decision_id > %(since)s
        """
    )
    statement = _DECISIONS.format(columns=decision_columns("d"), condition=condition)
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(statement, {**key._asdict(), "since": decision_id}).fetchall()


def standing_of(conn: Connection, *, answer_id: UUID | None = None, batch_id: UUID | None = None) -> list[Decision]:
    """Return the decisions of an answer or a batch that were not undone, the newest first, and lock their own jobs.

    The decisions that were carried over from them to a connection that has taken over are returned too.
    """
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(
            sql.SQL(
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
                select {columns}
                from core.link_decisions d
                join core.own_jobs o using (customer_id, own_job_id)
                where d.decision_id in (select decision_id from given)
                    and d.decision <> 'undone'
                    and not exists (
                        select
                        from core.link_decisions u
                        where u.undoes = d.decision_id
                    )
                order by d.decision_id desc
                for update of o
                """
            ).format(columns=decision_columns("d")),
            (answer_id, batch_id),
        ).fetchall()


def newest_decision(conn: Connection, key: OwnJobKey) -> int:
    """Return the id of the newest decision about an own job, 0 when there is none."""
    return number(
        conn,
        """
        select coalesce(max(decision_id), 0) as n
        from core.link_decisions
        where customer_id = %(customer_id)s
            and own_job_id = %(own_job_id)s
            and integration_id = %(integration_id)s
        """,
        key._asdict(),
    )


def newest_id(conn: Connection) -> int:
    """Return the id of the newest decision of all, 0 when there is none."""
    return number(conn, "select coalesce(max(decision_id), 0) as n from core.link_decisions")


def decided_since(conn: Connection, decision_id: int, *, limit: int) -> list[DecidedOwnJob]:
    """Return the own jobs about which something was decided later than `decision_id`, and what."""
    with conn.cursor(row_factory=class_row(DecidedOwnJob)) as cursor:
        return cursor.execute(
            """
            select decision_id, customer_id, own_job_id, integration_id, decision
            from core.link_decisions
            where decision_id > %s
            order by decision_id
            limit %s
            """,
            (decision_id, limit),
        ).fetchall()


def rejected_pairs(conn: Connection, integration_id: str) -> set[tuple[str, str]]:
    """Return the pairs (own job, ATS job) of the integration that a person has rejected, as long as that stands."""
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
    """Return the own jobs that have no counterpart in the ATS, as a person has said, as long as that stands."""
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


def batch_size(conn: Connection, batch_id: UUID) -> int:
    """Return how many decisions of a batch stand."""
    return number(
        conn,
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
    )


def _jsonb(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)
