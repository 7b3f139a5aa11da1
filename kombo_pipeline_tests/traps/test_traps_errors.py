"""Traps 25 to 31: what Kombo answers when it has no jobs to give."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

import pytest

from kombo_pipeline.kombo.errors import KomboRefused, KomboUnavailable
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline_tests.ingest.model import assert_equals_kombo
from kombo_pipeline_tests.traps.subscriber import Subscriber

JSON = {"content-type": "application/json"}
GUIDE = "The first sync of this integration didn't finish yet! You can keep polling this until you get a response."


def error(**fields: str | None) -> str:
    return json.dumps({"status": "error", "error": fields})


@pytest.mark.parametrize("answer", ["409", "503", "message-only"])
def test_trap_25_a_first_sync_still_running_is_a_state_whatever_it_is_answered_with(
    connect: Callable[..., Subscriber], answer: str
) -> None:
    """409 with a code today, 503 with one until May 2026, 503 with a bare message in the guide."""
    customer = connect(jobs=3, synced=False)
    customer.world.behaviour.pending_answer = answer
    assert customer.land().status == "waiting"
    assert len(customer.requests()) == 1
    assert customer.health()["health"] == "waiting"
    assert customer.integration()["kombo_last_sync_started_at"] is None
    customer.sync_and_fetch()
    assert_equals_kombo(customer)
    assert customer.health()["health"] == "healthy"


@pytest.mark.parametrize(
    ("unfinished", "who_must_act"), [({"setup_status": "INCOMPLETE"}, "customer"), ({"qa_status": "FAILED"}, "kombo")]
)
def test_trap_26_what_needs_people_is_named_and_asked_again_slowly(
    connect: Callable[..., Subscriber], unfinished: dict[str, str], who_must_act: str
) -> None:
    """SETUP_INCOMPLETE and QA_FAILED share the status of a running first sync, which may take hours itself."""
    customer = connect(synced=False)
    customer.world.set_state(customer.id, **unfinished)
    assert customer.land().status == "waiting"
    assert len(customer.requests()) == 1
    assert customer.health()["who_must_act"] == who_must_act
    customer.world.clock.advance(timedelta(minutes=59))
    assert not customer.is_polled()
    customer.world.clock.advance(timedelta(minutes=1))
    assert customer.is_polled()


@pytest.mark.parametrize(
    ("status", "body", "outcome", "told"),
    [
        (503, error(message=GUIDE), "waiting", "first sync"),
        (409, error(code="INTEGRATION.SETUP_SYNC_PENDING", title="T", message="Patience"), "waiting", "Patience"),
        (400, error(code=None, title=None, message="No such day", log_url=None), "refused", "No such day"),
        (403, error(code="PLATFORM.COFFEE_BREAK", title="T", message="Pause"), "refused", "Pause"),
        (403, "<html><h1>403 Forbidden</h1></html>", "refused", "403 Forbidden"),
        (502, "<html><h1>502 Bad Gateway</h1></html>", "unavailable", "502 Bad Gateway"),
        (503, "", "unavailable", "without a Kombo error"),
    ],
    ids=["message only", "no log_url", "no code", "new code", "HTML refusal", "HTML outage", "nothing"],
)
def test_trap_27_an_error_of_any_shape_is_understood(
    acme: Subscriber, status: int, body: str, outcome: str, told: str
) -> None:
    """The SDK breaks on each of these bodies instead of telling what Kombo said."""
    acme.world.faults.append(Fault("answer", status=status, body=body, headers=JSON, path="/ats/jobs", times=9))
    with nullcontext() if outcome == "waiting" else pytest.raises((KomboRefused, KomboUnavailable), match=told):
        acme.land()
    state = acme.integration()
    assert state["fetch_state"] == outcome
    assert told in state["fetch_error"]
    assert state["fetch_error_code"] == (json.loads(body)["error"].get("code") if body.startswith("{") else None)


def test_trap_28_an_answer_slower_than_five_seconds_is_waited_for(acme: Subscriber) -> None:
    """The SDK gives up after 5 s."""
    acme.world.faults.append(Fault("slow", seconds=5.5, path="/ats/jobs"))
    with acme.client(max_attempts=1) as acme.kombo:
        assert acme.land().status == "landed"


@pytest.mark.parametrize("kind", ["drop", "truncate"])
def test_trap_28_a_connection_that_breaks_is_tried_again(acme: Subscriber, kind: str) -> None:
    """The SDK retries nothing, and with a plain RetryConfig no broken connection."""
    acme.world.faults.append(Fault(kind, path="/ats/jobs"))
    assert acme.land().status == "landed"
    assert len(acme.requests()) == 2


@pytest.mark.parametrize(
    ("headers", "shortest", "longest"),
    [({"ratelimit-reset": "57"}, 57, 120), ({"retry-after": "86400"}, 300, 300), ({"retry-after": "7"}, 7, 70)],
    ids=["ratelimit-reset", "Retry-After of a day", "Retry-After"],
)
def test_trap_29_a_429_is_waited_for_as_long_as_kombo_says_within_reason(
    acme: Subscriber, headers: dict[str, str], shortest: float, longest: float
) -> None:
    """Kombo announces `ratelimit-reset`; the SDK honours only Retry-After, and that without a cap."""
    waits: list[float] = []
    body = error(code="PLATFORM.RATE_LIMIT_EXCEEDED", title="T", message="M", log_url=None)
    acme.world.faults.append(Fault("answer", status=429, body=body, headers=JSON | headers, path="/ats/jobs"))
    with acme.client(sleep=waits.append) as acme.kombo:
        assert acme.land().status == "landed"
    [wait] = waits
    assert shortest <= wait <= longest


def test_trap_30_the_tenant_is_the_partition_and_no_environment_variable(
    acme: Subscriber, connect: Callable[..., Subscriber], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the SDK `INTEGRATION_ID` silently becomes the tenant of every call; without it no header is sent."""
    other = connect(jobs=5)
    monkeypatch.setenv("INTEGRATION_ID", other.id)
    with acme.client() as acme.kombo:
        acme.fetch(full=True)
    assert {request.integration_id for request in acme.requests()} == {acme.id}
    assert_equals_kombo(acme)
    assert other.lifecycles() == {}


@pytest.mark.parametrize("wrong", ["key", "environment"])
def test_trap_31_what_looks_like_a_deleted_customer_closes_nothing(acme: Subscriber, wrong: str) -> None:
    """A key of another environment or region gets 401 or 404, as does a customer who is gone."""
    open_ids, watermark = acme.open_ids(), acme.integration()["kombo_last_sync_started_at"]
    if wrong == "environment":
        acme.world.delete_integration(acme.id)  # and no webhook says so
    with acme.client(api_key="sandbox-key" if wrong == "environment" else "other-key") as acme.kombo:
        for full in (False, True):
            with pytest.raises(KomboRefused):
                acme.land(full=full)
            assert acme.apply() == []
    assert acme.open_ids() == open_ids
    state = acme.integration()
    assert (state["deleted_at"], state["kombo_last_sync_started_at"]) == (None, watermark)
    assert (acme.health()["health"], acme.health()["who_must_act"]) == ("failing", "us")
