"""Events stand alone: an odd one costs itself, and a backlog costs few statements."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kombo_pipeline import limits
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.ingest import events, interpreting
from kombo_pipeline.ingest.identity import instant, usable_id
from kombo_pipeline.ingest.statements import integration_issues, integrations, webhook_events
from kombo_pipeline.kombo import webhooks

ACME = "greenhouse:acme"
TYPES = (
    *("sync-finished", "data-changed", "integration-created", "integration-deleted", "integration-state-changed"),
    *("issue-status-changed", "connection-flow-failed", "remote-event-received", "tea-is-ready"),
)
GOOD = {"integration_id": ACME, "integration_category": "ATS", "sync_state": "SUCCEEDED"}


def body(event_type: object, data: Any, event_id: object = None) -> bytes:
    return json.dumps({"id": event_id or str(uuid4()), "type": event_type, "data": data}).encode()


def land(conn: Connection, *raws: bytes, received_at: datetime | None = None) -> list[str]:
    """Land bodies as the receiver does; return the ids of the events."""
    ids = []
    for raw in raws:
        event = webhooks.parse(raw)
        ids.append(webhooks.event_id_of(raw, event))
        conn.execute(
            "insert into raw.webhook_events (event_id, event_type, integration_id, body, payload, received_at) "
            "values (%s, %s, %s, %b, %s, coalesce(%s, clock_timestamp())) on conflict do nothing",
            (
                ids[-1],
                event.event_type if event else None,
                event.integration_id if event else None,
                raw,
                webhooks.jsonb_text(raw) if event else None,
                received_at,
            ),
        )
    conn.commit()
    return ids


def tick(conn: Connection) -> int:
    seen = events.work_off(conn, seconds=60)
    assert events.observe_events(conn) == 0
    conn.commit()
    return seen


def dead(conn: Connection) -> dict[str, str]:
    return {row["event_id"]: row["reason"] for row in conn.execute("select event_id, reason from marts.dead_events")}


def integration(conn: Connection, integration_id: str = ACME) -> dict[str, Any]:
    row = conn.execute("select * from core.integrations where integration_id = %s", (integration_id,)).fetchone()
    assert row is not None
    return row


# An odd event costs itself

ODD: dict[str, bytes] = {
    "an integration id with a blank": body("data-changed", GOOD | {"integration_id": "personio:a b"}),
    "with a comma": body("sync-finished", GOOD | {"integration_id": "personio:a,b"}),
    "with a slash": body("integration-created", {"id": "personio/ab", "category": "ATS"}),
    "with an umlaut": body("integration-state-changed", {"integration_id": "personio:ä", "state": "ACTIVE"}),
    "with a NUL": body("data-changed", {"integration_id": "personio:a\0b"}),
    "with a lone surrogate": body("data-changed", {"integration_id": "personio:\ud800"}),
    "an empty integration id": body("data-changed", {"integration_id": ""}),
    "a very long integration id": body("data-changed", {"integration_id": "p" * 6000}),
    "a number as integration id": body("sync-finished", {"integration_id": 42}),
    "no integration id": body("sync-finished", {"sync_state": "SUCCEEDED"}),
    "data that is a list": body("sync-finished", [GOOD]),
    "no data": body("integration-deleted", None),
    "an issue with a very long id": body("issue-status-changed", {"issue": {"id": "i" * 6000}, "integration_id": ACME}),
    "an issue without an id": body("issue-status-changed", {"issue": {"title": "x"}, "integration_id": ACME}),
    "no JSON": b"no json",
    "no type": b'{"id": "e"}',
    "deep nesting": b'{"id": "e", "type": "data-changed", "data": ' + b"[" * 9000 + b"]" * 9000 + b"}",
}


LIMITS: dict[str, tuple[str, Any, limits.Limit]] = {
    # Column -> the type of an event, how its data holds a text, the limit
    "customer_id": ("sync-finished", lambda text: {"end_user": {"origin_id": text}}, limits.CODE),
    "organization_name": ("sync-finished", lambda text: {"end_user": {"organization_name": text}}, limits.NAME),
    "tool": ("sync-finished", lambda text: {"integration_tool": text}, limits.WORD),
    "last_sync_state": ("sync-finished", lambda text: {"sync_state": text}, limits.WORD),
    "last_sync_id": ("sync-finished", lambda text: {"sync_id": text}, limits.CODE),
    "last_sync_log_url": ("sync-finished", lambda text: {"log_url": text}, limits.ADDRESS),
    "state": ("integration-state-changed", lambda text: {"state": text}, limits.WORD),
    "setup_status": ("integration-state-changed", lambda text: {"setup_status": text}, limits.WORD),
    "qa_status": ("integration-state-changed", lambda text: {"qa_status": text}, limits.WORD),
}


@pytest.mark.parametrize("column", LIMITS)
@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
def test_a_text_of_an_event_is_stored_up_to_its_limit_and_left_out_beyond(
    conn: Connection, column: str, letter: str
) -> None:
    event_type, holding, limit = LIMITS[column]
    land(conn, body(event_type, {"integration_id": ACME, **holding(letter * (limit.most + 1))}))
    tick(conn)
    assert integration(conn)[column] is None
    land(conn, body(event_type, {"integration_id": ACME, **holding(letter * limit.most)}))
    tick(conn)
    assert integration(conn)[column] == letter * limit.most
    assert dead(conn) == {}


@pytest.mark.parametrize("odd", ODD)
def test_what_nobody_can_act_on_is_a_dead_letter_and_the_next_event_is_handled(conn: Connection, odd: str) -> None:
    before, event_id, after = land(
        conn, body("data-changed", GOOD | {"integration_id": "a:1"}), ODD[odd], body("sync-finished", GOOD)
    )
    assert tick(conn) == 3
    [(died, reason)] = dead(conn).items()
    assert died == event_id
    assert reason.isprintable()
    if odd.startswith(("with a", "an integration id")):
        assert "integration id" in reason
    assert len(reason) < 400
    waiting = conn.execute("select event_id from raw.webhook_events where starts_fetch order by event_seq").fetchall()
    assert [row["event_id"] for row in waiting] == [before, after]
    assert sorted(integrations.registered(conn)) == ["a:1", ACME]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("end_user", {"origin_id": value})
            for value in ("r" * 6000, "", " ", "\0", "a\0b", "\ud800", 7, None, [], {})
        ),
        *(("end_user", value) for value in ("text", 7, [], {"organization_name": "n" * 6000})),
        *(("updated_at", value) for value in ("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+02:00", "", 7, [])),
        *(("sync_ended_at", value) for value in ("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+23:59", "2099", {})),
        *(("deleted_at", value) for value in ("9999-12-31T23:59:59-05:00", "0000-00-00", None, 1e300)),
        *(("sync_state", value) for value in ("\0", "S" * 6000, {}, 3)),
        *(("integration_tool", value) for value in ("\0", "t" * 6000, {}, 3)),
        *(("log_url", value) for value in ("\ud800", "u" * 100_000)),
        *(("changed_models", value) for value in ("x", [[[]]], {"name": 1})),
    ],
)
def test_an_odd_field_costs_that_field(conn: Connection, name: str, value: object) -> None:
    """The event is understood: whom it concerns and that it asks for a fetch does not depend on the field."""
    types = ("sync-finished", "data-changed", "integration-state-changed", "integration-created", "integration-deleted")
    raws = [body(kind, {"integration_id": f"a:{n}", name: value}) for n, kind in enumerate(types)]
    land(conn, *raws)
    assert tick(conn) == len(types)
    assert dead(conn) == {}
    assert [integration(conn, f"a:{n}")["deleted_at"] is None for n in range(4)] == [True] * 4
    row = integration(conn, "a:0")
    assert row["customer_id"] is None
    assert row["last_sync_ended_at"] <= datetime.now(UTC)
    assert integration(conn, "a:4")["deleted_at"] <= datetime.now(UTC)


def test_one_mistake_of_ours_costs_one_event(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(reading: Any, known: Any, **options: Any) -> Any:
        if reading.data.get("sync_id") == "odd":
            raise KeyError("a\nmistake")
        return interpreting.interpret(reading, known, **options)

    monkeypatch.setattr(events, "interpret", mistaken)
    _, odd, _ = land(conn, *(body("sync-finished", GOOD | {"sync_id": each}) for each in ("a", "odd", "b")))
    assert tick(conn) == 3
    assert list(dead(conn)) == [odd]
    assert dead(conn)[odd].startswith("KeyError: ")
    assert integration(conn)["last_sync_id"] == "b"


@pytest.fixture
def refused_name(conn: Connection) -> Iterator[str]:
    """A name that only Postgres refuses: it stands for what nobody has foreseen."""
    conn.execute("alter table core.integrations add constraint odd check (organization_name is distinct from 'odd')")
    conn.commit()
    yield "odd"
    conn.rollback()
    conn.execute("alter table core.integrations drop constraint odd")
    conn.commit()


def test_what_only_postgres_refuses_is_found_by_halving(conn: Connection, refused_name: str) -> None:
    raws = [
        body(
            "data-changed",
            {"integration_id": f"a:{n}", "end_user": {"organization_name": refused_name if n == 7 else "x"}},
        )
        for n in range(20)
    ]
    ids = land(conn, *raws)
    assert tick(conn) == 20
    assert list(dead(conn)) == [ids[7]]
    assert "CheckViolation" in dead(conn)[ids[7]]
    names = conn.execute("select organization_name from core.integrations where organization_name = 'x'").fetchall()
    assert len(names) == 19
    assert conn.execute("select from raw.webhook_events where starts_fetch").rowcount == 19


def test_many_odd_events_stop_at_the_time_that_is_given_and_go_on_later(conn: Connection, refused_name: str) -> None:
    land(conn, *(body("data-changed", GOOD | {"end_user": {"organization_name": refused_name}}) for _ in range(8)))
    assert events.observe_events(conn, until=time.monotonic() - 1) == 1
    conn.commit()
    assert tick(conn) == 7
    assert len(dead(conn)) == 8


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("the connection is lost"),
        psycopg.errors.AdminShutdown("terminating"),
        psycopg.errors.DeadlockDetected("deadlock"),
        psycopg.errors.DiskFull("no space"),
        psycopg.errors.QueryCanceled("statement timeout"),
        psycopg.errors.ReadOnlySqlTransaction("a standby"),
        psycopg.errors.UndefinedColumn("not migrated"),
        psycopg.errors.InsufficientPrivilege("no rights"),
        psycopg.InterfaceError("the connection is closed"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_fails_makes_no_dead_letter_and_loses_nothing(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: Any) -> None:
        raise error

    land(conn, *(body("sync-finished", GOOD) for _ in range(3)))
    with monkeypatch.context() as patched:
        patched.setattr(integrations, "write_told", failing)
        with pytest.raises(type(error)):
            events.work_off(conn, seconds=20)
    conn.rollback()
    assert dead(conn) == {}
    assert tick(conn) == 3
    assert dead(conn) == {}


def test_a_connection_that_is_cut_in_mid_batch_loses_nothing(
    conn: Connection, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(conn, *(body("sync-finished", GOOD) for _ in range(3)))

    def cut(own: Connection, *_: Any) -> None:
        conn.execute("select pg_terminate_backend(%s)", (own.info.backend_pid,))
        conn.commit()
        own.execute("select 1")

    with connect(warehouse_url) as own, monkeypatch.context() as patched:
        patched.setattr(integration_issues, "keep_newest", cut)
        with pytest.raises(psycopg.OperationalError):
            events.work_off(own, seconds=20)
        own.close()
    assert tick(conn) == 3
    assert dead(conn) == {}


def test_a_replay_takes_dead_events_up_again_and_their_bodies_are_never_pruned(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    [odd, waiting] = land(conn, ODD["an integration id with a blank"], body("sync-finished", GOOD))
    tick(conn)
    webhook_events.empty_bodies(conn, older_than=timedelta(0))
    kept = conn.execute("select event_id from raw.webhook_events where body is not null").fetchall()
    assert {row["event_id"] for row in kept} == {odd, waiting}
    assert [row.event_id for row in webhook_events.replay(conn, [odd])] == [odd]
    assert dead(conn) == {}
    assert tick(conn) == 1
    assert list(dead(conn)) == [odd]
    assert {row.event_id for row in webhook_events.replay(conn, None)} == {odd, waiting}
    monkeypatch.setattr("kombo_pipeline.kombo.webhooks.told_integration_id", lambda *_: None)
    monkeypatch.setattr(interpreting, "_NAMES_AN_INTEGRATION", frozenset())
    assert tick(conn) == 2
    assert dead(conn) == {}


# Any JSON

texts = st.text(st.characters() | st.sampled_from("\0\ud800\udfff,/ \u200b"), max_size=30)
odd_values = (
    st.sampled_from(
        [
            *(
                "9999-12-31T23:59:59-05:00",
                "0001-01-01T00:00:00+23:59",
                "2026-02-30",
                "2099-01-01T00:00:00Z",
                "x" * 7000,
            ),
            *("ATS", "SUCCEEDED", "RESOLVED", ACME, "a:b", "\0", "", " ", 10**400, 1e308, -1, True, None),
        ]
    )
    | texts
    | st.datetimes().map(datetime.isoformat)
    | st.floats()
    | st.integers()
)
any_json = st.recursive(
    odd_values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
names = st.sampled_from(
    [
        *("integration_id", "id", "integration", "issue", "end_user", "integration_tool", "integration_category"),
        *("category", "sync_state", "sync_ended_at", "sync_id", "log_url", "state", "setup_status", "qa_status"),
        *("updated_at", "deleted_at", "created_at", "changed_models", "organization_name", "origin_id", "title"),
        *("status", "markdown_message", "first_observed_at", "resolved_at", "type", "name"),
    ]
)
objects = st.recursive(
    st.dictionaries(names, any_json, max_size=6),
    lambda inner: st.dictionaries(names, inner | any_json, max_size=6),
    max_leaves=4,
)
bodies = st.builds(
    lambda kind, data, ours: json.dumps(
        {"id": str(uuid4()), "type": kind, "data": data | ({"integration_id": ACME} if ours else {})}
    ).encode(),
    st.sampled_from(TYPES),
    objects,
    st.booleans(),
) | st.builds(body, st.sampled_from(TYPES) | any_json.filter(bool), any_json)


@settings(max_examples=45, deadline=None, suppress_health_check=list(HealthCheck))
@given(raws=st.lists(bodies | st.binary(max_size=40), min_size=50, max_size=60))
def test_any_json_leaves_every_other_customer_handled(conn: Connection, raws: list[bytes]) -> None:
    """Some thousand random events, in batches with a good one at the end."""
    good = f"a:{uuid4().hex}"
    ids = land(conn, *raws, body("sync-finished", GOOD | {"integration_id": good}))
    assert tick(conn) <= len(ids)
    assert conn.execute("select from raw.webhook_events where starts_fetch is null").rowcount == 0
    assert conn.execute("select from raw.webhook_events where starts_fetch and integration_id = %s", (good,)).rowcount
    # Everything that was written can be read.
    for table in ("core.integrations", "core.integration_issues", "marts.integration_health", "marts.dead_events"):
        conn.execute(f"select * from {table}").fetchall()
    conn.commit()


@given(value=any_json)
def test_a_date_that_can_be_read_lies_within_reach_and_every_other_is_none(value: object) -> None:
    moment = instant(value)
    assert moment is None or moment.utcoffset() == timedelta(0)


@given(value=any_json)
def test_an_id_that_can_be_used_can_be_stored_and_is_stripped(value: object) -> None:
    found = usable_id(value)
    assert found is None or (0 < len(found) <= 500 and found == found.strip() and "\0" not in found)
    assert found is None or found.encode()


# Identity


def told(origin: object = None, kind: str = "data-changed", **data: Any) -> bytes:
    return body(kind, {"integration_id": ACME, "end_user": {"origin_id": origin}} | data)


NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_the_newest_event_names_the_owner_and_a_replay_of_an_older_one_does_not(conn: Connection) -> None:
    old, _ = land(conn, told("crm-17", "integration-created"), told("acme"))
    tick(conn)
    assert integration(conn)["customer_id"] == "acme"
    webhook_events.replay(conn, [old])
    tick(conn)
    assert integration(conn)["customer_id"] == "acme"


def test_a_replay_of_the_newest_event_changes_nobody_either(conn: Connection) -> None:
    [newest] = land(conn, told("crm-17"))
    tick(conn)
    integrations.update(conn, ACME, {"customer_id": "acme"})
    webhook_events.replay(conn, [newest])
    tick(conn)
    assert integration(conn)["customer_id"] == "acme"


def test_an_event_that_was_received_before_the_details_were_read_changes_nobody(conn: Connection) -> None:
    integrations.register(conn, ACME)
    integrations.update(conn, ACME, {"customer_id": "acme", "tool": "greenhouse", "details_read_at": NOW})
    land(conn, told("crm-17", integration_tool="lever"), received_at=NOW - timedelta(seconds=1))
    land(
        conn,
        told("crm-17", "sync-finished", sync_ended_at="2026-11-01T11:00:00Z"),
        received_at=NOW + timedelta(hours=1),
    )
    tick(conn)
    row = integration(conn)
    assert (row["customer_id"], row["tool"], row["organization_name"]) == ("acme", "greenhouse", None)
    land(conn, told("crm-17", integration_tool="lever"), received_at=NOW + timedelta(seconds=1))
    tick(conn)
    assert (integration(conn)["customer_id"], integration(conn)["tool"]) == ("crm-17", "lever")


def test_an_event_that_kombo_dates_before_the_one_that_is_known_changes_nobody(conn: Connection) -> None:
    def ended(origin: str, hour: int) -> bytes:
        return told(origin, "sync-finished", sync_ended_at=f"2026-11-01T{hour:02}:00:00Z")

    land(conn, ended("acme", 11), ended("crm-17", 9), received_at=NOW)
    tick(conn)
    assert integration(conn)["customer_id"] == "acme"


def test_an_old_event_fills_in_what_nobody_has_told(conn: Connection) -> None:
    old, _ = land(conn, told(None, organization_name="x", integration_tool="lever"), told("acme"))
    tick(conn)
    integrations.update(conn, ACME, {"tool": None})
    webhook_events.replay(conn, [old])
    tick(conn)
    assert integration(conn)["tool"] == "lever"


# Times


@pytest.mark.parametrize("future", ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59-05:00", "soon", None])
@pytest.mark.parametrize("own", ["2026-11-01T11:59:00Z", "2099-01-01T00:00:00Z", None])
def test_a_time_in_the_future_hides_no_later_state(conn: Connection, future: str | None, own: str | None) -> None:
    def sync(state: str, ended_at: str | None) -> bytes:
        return body("sync-finished", GOOD | {"sync_state": state, "sync_ended_at": ended_at})

    def state(word: str, updated_at: str | None) -> bytes:
        return body("integration-state-changed", {"integration_id": ACME, "state": word, "updated_at": updated_at})

    land(conn, sync("SUCCEEDED", future), state("ACTIVE", future), received_at=NOW)
    tick(conn)
    assert integration(conn)["last_sync_ended_at"] == integration(conn)["state_updated_at"] == NOW
    assert integration(conn)["last_sync_succeeded_at"] == NOW
    later = NOW + timedelta(minutes=1)
    land(conn, sync("AUTHENTICATION_FAILED", own), state("INVALID", own), received_at=later)
    tick(conn)
    row = integration(conn)
    assert (row["last_sync_state"], row["state"], row["who_must_act"]) == (
        "AUTHENTICATION_FAILED",
        "INVALID",
        "customer",
    )


def test_a_late_sync_that_kombo_dates_earlier_hides_no_newer_one(conn: Connection) -> None:
    for state, ended_at in (("FAILED", "2026-11-01T11:00:00Z"), ("SUCCEEDED", "2026-11-01T10:00:00Z")):
        land(conn, body("sync-finished", GOOD | {"sync_state": state, "sync_ended_at": ended_at}), received_at=NOW)
        tick(conn)
    row = integration(conn)
    assert row["last_sync_state"] == "FAILED"
    assert row["last_sync_succeeded_at"] == datetime(2026, 11, 1, 10, tzinfo=UTC)


def test_of_an_issue_the_newest_state_counts_and_a_resolved_one_stays_resolved(conn: Connection) -> None:
    def issue(status: str) -> bytes:
        return body("issue-status-changed", {"issue": {"id": "i", "status": status}, "integration": {"id": ACME}})

    land(conn, issue("OPEN"), issue("RESOLVED"), issue("OPEN"))
    tick(conn)
    land(conn, issue("OPEN"))
    tick(conn)
    assert conn.execute("select status from core.integration_issues").fetchall() == [{"status": "RESOLVED"}]


# A backlog costs few statements


class Proxy:
    """A way to Postgres that is `delay` seconds longer for each round trip, and counts them."""

    def __init__(self, warehouse_url: str, delay: float) -> None:
        self._target, self._delay = urlsplit(warehouse_url), delay
        self.round_trips = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        login = self._target.netloc.rpartition("@")[0]
        address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = self._target._replace(netloc=f"{login}@{address}" if login else address).geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._target.hostname or "", self._target.port or 5432))
            self._turn = "server"
            for source, sink, side in ((client, server, "client"), (server, client, "server")):
                threading.Thread(target=self._pump, args=(source, sink, side), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, side: str) -> None:
        with source, sink:
            while True:
                try:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if side == "client" and self._turn != "client":
                        self.round_trips += 1
                        time.sleep(self._delay)
                    self._turn = side
                    sink.sendall(data)
                except OSError:
                    return

    def close(self) -> None:
        self._listener.close()


@contextmanager
def far_away(warehouse_url: str, *, delay: float = 0.01) -> Iterator[tuple[Connection, Proxy]]:
    proxy = Proxy(warehouse_url, delay)
    with connect(proxy.url) as conn:
        yield conn, proxy
    proxy.close()


def backlog(conn: Connection, number: int, *, of: int) -> None:
    """Events of many integrations that tell owners, states, syncs and issues."""
    conn.execute(
        """
        insert into raw.webhook_events (event_id, event_type, integration_id, body, payload)
        select
            'event-' || n,
            kinds[1 + n %% 4],
            'greenhouse:' || n %% %(of)s,
            'x',
            jsonb_build_object('data', jsonb_build_object(
                'integration_id', 'greenhouse:' || n %% %(of)s,
                'end_user', jsonb_build_object('origin_id', 'customer-' || n %% %(of)s),
                'sync_state', 'SUCCEEDED',
                'state', 'ACTIVE',
                'issue', jsonb_build_object('id', 'issue-' || n, 'status', 'OPEN')
            ))
        from generate_series(1, %(number)s) n,
            (select string_to_array(%(kinds)s, ' ') as kinds) k
        """,
        {
            "number": number,
            "of": of,
            "kinds": "sync-finished data-changed integration-state-changed issue-status-changed",
        },
    )
    conn.commit()


def test_a_thousand_events_of_two_hundred_customers_cost_few_round_trips(conn: Connection, warehouse_url: str) -> None:
    with far_away(warehouse_url) as (far, proxy):
        for new in (True, False):
            conn.execute("delete from raw.webhook_events")
            backlog(conn, 1000, of=200)
            before = proxy.round_trips
            assert events.observe_events(far) == 1000
            far.commit()
            assert proxy.round_trips - before < (20 if new else 16)
    assert len(integrations.registered(conn)) == 200
    assert conn.execute("select from raw.webhook_events where starts_fetch").rowcount == 500


@pytest.mark.long
def test_fifty_thousand_events_are_through_in_one_tick_with_10_ms_to_the_database(
    conn: Connection, warehouse_url: str
) -> None:
    backlog(conn, 50_000, of=2000)
    with far_away(warehouse_url) as (far, _):
        began, seen = time.monotonic(), 0
        ticks = []
        while seen < 50_000:
            at = time.monotonic()
            seen += events.work_off(far, seconds=20)
            ticks.append(time.monotonic() - at)
        assert max(ticks) < 40
        assert time.monotonic() - began < 120
    assert dead(conn) == {}
