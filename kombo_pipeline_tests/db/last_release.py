"""The last release: its code, and the warehouse that it left behind, filled, as a dump of Postgres.

With each release, name its commit here and make its dump with its own code, in a checkout of that commit:

    git worktree add /tmp/last $(git rev-parse COMMIT)
    PYTHONPATH=/tmp/last python kombo_pipeline_tests/db/last_release.py kombo_pipeline_tests/db/last_release.sql.gz

The dump is what a user has; the code comes from the history of git, where that is there.
"""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.db.migrate import migrate

COMMIT = "f6e935a2da8024b74dbef9f8c4d729c489aa0648"
DUMP = Path(__file__).with_name("last_release.sql.gz")
ODD = {"job_code": 4711, "salary_amount": {}}


def restore(url: str) -> None:
    """Bring the dump into an empty database."""
    command = [embedded.binaries() / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url]
    subprocess.run(command, input=gzip.decompress(DUMP.read_bytes()), check=True, capture_output=True)


def code(folder: Path) -> Path | None:
    """Put the code of the last release into a folder; None where the history of git does not reach back to it."""
    project = Path(__file__).parents[2]
    archived = subprocess.run(
        ["git", "-C", project, "archive", COMMIT, "kombo_pipeline"], capture_output=True, check=False
    )
    if archived.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def fill(conn: Connection, url: str) -> None:
    """Fill a migrated warehouse as two customers would: jobs that change and end, own jobs, links, answers, events."""
    from kombo_pipeline.ingest import events
    from kombo_pipeline.ingest.apply import apply_landed_fetches
    from kombo_pipeline.ingest.fetch import land_fetch
    from kombo_pipeline.kombo import webhooks
    from kombo_pipeline.kombo.client import Kombo
    from kombo_pipeline.linking import decisions
    from kombo_pipeline.linking.candidates import match_integration
    from kombo_pipeline.sandbox.api import API_KEY
    from kombo_pipeline.sandbox.clock import Clock
    from kombo_pipeline.sandbox.server import running
    from kombo_pipeline.sandbox.world import World

    world = World(seed=11, clock=Clock(running=True))
    world.behaviour.rate_limit = None
    with running(world) as sandbox, Kombo(api_url=sandbox.url, api_key=API_KEY) as kombo:
        customers = [world.add_integration(jobs=jobs) for jobs in (9, 6)]
        for turn in range(3):
            for integration_id in customers:
                if turn:
                    change(world, integration_id, turn)
                for hook in world.drain():
                    event = webhooks.parse(hook.body)
                    assert event is not None
                    conn.execute(
                        "insert into raw.webhook_events (event_id, event_type, integration_id, body, payload) "
                        "values (%s, %s, %s, %b, %s) on conflict do nothing",
                        (
                            event.event_id,
                            event.event_type,
                            event.integration_id,
                            hook.body,
                            webhooks.jsonb_text(hook.body),
                        ),
                    )
                conn.commit()
                events.observe_events(conn)
                conn.commit()
                land_fetch(conn, kombo, integration_id, overlap=timedelta(minutes=5), full=turn == 0)
                apply_landed_fetches(conn, integration_id)
                conn.commit()
                if not turn:
                    add_own_jobs(conn, integration_id)
                match_integration(conn, integration_id)
                conn.commit()
        reject_one(conn, decisions)


def change(world: "World", integration_id: str, turn: int) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Let the customer edit, close, delete and open jobs, and send a record that cannot be read whole."""
    jobs = world.ats_jobs(integration_id)
    for job_id in jobs[:2]:
        world.edit_job(integration_id, job_id)
    world.set_status(integration_id, jobs[1 + turn], "CLOSED")
    world.delete_job(integration_id, jobs[3 + turn])
    world.open_job(integration_id, name=f"Nurse {turn}")
    world.set_raw(integration_id, jobs[0], ODD)
    world.sync(integration_id)


def add_own_jobs(conn: Connection, integration_id: str) -> None:
    """Own jobs of the customer: some bear an identifier, some only a title, one is like no job."""
    conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title, remote_id, location, source) "
        "select i.customer_id, 'own-' || row_number() over (order by j.kombo_job_id), j.name, "
        "case when row_number() over (order by j.kombo_job_id) < 4 then j.remote_id end, j.location_city, 'import' "
        "from core.jobs j join core.integrations i using (integration_id) "
        "where integration_id = %s order by kombo_job_id limit 7",
        (integration_id,),
    )
    conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title) select customer_id, 'nothing', 'Astronaut' "
        "from core.integrations where integration_id = %s",
        (integration_id,),
    )
    conn.commit()


def reject_one(conn: Connection, decisions: "ModuleType") -> None:  # type: ignore[name-defined]  # noqa: F821
    """A person says of one candidate that it is not the job."""
    row = conn.execute(
        "select customer_id, own_job_id, integration_id, kombo_job_id from core.job_match_candidates "
        "where rank = 1 order by confidence desc, own_job_id limit 1"
    ).fetchone()
    assert row is not None
    jobs = [row.pop("kombo_job_id")]
    given = decisions.Answer(answer_id=UUID(int=1), decision="rejected", decided_by="ana", kombo_job_ids=jobs, **row)
    decisions.answer(conn, given)
    conn.commit()


def main(target: Path) -> None:
    """Make the dump, in an embedded Postgres of its own."""
    data_dir = Path(tempfile.mkdtemp(prefix="kombo-pipeline-release-"))
    data_dir.chmod(0o711)  # as root, Postgres runs under another account
    try:
        url = embedded.ensure_database(embedded.ensure(data_dir / "postgres"), "warehouse")
        migrate(url)
        with connect(url) as conn:
            fill(conn, url)
        dump = subprocess.run([embedded.binaries() / "pg_dump", "--no-owner", url], check=True, capture_output=True)
        target.write_bytes(gzip.compress(dump.stdout, mtime=0))
    finally:
        embedded.stop(data_dir / "postgres")
        shutil.rmtree(data_dir, ignore_errors=True)
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    main(Path(sys.argv[1]))
