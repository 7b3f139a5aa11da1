"""Own jobs from a file on the command line, and the release of a withdrawal that is held."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.own_jobs import commands
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, targets
from kombo_pipeline_tests.test_cli import complaint, kombo_pipeline, said

HERE = "personio:acme"


@pytest.fixture(autouse=True)
def warehouse_of_the_module(conn: Connection, module_warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", module_warehouse_url)


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes a list of jobs and returns its path."""

    def written(*numbers: int, extra: str = "") -> Path:
        path = tmp_path / "jobs.csv"
        path.write_text("id,title\n" + "".join(f"{number},Job {number}\n" for number in numbers) + extra)
        return path

    return written


def imported(path: Path, *options: str) -> list[str]:
    return said("import-own-jobs", path, "--customer", "acme", *options)


def living(conn: Connection) -> dict[str, str]:
    conn.rollback()
    rows = conn.execute("select own_job_id, list from core.own_jobs where withdrawn_at is null")
    return {row["own_job_id"]: row["list"] for row in rows}


def test_a_list_of_a_name_replaces_only_itself(file: Any, conn: Connection) -> None:
    assert imported(file(1, 2), "--list", "north", "--replace") == [
        "2 new, 0 changed, 0 unchanged, 0 withdrawn, 0 rows with a remark"
    ]
    imported(file(3), "--replace", "--source", "email")
    assert imported(file(2), "--list", "north", "--replace") == [
        "0 new, 0 changed, 1 unchanged, 1 withdrawn, 0 rows with a remark"
    ]
    assert living(conn) == {"2": "north", "3": "email"}


def test_a_dry_run_says_what_an_import_would_do_and_writes_nothing(file: Any, conn: Connection) -> None:
    imported(file(*range(1, 31)))
    before = living(conn)
    path = file()
    path.write_text("id,title\n2,Changed\n" + "".join(f"{n},Job {n}\n" for n in range(3, 31)) + "99,New\n")
    assert imported(path, "--replace", "--dry-run") == [
        "Dry run: nothing was written.",
        "1 new, 1 changed, 28 unchanged, 1 withdrawn, 0 rows with a remark",
        "  new: 99 New",
        "  changed: 2 Changed (title)",
        "  withdrawn: 1 Job 1",
    ]
    assert living(conn) == before
    told = imported(file(1), "--replace", "--dry-run")
    assert told[1] == "0 new, 0 changed, 1 unchanged, 0 withdrawn, 29 held, 0 rows with a remark"
    assert "release" not in told[2]
    assert said("release", "own-jobs") == ["No withdrawal is held."]
    assert conn.execute("select title from core.own_jobs where own_job_id = '2'").fetchone() == {"title": "Job 2"}


def test_a_held_withdrawal_is_listed_and_released_for_that_very_set(file: Any, conn: Connection) -> None:
    add_integration(conn, HERE, "acme")
    add_job(conn, HERE, "k1", name="Job 1")
    imported(file(*range(40)))
    conn.execute(
        "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, ats_seen)"
        " values ('acme', '1', %s, 'k1', 'job_code', '{}', '{}')",
        (HERE,),
    )
    conn.execute(
        "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
        "values (%s, 'k1', 'jana', 'picker')",
        (HERE,),
    )
    conn.commit()
    assert targets(conn) == {("1", "k1")}
    told = imported(file(0), "--replace")
    assert told[0] == "0 new, 0 changed, 1 unchanged, 0 withdrawn, 39 held, 0 rows with a remark"
    [line] = said("release", "own-jobs")
    hold_id = line.partition(":")[0]
    assert line.startswith(f"{hold_id}: list import of acme, 39 of 40 own jobs, held ")
    assert f"`kombo-pipeline release own-jobs {hold_id}`" in told[1]
    imported(file(2, 3))  # they come back
    assert targets(conn) == {("1", "k1")}
    assert said("release", "own-jobs", hold_id, "--by", "jana") == ["37 own jobs withdrawn."]
    assert set(living(conn)) == {"0", "2", "3"}
    assert targets(conn) == set()
    row = conn.execute("select state, reason from core.job_links").fetchone()
    assert row == {"state": "suspended", "reason": "withdrawn"}
    assert said("release", "own-jobs") == ["No withdrawal is held."]
    assert complaint("release", "own-jobs", hold_id) == f"Error: No withdrawal {hold_id} waits for a decision"
    shown = conn.execute("select count(*) as n, min(decided_by) as who from marts.held_withdrawals").fetchone()
    assert shown == {"n": 37, "who": "jana"}


def test_a_refused_withdrawal_leaves_the_own_jobs_as_they_are(file: Any, conn: Connection) -> None:
    imported(file(*range(40)))
    imported(file(0), "--replace")
    hold_id = said("release", "own-jobs")[0].partition(":")[0]
    assert said("release", "own-jobs", hold_id, "--refuse") == ["Refused; the own jobs stay as they are."]
    assert len(living(conn)) == 40
    assert imported(file(0), "--replace")[1] == (
        "39 jobs are not in the list, and a person has refused to withdraw them."
    )


def test_a_row_that_cannot_be_read_is_said_to_withdraw_nobody(file: Any, conn: Connection) -> None:
    imported(file(1, 2, 3))
    told = imported(file(1, extra=',no id\n"broken,2\n'), "--replace")
    assert told[1] == "2 rows could not be read and name no job, so no job was withdrawn."
    assert set(living(conn)) == {"1", "2", "3"}


def test_a_long_import_says_how_far_it_is_where_standard_error_is_no_terminal(
    file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(*range(3000))
    assert kombo_pipeline("import-own-jobs", path, "--customer", "acme", "--dry-run").stderr == ""
    monkeypatch.setattr(commands, "REPORT_EVERY_SECONDS", 0)
    told = kombo_pipeline("import-own-jobs", path, "--customer", "acme", "--dry-run").stderr.splitlines()
    assert told == [
        "jobs.csv is being read",
        "1,000 rows are read",
        "2,000 rows are read",
        "3,000 rows are read",
        "3,000 rows are read and are being compared with the warehouse",
    ]


def test_on_a_terminal_the_progress_is_shown_on_standard_error_alone(file: Any) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "kombo_pipeline", "import-own-jobs", file(1, 2), "--customer", "acme", "--dry-run"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
        text=True,
        timeout=60,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "2 rows are read" in shown or "jobs.csv is being read" in shown
    assert done.stdout.splitlines()[1] == "2 new, 0 changed, 0 unchanged, 0 withdrawn, 0 rows with a remark"


def test_an_unusable_list_name_and_an_unknown_source_are_one_clear_line(file: Any) -> None:
    wrong = ("import-own-jobs", file(1), "--customer", "acme")
    assert "the name of a list has 1 to 200 characters" in complaint(*wrong, "--list", " ")
    assert "'gossip' is no source" in complaint(*wrong, "--source", "gossip")


def test_one_job_is_withdrawn_by_a_list_that_says_so(tmp_path: Path, file: Any, conn: Connection) -> None:
    imported(file(1, 2))
    path = tmp_path / "end.jsonl"
    path.write_text(json.dumps({"id": 1, "title": "Job 1", "withdrawn": True}) + "\n")
    assert imported(path)[0] == "0 new, 0 changed, 0 unchanged, 1 withdrawn, 0 rows with a remark"
    assert set(living(conn)) == {"2"}
