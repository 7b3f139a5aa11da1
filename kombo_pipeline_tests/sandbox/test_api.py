"""`GET /v1/ats/jobs` and its neighbours over real HTTP."""

import gzip
import json
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline.sandbox.world import World


def error(answer):
    body = answer.json()
    assert body["status"] == "error"
    assert body["error"].keys() == {"code", "title", "message", "log_url"}
    return answer.status_code, body["error"]["code"]


INVALID = (400, "PLATFORM.INPUT_INVALID")


@pytest.mark.parametrize(
    ("parameter", "field"),
    [("remote_ids", "remote_id"), ("job_codes", "job_code"), ("ids", "id"), ("statuses", "status"),
     ("visibilities", "visibility"), ("employment_types", "employment_type"), ("post_url", "post_url")],
)  # fmt: skip
def test_a_filter_returns_exactly_the_jobs_with_that_value(api, parameter, field):
    allowed = {
        "statuses": ["OPEN", "CLOSED"],
        "visibilities": ["PUBLIC", "INTERNAL"],
        "employment_types": ["FULL_TIME"],
    }
    jobs = api.jobs()
    if parameter in allowed:
        wanted = allowed[parameter]
    else:
        wanted = [job[field] for job in jobs if job.get(field)][: 1 if parameter == "post_url" else 2]
    expected = {job["id"] for job in jobs if job.get(field) in wanted}
    assert 0 < len(expected) < 40
    assert api.ids(**{parameter: ",".join(wanted)}) == expected


def test_filters_are_combined_by_and(api):
    jobs = api.jobs()
    expected = {j["id"] for j in jobs if j["status"] == "OPEN" and j.get("employment_type") == "PART_TIME"}
    assert len(expected) > 0
    assert api.ids(statuses="OPEN", employment_types="PART_TIME") == expected


def test_the_deprecated_single_status_is_understood(api):
    assert api.ids(status="CLOSED") == api.ids(statuses="CLOSED") != set()


def test_a_keyword_is_found_in_the_name_whatever_its_case(world, integration_id, api):
    job_id = world.open_job(integration_id, name="Zookeeper (m/f/d)")
    world.sync(integration_id)
    assert api.ids(name_contains="ZOOKEEP") == {job_id}


def test_remote_created_after_knows_days_only(world, integration_id, api):
    job_id = world.open_job(integration_id, remote_created_at="2027-03-01T08:00:00.000Z")
    world.sync(integration_id)
    assert api.ids(remote_created_after="2027-03-01T23:00:00Z") == {job_id}
    assert api.ids(remote_created_after="2027-03-02") == set()


def test_a_filter_the_tool_does_not_support_leaves_nothing(world, api):
    integration_id = world.add_integration(jobs=5, unsupported=frozenset({"job_code"}))
    api.http.headers["x-integration-id"] = integration_id
    assert {job["job_code"] for job in api.jobs()} == {None}
    assert api.ids(job_codes="ENG-1") == set()
    assert len(api.ids(job_codes="ENG-1", ignore_unsupported_filters="true")) == 5
    fields = api.http.get(f"/integrations/{integration_id}").json()["data"]["read_models"][0]["fields"]
    assert [f["id"] for f in fields if f["coverage_status"] == "UNSUPPORTED"] == ["job_code"]


@pytest.mark.parametrize(
    "params",
    [
        {"page_size": "0"},
        {"page_size": "251"},
        {"page_size": "ten"},
        {"updated_after": "yesterday"},
        {"updated_after": "2026-01-01T00:00:00+02:00"},
        {"updated_after": "2026-13-01"},
        {"include_deleted": "True"},
        {"statuses": "OPEN,GONE"},
        {"statuses": ""},
        {"cursor": "bm9uc2Vuc2U="},
        {"cursor": "%%%"},
    ],
)
def test_invalid_input_is_refused(api, params):
    assert error(api.get(**params)) == INVALID


