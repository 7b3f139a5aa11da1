"""Traps 44 to 54: what webhooks tell, and what they do not."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.orchestration import audits
from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET
from kombo_pipeline_tests.ingest.model import Served, assert_equals_kombo
from kombo_pipeline_tests.traps.subscriber import Subscriber

HOUR = timedelta(hours=1)


def body(event_type: str, data: dict[str, Any], event_id: str = "e1") -> bytes:
    return json.dumps({"id": event_id, "type": event_type, "data": data}).encode()


@pytest.mark.parametrize(
    ("state", "fetched", "who_must_act"),
    [
        ("SUCCEEDED", True, None),
        ("PARTIALLY_FAILED", True, "kombo"),
        ("FAILED", False, "kombo"),
        ("TIMED_OUT", False, "kombo"),
        ("CANCELLED", False, None),
        ("AUTHENTICATION_FAILED", False, "customer"),
        ("NEARLY_DONE", True, None),
    ],
)
def test_trap_44_what_a_sync_state_starts_and_whom_it_concerns(
    acme: Subscriber, state: str, fetched: bool, who_must_act: str | None
) -> None:
    """PARTIALLY_FAILED brought data; FAILED is a critical error; the field is an open string."""
    open_ids = acme.open_ids()
    acme.world.sync(acme.id, state)
    acme.deliver()
    assert acme.due() == ([acme.id] if fetched else [])
    assert acme.health()["who_must_act"] == who_must_act
    assert acme.open_ids() == open_ids


def test_trap_45_an_upstream_event_is_fetched_although_no_sync_finished(acme: Subscriber) -> None:
    """`sync-finished` alone misses the changes that a tool pushes to Kombo."""
    acme.edit(acme.ids()[0], name="Pushed")
    acme.world.upstream_event(acme.id, acme.ids()[0])
    hooks = acme.world.drain()
    assert [hook.type for hook in hooks] == ["data-changed"]
    acme.deliver(hooks)
    assert acme.due() == [acme.id]
    acme.fetch()
    assert acme.job(acme.ids()[0])["name"] == "Pushed"


def test_trap_45_silence_is_asked_about_and_a_broken_connection_named(acme: Subscriber) -> None:
    """`data-changed` alone gives no sign of health: silence means "no change" or "broken"."""
    acme.fetch()
    assert not acme.is_polled()
    acme.world.clock.advance(6 * HOUR)
    assert acme.is_polled()
    acme.world.set_state(acme.id, state="INVALID")
    acme.deliver()
    assert acme.due() == []
    assert (acme.health()["health"], acme.health()["who_must_act"]) == ("needs attention", "customer")


def test_trap_45_a_webhook_for_a_broken_connection_that_got_lost_is_made_up_for_by_the_details(
    acme: Subscriber,
) -> None:
    """`integration-state-changed` may be lost like any other: the details endpoint says the same."""
    acme.world.set_state(acme.id, state="INVALID")
    acme.world.drain()
    acme.fetch()
    assert (acme.health()["health"], acme.health()["who_must_act"]) == ("needs attention", "customer")


def test_trap_46_events_that_come_twice_late_and_in_disorder_make_one_run(acme: Subscriber) -> None:
    """Retries and order are documented nowhere: an event is a hint, its id tells repetitions."""
    for name in ("First", "Second"):
        acme.edit(acme.ids()[0], name=name)
        acme.world.sync(acme.id)
        acme.world.clock.advance(HOUR)
    hooks = acme.world.drain()
    acme.deliver([*reversed(hooks), *hooks])
    assert acme.one("select count(*) as n from raw.webhook_events")["n"] == len(hooks) == 4
    assert acme.due() == [acme.id]
    assert acme.fetch().changed == 1
    assert_equals_kombo(acme)
    acme.deliver(hooks)
    assert acme.due() == []


def test_trap_46_lost_events_lose_no_change(acme: Subscriber) -> None:
    """Webhooks can get lost: the slow poll asks, and the watermark knows since when."""
    acme.fetch()
    acme.world.set_status(acme.id, acme.open_ids()[0], "CLOSED")
    acme.world.sync(acme.id)
    acme.world.drain()
    acme.world.clock.advance(6 * HOUR)
    assert acme.due() == []
    assert acme.is_polled()
    acme.fetch()
    assert_equals_kombo(acme)


@pytest.mark.parametrize(
    "models",
    [[{"name": "ats_jobs"}], [{"name": "ats_perks"}], ["ats_jobs"], None],
    ids=["known", "a new model", "another shape", "missing"],
)
def test_trap_47_a_model_nobody_knows_is_a_reason_to_fetch(acme: Subscriber, models: object) -> None:
    """`data-changed` names models, not jobs; the SDK fails on a model name it does not know."""
    assert acme.post(body("data-changed", {"integration_id": acme.id, "changed_models": models})) == 200
    acme.tick()
    assert acme.due() == [acme.id]


def test_trap_48_only_the_raw_bytes_match_their_signature(acme: Subscriber) -> None:
    """Hex, padded base64 or the signature of re-serialised JSON never match."""
    raw = json.dumps(json.loads(body("data-changed", {"integration_id": acme.id})), indent=2).encode()
    mac = hmac.new(WEBHOOK_SECRET.encode(), raw, hashlib.sha256).digest()
    compact = json.dumps(json.loads(raw), separators=(",", ":")).encode()
    for wrong in (
        mac.hex(),
        base64.b64encode(mac).decode(),
        base64.urlsafe_b64encode(mac).decode(),
        sign(WEBHOOK_SECRET, compact),
        sign("another-secret-of-some-length", raw),
    ):
        assert acme.post(raw, wrong) == 401
    assert acme.one("select count(*) as n from raw.webhook_events")["n"] == 0
    assert acme.post(raw, base64.urlsafe_b64encode(mac).rstrip(b"=").decode()) == 200


def test_trap_48_a_replayed_delivery_starts_nothing_again(acme: Subscriber) -> None:
    """The signature covers no timestamp, so nothing at Kombo protects against replay."""
    acme.world.sync(acme.id)
    hooks = acme.world.drain()
    acme.deliver(hooks)
    acme.fetch()
    acme.deliver(hooks)
    assert acme.due() == []


EVENTS: dict[str, tuple[dict[str, Any], bool]] = {
    "data-changed": ({"integration_id": "ID", "integration_category": "ATS", "changed_models": []}, True),
    "integration-created": ({"id": "ID", "category": "ATS"}, True),
    "integration-state-changed": ({"integration_id": "ID", "integration_category": "ATS", "state": "ACTIVE"}, True),
    "issue-status-changed": ({"issue": {"id": "i"}, "integration": {"id": "ID", "category": "ATS"}}, True),
    "issue-status-changed ": ({"issue": {"id": "i"}, "integration": None}, False),
    "connection-flow-failed": ({"integration_tool": "personio", "integration_category": "ATS"}, False),
    "data-changed ": ({"integration_id": "ID", "integration_category": "HRIS", "changed_models": []}, False),
    "integration-created ": ({"id": "ID", "category": "LMS"}, False),
    "inline-assessment:order-received": ({"id": "ID"}, False),
    "tea-is-ready": ({"id": "ID"}, False),
}


@pytest.mark.parametrize("event_type", list(EVENTS))
def test_trap_49_the_integration_is_found_wherever_the_type_keeps_it_and_only_if_it_is_an_ats(
    acme: Subscriber, event_type: str
) -> None:
    """Its id sits in one of three places or nowhere; HRIS and LMS events reach the same endpoint."""
    integration_id = "workday:CBNMt7dSNCzBdnRTx87dev4E"
    data, ours = EVENTS[event_type]
    assert acme.post(body(event_type.strip(), json.loads(json.dumps(data).replace("ID", integration_id)))) == 200
    acme.tick()
    assert acme.one("select event_type from raw.webhook_events")["event_type"] == event_type.strip()
    assert integrations.registered(acme.conn) == [acme.id, *([integration_id] if ours else [])]


def test_trap_50_a_sync_finished_as_the_guide_prints_it_is_understood(acme: Subscriber) -> None:
    """The guide's sample lacks `end_user`, an old one has a fractional duration: the SDK rejects both."""
    event = {
        "integration_id": acme.id,
        "integration_tool": "greenhouse",
        "sync_id": "s1",
        "sync_state": "SUCCEEDED",
        "sync_started_at": "2026-09-14T09:00:00.000Z",
        "sync_ended_at": "2026-09-14T09:00:09.500Z",
        "sync_duration_seconds": 9.5,
    }
    customer_id = acme.integration()["customer_id"]
    assert acme.post(body("sync-finished", event)) == 200
    acme.tick()
    assert acme.due() == [acme.id]
    state = acme.integration()
    assert (state["last_sync_state"], state["customer_id"]) == ("SUCCEEDED", customer_id)


