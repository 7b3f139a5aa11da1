"""A warehouse that was restored from a backup catches up by itself: made with pg_dump, as docs/operations.md says."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.db.versions import newest_revision
from kombo_pipeline.ingest.statements import webhook_events
from kombo_pipeline_tests.ingest.model import Customer, Served, assert_equals_kombo, assert_history_has_no_gap

YESTERDAY, LONG_AGO = timedelta(days=1), timedelta(days=40)


class Backup:
    """A dump of the warehouse, and the database that it is restored into."""

    def __init__(self, server: embedded.Server, url: str, file: Path) -> None:
        self.server, self.file, self.name = server, file, f"restored_{uuid4().hex[:8]}"
        self._run("pg_dump", "--format=custom", "--file", file, url)

    def restore(self) -> str:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
            admin.execute(f"create database {self.name}")
        url = self.server.url(self.name)
        self._run("pg_restore", "--exit-on-error", "--dbname", url, self.file)
        return url

    def drop(self) -> None:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
            admin.execute(f"drop database if exists {self.name} with (force)")

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run([embedded.binaries() / program, *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def acme(conn: Connection, served: Served) -> Iterator[Customer]:
    customer = Customer(conn, served, jobs=12)
    customer.deliver()
    customer.fetch()
    yield customer
    conn.rollback()


@pytest.fixture
def backup(acme: Customer, postgres_server: embedded.Server, warehouse_url: str, tmp_path: Path) -> Iterator[Backup]:
    """Taken while an event waits for its fetch."""
    acme.world.sync(acme.id)
    acme.deliver()
    acme.conn.commit()
    made = Backup(postgres_server, warehouse_url, tmp_path / "warehouse.dump")
    yield made
    made.drop()


def live_on(acme: Customer, passed: timedelta) -> str:
    """What happened after the backup: jobs change and end, webhooks come and are covered, then the disk is lost.

    Returns the job that was deleted.
    """
    jobs = acme.ids()
    acme.world.clock.advance(passed / 2)
    acme.world.edit_job(acme.id, jobs[0], name="Another title")
    acme.world.set_status(acme.id, jobs[1], "CLOSED")
    acme.world.delete_job(acme.id, jobs[2])
    acme.world.open_job(acme.id, name="Opened since")
    acme.sync_and_fetch()
    acme.deliver()
    acme.world.clock.advance(passed / 2)
    acme.world.purge(acme.id)
    return jobs[2]


@pytest.mark.parametrize(("passed", "kind"), [(YESTERDAY, "incremental"), (LONG_AGO, "full")])
def test_a_restored_warehouse_equals_kombo_after_its_next_fetch(
    acme: Customer, backup: Backup, passed: timedelta, kind: str
) -> None:
    """A day later an incremental fetch is enough; after weeks tombstones are purged, and a full one is chosen."""
    before = acme.integration()["kombo_last_sync_started_at"]
    deleted = live_on(acme, passed)
    newest = acme.integration()["kombo_last_sync_started_at"]
    with connect(backup.restore()) as restored:
        acme.conn, lost = restored, acme.conn
        assert migrate(backup.server.url(backup.name)) == newest_revision()
        assert acme.integration()["kombo_last_sync_started_at"] == before < newest
        # What had not been covered is still due.
        assert [row.integration_id for row in webhook_events.waiting_for_fetch(restored)] == [acme.id]
        restored.commit()
        assert acme.fetch().kind == kind
        if kind == "incremental":
            assert_equals_kombo(acme)
        assert acme.lifecycles()[deleted] == ("deleted" if kind == "incremental" else "vanished")
        assert {job: row["status"] for job, row in acme.world.kombo_jobs(acme.id).items()}.items() <= {
            job: acme.job(job)["status"] for job in acme.lifecycles()
        }.items()
        assert_history_has_no_gap(restored)
        assert webhook_events.waiting_for_fetch(restored) == []
        restored.commit()
        acme.conn = lost


def test_an_event_that_was_lost_with_the_disk_is_taken_when_kombo_sends_it_again(
    acme: Customer, backup: Backup
) -> None:
    acme.world.clock.advance(YESTERDAY)
    acme.world.sync(acme.id)
    hooks = acme.world.drain()
    acme.deliver(hooks)
    with connect(backup.restore()) as restored:
        acme.conn, lost = restored, acme.conn
        count = "select count(*) as n from raw.webhook_events"
        [before] = restored.execute(count).fetchall()
        for _ in range(2):
            acme.deliver(hooks)
        [after] = restored.execute(count).fetchall()
        assert after["n"] == before["n"] + len(hooks)
        restored.commit()
        acme.conn = lost


class ArchivedServer:
    """A Postgres whose WAL is archived, as docs/operations.md says, a base backup of it, and the way back."""

    def __init__(self, directory: Path) -> None:
        self.root, self.archive, self.base = directory / "postgres", directory / "archive", directory / "base"
        directory.chmod(0o711)
        embedded.ensure(self.root)
        self.archive.mkdir()
        self._give(self.archive)
        self.set(
            wal_level="replica", max_wal_senders="4", archive_mode="on", archive_command=f"cp %p {self.archive}/%f"
        )
        self.restart()

    def url(self, database: str) -> str:
        return embedded.ensure_database(embedded.ensure(self.root), database)

    def set(self, **settings: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            for name, value in settings.items():
                admin.execute(f"alter system set {name} = '{value}'")

    def restart(self) -> None:
        embedded.stop(self.root)
        embedded.ensure(self.root)

    def back_up(self) -> None:
        program = embedded.binaries() / "pg_basebackup"
        subprocess.run(
            [program, "--checkpoint=fast", "--pgdata", self.base, "--dbname", self.url("postgres")],
            check=True,
            capture_output=True,
        )

    def moment(self) -> str:
        """An instant that lies behind everything committed so far; what is committed later lies behind it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            [(instant,)] = admin.execute("select clock_timestamp()::text").fetchall()
            admin.execute("select pg_sleep(0.1)")
        return str(instant)

    def come_back_as_of(self, instant: str) -> None:
        """The disk is lost; the backup and the archived WAL come back."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute("select pg_switch_wal()")
        embedded.stop(self.root)
        shutil.rmtree(self.root / "pgdata")
        shutil.copytree(self.base, self.root / "pgdata")
        (self.root / "pgdata" / "recovery.signal").touch()
        with (self.root / "pgdata" / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"restore_command = 'cp {self.archive}/%f %p'\n")
            settings.write(f"recovery_target_time = '{instant}'\nrecovery_target_action = 'promote'\n")
        self._give(self.root / "pgdata")
        (self.root / "pgdata").chmod(0o700)
        embedded.ensure(self.root)

    def _give(self, directory: Path) -> None:
        """To the account that runs the server."""
        owner = (self.root / "run").stat()
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


@pytest.mark.long
def test_both_databases_come_back_as_of_one_moment_and_catch_up(served: Served) -> None:
    """Point in time recovery: what a person answered up to that moment is there, and the rest comes with the fetch."""
    directory = Path(tempfile.mkdtemp(prefix="kombo-test-restore-"))
    server = ArchivedServer(directory)
    try:
        warehouse, dagster = server.url("warehouse"), server.url("dagster")
        migrate(warehouse)
        with connect(warehouse) as conn, connect(dagster) as runs:
            acme = Customer(conn, served, jobs=12)
            acme.fetch()
            runs.execute("create table public.runs (run_id text)")
            runs.commit()
            server.back_up()
            acme.conn.execute("update core.integrations set organization_name = 'Answered since the backup'")
            acme.conn.commit()
            runs.execute("insert into public.runs values ('before')")
            runs.commit()
            instant = server.moment()
            runs.execute("insert into public.runs values ('after')")
            runs.commit()
            live_on(acme, YESTERDAY)
        server.come_back_as_of(instant)
        with connect(server.url("warehouse")) as conn, connect(server.url("dagster")) as runs:
            acme.conn = conn
            assert [row["run_id"] for row in runs.execute("select run_id from public.runs").fetchall()] == ["before"]
            assert acme.integration()["organization_name"] == "Answered since the backup"
            assert migrate(server.url("warehouse")) == newest_revision()
            assert acme.fetch().kind == "incremental"
            assert_equals_kombo(acme)
            assert_history_has_no_gap(conn)
            conn.commit()
    finally:
        embedded.stop(server.root)
        shutil.rmtree(directory, ignore_errors=True)