def test_invalid_input_can_be_corrected_instead(world, api):
    world.behaviour.clamp_invalid_input = True
    assert len(api.get(page_size=1000).json()["data"]["results"]) == 40
    assert api.get(updated_after="2026-01-01T00:00:00+02:00").status_code == 200


def test_an_unknown_parameter_is_ignored_or_refused(world, api):
    assert api.get(included_deleted="true").status_code == 200
    world.behaviour.reject_unknown_parameters = True
    assert error(api.get(included_deleted="true")) == INVALID


def test_the_default_page_has_a_hundred_jobs_and_the_last_has_no_next(world, api):
    api.http.headers["x-integration-id"] = world.add_integration(jobs=200)
    assert [len(page) for page in api.pages()] == [100, 100]
    assert [len(page) for page in api.pages(page_size=150)] == [150, 50]


def test_a_traversal_skips_and_repeats_nothing_although_jobs_come_and_go(world, integration_id, api):
    first = api.get(page_size=10).json()["data"]
    seen = [job["id"] for job in first["results"]]
    world.delete_job(integration_id, seen[0])
    for _ in range(5):
        world.open_job(integration_id)
    world.sync(integration_id)
    while cursor := first["next"]:
        first = api.get(page_size=10, cursor=cursor).json()["data"]
        seen += [job["id"] for job in first["results"]]
    assert len(seen) == len(set(seen))
    originals = set(world.ats_jobs(integration_id)[:39])
    assert originals <= set(seen)


def test_an_offset_cursor_skips_a_job_when_an_earlier_one_is_deleted(world, integration_id, api):
    world.behaviour.cursors = "offset"
    first = api.get(page_size=10).json()["data"]
    seen = {job["id"] for job in first["results"]}
    world.delete_job(integration_id, first["results"][0]["id"])
    world.sync(integration_id)
    while cursor := first["next"]:
        first = api.get(page_size=10, cursor=cursor).json()["data"]
        seen |= {job["id"] for job in first["results"]}
    assert len(set(world.ats_jobs(integration_id)) - seen) == 1


def test_the_cursor_does_not_carry_the_filters(api):
    cursor = api.get(page_size=5, statuses="CLOSED,DRAFT,ARCHIVED").json()["data"]["next"]
    rest = api.get(page_size=250, cursor=cursor).json()["data"]["results"]
    assert "OPEN" in {job["status"] for job in rest}


def test_an_old_cursor_expires_where_cursors_have_a_life_time(world, api):
    world.behaviour.cursor_lifetime_seconds = 60
    cursor = api.get(page_size=5).json()["data"]["next"]
    world.clock.advance(timedelta(seconds=59))
    assert api.get(page_size=5, cursor=cursor).status_code == 200
    world.clock.advance(timedelta(seconds=2))
    assert error(api.get(page_size=5, cursor=cursor)) == INVALID


def test_short_empty_shuffled_and_repeating_pages_still_show_every_job(world, api):
    world.behaviour.short_page_rate = 0.7
    world.behaviour.duplicate_rate = 0.7
    world.behaviour.shuffle = True
    pages = api.pages(page_size=3)
    ids = [job["id"] for page in pages for job in page]
    assert len(set(ids)) == 40 < len(ids)
    assert [] in pages[:-1]
    assert all(len(page) <= 3 for page in pages)


def test_a_wrong_or_missing_key_is_refused(api):
    for key in ("Bearer wrong", "sandbox-key", ""):
        answer = api.http.get("/ats/jobs", headers={"authorization": key})
        assert error(answer) == (401, "PLATFORM.AUTHENTICATION_INVALID")


def test_a_missing_integration_header_is_refused(api):
    assert error(httpx.get(f"{api.origin}/v1/ats/jobs", headers={"authorization": "Bearer sandbox-key"})) == INVALID