def test_trap_51_a_run_for_an_integration_without_data_waits_and_the_first_sync_starts_another(
    connect: Callable[..., Subscriber],
) -> None:
    """`integration-created` arrives before any data is readable."""
    customer = connect(jobs=5, synced=False)
    customer.deliver()
    assert customer.due() == [customer.id]
    assert customer.land().status == "waiting"
    assert customer.apply() == []
    customer.world.sync(customer.id)
    customer.deliver()
    assert customer.due() == [customer.id]
    customer.fetch()
    assert customer.due() == []
    assert_equals_kombo(customer)


def test_trap_51_a_failed_connection_attempt_is_no_verdict(acme: Subscriber) -> None:
    """After `connection-flow-failed` the user may still succeed."""
    before = acme.health()
    acme.world.connection_flow_failed()
    acme.deliver()
    assert acme.due() == []
    after = acme.health()
    assert {key for key in after if after[key] != before[key]} <= {"age"}


def test_trap_52_active_is_not_fresh(acme: Subscriber) -> None:
    """Failing syncs and up to three days of failing authentication still show ACTIVE."""
    acme.conn.execute(
        "update core.integrations set fetched_at = now() - interval '25 hours', "
        "registered_at = now() - interval '2 days'"
    )
    health = acme.health()
    assert (health["state"], health["health"], health["stale"]) == ("ACTIVE", "healthy", True)
    stale = audits.stale_integrations(acme.conn)
    assert [each.integration_id for each in stale] == [acme.id]
    acme.conn.rollback()
    for state in ("SUCCEEDED", "AUTHENTICATION_FAILED"):
        acme.world.sync(acme.id, state)
        acme.world.clock.advance(HOUR)
    acme.deliver()
    health = acme.health()
    # This world's clock runs ahead of ours: no event tells of a time later than its arrival.
    query = "select received_at from raw.webhook_events where payload #>> '{data,sync_state}' = 'SUCCEEDED'"
    succeeded_at = acme.one(query)["received_at"]
    assert (health["state"], health["health"], health["who_must_act"]) == ("ACTIVE", "needs attention", "customer")
    assert health["last_sync_succeeded_at"] == succeeded_at


