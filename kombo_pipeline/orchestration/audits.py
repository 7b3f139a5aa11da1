"""Read-only questions that the asset checks ask."""

from typing import Any

from psycopg import sql

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number

_CHILDREN = ("job_stages", "job_screening_questions", "job_postings", "job_hiring_team")


def orphans(conn: Connection, integration_id: str) -> dict[str, int]:
    """Return how many nested entries belong to no job, by table; empty when there are none."""
    found = {}
    for table in _CHILDREN:
        row = conn.execute(
            sql.SQL(
                "select count(*) as n from core.{} c where c.integration_id = %s and not exists ("
                "select from core.jobs j where j.integration_id = c.integration_id and j.kombo_job_id = c.kombo_job_id)"
            ).format(sql.Identifier(table)),
            (integration_id,),
        ).fetchone()
        if row and row["n"]:
            found[table] = row["n"]
    return found


def remote_id_duplicates(conn: Connection, integration_id: str) -> int:
    """Return how many open jobs share their remote id with another one."""
    return number(
        conn,
        "select coalesce(sum(n), 0) as n from (select count(*) as n from core.jobs where integration_id = %s "
        "and lifecycle = 'open' and remote_id is not null group by remote_id having count(*) > 1) shared",
        (integration_id,),
    )


def watermark(conn: Connection, integration_id: str) -> dict[str, Any]:
    """Return an integration's watermark, the start of its newest applied fetch, and how many landed ones wait."""
    row = conn.execute(
        "select kombo_last_sync_started_at as watermark, fetch_state, coalesce(deleted_at, succeeded_at) as ended_at, "
        "(select max(started_at) from raw.fetches f where f.integration_id = i.integration_id "
        "and status = 'applied') as newest_applied, (select count(*) from raw.fetches f "
        "where f.integration_id = i.integration_id and status = 'landed') as left_behind "
        "from core.integrations i where integration_id = %s",
        (integration_id,),
    ).fetchone()
    return row or dict.fromkeys(("watermark", "fetch_state", "ended_at", "newest_applied", "left_behind"))


def quarantined(conn: Connection, integration_id: str) -> list[dict[str, Any]]:
    """Return the records of an integration that are in quarantine, the newest first."""
    return conn.execute(
        "select quarantine_id, kombo_job_id, reason, quarantined_at from raw.quarantined_records "
        "where integration_id = %s and released_at is null order by quarantine_id desc",
        (integration_id,),
    ).fetchall()


def unreadable_fields(conn: Connection, integration_id: str) -> dict[str, int]:
    """Return the fields of an integration that could not be read, with the number of jobs, the most frequent first."""
    row = conn.execute(
        """
        select unreadable_fields
        from marts.integration_health
        where integration_id = %s
        """,
        (integration_id,),
    ).fetchone()
    fields = (row["unreadable_fields"] if row else None) or {}
    return dict(sorted(fields.items(), key=lambda item: (-item[1], item[0])))


def health(conn: Connection, integration_id: str) -> dict[str, Any]:
    """Return an integration's row of marts.integration_health; raises LookupError when there is none."""
    row = conn.execute("select * from marts.integration_health where integration_id = %s", (integration_id,)).fetchone()
    if row is None:
        raise LookupError(f"{integration_id} is not registered")
    return row


def broken_links(conn: Connection, integration_id: str) -> dict[str, int]:
    """Return how many links of the integration break each rule that links must keep."""
    row = conn.execute(
        "with live as (select l.*, i.customer_id as owner, j.lifecycle from core.job_links l "
        "join core.integrations i using (integration_id) join core.jobs j using (integration_id, kombo_job_id) "
        "where l.integration_id = %s and l.state <> 'retired') "
        "select (select count(*) from live where customer_id is distinct from owner) as across_customers, "
        "(select count(*) from (select from live group by own_job_id having count(*) > 1) twice) as linked_twice, "
        "(select count(*) from live where method in ('title', 'search') and confirmed_by is null) "
        "as from_a_title_without_a_person, "
        "(select count(*) from live where state = 'active' and lifecycle <> 'open') as active_to_a_job_not_open",
        (integration_id,),
    ).fetchone()
    assert row is not None
    return row


def stale_integrations(conn: Connection) -> list[dict[str, Any]]:
    """Return the integrations that marts.integration_health calls stale, the stalest first.

    One that was registered within the last day has time for its first sync.
    """
    return conn.execute(
        "select integration_id, organization_name, fresh_as_of, kombo_read_at, who_must_act, what_to_do "
        "from marts.integration_health where stale and registered_at < now() - interval '24 hours' "
        "order by least(fetched_at, kombo_read_at) nulls first"
    ).fetchall()


def live_integrations(conn: Connection) -> int:
    """Return how many integrations are fetched: neither deleted in Kombo nor taken over by another one."""
    return number(conn, "select count(*) as n from core.integrations where deleted_at is null and succeeded_by is null")


def dead_events(conn: Connection) -> int:
    """Return how many events could not be interpreted."""
    return number(conn, "select count(*) as n from raw.dead_events")
