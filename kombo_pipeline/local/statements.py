"""What `kombo-pipeline up` asks the warehouse: what has landed, and whether the first chains are complete."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kombo_pipeline.db.connection import Connection

Row = dict[str, Any]


def counts(conn: Connection) -> tuple[int, ...]:
    """Return how many integrations, jobs, own jobs, changes and applied fetches there are."""
    row = conn.execute(
        "select (select count(*) from core.integrations) as integrations, (select count(*) from core.jobs) as jobs, "
        "(select count(*) from core.own_jobs where withdrawn_at is null) as own_jobs, "
        "(select count(*) from core.job_changes where event <> 'created') as changes, "
        "(select count(*) from raw.fetches where status = 'applied') as fetches"
    ).fetchone()
    assert row is not None
    return tuple(row.values())


def summary(conn: Connection) -> list[Row]:
    """Return each integration's health with its changes and how far linking has come, the largest first."""
    return conn.execute(
        "select h.*, f.own_jobs, f.linked_by_identifier + f.linked_by_person as linked, f.waiting_for_review, "
        "(select count(*) from core.job_changes c where c.integration_id = h.integration_id "
        "and c.event <> 'created') as changes from marts.integration_health h "
        "join marts.link_funnel f using (integration_id) order by jobs desc"
    ).fetchall()


def have_applied(conn: Connection, integration_ids: Sequence[str], *, kind: str, since: datetime) -> bool:
    """Whether a fetch of the kind was applied in each of the integrations that live, one that began since then."""
    row = conn.execute(
        "select count(*) filter (where deleted_at is not null or exists (select from raw.fetches f "
        "where f.integration_id = i.integration_id and f.status = 'applied' and f.kind = %s "
        "and f.requested_at >= %s)) as complete from core.integrations i where integration_id = any(%s)",
        (kind, since, list(integration_ids)),
    ).fetchone()
    return row is not None and row["complete"] == len(integration_ids)


def matched(conn: Connection, integration_ids: Sequence[str]) -> list[Row]:
    """Return how many own jobs each of the integrations that live has, and how many of them are matched."""
    return conn.execute(
        "select f.own_jobs, f.matched from marts.link_funnel f join core.integrations i using (integration_id) "
        "where integration_id = any(%s) and i.deleted_at is null",
        (list(integration_ids),),
    ).fetchall()