def test_an_unknown_or_deleted_integration_is_not_found(world, integration_id, api):
    not_found = (404, "PLATFORM.INTEGRATION_NOT_FOUND")
    assert error(api.http.get("/integrations/greenhouse:nobody")) == not_found
    world.delete_integration(integration_id)
    assert error(api.get()) == not_found


def test_integration_details_are_found_with_the_colon_escaped_or_not(integration_id, api):
    answers = [api.http.get(f"/integrations/{path}") for path in (integration_id, integration_id.replace(":", "%3A"))]
    assert [answer.json()["data"]["id"] for answer in answers] == [integration_id] * 2


@pytest.mark.parametrize("answer", ["409", "503"])
@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({}, "SETUP_SYNC_PENDING"),
        ({"setup_status": "INCOMPLETE"}, "SETUP_INCOMPLETE"),
        ({"qa_status": "FAILED"}, "QA_FAILED"),
    ],
)
def test_reads_before_the_first_sync_name_the_reason(world, api, answer, state, code):
    world.behaviour.pending_answer = answer
    pending = world.add_integration(jobs=3, synced=False)
    world.set_state(pending, **state)
    api.http.headers["x-integration-id"] = pending
    assert error(api.get()) == (int(answer), f"INTEGRATION.{code}")


def test_the_old_guides_answer_before_the_first_sync_has_a_message_only(world, api):
    world.behaviour.pending_answer = "message-only"
    api.http.headers["x-integration-id"] = world.add_integration(synced=False)
    answer = api.get()
    assert (answer.status_code, list(answer.json()["error"])) == (503, ["message"])


def test_an_inactive_integration_serves_its_last_good_data_unless_switched(world, integration_id, api):
    world.set_state(integration_id, state="INVALID")
    assert len(api.ids()) == 40
    world.behaviour.refuse_inactive = True
    assert error(api.get()) == (409, "INTEGRATION.INACTIVE")


def test_the_rate_limit_is_announced_and_enforced_for_a_minute(world, api):
    world.behaviour.rate_limit = 2
    remaining = [api.get(page_size=1).headers["ratelimit-remaining"] for _ in range(2)]
    assert remaining == ["1", "0"]
    refused = api.get()
    assert error(refused) == (429, "PLATFORM.RATE_LIMIT_EXCEEDED")
    assert 1 <= int(refused.headers["ratelimit-reset"]) <= 60
    assert "retry-after" not in refused.headers
    world.behaviour.retry_after = True
    assert api.get().headers["retry-after"] == api.get().headers["ratelimit-reset"]
    world.clock.advance(timedelta(seconds=60))
    assert api.get().status_code == 200


def test_the_date_header_is_the_worlds_clock(world, api):
    world.clock.advance(timedelta(days=400))
    for answer in (api.get(), api.get(page_size=0)):
        assert answer.headers.get_list("date") == ["Tue, 19 Oct 2027 09:00:00 GMT"]
        assert parsedate_to_datetime(answer.headers["date"]) == world.clock.now()


