"""The details of an integration are a help: whatever becomes of them, its jobs are fetched and applied."""

import json
from datetime import timedelta

import httpx
import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import lifecycle
from kombo_pipeline.ingest.apply import Applied
from kombo_pipeline.ingest.fetch import land_fetch
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import KomboError, KomboRefused
from kombo_pipeline.sandbox.api import API_KEY
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline_tests.ingest.model import OVERLAP, Customer, Served, assert_equals_kombo

JSON = {"content-type": "application/json"}


def failure(status: int, code: str | None) -> Fault:
    error = {"code": code, "title": None, "message": "No.", "log_url": None}
    body = json.dumps({"status": "error", "error": error})
    return Fault("answer", status=status, body=body, headers=JSON)


def answer(body: str) -> Fault:
    return Fault("answer", status=200, body=body, headers=JSON)


FAILURES = {
    "a wrong key": (failure(401, "PLATFORM.AUTHENTICATION_INVALID"), "us"),
    "no permission": (failure(403, "PLATFORM.IP_NOT_WHITELISTED"), "us"),
    "not found": (failure(404, "PLATFORM.INTEGRATION_NOT_FOUND"), "us"),
    "a plain 404": (Fault("answer", status=404), "us"),
    "not ready": (failure(409, "INTEGRATION.SETUP_SYNC_PENDING"), None),
    "quality checks": (failure(409, "INTEGRATION.QA_FAILED"), None),
    "a rate limit": (failure(429, "PLATFORM.RATE_LIMIT_EXCEEDED"), None),
    "a fault of Kombo": (failure(500, "PLATFORM.UNKNOWN_ERROR"), None),
    "a bad gateway": (Fault("answer", status=502), None),
    "dropped": (Fault("drop"), None),
    "truncated": (Fault("truncate"), None),
    "a redirect": (Fault("answer", status=302, headers={"location": "https://elsewhere.example"}), "us"),
    "HTML": (answer("<html>"), "kombo"),
    "nothing": (answer(""), "kombo"),
    "no data": (answer('{"status":"success","data":null}'), "kombo"),
    "another integration": (answer('{"status":"success","data":{"id":"x:y"}}'), "kombo"),
}
DETAILS_COLUMNS = (
    "customer_id",
    "organization_name",
    "tool",
    "category",
    "state",
    "setup_status",
    "jobs_model_enabled",
)


@pytest.fixture
def acme(conn: Connection, served: Served) -> Customer:
    """A customer of twelve jobs, fetched once."""
    customer = Customer(conn, served, jobs=12)
    customer.fetch()
    return customer


@pytest.fixture
def big(conn: Connection, served: Served) -> Customer:
    """A customer of thirty jobs, fetched once."""
    customer = Customer(conn, served, jobs=30)
    customer.fetch()
    return customer


def lose_details(customer: Customer, fault: Fault, times: int = 1000) -> None:
    customer.world.faults.append(
        Fault(
            fault.kind,
            status=fault.status,
            body=fault.body,
            headers=fault.headers,
            path=f"/integrations/{customer.id}",
            times=times,
        )
    )


@pytest.mark.parametrize(("fault", "who"), FAILURES.values(), ids=FAILURES)
def test_details_that_fail_keep_no_closure_from_arriving(acme: Customer, fault: Fault, who: str | None) -> None:
    before = acme.integration()
    job_id = acme.open_ids()[0]
    acme.world.set_status(acme.id, job_id, "CLOSED")
    lose_details(acme, fault)
    assert acme.sync_and_fetch().closed == 1
    after = acme.integration()
    assert acme.job(job_id)["lifecycle"] == "closed"
    assert after["kombo_last_sync_started_at"] > before["kombo_last_sync_started_at"]
    assert (after["fetch_state"], after["fetch_error"]) == ("current", None)
    assert {name: after[name] for name in DETAILS_COLUMNS} == {name: before[name] for name in DETAILS_COLUMNS}
    assert "details of the integration" in after["details_error"]
    assert after["who_must_act"] == after["details_error_by"] == who
    assert "jobs are fetched all the same" in after["what_to_do"]
    assert after["details_read_at"] == before["details_read_at"]


@pytest.mark.parametrize("fault", [failure(404, None), answer("<html>")], ids=["refused", "odd"])
def test_details_that_come_again_are_noted_and_nobody_must_act(acme: Customer, fault: Fault) -> None:
    lose_details(acme, fault, times=1)
    acme.fetch()
    assert acme.integration()["details_error"] is not None
    acme.fetch()
    row = acme.integration()
    assert (row["details_error"], row["details_error_by"], row["who_must_act"], row["what_to_do"]) == (None,) * 4


