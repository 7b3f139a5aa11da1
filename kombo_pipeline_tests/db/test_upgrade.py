"""A filled warehouse of the last release, in use, becomes as one that was filled anew; each release has its dump."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.db.versions import newest_revision
from kombo_pipeline.ingest import apply, renewal
from kombo_pipeline.ingest.apply import apply_landed_fetches
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.linking.candidates import match_integration
from kombo_pipeline_tests.conftest import copied
from kombo_pipeline_tests.db import last_release

SECRET = "a-secret-of-the-last-release"
# What follows from the landed pages, the own jobs and the answers, less our own clock and the numbers of rows.
FOLLOWS = {
    "core.jobs": "to_jsonb(t) - '{first_seen_at,last_fetch_id}'::text[]",
    "core.job_stages": "to_jsonb(t)",
    "core.job_screening_questions": "to_jsonb(t)",
    "core.job_postings": "to_jsonb(t)",
    "core.job_hiring_team": "to_jsonb(t)",
    "core.matchable_jobs": "to_jsonb(t)",
    "core.own_job_matches": "to_jsonb(t) - '{matched_at}'::text[]",
    "core.job_match_candidates": "to_jsonb(t) - '{proposed_at}'::text[]",
    "core.job_links": "jsonb_build_array(customer_id, own_job_id, integration_id, kombo_job_id, method, state, reason, "
    "own_seen, ats_seen, look_again_since is null)",
    "raw.quarantined_records": "jsonb_build_array(integration_id, kombo_job_id, reason, released_at is null)",
    "core.integrations": "jsonb_build_array(integration_id, kombo_last_sync_started_at, full_fetched_at, who_must_act, "
    "what_to_do, matched_with, record_rule)",
}
# Where they came from: the tables that the warehouse that is filled anew begins with.
GIVEN = ("core.integrations", "raw.webhook_events", "raw.fetches", "raw.job_pages", "core.own_jobs")
BEFORE_ANY_FETCH = (
    "update core.integrations set kombo_last_sync_started_at = null, full_fetched_at = null, fetched_at = null, "
    "matched_with = null, matched_fetch_id = null, matched_at = null, who_must_act = null, what_to_do = null, "
    "fetch_state = 'never', record_rule = default",
    "update raw.fetches set status = 'landed', applied_at = null, record_rule = default where kind <> 'release'",
)


@pytest.fixture
def old_url(postgres_server: embedded.Server, migrated_template: str) -> Iterator[str]:
    """The warehouse of the last release, as its users have it."""
    name = f"last_release_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}")
        last_release.restore(postgres_server.url(name))
        yield postgres_server.url(name)
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def new_url(postgres_server: embedded.Server, migrated_template: str) -> Iterator[str]:
    yield from copied(postgres_server, migrated_template)


def content(conn: Connection) -> dict[str, list[str]]:
    found = {}
    for table, expression in FOLLOWS.items():
        rows = conn.execute(f"select ({expression})::text as line from {table} t order by 1").fetchall()
        found[table] = [row["line"] for row in rows]
    conn.rollback()
    return found


def copy_tables(source: Connection, target: Connection, *tables: str) -> None:
    """Copy what follows from nothing else, column by column."""
    for table in tables:
        columns = source.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped "
            "and attgenerated = ''",
            (table,),
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(row["attname"]) for row in columns)
        name = sql.Identifier(*table.split("."))
        rows = sql.SQL("").join
        with (
            source.cursor().copy(rows([sql.SQL("copy "), name, sql.SQL(" ("), names, sql.SQL(") to stdout")])) as read,
            target.cursor().copy(
                rows([sql.SQL("copy "), name, sql.SQL(" ("), names, sql.SQL(") from stdin")])
            ) as write,
        ):
            for block in read:
                write.write(block)
    target.commit()


def fill_anew(source: Connection, target: Connection) -> None:
    """Apply the landed pages of one warehouse to an empty one, and give it the same answers of people."""
    copy_tables(source, target, *GIVEN)
    for statement in BEFORE_ANY_FETCH:
        target.execute(statement)
    target.execute("select setval(pg_get_serial_sequence('raw.fetches', 'fetch_id'), max(fetch_id)) from raw.fetches")
    for row in target.execute("select integration_id from core.integrations order by 1").fetchall():
        apply_landed_fetches(target, row["integration_id"])
    target.commit()
    copy_tables(source, target, "core.link_decisions")


def bring_up_to_date(conn: Connection) -> None:
    """What the sensors ask for, until nothing is due."""
    renewal.work_off(conn, seconds=60)
    conn.commit()
    for row in conn.execute("select integration_id from core.integrations order by 1").fetchall():
        match_integration(conn, row["integration_id"])
        conn.commit()


def test_a_filled_warehouse_of_the_last_release_becomes_one_that_was_filled_anew(
    old_url: str, new_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(old_url, autocommit=True) as before:
        [(revision,)] = before.execute("select version_num from public.kombo_pipeline_revision").fetchall()
        assert revision < newest_revision()
        role = f"bi_{uuid4().hex[:8]}"
        before.execute(f"create role {role}")
        before.execute(f"grant usage on schema marts to {role}; grant select on marts.jobs, marts.own_jobs to {role}")
        before.execute("create schema mine")
        before.execute("create view mine.open as select * from marts.jobs where lifecycle = 'open'")
        before.execute(
            "create materialized view mine.by_customer as select customer_id, count(*) from mine.open group by 1"
        )
        shown = before.execute("select * from mine.by_customer order by 1").fetchall()
        assert len(shown) == 2
    assert migrate(old_url) == newest_revision()
    # As if this release read more of a record than the last one.
    for module in (apply, renewal):
        monkeypatch.setattr(module, "RECORD_RULE", apply.RECORD_RULE + 1)
    with connect(old_url) as old, connect(new_url) as new:
        fill_anew(old, new)
        bring_up_to_date(old)
        bring_up_to_date(new)
        upgraded, anew = content(old), content(new)
        assert all(upgraded.values())
        assert upgraded == anew
        may = "select has_table_privilege(%s, %s, 'select') as may"
        assert [old.execute(may, (role, name)).fetchone() for name in ("marts.jobs", "marts.own_jobs")] == [
            {"may": True}
        ] * 2
        kept = old.execute("select customer_id, count from mine.by_customer order by 1").fetchall()
        assert [tuple(row.values()) for row in kept] == shown
        old.execute(f"drop owned by {role}; drop role {role}")
        old.commit()


def columns_of_views(url: str) -> dict[str, list[str]]:
    """The columns of each view of marts, in their order."""
    with psycopg.connect(url) as conn:
        return dict(
            conn.execute(
                """
            select c.relname, array_agg(a.attname::text order by a.attnum)
            from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
            where c.relnamespace = 'marts'::regnamespace and c.relkind = 'v'
            group by c.relname
            """
            ).fetchall()
        )


def test_views_have_the_columns_of_the_last_release_in_their_order_and_new_ones_behind_them(
    old_url: str, new_url: str
) -> None:
    """Otherwise the upgrade drops them, and what customers have built on them, to make all of it again."""
    old, new = columns_of_views(old_url), columns_of_views(new_url)
    assert len(old) > 10
    assert {name: new[name][: len(columns)] for name, columns in old.items()} == old


@pytest.fixture
def old_code(tmp_path: Path) -> Path:
    found = last_release.code(tmp_path)
    if found is None:
        pytest.skip(f"the history of git does not reach back to {last_release.COMMIT}: git fetch --unshallow")
    return found


@pytest.mark.long
def test_the_programs_of_the_last_release_work_on_the_new_schema(
    old_url: str, old_code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(old_url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(old_code),
        "KOMBO_WAREHOUSE_URL": old_url,
        "KOMBO_WEBHOOK_SECRETS": SECRET,
    }
    command = [sys.executable, "-m", "kombo_pipeline"]
    receiver = subprocess.Popen([*command, "receiver", "--port", str(port)], env=environment, cwd=old_code)
    try:
        with connect(old_url) as conn:
            row = conn.execute("select integration_id from core.integrations order by 1 limit 1").fetchone()
            assert row is not None
            told = {"integration_id": row["integration_id"], "changed_models": [{"name": "ats_jobs"}]}
            body = json.dumps({"id": "late", "type": "data-changed", "data": told}).encode()
            assert deliver(f"http://127.0.0.1:{port}/webhooks/kombo", body) == 200
            ticked = subprocess.run(
                [sys.executable, "-c", TICK, row["integration_id"]],
                env=environment,
                cwd=old_code,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ticked.returncode == 0, ticked.stderr
            assert ticked.stdout.split() == [str(old_code / "kombo_pipeline" / "__init__.py"), row["integration_id"]]
            seen = conn.execute("select starts_fetch from raw.webhook_events where event_id = 'late'").fetchone()
            assert seen == {"starts_fetch": True}
    finally:
        receiver.terminate()
        receiver.wait()


TICK = """
import sys
import dagster as dg
import kombo_pipeline
from kombo_pipeline.definitions import defs
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.orchestration.sensors import own_jobs_sensor, webhook_sensor
with dg.instance_for_test() as instance:
    instance.add_dynamic_partitions("integration", sys.argv[1:])
    for sensor in (own_jobs_sensor, webhook_sensor):
        context = dg.build_sensor_context(
            instance=instance,
            instance_ref=instance.get_ref(),
            repository_def=defs.get_repository_def(),
            resources={"warehouse": Warehouse()},
        )
        data = sensor.evaluate_tick(context)
print(kombo_pipeline.__file__, *[request.partition_key for request in data.run_requests])
"""


def deliver(url: str, body: bytes) -> Any:
    for _ in range(100):
        try:
            return httpx.post(url, content=body, headers={"X-Kombo-Signature": sign(SECRET, body)}).status_code
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError("the receiver does not answer")
