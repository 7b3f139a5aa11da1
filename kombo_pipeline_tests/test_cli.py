"""The command line as a user types it: what it does, and the one line it says when it cannot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from kombo_pipeline.backoffice.passwords import is_right
from kombo_pipeline.cli import main
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.versions import newest_revision
from kombo_pipeline.ingest import events
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.local.stack import free_port
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.ingest.model import stored
from kombo_pipeline_tests.ingest.test_receiver import until

ACME = "greenhouse:acme"
NOWHERE = "postgresql://user:hush@127.0.0.1:1/warehouse"


def kombo_pipeline(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def said(*arguments: object) -> list[str]:
    """The lines that a command which succeeds prints on standard output."""
    result = kombo_pipeline(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def complaint(*arguments: object) -> str:
    """The one line that a command which fails prints on standard error."""
    result = kombo_pipeline(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    [line] = result.stderr.splitlines()
    return line


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [path]
    for name, command in group.commands.items():
        found += commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing set, in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KOMBO_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def acme(world: World) -> str:
    """A customer of twelve jobs, which Kombo holds and we do not."""
    return world.add_integration(jobs=12, integration_id=ACME)


# Help and failures


def test_the_commands_are_those_of_the_contract() -> None:
    assert set(main.commands) >= {
        *("up", "down", "migrate", "receiver", "backoffice", "sandbox", "sync", "lookup", "page", "replay", "release"),
        *("user", "customer-link", "events"),
    }


@pytest.mark.parametrize("path", commands(main), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(path: tuple[str, ...], option: str) -> None:
    result = kombo_pipeline(*path, option)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert result.stderr == ""


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kombo_pipeline", "migrate", "--help"], capture_output=True, text=True, check=True
    )
    assert "Bring the warehouse to the newest schema." in done.stdout


WITH_A_WAREHOUSE = [
    ("migrate",),
    ("sync", ACME),
    ("page", 1, 1),
    ("replay",),
    ("release", "records"),
    ("release", "closure"),
    ("release", "closure", 1),
    ("release", "owner"),
    ("events",),
    ("events", "--dead"),
    ("user", "add", "ana", "--role", "viewer", "--no-password"),
    ("user", "disable", "ana"),
    ("user", "list"),
]


@pytest.mark.parametrize("command", WITH_A_WAREHOUSE, ids=str)
def test_when_postgres_is_down_one_line_says_where_nobody_answered(
    elsewhere: None, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...]
) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", NOWHERE)
    line = complaint(*command)
    assert 'server at "127.0.0.1", port 1 failed: Connection refused' in line
    assert "hush" not in line


@pytest.mark.parametrize("command", [*WITH_A_WAREHOUSE, ("up", "--once"), ("receiver",)], ids=str)
@pytest.mark.parametrize("url", ["mysql://user:hush@host/db", "postgresql://user:hu%zzsh@host/db"])
def test_a_url_that_is_none_is_refused_in_one_line_without_its_password(
    elsewhere: None, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...], url: str
) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", url)
    monkeypatch.setenv("KOMBO_DAGSTER_URL", url)
    line = complaint(*command)
    assert "KOMBO_WAREHOUSE_URL" in line
    assert "hu" not in line


@pytest.mark.parametrize("name", ["KOMBO_OVERLAP_SECONDS"])
def test_a_setting_that_cannot_be_used_is_named(elsewhere: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "soon")
    assert name in complaint("migrate")


def test_a_lookup_without_a_key_says_which_variable_to_set(elsewhere: None) -> None:
    assert "KOMBO_API_KEY is not set" in complaint("lookup", ACME, "--ids", "x")


def test_a_sync_without_a_key_says_which_variable_to_set(
    elsewhere: None, monkeypatch: pytest.MonkeyPatch, warehouse_url: str
) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", warehouse_url)
    assert complaint("sync", ACME).startswith(f"Error: {ACME} was not synced. KOMBO_API_KEY is not set;")


# What each command does


def test_migrate_says_which_revision_the_warehouse_has(world: World) -> None:
    assert said("migrate") == [f"The warehouse has schema revision {newest_revision()}."]


def test_sync_copies_an_integration_and_says_what_came(world: World, acme: str, conn: Connection) -> None:
    pages, jobs, candidates = said("sync", acme)
    assert candidates.startswith("job_match_candidates: ")
    assert pages.startswith("raw_job_pages: status landed, fetch full,")
    assert jobs.startswith("jobs: new 12, changed 0, ")
    assert len(stored(conn, acme)) == 12
    world.edit_job(acme, world.ats_jobs(acme)[0], name="Chief Yak Shaver")
    world.sync(acme)
    pages, jobs, _ = said("sync", acme)
    assert "fetch incremental" in pages
    assert jobs.startswith("jobs: new 0, changed 1, unchanged 11,")
    assert "fetch full" in said("sync", acme, "--full")[0]


def test_a_sync_that_kombo_refuses_says_who_must_act_in_one_line(world: World, warehouse_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kombo_pipeline", "sync", "greenhouse:unknown"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: greenhouse:unknown was not synced. Refused: No integration")
    assert line.endswith("Who must act: us.")


def test_what_cannot_be_an_integration_id_is_refused_with_an_example(world: World) -> None:
    assert "looks like personio:" in complaint("sync", "a, b")


def test_lookup_asks_for_all_identifiers_at_once_and_prints_json_lines(world: World, acme: str) -> None:
    jobs = [world.ats_job(acme, job_id) for job_id in world.ats_jobs(acme)]
    jobs = [job for job in jobs if job["post_url"] and job["job_code"]][:4]
    found = said(
        *("lookup", acme, "--ids", f"{jobs[0]['id']}, {jobs[1]['id']}"),
        *("--remote-ids", jobs[1]["remote_id"], "--job-codes", jobs[2]["job_code"], "--post-url", jobs[3]["post_url"]),
    )
    assert {json.loads(line)["id"] for line in found} >= {job["id"] for job in jobs}
    assert len(found) == len({json.loads(line)["id"] for line in found})
    assert len([request for request in world.requests if request.path == "/v1/ats/jobs"]) == 4


def test_lookup_by_a_part_of_the_name(world: World, acme: str) -> None:
    world.open_job(acme, name="Chief Yak Shaver")
    world.sync(acme)
    assert [json.loads(line)["name"] for line in said("lookup", acme, "--name-contains", "Yak")] == ["Chief Yak Shaver"]


def test_a_lookup_that_finds_nothing_says_that_this_proves_nothing(world: World, acme: str) -> None:
    result = kombo_pipeline("lookup", acme, "--job-codes", "none")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("0 jobs.")
    assert "no proof of absence" in result.stderr


def test_a_lookup_of_nothing_is_a_mistake(world: World, acme: str) -> None:
    result = kombo_pipeline("lookup", acme)
    assert result.exit_code == 2
    assert "Name at least one identifier" in result.stderr


def test_page_prints_what_kombo_sent(world: World, acme: str, conn: Connection) -> None:
    said("sync", acme)
    page = json.loads("\n".join(said("page", 1, 1)))
    theirs = world.kombo_jobs(acme)
    assert {job["id"]: job for job in page["data"]["results"]} == theirs
    job_id = next(iter(theirs))
    assert json.loads("\n".join(said("page", 1, 1, "--job", job_id))) == theirs[job_id]
    assert complaint("page", 1, 2) == "Error: There is no page 2 of fetch 1; see raw.job_pages"
    assert complaint("page", 1, 1, "--job", "nobody") == "Error: Job nobody is not on page 1 of fetch 1"


def land(conn: Connection, event_id: str, *, handled: bool) -> None:
    conn.execute(
        "insert into raw.webhook_events (event_id, event_type, integration_id, starts_fetch, handled_at) "
        "values (%s, 'data-changed', %s, true, case when %s then now() end)",
        (event_id, ACME, handled),
    )
    conn.commit()


def waiting(conn: Connection) -> list[str]:
    conn.rollback()
    rows = conn.execute("select event_id from raw.webhook_events where starts_fetch is null and handled_at is null")
    return sorted(row["event_id"] for row in rows)


def test_replay_takes_the_named_events_or_all_that_are_not_handled(world: World, conn: Connection) -> None:
    for event_id, handled in (("a", True), ("b", True), ("c", False), ("d", False)):
        land(conn, event_id, handled=handled)
    assert said("replay", "a") == [f"a data-changed {ACME}", "1 events wait for the webhook sensor."]
    assert waiting(conn) == ["a"]
    assert said("replay")[-1] == "3 events wait for the webhook sensor."
    assert waiting(conn) == ["a", "c", "d"]


def test_replay_of_an_unknown_event_changes_nothing_and_names_it(world: World, conn: Connection) -> None:
    land(conn, "a", handled=True)
    result = kombo_pipeline("replay", "a", "nobody")
    assert result.exit_code == 1
    assert result.stderr == "Error: No such event: nobody\n"


def test_dead_events_are_listed_with_their_reason_and_a_replay_takes_one_up_again(
    world: World, conn: Connection
) -> None:
    assert said("events", "--dead") == ["No event is dead."]
    for event_id, integration_id in (("odd", "a b"), ("good", ACME)):
        payload = json.dumps({"data": {"integration_id": integration_id}})
        conn.execute(
            "insert into raw.webhook_events (event_id, event_type, integration_id, payload) "
            "values (%s, 'data-changed', %s, %s)",
            (event_id, integration_id if integration_id == ACME else None, payload),
        )
    events.observe_events(conn)
    conn.commit()
    [line] = said("events", "--dead")
    assert line.startswith("odd data-changed - received 20")
    assert "the integration id 'a b' cannot be a partition key" in line
    [counts] = said("events")
    assert counts.startswith("0 events wait for the webhook sensor, 1 for a fetch, 1 are dead.")
    said("replay", "odd")
    assert said("events", "--dead") == ["No event is dead."]
    assert said("events")[0].startswith("1 events wait")


def test_the_owner_of_an_integration_is_listed_while_in_doubt_and_released(
    world: World, acme: str, conn: Connection
) -> None:
    assert said("release", "owner") == ["No owner is in doubt."]
    assert complaint("release", "owner", acme, "--customer", "old").startswith(f"Error: The owner of {acme} is not in")
    for answer, told in (("old", "still old's"), ("new", "belongs to new now")):
        conn.execute("delete from core.integrations")
        conn.execute(
            "insert into core.integrations (integration_id, customer_id, claimed_customer_id, claimed_at) "
            "values (%s, 'old', 'new', '2026-11-24 12:00')",
            (acme,),
        )
        conn.commit()
        assert said("release", "owner") == [f"{acme}: old, or new as Kombo says since 2026-11-24 12:00"]
        assert "a stranger is neither" in complaint("release", "owner", acme, "--customer", "a stranger")
        [line] = said("release", "owner", acme, "--customer", answer, "--by", "ana")
        assert told in line
        assert said("release", "owner") == ["No owner is in doubt."]
        row = conn.execute("select customer_id, owner_answered_by from core.integrations").fetchone()
        assert row == {"customer_id": answer, "owner_answered_by": "ana"}
        conn.commit()


def test_release_records_applies_what_can_be_read_by_now(world: World, acme: str, conn: Connection) -> None:
    job_id = world.ats_jobs(acme)[0]
    world.set_raw(acme, job_id, lambda record: record | {"stages": 7})
    said("sync", acme)
    assert conn.execute("select unreadable_fields from core.jobs where unreadable_fields is not null").fetchall()
    conn.commit()
    staying, counted = said("release", "records")
    assert staying.startswith("1 stays: ")
    assert counted == "0 records applied, 1 stay in quarantine."
    # As if the reader had been mended: the record in quarantine is one that it reads.
    conn.execute("update raw.quarantined_records set record = %b", (json.dumps(world.ats_job(acme, job_id)).encode(),))
    conn.commit()
    assert said("release", "records", 99) == ["0 records applied, 0 stay in quarantine."]
    assert said("release", "records", 1) == ["1 records applied, 0 stay in quarantine."]
    assert not conn.execute("select from core.jobs where unreadable_fields is not null").fetchall()


@pytest.fixture
def held(world: World, acme: str, run: Callable[..., object]) -> list[str]:
    """The ids of eleven jobs whose closure waits for a person."""
    for job_id in world.ats_jobs(acme):
        world.set_status(acme, job_id, "OPEN")
    world.sync(acme)
    said("sync", acme)
    gone = world.ats_jobs(acme)[:11]
    for job_id in gone:
        world.delete_job(acme, job_id)
    world.sync(acme)
    world.clock.advance(timedelta(days=15))  # Kombo forgets its tombstones
    said("sync", acme, "--full")
    return sorted(gone)


def lifecycles(conn: Connection) -> dict[str, int]:
    conn.rollback()
    rows = conn.execute("select lifecycle, count(*) as n from core.jobs group by 1")
    return {row["lifecycle"]: row["n"] for row in rows}


def test_release_closure_lists_what_waits_and_closes_it(held: list[str], conn: Connection) -> None:
    [line] = said("release", "closure")
    assert line.startswith(f"1: {ACME}, 11 of 12 open jobs, vanished, held ")
    assert lifecycles(conn) == {"open": 12}
    assert said("release", "closure", 1, "--by", "jana") == ["11 jobs closed."]
    assert lifecycles(conn) == {"open": 1, "vanished": 11}
    row = conn.execute("select kombo_job_ids, decision, decided_by from core.held_closures").fetchone()
    assert row == {"kombo_job_ids": held, "decision": "released", "decided_by": "jana"}
    assert said("release", "closure") == ["No closure is held."]
    assert complaint("release", "closure", 1) == "Error: No closure 1 waits for a decision"


def test_a_refused_closure_leaves_the_jobs_as_they_are(held: list[str], conn: Connection) -> None:
    assert said("release", "closure", 1, "--refuse") == ["Refused; the jobs stay as they are."]
    assert lifecycles(conn) == {"open": 12}
    row = conn.execute("select decision, decided_by is not null as by_somebody from core.held_closures").fetchone()
    assert row == {"decision": "refused", "by_somebody": True}


def test_a_closure_that_nobody_holds_is_unknown(world: World) -> None:
    assert said("release", "closure") == ["No closure is held."]
    assert complaint("release", "closure", 7) == "Error: No closure 7 waits for a decision"


def test_down_where_nothing_runs_says_so(elsewhere: None) -> None:
    assert said("down") == ["Nothing was running."]


# The back office's people


def test_users_are_added_listed_and_disabled_and_their_passwords_stay_unseen(world: World, conn: Connection) -> None:
    assert said("user", "list") == ["No user yet; add one with `kombo-pipeline user add NAME --role admin`."]
    asked = CliRunner().invoke(main, ["user", "add", "ana", "--role", "reviewer"], input="correct horse battery\n" * 2)
    piped = ["user", "add", "bob", "--role", "viewer", "--password-stdin"]
    given = CliRunner().invoke(main, piped, input="correct horse battery\n")
    assert (asked.exit_code, given.exit_code) == (0, 0)
    assert "correct" not in asked.output + given.output
    assert given.stdout == "bob is viewer.\n"
    [line] = said("user", "add", "cem", "--role", "admin", "--generate-password")
    password = line.removeprefix("cem is admin. Password: ")
    assert said("user", "add", "eve", "--role", "viewer", "--no-password") == ["eve is viewer."]
    hashes = conn.execute("select user_name, password_hash from core.backoffice_users").fetchall()
    kept = {row["user_name"]: row["password_hash"] for row in hashes}
    assert is_right(kept["ana"], "correct horse battery")
    assert is_right(kept["bob"], "correct horse battery")
    assert is_right(kept["cem"], password)
    assert said("user", "disable", "bob") == ["bob is disabled and signed out."]
    assert said("user", "list") == ["ana reviewer", "bob viewer: disabled", "cem admin", "eve viewer: no password"]
    assert "There is no user dan" in complaint("user", "disable", "dan")


def test_a_password_that_is_too_short_adds_nobody(world: World, conn: Connection) -> None:
    result = CliRunner().invoke(main, ["user", "add", "ana", "--role", "admin", "--password-stdin"], input="short\n")
    assert (result.exit_code, result.stderr) == (1, "Error: A password needs 12 characters or more\n")
    assert conn.execute("select * from core.backoffice_users").fetchall() == []


def test_a_customers_link_is_printed_only_for_a_customer_and_with_a_secret(
    world: World, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.execute("insert into core.own_jobs (customer_id, own_job_id) values ('acme', '1')")
    conn.commit()
    assert "KOMBO_BACKOFFICE_SECRET needs 32 random characters" in complaint("customer-link", "acme")
    monkeypatch.setenv("KOMBO_BACKOFFICE_SECRET", "a secret of more than 32 characters")
    monkeypatch.setenv("KOMBO_BACKOFFICE_URL", "https://jobs.example.com/")
    [link] = said("customer-link", "acme", "--days", "2")
    assert link.startswith("https://jobs.example.com/c/")
    assert "no own job of a customer globex" in complaint("customer-link", "globex")


def test_the_back_office_refuses_to_start_without_a_secret(world: World) -> None:
    assert "KOMBO_BACKOFFICE_SECRET needs 32 random characters or more" in complaint("backoffice")


def test_receiver_and_sandbox_serve_until_they_are_stopped(world: World, conn: Connection, warehouse_url: str) -> None:
    ports = free_port(18080), free_port(18280)
    receiver = f"http://127.0.0.1:{ports[0]}"
    environment = os.environ | {"KOMBO_WAREHOUSE_URL": warehouse_url, "KOMBO_WEBHOOK_SECRETS": WEBHOOK_SECRET}
    served = [
        subprocess.Popen([sys.executable, "-m", "kombo_pipeline", *command], env=environment, stdout=subprocess.DEVNULL)
        for command in (
            ["receiver", "--port", str(ports[0])],
            [
                *("sandbox", "--port", str(ports[1]), "--integrations", "2", "--jobs", "9", "--still"),
                *("--webhook-url", f"{receiver}/webhooks/kombo"),
            ],
        )
    ]
    try:
        until(lambda: answers(f"{receiver}/healthz"))
        until(lambda: answers(f"http://127.0.0.1:{ports[1]}/sandbox"))
        body = b'{"id":"one","type":"data-changed","data":{}}'
        headers = {"X-Kombo-Signature": sign(WEBHOOK_SECRET, body)}
        assert httpx.post(f"{receiver}/webhooks/kombo", content=body, headers=headers).is_success
        customers = httpx.get(f"http://127.0.0.1:{ports[1]}/sandbox").json()["integrations"]
        assert sum(each["ats_jobs"] for each in customers) == 9
        httpx.post(f"http://127.0.0.1:{ports[1]}/sandbox/integrations/{customers[0]['id']}/sync", json={})
        landed = "select event_id from raw.webhook_events where integration_id = %s and event_type = 'sync-finished'"
        until(lambda: conn.execute(landed, (customers[0]["id"],)).fetchone() or conn.rollback())
    finally:
        for process in served:
            process.terminate()
            process.wait(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False
