"""The sandbox's own jobs on their way into the warehouse."""

import os
from typing import Any

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.local.sandbox_feeds import SandboxFeeds
from kombo_pipeline.local.stack import free_port
from kombo_pipeline.sandbox.job_feed import own_jobs
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World


@pytest.fixture
def integration_id(world: World, conn: Connection) -> str:
    """A customer whose jobs have been fetched."""
    integration_id = world.add_integration(jobs=60, origin_id="zoo")
    integrations.register(conn, integration_id)
    integrations.update(conn, integration_id, {"customer_id": "zoo", "full_fetched_at": world.clock.now()})
    conn.commit()
    return integration_id


def sandbox() -> str:
    return os.environ["KOMBO_API_URL"].removesuffix("/v1")


def stored(conn: Connection) -> dict[str, Any]:
    rows = conn.execute(
        "select own_job_id, title from core.own_jobs where customer_id = 'zoo' and source = 'multiposter' "
        "and withdrawn_at is null"
    )
    return {row["own_job_id"]: row["title"] for row in rows}


def told(world: World, integration_id: str) -> dict[str, str]:
    return {job.id: job.fields["title"] for job in own_jobs(world, integration_id)}


def test_own_jobs_come_once_the_ats_jobs_have_been_fetched_in_full_and_not_before(
    world: World, conn: Connection, integration_id: str
) -> None:
    integrations.update(conn, integration_id, {"full_fetched_at": None})
    feeds = SandboxFeeds(sandbox())
    feeds.import_due(conn)
    assert stored(conn) == {}
    integrations.update(conn, integration_id, {"full_fetched_at": world.clock.now()})
    feeds.import_due(conn)
    conn.rollback()
    assert stored(conn) == told(world, integration_id) != {}


def test_new_own_jobs_come_with_the_next_reading_of_the_feed(
    world: World, conn: Connection, integration_id: str
) -> None:
    seldom, often = SandboxFeeds(sandbox(), again_after_seconds=1000), SandboxFeeds(sandbox(), again_after_seconds=0)
    seldom.import_due(conn)
    before = stored(conn)
    for _ in range(20):
        world.open_job(integration_id, status="OPEN", visibility="PUBLIC")
    seldom.import_due(conn)
    assert stored(conn) == before
    often.import_due(conn)
    assert stored(conn) == told(world, integration_id)
    assert stored(conn).items() > before.items()


def test_a_feed_that_cannot_be_had_is_asked_for_again(world: World, conn: Connection, integration_id: str) -> None:
    integrations.register(conn, "a:nobodyKnows")
    integrations.update(conn, "a:nobodyKnows", {"customer_id": "bar", "full_fetched_at": world.clock.now()})
    port = free_port(8190)
    feeds = SandboxFeeds(f"http://127.0.0.1:{port}")
    feeds.import_due(conn)
    assert stored(conn) == {}
    with running(world, port=port):
        feeds.import_due(conn)
    assert stored(conn) == told(world, integration_id)


def test_two_connections_of_a_customer_do_not_withdraw_each_others_own_jobs(
    world: World, conn: Connection, integration_id: str
) -> None:
    other = world.add_integration(jobs=60, origin_id="zoo")
    integrations.register(conn, other)
    integrations.update(conn, other, {"customer_id": "zoo", "full_fetched_at": world.clock.now()})
    feeds = SandboxFeeds(sandbox(), again_after_seconds=0)
    for _ in range(2):
        feeds.import_due(conn)
        assert stored(conn).keys() == told(world, integration_id).keys() | told(world, other).keys()
