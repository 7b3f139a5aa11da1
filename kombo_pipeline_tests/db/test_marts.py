"""What analysts read: marts, over a few rows of core and raw."""

from typing import Any

import pytest

from kombo_pipeline.db.connection import Connection


@pytest.fixture
def acme(conn: Connection) -> str:
    conn.execute(
        "insert into core.integrations (integration_id, customer_id, organization_name, tool, fetch_state, fetched_at, "
        "kombo_last_sync_started_at) values ('greenhouse:acme', '36123', 'Acme', 'greenhouse', 'current', now(), now())"
    )
    return "greenhouse:acme"


def health(conn: Connection, **columns: Any) -> dict[str, Any]:
    """The row of marts.integration_health once columns of the integration have these values."""
    for name, value in columns.items():
        conn.execute(f"update core.integrations set {name} = %s", (value,))
    row = conn.execute("select * from marts.integration_health").fetchone()
    assert row is not None
    return row


def add_job(conn: Connection, integration_id: str, job_id: str, **columns: Any) -> None:
    values = {"integration_id": integration_id, "kombo_job_id": job_id, "last_fetch_id": 1} | columns
    names = ", ".join(values)
    conn.execute(f"insert into core.jobs ({names}) values ({', '.join(['%s'] * len(values))})", list(values.values()))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "healthy"),
        ({"fetch_state": "never"}, "waiting"),
        ({"fetch_state": "waiting"}, "waiting"),
        ({"fetch_state": "refused"}, "failing"),
        ({"fetch_state": "unavailable"}, "failing"),
        ({"state": "ACTIVE"}, "healthy"),
        ({"state": "INVALID"}, "needs attention"),
        ({"state": "INACTIVE"}, "needs attention"),
        ({"who_must_act": "customer"}, "needs attention"),
        ({"who_must_act": "us", "fetch_state": "refused"}, "failing"),
        ({"fetch_state": "refused", "deleted_at": "2026-11-24"}, "gone"),
    ],
)
def test_the_health_of_an_integration_is_one_word(
    conn: Connection, acme: str, columns: dict[str, Any], expected: str
) -> None:
    assert health(conn, **columns)["health"] == expected


@pytest.mark.parametrize(
    ("columns", "stale"),
    [
        ({}, False),
        ({"fetched_at": "2026-01-01"}, True),
        ({"fetched_at": None}, True),
        ({"fetched_at": None, "deleted_at": "2026-11-24"}, False),
    ],
)
def test_an_integration_without_a_complete_fetch_for_a_day_is_stale_unless_it_is_gone(
    conn: Connection, acme: str, columns: dict[str, Any], stale: bool
) -> None:
    assert health(conn, **columns)["stale"] is stale


def test_health_counts_jobs_held_jobs_quarantined_records_and_open_issues(conn: Connection, acme: str) -> None:
    add_job(conn, acme, "a", status="OPEN")
    add_job(conn, acme, "b", status="CLOSED")
    conn.execute(
        "insert into core.held_closures "
        "(integration_id, fetch_id, reason, kombo_job_ids, gone_at, open_jobs, decision) "
        "values (%(i)s, 1, 'vanished', '{a,b,c}', '{now,now,now}', 3, null), "
        "(%(i)s, 1, 'vanished', '{a}', '{now}', 3, 'superseded')",
        {"i": acme},
    )
    conn.execute(
        "insert into raw.quarantined_records (integration_id, fetch_id, page_number, record_hash, record, reason, "
        "released_at) values (%(i)s, 1, 1, gen_random_uuid(), '', 'odd', null), "
        "(%(i)s, 1, 1, gen_random_uuid(), '', 'odd', now())",
        {"i": acme},
    )
    conn.execute(
        "insert into core.integration_issues (issue_id, integration_id, status) "
        "values ('1', %(i)s, 'OPEN'), ('2', %(i)s, 'RESOLVED'), ('3', null, 'OPEN')",
        {"i": acme},
    )
    row = health(conn)
    counts = ("jobs", "open_jobs", "held_jobs", "quarantined_records", "open_issues")
    assert [row[name] for name in counts] == [2, 1, 3, 1, 1]


def test_sync_watermarks_is_the_table_of_the_guide(conn: Connection, acme: str) -> None:
    row = conn.execute("select * from marts.sync_watermarks").fetchone()
    state = conn.execute("select * from core.integrations").fetchone()
    assert row is not None
    assert state is not None
    assert row == {
        "customer_id": "36123",
        "kombo_integration_id": acme,
        "kombo_last_sync_started_at": state["kombo_last_sync_started_at"],
    }


@pytest.mark.parametrize(
    ("columns", "publishable"),
    [
        ({"visibility": None}, True),
        ({"visibility": "PUBLIC"}, True),
        ({"visibility": "UNLISTED"}, True),
        ({"visibility": "INTERNAL"}, False),
        ({"visibility": "CONFIDENTIAL"}, False),
        ({"visibility": "ONLY_ON_TUESDAYS"}, False),
        ({"closed_at": "2099-01-01"}, True),
    ],
)
def test_an_open_job_is_shown_and_publishable_only_where_outsiders_may_see_it(
    conn: Connection, acme: str, columns: dict[str, Any], publishable: bool
) -> None:
    add_job(conn, acme, "a", status="OPEN", **columns)
    rows = conn.execute("select kombo_job_id, publishable, customer_id from marts.open_jobs").fetchall()
    assert rows == [{"kombo_job_id": "a", "publishable": publishable, "customer_id": "36123"}]


@pytest.mark.parametrize(
    ("columns", "lifecycle"),
    [
        ({"status": "CLOSED"}, "closed"),
        ({"status": "DRAFT"}, "draft"),
        ({"status": "ARCHIVED"}, "archived"),
        ({"status": "ON_HOLD"}, "unknown"),
        ({"status": None}, "unknown"),
        ({"status": "OPEN", "remote_deleted_at": "2026-11-24"}, "deleted"),
        ({"status": "OPEN", "vanished_at": "2026-11-24"}, "vanished"),
        ({"status": "OPEN", "integration_gone_at": "2026-11-24"}, "integration_gone"),
    ],
)
def test_a_job_that_is_not_open_is_neither_shown_as_open_nor_publishable(
    conn: Connection, acme: str, columns: dict[str, Any], lifecycle: str
) -> None:
    add_job(conn, acme, "a", **columns)
    assert conn.execute("select * from marts.open_jobs").fetchall() == []
    rows = conn.execute("select lifecycle, publishable from marts.jobs").fetchall()
    assert rows == [{"lifecycle": lifecycle, "publishable": False}]


def test_a_role_that_is_granted_marts_alone_reads_every_view(conn: Connection, acme: str) -> None:
    conn.execute("create role analyst_of_the_test")
    conn.execute("grant usage on schema marts to analyst_of_the_test")
    conn.execute("grant select on all tables in schema marts to analyst_of_the_test")
    conn.execute("set local role analyst_of_the_test")
    views = conn.execute("select viewname from pg_views where schemaname = 'marts'").fetchall()
    assert len(views) > 8
    for view in views:
        conn.execute(f"select * from marts.{view['viewname']} limit 1")
    conn.rollback()  # roles belong to the server, not to the test's database
