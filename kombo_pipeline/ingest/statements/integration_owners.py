"""Statements on core.integrations about whose an integration is: what was told, what is in doubt, what was answered."""

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements.integrations import Integration


def told_since(conn: Connection, integration_id: str, moment: datetime) -> bool:
    """Return whether the newest event that told the identity of an integration was received after a moment."""
    return (
        conn.execute(
            """
            select
            from core.integrations i
            join raw.webhook_events e on e.event_seq = i.identity_event_seq
            where i.integration_id = %s and e.received_at > %s
            """,
            (integration_id, moment),
        ).fetchone()
        is not None
    )


def write_owner_answer(conn: Connection, answered: Integration, *, answered_by: str) -> None:
    """Write the owner of an integration as a person has answered; only columns that the back office may change."""
    conn.execute(
        """
        update core.integrations
        set customer_id = %(customer_id)s,
            claimed_customer_id = null,
            claimed_at = null,
            declined_customer_id = %(declined_customer_id)s,
            who_must_act = %(who_must_act)s,
            what_to_do = %(what_to_do)s,
            owner_answered_by = %(answered_by)s,
            owner_answered_at = now()
        where integration_id = %(integration_id)s
        """,
        {
            "integration_id": answered.integration_id,
            "customer_id": answered.customer_id,
            "declined_customer_id": answered.declined_customer_id,
            "who_must_act": answered.who_must_act,
            "what_to_do": answered.what_to_do,
            "answered_by": answered_by,
        },
    )


class OwnerQuestion(NamedTuple):
    """An integration that belongs to `customer_id`, while Kombo names `claimed_customer_id` since `claimed_at`."""

    integration_id: str
    customer_id: str
    claimed_customer_id: str
    claimed_at: datetime


def owner_questions(conn: Connection) -> list[OwnerQuestion]:
    """Return the integrations whose owner is in doubt, the longest first."""
    with conn.cursor(row_factory=class_row(OwnerQuestion)) as cursor:
        return cursor.execute(
            """
            select integration_id, customer_id, claimed_customer_id, claimed_at
            from core.integrations
            where claimed_customer_id is not null
            order by claimed_at, integration_id
            """
        ).fetchall()