def test_trap_52_a_copy_of_what_kombo_last_read_days_ago_is_not_healthy(
    connect: Callable[..., Subscriber], served: Served
) -> None:
    """Our own fetches go on succeeding when Kombo's syncs have stopped without a word."""
    served.world.clock = Clock(datetime.now(UTC) - timedelta(days=5))
    customer = connect(jobs=5)
    customer.deliver()
    # The events were received when Kombo sent them, not when this test delivered them.
    customer.conn.execute("update core.integrations set last_data_changed_at = last_sync_succeeded_at")
    customer.world.clock.advance(timedelta(days=5))
    customer.fetch()
    health = customer.health()
    assert datetime.now(UTC) - health["last_sync_succeeded_at"] > timedelta(days=4)
    assert health["stale"] or health["health"] != "healthy"


@pytest.mark.parametrize("heard", ["sync-finished", "data-changed", "nothing"])
def test_trap_53_an_integration_whose_creation_got_lost_is_synced_all_the_same(
    connect: Callable[..., Subscriber], heard: str
) -> None:
    """There is no call that lists integrations: one that nobody told of would never be fetched."""
    customer = connect(jobs=5)
    customer.deliver([hook for hook in customer.world.drain() if hook.type == heard])
    if heard == "nothing":
        customer.fetch()  # as `kombo-pipeline sync INTEGRATION_ID` does
        customer.world.clock.advance(6 * HOUR)
        assert customer.is_polled()
    else:
        assert customer.due() == [customer.id]
        customer.fetch()
    assert integrations.registered(customer.conn) == [customer.id]
    assert_equals_kombo(customer)


def force_sync(acme: Subscriber) -> dict[str, Any]:
    """What somebody does in Kombo's dashboard or by its API."""
    headers = {"Authorization": "Bearer sandbox-key", "X-Integration-Id": acme.id}
    answer = httpx.post(f"{acme.url}/force-sync", json={"type": "DELTA"}, headers=headers)
    return answer.json()["data"]  # type: ignore[no-any-return]


def test_trap_54_a_forced_sync_ends_with_a_webhook_and_no_fetch_forces_one(acme: Subscriber) -> None:
    """`/force-sync` is no poll; it may answer `already_queued` and another type."""
    behaviour = acme.world.behaviour
    behaviour.delta_syncs, behaviour.force_sync_delay_seconds = False, 600
    acme.edit(acme.ids()[0], name="Forced")
    first, second = (force_sync(acme) for _ in range(2))
    assert (first["type"], first["already_queued"], second["already_queued"]) == ("FULL", False, True)
    acme.fetch()
    assert acme.job(acme.ids()[0])["name"] != "Forced"
    acme.deliver()
    assert acme.due() == []
    acme.world.clock.advance(timedelta(minutes=11))
    acme.deliver()
    assert acme.due() == [acme.id]
    acme.fetch(full=True)
    assert acme.job(acme.ids()[0])["name"] == "Forced"
    assert [request.path for request in acme.world.requests if request.method == "POST"] == ["/v1/force-sync"] * 2