def test_a_page_is_gzipped_only_for_those_who_accept_it(api):
    plain = api.http.get("/ats/jobs", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with api.http.stream("GET", "/ats/jobs", headers={"accept-encoding": "gzip, br"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content


def test_a_forced_sync_runs_at_once_or_waits_and_is_queued_only_once(world, integration_id, api):
    job_id = world.open_job(integration_id)
    first = api.http.post("/force-sync", json={"type": "DELTA"}).json()["data"]
    assert (first["already_queued"], first["type"]) == (False, "DELTA")
    assert job_id in api.ids()
    world.behaviour.force_sync_delay_seconds = 30
    world.delete_job(integration_id, job_id)
    queued = [api.http.post("/force-sync").json()["data"] for _ in range(2)]
    assert [answer["already_queued"] for answer in queued] == [False, True]
    assert queued[0]["sync_id"] == queued[1]["sync_id"]
    assert job_id in api.ids()
    world.clock.advance(timedelta(seconds=30))
    assert job_id not in api.ids()
    assert error(api.http.post("/force-sync", json={"type": "HALF"})) == INVALID


def test_odd_records_go_over_the_wire_as_injected(world, integration_id, api):
    whole, number, unknown = world.ats_jobs(integration_id)[:3]
    world.set_raw(integration_id, number, lambda _: 42)
    world.set_raw(integration_id, unknown, {"status": "PAUSED", "shiny": [1]})
    world.set_raw(integration_id, whole, lambda record: {k: v for k, v in record.items() if k != "changed_at"})
    sent = api.get(ids=f"{whole},{number},{unknown}").json()["data"]["results"]
    assert 42 in sent
    odd = {record["id"]: record for record in sent if record != 42}
    assert (odd[unknown]["status"], odd[unknown]["shiny"]) == ("PAUSED", [1])
    assert "changed_at" not in odd[whole]


def test_a_fault_hits_the_page_it_names_and_only_once(world, api):
    world.faults.append(Fault("answer", path="/ats/jobs", page=2))
    page = api.get(page_size=30).json()["data"]
    broken = api.get(page_size=30, cursor=page["next"])
    assert (broken.status_code, broken.headers["content-type"]) == (502, "text/html")
    assert len(api.get(page_size=30, cursor=page["next"]).json()["data"]["results"]) == 10


@pytest.mark.parametrize(
    ("kind", "raised"), [("drop", httpx.RemoteProtocolError), ("truncate", httpx.RemoteProtocolError)]
)
def test_a_connection_can_break_before_or_within_the_answer(world, api, kind, raised):
    world.faults.append(Fault(kind, times=2))
    for _ in range(2):
        with pytest.raises((raised, httpx.ReadError)):
            api.get()
    assert api.get().status_code == 200


def test_an_answer_can_be_slow_or_of_the_wrong_type(world, api):
    world.faults.append(Fault("slow", seconds=0.3))
    began = time.monotonic()
    assert api.get().status_code == 200
    assert time.monotonic() - began >= 0.3
    world.faults.append(Fault("retype"))
    assert api.get().headers["content-type"] == "text/html"


def test_random_faults_come_at_their_rate_and_by_seed():
    def outcomes():
        world = World(seed=3)
        world.behaviour.fault_rate = 0.3
        return [fault and fault.kind for fault in (world.take_fault("/v1/ats/jobs", 1) for _ in range(200))]

    hits = [kind for kind in outcomes() if kind]
    assert 30 < len(hits) < 90
    assert set(hits) == {"answer", "drop", "truncate"}
    assert outcomes() == outcomes()


def test_requests_are_logged_with_tenant_query_and_status(world, integration_id, api):
    api.get(page_size=5, statuses="OPEN")
    api.get(page_size=0)
    good, bad = world.requests
    assert (good.method, good.path, good.status, bad.status) == ("GET", "/v1/ats/jobs", 200, 400)
    assert good.query == {"page_size": "5", "statuses": "OPEN"}
    assert good.integration_id == integration_id


def test_the_control_api_drives_the_world(world, integration_id, api):
    def post(path, **body):
        return api.http.post(f"{api.origin}/sandbox/{path}", json=body)

    created = post("integrations", tool="personio", jobs=2).json()["id"]
    assert created in {entry["id"] for entry in api.http.get(f"{api.origin}/sandbox").json()["integrations"]}
    job_id = post(f"integrations/{integration_id}/jobs", name="Zookeeper").json()["job_id"]
    post(f"integrations/{integration_id}/jobs/{job_id}/edit", name="Head Zookeeper")
    post(f"integrations/{integration_id}/jobs/{job_id}/event")
    assert api.jobs(ids=job_id)[0]["name"] == "Head Zookeeper"
    post(f"integrations/{integration_id}/jobs/{job_id}/close")
    assert post(f"integrations/{integration_id}/sync", state="FAILED").json()["changed_models"] == []
    assert post(f"integrations/{integration_id}/sync").json()["changed_models"] == ["ats_jobs"]
    assert api.jobs(ids=job_id)[0]["status"] == "CLOSED"
    post(f"integrations/{integration_id}/jobs/{job_id}/delete")
    assert job_id not in world.ats_jobs(integration_id)
    assert post("clock", advance_seconds=60).json()["now"] == "2026-09-14T09:01:00.000Z"
    for wrong in (
        "integrations/x:y/sync",
        f"integrations/{integration_id}/jobs/{job_id}/explode",
        "live",
        "clock",
    ):
        assert post(wrong).status_code == 400
        assert post(wrong).json()["error"]


FOREIGN = {
    "rebinding": {"Host": "evil.example"},
    "rebinding that the page calls its own": {"Host": "evil.example", "Origin": "http://evil.example"},
    "foreign page": {"Origin": "http://evil.example"},
    "sandboxed page": {"Origin": "null"},
    "page of another port": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    "form": {"Content-Type": "text/plain", "Sec-Fetch-Site": "none"},
    "form of an old browser": {"Content-Type": "application/x-www-form-urlencoded", "Referer": "http://evil.example/"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_page_of_another_site_changes_nothing_in_the_sandbox(world, integration_id, api, name):
    before = world.integrations(), len(world.integration(integration_id).ats.jobs), world.clock.now()
    for path in (
        *("integrations", f"integrations/{integration_id}/jobs", f"integrations/{integration_id}/sync", "live"),
        "clock",
    ):
        body = b'{"advance_seconds": 60}' if path == "clock" else b'{"name": "Zookeeper"}' if "jobs" in path else b"{}"
        headers = {"Content-Type": "application/json"} | FOREIGN[name]
        assert httpx.post(f"{api.origin}/sandbox/{path}", content=body, headers=headers).status_code in (403, 415)
    assert (world.integrations(), len(world.integration(integration_id).ats.jobs), world.clock.now()) == before
    assert world.drain() == []


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain", None])
def test_a_program_may_send_a_body_of_any_type(world, integration_id, api, kind):
    headers = {"Content-Type": kind} if kind else {}
    answer = httpx.post(f"{api.origin}/sandbox/integrations/{integration_id}/sync", content=b"{}", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/sandbox", "/v1/ats/jobs", "/v1/check-api-key", "/nothing"])
def test_a_rebound_name_reads_nothing_in_the_sandbox(world, api, path):
    answer = api.http.get(f"{api.origin}{path}", headers={"Host": "evil.example"})
    assert (answer.status_code, "--allow-host" in answer.text) == (403, True)
    assert not world.requests  # no fault and no rate is spent on it


def test_the_sandbox_is_reached_under_another_name_that_was_allowed(world):
    with running(world, hosts=["sandbox"]) as sandbox:
        for host, status in (("sandbox:8090", 200), ("SANDBOX", 200), ("sandbox.evil.example", 403)):
            assert httpx.get(f"{sandbox.origin}/sandbox", headers={"Host": host}).status_code == status


def test_the_same_seed_serves_the_same_bytes():
    def served(seed):
        world = World(seed)
        integration_id = world.add_integration(jobs=30)
        with running(world) as sandbox:
            headers = {"authorization": "Bearer sandbox-key", "x-integration-id": integration_id}
            answer = httpx.get(f"{sandbox.url}/ats/jobs", headers=headers, verify=False)
        return answer.content, [webhook.body for webhook in world.drain()]

    assert served(5) == served(5)
    assert served(5) != served(6)


def test_an_unchanged_page_is_not_rendered_twice_and_a_changed_one_is(world, integration_id, api):
    first = api.get()
    assert api.get().content == first.content
    world.edit_job(integration_id, json.loads(first.content)["data"]["results"][0]["id"], name="Renamed")
    world.sync(integration_id)
    assert api.get().json()["data"]["results"][0]["name"] == "Renamed"