def test_a_shape_nobody_knows_is_asked_for_once(acme: Customer) -> None:
    lose_details(acme, answer('{"status":"success","data":7}'))
    acme.world.requests.clear()
    acme.fetch()
    assert [r.path for r in acme.world.requests].count(f"/v1/integrations/{acme.id}") == 1


ODD_FIELDS = [
    {"data_expired_at": ""},
    {"tool": None},
    {"tool": "x"},
    {"status": 7},
    {"end_user": []},
    {"read_models": 1},
]


@pytest.mark.parametrize("odd", ODD_FIELDS, ids=str)
def test_an_odd_field_of_the_details_costs_that_field(acme: Customer, odd: dict[str, object]) -> None:
    before = acme.integration()
    headers = {"Authorization": f"Bearer {API_KEY}"}
    whole = httpx.get(f"{acme.kombo._http.base_url}integrations/{acme.id}", headers=headers).json()
    whole["data"]["end_user"]["organization_name"] = "Acme & Sons"
    lose_details(acme, answer(json.dumps({"status": "success", "data": whole["data"] | odd})))
    acme.world.requests.clear()
    acme.fetch()
    after = acme.integration()
    [field] = odd
    assert len([r for r in acme.world.requests if "/integrations/" in r.path]) == 1
    if field != "end_user":
        assert after["organization_name"] == "Acme & Sons"
    kept = {"tool": "tool", "status": "state", "read_models": "jobs_model_enabled", "end_user": "organization_name"}
    if odd != {"tool": None} and field in kept:
        assert after[kept[field]] == before[kept[field]]
    assert (after["details_error"] is None) == (odd == {"tool": None})
    assert after["details_error"] is None or field in after["details_error"]


def test_while_the_details_are_unknown_absent_jobs_stay_open_and_a_full_fetch_comes_with_them(acme: Customer) -> None:
    gone = acme.open_ids()[0]
    shown = [job for job_id, job in acme.world.kombo_jobs(acme.id).items() if job_id != gone]
    acme.answer(shown)
    lose_details(acme, failure(500, None))
    assert any("did not give the details" in note for note in acme.fetch(full=True).notes)
    assert acme.job(gone)["lifecycle"] == "open"
    assert acme.fetch().kind == "incremental"
    acme.world.faults.clear()
    acme.answer(shown)
    applied = acme.fetch()
    assert (applied.kind, applied.closed) == ("full", 1)
    assert acme.job(gone)["lifecycle"] == "vanished"
    acme.world.faults.clear()
    assert acme.fetch().kind == "incremental"


def test_mass_deletions_wait_for_the_details_and_are_applied_once_they_are_known(big: Customer) -> None:
    open_ids = big.open_ids()
    for job_id in open_ids:
        big.world.delete_job(big.id, job_id)
    lose_details(big, failure(403, None))
    assert big.sync_and_fetch().held == len(open_ids)
    hold = big.hold()
    assert hold is not None
    assert hold["reason"] == "details_unknown"
    assert big.open_ids() == open_ids
    big.world.faults.clear()
    applied = big.fetch()
    assert (applied.kind, applied.closed, applied.held) == ("full", len(open_ids), 0)
    assert (big.open_ids(), big.hold()) == ([], None)
    assert_equals_kombo(big)


def test_mass_deletions_of_a_model_that_turns_out_to_be_off_go_on_waiting(big: Customer) -> None:
    open_ids = big.open_ids()
    big.world.disable_jobs_model(big.id)
    lose_details(big, failure(403, None))
    assert big.sync_and_fetch().held == len(open_ids)
    big.world.faults.clear()
    assert big.fetch().held == len(open_ids)
    hold = big.hold()
    assert hold is not None
    assert hold["reason"] == "jobs_model_off"
    assert big.open_ids() == open_ids


def test_a_few_deletions_and_any_closure_wait_for_nothing(big: Customer) -> None:
    first, *others = big.open_ids()
    big.world.delete_job(big.id, first)
    for job_id in others:
        big.world.set_status(big.id, job_id, "CLOSED")
    lose_details(big, failure(403, None))
    big.sync_and_fetch()
    assert (big.open_ids(), big.hold()) == ([], None)


