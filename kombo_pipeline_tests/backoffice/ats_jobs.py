"""ATS jobs for the tests of the job picker."""

from typing import Any

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.candidates import match_integration


def add_integration(conn: Connection, integration_id: str, customer_id: str | None, **columns: Any) -> str:
    """Put an integration into the warehouse that was fetched once."""
    names = {
        "integration_id": integration_id, "customer_id": customer_id, "organization_name": str(customer_id).title(),
        "tool": "personio", "fetch_state": "current", **columns,
    }  # fmt: skip
    _insert(conn, "core.integrations", names)
    conn.execute(
        "insert into raw.fetches (integration_id, kind, covers_event_seq, status, applied_at) "
        "values (%s, 'full', 0, 'applied', now())",
        (integration_id,),
    )
    conn.execute("update core.integrations set fetched_at = coalesce(fetched_at, now()), full_fetched_at = now()")
    return integration_id


def add_job(conn: Connection, integration_id: str, kombo_job_id: str, **columns: Any) -> str:
    """Put an ATS job into the warehouse, open and public unless told otherwise; return its id."""
    names = {"name": f"Job {kombo_job_id}", "status": "OPEN", "visibility": "PUBLIC", "last_fetch_id": 1, **columns}
    _insert(conn, "core.jobs", {"integration_id": integration_id, "kombo_job_id": kombo_job_id, **names})
    return kombo_job_id


def add_own_job(conn: Connection, customer_id: str, own_job_id: str, **columns: Any) -> str:
    """Put an own job into the warehouse; return its id."""
    _insert(conn, "core.own_jobs", {"customer_id": customer_id, "own_job_id": own_job_id, "title": "Own", **columns})
    return own_job_id


def match(conn: Connection, integration_id: str) -> None:
    """Have matching read the jobs, as a run does after each fetch."""
    match_integration(conn, integration_id)
    conn.commit()


def targets(conn: Connection) -> set[tuple[str, str]]:
    """Own job and ATS job of every application target."""
    rows = conn.execute("select own_job_id, kombo_job_id from marts.application_targets").fetchall()
    conn.commit()
    return {(row["own_job_id"], row["kombo_job_id"]) for row in rows}


def _insert(conn: Connection, table: str, values: dict[str, Any]) -> None:
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    conn.execute(f"insert into {table} ({columns}) values ({places})", values)
