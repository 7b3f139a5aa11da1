"""When a target opens and closes, what the product is told of it and why, and how both sides compare."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product as every
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from kombo_pipeline.cli import main
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.ingest import health
from kombo_pipeline.ingest.forget import forget
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.ingest.statements.fetches import Fetch
from kombo_pipeline.linking import targets
from kombo_pipeline.linking.statements import exposed_jobs
from kombo_pipeline.linking.statements import targets as statements
from kombo_pipeline.own_jobs import statements as own_jobs
from kombo_pipeline.vocabulary import NO_TARGET_REASONS
from kombo_pipeline_tests.ingest import conftest as shared
from kombo_pipeline_tests.linking.told import Product, assert_told, targets_by

warehouse_url, conn = shared.warehouse_url, shared.conn
Change = Callable[[Connection], Any]


@pytest.fixture
def product(conn: Connection) -> Product:
    """A product that was told of one target: own job A-1 is job j1, which is exposed."""
    conn.execute(
        "insert into core.integrations (integration_id, customer_id, tool, state, fetched_at, "
        "kombo_last_sync_started_at) values ('tool:one', 'acme', 'tool', 'ACTIVE', now(), now())"
    )
    add_target(conn, "A-1", "j1")
    conn.commit()
    product = Product()
    assert assert_told(conn, product) == ["exposure.started", "target.opened"]
    return product


def add_target(conn: Connection, own_job_id: str, job: str) -> None:
    conn.execute(
        "insert into core.jobs (integration_id, kombo_job_id, name, status, visibility, remote_id, post_url, "
        "last_fetch_id) values ('tool:one', %(job)s, 'Nurse', 'OPEN', 'PUBLIC', '4711', 'https://j/4711', 1)",
        {"job": job},
    )
    conn.execute("insert into core.own_jobs (customer_id, own_job_id) values ('acme', %s)", (own_job_id,))
    conn.execute(
        "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
        "ats_seen) values ('acme', %s, 'tool:one', %s, 'job_code', '{}', '{}')",
        (own_job_id, job),
    )
    exposed_jobs.expose(conn, "tool:one", [job], by="ana", channel="picker")


def sql(statement: str) -> Change:
    return lambda conn: conn.execute(statement.encode())


def expose(conn: Connection) -> None:
    exposed_jobs.expose(conn, "tool:one", ["j1"], by="ana", channel="picker")


def end_exposure(conn: Connection) -> None:
    exposed_jobs.end_exposures(conn, "tool:one", ["j1"], by="ana")


def withdraw(conn: Connection) -> None:
    own_jobs.set_withdrawn(conn, customer_id="acme", own_job_id="A-1", withdrawn=True)


def set_state(state: str) -> Change:
    return lambda conn: integrations.update(conn, "tool:one", {"state": state})


@pytest.mark.parametrize(
    ("change", "reason", "and_back"),
    [
        (sql("update core.jobs set status = 'CLOSED'"), "closed", sql("update core.jobs set status = 'OPEN'")),
        (sql("update core.jobs set status = 'ARCHIVED'"), "closed", sql("update core.jobs set status = 'OPEN'")),
        (sql("update core.jobs set status = 'On hold'"), "closed", sql("update core.jobs set status = 'OPEN'")),
        (
            sql("update core.jobs set remote_deleted_at = now()"),
            "deleted",
            sql("update core.jobs set remote_deleted_at = null"),
        ),
        (sql("update core.jobs set vanished_at = now()"), "vanished", sql("update core.jobs set vanished_at = null")),
        (
            sql("update core.jobs set visibility = 'INTERNAL'"),
            "not_publishable",
            sql("update core.jobs set visibility = 'PUBLIC'"),
        ),
        (end_exposure, "exposure_ended", expose),
        (
            sql("update core.job_links set state = 'suspended', reason = 'undone'"),
            "link_suspended",
            sql("update core.job_links set state = 'active', reason = null"),
        ),
        (sql("update core.job_links set state = 'retired', reason = 'rejected'"), "link_ended", None),
        (sql("delete from core.job_links"), "link_ended", None),
        (
            sql("update core.integrations set claimed_customer_id = 'other', claimed_at = now()"),
            "link_suspended",
            sql("update core.integrations set claimed_customer_id = null, claimed_at = null"),
        ),
        (withdraw, "own_job_withdrawn", sql("update core.own_jobs set withdrawn_at = null")),
        (set_state("INVALID"), "connection_lost", set_state("ACTIVE")),
        (set_state("INACTIVE"), "connection_lost", set_state("ACTIVE")),
        (sql("update core.integrations set deleted_at = now()"), "connection_lost", None),
        (
            sql("update core.integrations set stale_since = now()"),
            "stale",
            sql("update core.integrations set stale_since = null"),
        ),
        # Where several hold, the one that the others follow from.
        (sql("update core.jobs set status = 'CLOSED'; "
             "update core.job_links set state = 'suspended', reason = 'closed'"), "closed", None),
        (sql("update core.integrations set state = 'INVALID', deleted_at = now(); "
             "update core.jobs set integration_gone_at = now()"), "connection_lost", None),
        (sql("update core.own_jobs set withdrawn_at = now(); "
             "update core.job_links set state = 'retired', reason = 'withdrawn'"), "own_job_withdrawn", None),
    ],
)  # fmt: skip
def test_whatever_closes_a_target_is_told_with_its_reason_and_so_is_its_return(
    conn: Connection, product: Product, change: Change, reason: str, and_back: Change | None
) -> None:
    change(conn)
    conn.commit()
    assert "target.closed" in assert_told(conn, product)
    assert product.closed == [(("acme", "A-1", "tool:one", "j1"), reason)]
    if and_back:
        and_back(conn)
        conn.commit()
        assert "target.opened" in assert_told(conn, product)


def test_a_notice_says_what_is_true_of_the_job_when_it_is_written(conn: Connection, product: Product) -> None:
    conn.execute("update core.jobs set name = 'Head nurse', status = 'CLOSED', remote_id = null")
    conn.commit()
    row = conn.execute("select * from marts.notices order by sequence desc limit 1").fetchone()
    watermark = conn.execute("select kombo_last_sync_started_at as at from core.integrations").fetchone()
    assert row and watermark
    data = row["payload"]["data"]
    assert datetime.fromisoformat(data.pop("data_as_of")) == watermark["at"]
    assert data == {
        "customer_id": "acme",
        "own_job_id": "A-1",
        "integration_id": "tool:one",
        "kombo_job_id": "j1",
        "title": "Head nurse",
        "remote_id": None,
        "post_url": "https://j/4711",
        "reason": "closed",
        "sequence": row["sequence"],
    }
    assert (row["customer_id"], row["own_job_id"], row["reason"]) == ("acme", "A-1", "closed")


def test_a_title_that_changes_is_no_notice(conn: Connection, product: Product) -> None:
    conn.execute("update core.jobs set name = 'Head nurse', post_url = 'https://j/4712'")
    conn.commit()
    assert assert_told(conn, product) == []


def test_the_mart_and_the_reasons_in_words_agree_on_every_combination(conn: Connection) -> None:
    connections = list(every((None, "ACTIVE", "INVALID", "INACTIVE"), (False, True), (False, True), (False, True)))
    for number, (state, is_deleted, is_claimed, is_stale) in enumerate(connections):
        conn.execute(
            "insert into core.integrations (integration_id, customer_id, kombo_last_sync_started_at, state, "
            "deleted_at, claimed_customer_id, claimed_at, stale_since) values (%s, 'acme', now(), %s, "
            "case when %s then now() end, case when %s then 'other' end, case when %s then now() end, "
            "case when %s then now() end)",
            (f"tool:{number}", state, is_deleted, is_claimed, is_claimed, is_stale),
        )
    kinds = every(
        ("active", "suspended", "retired"),
        (("OPEN", "PUBLIC"), ("OPEN", "INTERNAL"), ("CLOSED", "PUBLIC")),
        (False, True),
        (False, True),
    )
    for number, (link, (status, visibility), is_exposed, is_withdrawn) in enumerate(kinds):
        of_kind = {"n": str(number), "link": link, "status": status, "visibility": visibility}
        conn.execute(
            "insert into core.own_jobs (customer_id, own_job_id, withdrawn_at) "
            "values ('acme', %(n)s, case when %(withdrawn)s then now() end)",
            of_kind | {"withdrawn": is_withdrawn},
        )
        conn.execute(
            "insert into core.jobs (integration_id, kombo_job_id, status, visibility, last_fetch_id) "
            "select integration_id, %(n)s, %(status)s, %(visibility)s, 1 from core.integrations",
            of_kind,
        )
        conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, state, reason, "
            "own_seen, ats_seen) select 'acme', %(n)s, integration_id, %(n)s, 'job_code', %(link)s, "
            "case when %(link)s <> 'active' then 'undone' end, '{}', '{}' from core.integrations",
            of_kind,
        )
        if is_exposed:
            conn.execute(
                "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
                "select integration_id, %(n)s, 'ana', 'picker' from core.integrations",
                of_kind,
            )
    conn.commit()
    found = conn.execute(
        "select (l.customer_id, l.own_job_id, l.integration_id, l.kombo_job_id)::text as pair, no_target_because, "
        "core.no_target_because(l.customer_id, l.own_job_id, l.integration_id, l.kombo_job_id) as of_pair, "
        "t.own_job_id is not null as is_target from marts.job_links l left join marts.application_targets t "
        "using (customer_id, own_job_id, integration_id, kombo_job_id)"
    ).fetchall()
    assert len(found) == 32 * 36
    assert [row for row in found if (row["no_target_because"] is None) != row["is_target"]] == []
    assert [row for row in found if row["no_target_because"] != row["of_pair"]] == []
    assert sum(row["is_target"] for row in found) == 2
    assert {row["no_target_because"] for row in found} - {None} == NO_TARGET_REASONS.keys() - {"deleted", "vanished"}
    assert_told(conn, Product())


# Staleness


@pytest.mark.parametrize(
    ("days", "state", "is_stale"),
    [
        # Days since our fetch, Kombo's success and its changed data.
        ((0, 0, None), "SUCCEEDED", False),
        ((6.9, 6.9, None), "SUCCEEDED", False),
        ((7.1, 0, None), "SUCCEEDED", True),  # we could not fetch
        ((0, 30, None), "SUCCEEDED", False),  # nothing is heard: perhaps nothing has changed
        ((0, None, None), None, False),
        ((0, 6.9, None), "FAILED", False),
        ((0, 7.1, None), "FAILED", True),
        ((0, 7.1, None), "TIMED_OUT", True),
        ((0, 7.1, None), "AUTHENTICATION_FAILED", True),
        ((0, 7.1, None), "PARTIALLY_FAILED", False),  # it brought data, and nothing is heard since
        ((0, 7.1, None), "CANCELLED", False),
        ((0, 7.1, None), "A NEW WORD", False),
        ((0, None, None), "FAILED", True),  # registered 30 days ago, and never a success
        ((0, 7.1, 1), "FAILED", False),  # data came: Kombo reads the ATS
        ((None, None, None), None, True),
    ],
)
def test_data_is_stale_without_a_fetch_or_a_success_while_failures_come_and_not_by_silence(
    conn: Connection, product: Product, days: tuple[float | None, ...], state: str | None, is_stale: bool
) -> None:
    fetched, succeeded, changed = days

    def ago(days: float | None) -> str:
        return "null" if days is None else f"now() - interval '{days} days'"

    conn.execute(
        f"update core.integrations set registered_at = {ago(30)}, fetched_at = {ago(fetched)}, last_sync_state = %s, "
        f"last_sync_succeeded_at = {ago(succeeded)}, last_data_changed_at = {ago(changed)}".encode(),
        (state,),
    )
    conn.commit()
    assert_told(conn, product)
    week = timedelta(days=7)
    assert health.note_staleness(conn, after=week) == is_stale
    assert assert_told(conn, product) == ["target.closed"] * is_stale
    assert [reason for _, reason in product.closed] == ["stale"] * is_stale
    assert health.note_staleness(conn, after=week) == 0
    conn.execute("update core.integrations set fetched_at = now(), last_sync_state = 'SUCCEEDED'")
    conn.commit()
    assert_told(conn, product)
    assert health.note_staleness(conn, after=week) == is_stale
    assert assert_told(conn, product) == ["target.opened"] * is_stale


def test_an_integration_that_a_fetch_is_working_on_holds_the_tick_not_up(
    warehouse_url: str, conn: Connection, product: Product
) -> None:
    conn.execute("update core.integrations set fetched_at = now() - interval '8 days'")
    conn.commit()
    with connect(warehouse_url) as applying:
        integrations.lock(applying, "tool:one")
        assert health.note_staleness(conn, after=timedelta(days=7)) == 0
    assert health.note_staleness(conn, after=timedelta(days=7)) == 1


# Order, and transactions side by side


def test_two_transactions_that_make_a_target_together_tell_it(
    warehouse_url: str, conn: Connection, product: Product
) -> None:
    conn.execute("update core.job_links set state = 'suspended', reason = 'undone'")
    end_exposure(conn)
    conn.commit()
    assert_told(conn, product)
    with connect(warehouse_url) as other:
        expose(conn)
        other.execute("update core.job_links set state = 'active', reason = null")
        # The first one writes its notices while the second one has committed nothing, and the second one wants to.
        conn.execute("set constraints all immediate")
        committing = threading.Thread(target=other.commit)
        committing.start()
        committing.join(0.3)
        assert committing.is_alive()
        conn.commit()
        committing.join(10)
    assert "target.opened" in assert_told(conn, product)


def test_the_sequence_is_the_order_of_the_commits(warehouse_url: str, conn: Connection, product: Product) -> None:
    add_target(conn, "A-2", "j2")
    with connect(warehouse_url) as quick:
        end_exposure(quick)
        quick.commit()
    conn.commit()
    told = conn.execute("select type, kombo_job_id from marts.notices order by sequence offset 3").fetchall()
    assert [(row["type"], row["kombo_job_id"]) for row in told] == [
        ("exposure.ended", "j1"),
        ("target.closed", "j1"),
        ("link.started", "j2"),
        ("exposure.started", "j2"),
        ("target.opened", "j2"),
    ]
    assert_told(conn, product)


def test_an_own_job_that_goes_from_one_job_to_another_closes_before_it_opens(
    conn: Connection, product: Product
) -> None:
    add_target(conn, "A-2", "j2")
    conn.commit()
    assert_told(conn, product)
    conn.execute("update core.job_links set state = 'retired', reason = 'superseded' where kombo_job_id = 'j1'")
    conn.execute(
        "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
        "ats_seen) values ('acme', 'A-1', 'tool:one', 'j2', 'job_code', '{}', '{}')"
    )
    conn.commit()
    assert assert_told(conn, product) == ["target.closed", "target.opened"]
    assert {pair[3] for pair in product.targets} == {"j2"}


def test_the_sequence_goes_on_rising_after_an_older_backup_was_restored(conn: Connection, product: Product) -> None:
    end_exposure(conn)
    conn.commit()
    assert_told(conn, product)
    conn.execute("delete from core.notices; select setval('core.notices_sequence_seq', 1)")
    expose(conn)
    conn.commit()
    assert assert_told(conn, product) == ["exposure.started", "target.opened"]


def test_a_role_that_may_only_write_own_jobs_closes_a_target_with_it(
    warehouse_url: str, conn: Connection, product: Product
) -> None:
    conn.execute("drop role if exists importer")
    conn.execute("create role importer")
    conn.execute("grant usage on schema core to importer; grant select, update on core.own_jobs to importer")
    conn.commit()
    with connect(warehouse_url) as theirs:
        theirs.execute("set role importer")
        theirs.execute("update core.own_jobs set withdrawn_at = now()")
    assert assert_told(conn, product) == ["target.closed"]
    conn.execute("drop owned by importer")
    conn.execute("drop role importer")
    conn.commit()


def test_the_end_of_what_is_forgotten_is_told_with_what_was_told_before(conn: Connection, product: Product) -> None:
    forget(conn, "tool:one", forgotten_by="ana")
    assert set(assert_told(conn, product)) == {"target.closed", "integration.gone"}
    [(_, reason)] = product.closed
    assert reason == "connection_lost"
    row = conn.execute("select payload from core.notices where type = 'target.closed'").fetchone()
    assert row
    assert (row["payload"]["data"]["title"], row["payload"]["data"]["remote_id"]) == ("Nurse", "4711")


def test_ids_of_any_length_are_told(conn: Connection, product: Product) -> None:
    long = "職" * 600
    add_target(conn, long, "j" * 600)
    conn.commit()
    assert_told(conn, product)
    assert long in {pair[1] for pair in product.targets}


# Connections


def test_a_connection_is_told_when_it_is_ready_needs_the_customer_and_is_gone(
    conn: Connection, product: Product
) -> None:
    for values in (
        {"state": "INVALID"},
        {"state": "ACTIVE"},
        {"state": "INACTIVE"},
        {"state": "ACTIVE"},
        {"last_sync_state": "FAILED"},
        {"customer_id": "new owner"},
        {"deleted_at": "now"},
        {"state": "INVALID"},
    ):
        if "customer_id" in values:
            conn.execute("update core.job_links set state = 'retired', reason = 'customer_changed'")
        integrations.update(conn, "tool:one", values)
        conn.commit()
        assert_told(conn, product)
    rows = conn.execute(
        "select type, customer_id from marts.notices where type like 'integration.%' order by sequence"
    ).fetchall()
    told = [(row["type"].removeprefix("integration."), row["customer_id"]) for row in rows]
    assert told == [
        ("needs_reconnect", "acme"),
        ("ready", "acme"),
        ("ready", "acme"),
        ("gone", "acme"),
        ("ready", "new owner"),
        ("gone", "new owner"),
    ]


def test_a_new_connection_is_ready_with_its_first_fetch_and_a_typing_error_is_no_news(conn: Connection) -> None:
    integrations.register_all(conn, ["tool:new", "tool:typo"])
    conn.commit()
    integrations.update(conn, "tool:new", {"customer_id": "acme", "state": "ACTIVE"})
    integrations.unregister(conn, "tool:typo")
    conn.commit()
    product = Product()
    assert assert_told(conn, product) == []
    fetch = Fetch(
        fetch_id=1,
        integration_id="tool:new",
        kind="full",
        status="landed",
        started_at=None,
        requested_at=datetime.now(UTC),
        covers_event_seq=0,
        pages=1,
        records=0,
    )
    integrations.mark_fetched(conn, fetch)
    conn.commit()
    assert assert_told(conn, product) == ["integration.ready"]


# Both sides compare


@pytest.fixture
def command(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str, str]]]:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", warehouse_url)

    def run(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, ["targets", *arguments])
        return result.exit_code, result.stdout, result.stderr

    yield run


def test_the_hash_of_a_snapshot_is_that_of_its_lines_and_of_nobody_elses(
    conn: Connection, product: Product, command: Callable[..., Any]
) -> None:
    assert command()[1].split("\t")[:2] == ["acme", "1"]
    add_target(conn, "A-2", "j2")
    conn.commit()
    code, lines, told = command("--customer", "acme")
    assert (code, lines) == (0, "A-1\ttool:one\tj1\nA-2\ttool:one\tj2\n")
    digest = hashlib.sha256(lines.encode()).hexdigest()
    assert command()[1] == f"acme\t2\t{digest}\n"
    assert digest in told
    assert command("--customer", "nobody")[1] == ""


def test_after_an_outage_the_differences_are_told_again_and_both_sides_agree(
    conn: Connection, product: Product, command: Callable[..., Any], tmp_path: Path
) -> None:
    for number in range(2, 5):
        add_target(conn, f"A-{number}", f"j{number}")
    conn.commit()
    assert_told(conn, product)
    # The product was restored from a backup: it lost two targets and holds one that has closed and one of nobody.
    exposed_jobs.end_exposures(conn, "tool:one", ["j4"], by="ana")
    conn.commit()
    product.hear(conn)
    pairs = {(own, job): ("acme", own, "tool:one", job) for own, job in [("A-1", "j1"), ("A-2", "j2"), ("A-4", "j4")]}
    product.targets = {pairs["A-1", "j1"], pairs["A-4", "j4"], ("acme", "A-9", "tool:gone", "j9")}
    held = tmp_path / "held.tsv"
    held.write_text("".join("\t".join(pair[1:]) + "\n" for pair in product.targets))
    code, lines, told = command("--customer", "acme", "--compare", str(held))
    assert code == 0
    assert sorted(line.split("\t")[:2] for line in lines.splitlines()) == [
        ["+", "A-2"], ["+", "A-3"], ["-", "A-4"], ["-", "A-9"],
    ]  # fmt: skip
    assert "2 targets are lacking, 2 are held wrongly" in told
    assert product.hear(conn) == []
    assert "4 notices are queued" in command("--customer", "acme", "--compare", str(held), "--tell")[2]
    assert_told(conn, product)
    reasons = {pair[1]: reason for pair, reason in product.closed[-2:]}
    assert reasons == {"A-4": "exposure_ended", "A-9": "connection_lost"}
    held.write_text(command("--customer", "acme")[1])
    assert command("--customer", "acme", "--compare", str(held), "--tell")[1] == ""


@pytest.mark.parametrize("line", ["A-1 tool:one j1", "A-1\ttool:one", "\ttool:one\tj1", "A-1\ttool:one\tj1\tmore"])
def test_a_list_that_cannot_be_read_is_refused_with_its_line(
    product: Product, command: Callable[..., Any], tmp_path: Path, line: str
) -> None:
    held = tmp_path / "held.tsv"
    held.write_text(f"A-1\ttool:one\tj1\n{line}\n")
    code, _, told = command("--customer", "acme", "--compare", str(held), "--tell")
    assert code == 1
    assert "line 2 is not own_job_id, integration_id, kombo_job_id" in told


def test_what_went_past_the_triggers_is_named_and_the_next_comparison_mends_it(
    conn: Connection, product: Product
) -> None:
    conn.execute("set local session_replication_role = replica; delete from core.targets")
    conn.commit()
    assert statements.untold(conn) == [("tool:one", 1, 0)]
    targets.tell(conn, "tool:one")
    conn.commit()
    assert statements.untold(conn) == []
    assert product.targets == targets_by(conn, "core.targets")


def test_what_is_rolled_back_was_never_told(conn: Connection, product: Product) -> None:
    end_exposure(conn)
    conn.execute("set constraints all immediate")
    conn.rollback()
    assert assert_told(conn, product) == []
    with pytest.raises(psycopg.errors.DivisionByZero), conn.transaction():
        end_exposure(conn)
        conn.execute("select 1 / 0")
    conn.commit()
    assert assert_told(conn, product) == []


def test_a_savepoint_that_fails_takes_its_changes_with_it_and_no_others(conn: Connection, product: Product) -> None:
    add_target(conn, "A-2", "j2")
    conn.commit()
    assert_told(conn, product)
    for first in ("j1", "j2"):
        with pytest.raises(psycopg.errors.DivisionByZero), conn.transaction():
            exposed_jobs.end_exposures(conn, "tool:one", [first], by="ana")
            conn.execute("select 1 / 0")
        exposed_jobs.end_exposures(conn, "tool:one", ["j2"], by="ana")
    conn.commit()
    assert_told(conn, product)
    assert {pair[3] for pair in product.targets} == {"j1"}


def test_words_for_people_cover_every_reason() -> None:
    assert all(json.dumps(words) and words[0].islower() for words in NO_TARGET_REASONS.values())


def test_an_own_job_that_is_withdrawn_while_its_link_is_made_is_no_target(
    conn: Connection, product: Product, warehouse_url: str
) -> None:
    """Neither transaction sees what the other one does; whichever commits last tells the truth."""
    for first in ("link", "withdrawal"):
        conn.execute("delete from core.job_links")
        conn.execute("update core.own_jobs set withdrawn_at = null")
        conn.commit()
        assert_told(conn, product)
        with connect(warehouse_url) as other:
            conn.execute(
                """
                insert into core.job_links
                    (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, ats_seen)
                values ('acme', 'A-1', 'tool:one', 'j1', 'job_code', '{}', '{}')
                """
            )
            other.execute("update core.own_jobs set withdrawn_at = now()")
            for each in (conn, other) if first == "link" else (other, conn):
                each.commit()
        assert_told(conn, product)
        assert statements.told(conn, "acme") == []