@pytest.mark.parametrize("ended", ["vanished", "jobs_model_off", "status_off"])
def test_a_refused_closure_is_held_again_once_its_jobs_came_back_in_between(big: Customer, ended: str) -> None:
    def end() -> int:
        if ended == "vanished":
            big.answer([record for record in everything if record["id"] not in open_ids])
        elif ended == "status_off":
            big.answer([record | {"status": None} if record["id"] in open_ids else record for record in everything])
        else:
            big.world.disable_jobs_model(big.id)
        return fetch().held

    def fetch() -> Applied:
        big.world.clock.advance(timedelta(hours=1))
        return big.sync_and_fetch(full=True)

    everything, open_ids = list(big.world.kombo_jobs(big.id).values()), set(big.open_ids())
    assert end() == len(open_ids)
    refused = big.hold()
    assert refused is not None
    assert refused["reason"] == ended
    lifecycle.release_closure(big.conn, refused["hold_id"], decided_by="Jana", refuse=True)
    big.conn.commit()
    for _ in range(2):
        assert end() == len(open_ids)
        assert big.hold() is None, "a person has answered"
    big.world.faults.clear()
    if ended == "jobs_model_off":
        big.world.enable_jobs_model(big.id)
    assert fetch().held == 0
    assert set(big.open_ids()) == open_ids
    assert end() == len(open_ids)
    again = big.hold()
    assert again is not None
    assert again["kombo_job_ids"] == refused["kombo_job_ids"]


def test_a_release_by_a_person_needs_no_details(big: Customer) -> None:
    open_ids = big.open_ids()
    for job_id in open_ids:
        big.world.delete_job(big.id, job_id)
    lose_details(big, failure(403, None))
    big.sync_and_fetch()
    hold = big.hold()
    assert hold is not None
    assert lifecycle.release_closure(big.conn, hold["hold_id"], decided_by="Jana") == len(open_ids)
    assert big.open_ids() == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_when_the_jobs_are_refused_too_their_error_counts(acme: Customer, status: int) -> None:
    lose_details(acme, failure(500, None))
    fault = failure(status, "PLATFORM.AUTHENTICATION_INVALID")
    fault.path = "/ats/jobs"
    acme.world.faults.append(fault)
    with pytest.raises(KomboRefused):
        acme.fetch()
    row = acme.integration()
    assert (row["fetch_state"], row["fetch_error_code"]) == ("refused", "PLATFORM.AUTHENTICATION_INVALID")
    assert row["who_must_act"] == "us"


def test_details_that_hang_cost_their_budget_and_not_the_jobs(
    acme: Customer, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kombo_pipeline.kombo.client.DETAILS_SECONDS", 0.5)
    job_id = acme.open_ids()[0]
    acme.world.set_status(acme.id, job_id, "CLOSED")
    acme.world.sync(acme.id)
    acme.world.clock.advance(timedelta(minutes=1))
    acme.world.faults.append(Fault("slow", seconds=2, path=f"/integrations/{acme.id}", times=1000))
    with Kombo(api_url=served.url, api_key=API_KEY, now=acme.now, max_total_wait=30) as kombo:
        landed = land_fetch(acme.conn, kombo, acme.id, overlap=OVERLAP, now=acme.now)
    assert (landed.status, landed.details_error is None) == ("landed", False)
    acme.apply()
    assert acme.job(job_id)["lifecycle"] == "closed"


def test_an_id_that_kombo_does_not_know_is_not_kept_when_nobody_spoke_of_it(conn: Connection, served: Served) -> None:
    with pytest.raises(KomboError):
        land_fetch(conn, served.kombo, "greenhouse:typotypotypo", overlap=OVERLAP)
    for table in ("core.integrations", "raw.fetches"):
        assert conn.execute(f"select count(*) as rows from {table}").fetchone() == {"rows": 0}


def test_an_id_that_kombo_knows_no_more_is_kept_and_said_to_be_refused(acme: Customer) -> None:
    fault = failure(404, "PLATFORM.INTEGRATION_NOT_FOUND")
    fault.path = "/ats/jobs"
    acme.world.faults.append(fault)
    with pytest.raises(KomboRefused):
        acme.fetch()
    assert acme.integration()["fetch_state"] == "refused"
    assert len(acme.open_ids()) > 0


@pytest.mark.parametrize("fault", [Fault("answer", status=503), failure(401, "PLATFORM.AUTHENTICATION_INVALID")])
def test_a_new_id_of_which_kombo_says_anything_else_is_kept(conn: Connection, served: Served, fault: Fault) -> None:
    customer = Customer(conn, served, jobs=1)
    customer.world.faults.append(Fault(fault.kind, status=fault.status, body=fault.body, headers=JSON, times=1000))
    with pytest.raises(KomboError):
        customer.land()
    assert customer.integration()["fetch_state"] in ("refused", "unavailable")
