"""Servers shared by the whole suite: one Postgres, a fresh warehouse a test, a Kombo of one's own."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

for name in [name for name in os.environ if name.startswith(("KOMBO_", "DAGSTER_"))]:
    del os.environ[name]
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"

from kombo_pipeline.db import embedded  # noqa: E402
from kombo_pipeline.db.connection import Connection, connect  # noqa: E402
from kombo_pipeline.db.migrate import ROLES, migrate  # noqa: E402
from kombo_pipeline.sandbox.clock import Clock  # noqa: E402
from kombo_pipeline.sandbox.server import running  # noqa: E402
from kombo_pipeline.sandbox.world import World  # noqa: E402


def in_memory() -> Path | None:
    """A file system in memory with room for a session's databases, None without: a copy takes a third of the time."""
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > 8 * 2**30 else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[embedded.Server]:
    """A Postgres server for the session; nothing of it remains."""
    data_dir = Path(tempfile.mkdtemp(prefix="kombo-pipeline-tests-", dir=in_memory()))
    data_dir.chmod(0o711)  # as root, the server runs under another account
    try:
        server = embedded.ensure(data_dir / "postgres")
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            # Outlives every process, as a killed one's writes stay with the system; not a power cut.
            admin.execute("alter system set fsync = off")
            admin.execute("alter system set full_page_writes = off")
            admin.execute("select pg_reload_conf()")
        yield server
    finally:
        embedded.stop(data_dir / "postgres")
        shutil.rmtree(data_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: embedded.Server) -> str:
    """The name of a migrated database that fresh ones are copied from."""
    migrate(embedded.ensure_database(postgres_server, "template_warehouse"))
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        for role in ROLES:
            admin.execute(f"create role member_of_{role} login password 'member' in role {role}")
    return "template_warehouse"


def as_member(role: str, warehouse_url: str) -> str:
    """A warehouse's URL for a login role that is a member of one of the project's roles and of nothing else."""
    parts = urlsplit(warehouse_url)
    return parts._replace(netloc=f"member_of_{role}:member@{parts.netloc.rpartition('@')[2]}").geturl()


def copied(postgres_server: embedded.Server, template: str) -> Iterator[str]:
    """Yield the URL of a copy of a migrated, empty warehouse; drop it afterwards."""
    name = f"warehouse_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    yield postgres_server.url(name)
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def warehouse_url(postgres_server: embedded.Server, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated, empty warehouse of the test's own."""
    yield from copied(postgres_server, migrated_template)


@pytest.fixture(scope="module")
def module_warehouse_url(postgres_server: embedded.Server, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated, empty warehouse that the tests of a module share."""
    yield from copied(postgres_server, migrated_template)


@pytest.fixture
def conn(warehouse_url: str) -> Iterator[Connection]:
    """A connection to the test's warehouse."""
    with connect(warehouse_url) as connection:
        yield connection


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, warehouse_url: str) -> Iterator[World]:
    """A served Kombo on our clock, to which the environment points, as it points to the test's warehouse."""
    world = World(seed=7, clock=Clock(running=True))
    world.behaviour.rate_limit = None
    with running(world) as sandbox:
        monkeypatch.setenv("KOMBO_API_URL", sandbox.url)
        monkeypatch.setenv("KOMBO_API_KEY", "sandbox-key")
        monkeypatch.setenv("KOMBO_WAREHOUSE_URL", warehouse_url)
        yield world


@pytest.fixture(scope="session")
def dagster_instance() -> Any:
    """A Dagster in memory, a hundred times quicker than one on disk; nothing of it remains."""
    import dagster as dg

    # Its in-memory SQLite is gone before SQLAlchemy's pool is, which says so when Python exits.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def run(world: World, dagster_instance: Any) -> Callable[..., Any]:
    """Runs a job of the Dagster location in this process: one integration's sync unless told otherwise."""
    from kombo_pipeline.definitions import defs

    def execute(integration_id: str | None = None, job: str = "sync_integration", **options: Any) -> Any:
        if integration_id:
            dagster_instance.add_dynamic_partitions("integration", [integration_id])
        return defs.resolve_job_def(job).execute_in_process(
            **{"instance": dagster_instance, "partition_key": integration_id, "raise_on_error": False} | options
        )

    return execute


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, the whole stack of processes: last, one core would wait for it."""
    items.sort(key=lambda item: "local" not in item.path.parts)
