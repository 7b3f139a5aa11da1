"""Own jobs by HTTP, at the front door of a running back office."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.own_jobs import feed
from kombo_pipeline.own_jobs.feed import read_tokens
from kombo_pipeline.settings import SettingsError
from kombo_pipeline_tests.backoffice.conftest import running_backoffice

ACME, OTHER, ANY = (
    "acme-token-of-32-characters-12345",
    "other-token-of-32-characters-1234",
    "any-token-of-32-characters-123456",
)
XML = """<?xml version="1.0" encoding="utf-8"?>
<source><publisher>Poster</publisher>
<job><title><![CDATA[Engineer (m/w/d)]]></title><referencenumber>A-1</referencenumber><city>Köln</city>
 <url>https://jobs.acme.example/1?utm_source=x</url><date>Tue, 24 Nov 2026 10:00:00 GMT</date></job>
<job><title>Nurse</title><referencenumber>A-2</referencenumber></job>
</source>"""


@pytest.fixture(scope="module")
def front_door(module_warehouse_url: str) -> Iterator[str]:
    with running_backoffice(module_warehouse_url, own_jobs_tokens=(f"acme={ACME}", f"other={OTHER}", ANY)) as url:
        yield url


@pytest.fixture(autouse=True)
def nothing_yet(module_warehouse_url: str) -> None:
    with connect(module_warehouse_url) as conn:
        conn.execute("delete from core.own_jobs")
        conn.execute("delete from core.held_withdrawals")


@pytest.fixture
def warehouse(module_warehouse_url: str) -> Iterator[Connection]:
    with connect(module_warehouse_url) as conn:
        conn.autocommit = True
        yield conn


def post(
    front_door: str,
    content: Any,
    content_type: str = "application/xml",
    *,
    customer: str = "acme",
    token: str | None = ACME,
    headers: dict[str, str] | None = None,
    **query: str,
) -> httpx.Response:
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.post(
        f"{front_door}/api/own-jobs/{customer}",
        content=content,
        params=query,
        headers={"Content-Type": content_type} | authorization | (headers or {}),
        timeout=30,
    )


def stored(warehouse: Connection, customer: str = "acme") -> dict[str, str | None]:
    rows = warehouse.execute(
        "select own_job_id, title from core.own_jobs where customer_id = %s and withdrawn_at is null", (customer,)
    )
    return {row["own_job_id"]: row["title"] for row in rows}


def counts(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [answer.json()[name] for name in ("new", "changed", "unchanged", "withdrawn")]


def test_a_multiposters_feed_becomes_own_jobs_and_coming_again_changes_nothing(
    front_door: str, warehouse: Connection
) -> None:
    assert counts(post(front_door, XML.encode())) == [2, 0, 0, 0]
    [job] = warehouse.execute("select * from core.own_jobs where own_job_id = 'A-1'").fetchall()
    assert (job["title"], job["location"], job["source"]) == ("Engineer (m/w/d)", "Köln", "multiposter")
    answer = post(front_door, XML.encode())
    assert counts(answer) == [0, 0, 2, 0]
    assert answer.json()["bad"] == []


def test_a_full_list_withdraws_what_it_lacks_and_only_what_came_by_the_same_way(
    front_door: str, warehouse: Connection
) -> None:
    post(front_door, XML.encode())
    post(front_door, "id,title\nM-1,By hand\n", "text/csv", source="manual")
    left = '[{"id": "A-2", "title": "Nurse"}, {"id": "A-3", "title": "Cook"}]'
    assert counts(post(front_door, left, "application/json")) == [1, 0, 1, 0]
    assert counts(post(front_door, left, "application/json; charset=utf-8", replace="1")) == [0, 0, 2, 1]
    assert stored(warehouse) == {"A-2": "Nurse", "A-3": "Cook", "M-1": "By hand"}


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("text/xml", "<jobs><job><id>1</id><title>Cook</title></job></jobs>"),
        ("application/json", '{"jobs": [{"id": 1, "title": "Cook"}]}'),
        ("application/x-ndjson", '{"id": "1", "title": "Cook"}\n'),
        ("text/csv", "id;title\n1;Cook\n"),
    ],
)
def test_each_format_comes_in_by_its_content_type(
    content_type: str, content: str, front_door: str, warehouse: Connection
) -> None:
    assert counts(post(front_door, content.encode(), content_type)) == [1, 0, 0, 0]
    packed = post(front_door, gzip.compress(content.encode()), content_type, headers={"Content-Encoding": "gzip"})
    assert counts(packed) == [0, 0, 1, 0]
    assert stored(warehouse) == {"1": "Cook"}


def test_bad_rows_are_named_and_the_rest_is_kept(front_door: str, warehouse: Connection) -> None:
    lines = ['{"id": "1", "title": "Cook"}', "{broken", '{"title": "no id"}', '{"id": "2", "title": "Nurse"}']
    answer = post(front_door, "\n".join(lines), "application/jsonl")
    assert counts(answer) == [2, 0, 0, 0]
    assert [bad["line"] for bad in answer.json()["bad"]] == [2, 3]
    assert "no id" in answer.json()["bad"][1]["reason"]
    assert stored(warehouse) == {"1": "Cook", "2": "Nurse"}


def test_a_list_that_ends_in_the_middle_takes_nothing_in_and_withdraws_nothing(
    front_door: str, warehouse: Connection
) -> None:
    post(front_door, XML.encode())
    answer = post(front_door, XML.encode()[:-80], replace="1")
    assert answer.status_code == 422
    assert "no XML" in answer.json()["error"]
    assert set(stored(warehouse)) == {"A-1", "A-2"}


@pytest.mark.parametrize(
    ("token", "authorization", "status"),
    [
        (None, None, 401),
        ("wrong-token-of-many-characters", None, 401),
        (None, "Basic YWNtZTphY21l", 401),
        (None, f"Basic {ACME}", 401),
        ("é" * 20, None, 401),
        (OTHER, None, 403),
        (ACME, None, 200),
        (ANY, None, 200),
    ],
)
def test_only_the_customers_own_token_or_one_for_all_opens_the_door(
    token: str | None, authorization: str | None, status: int, front_door: str, warehouse: Connection
) -> None:
    headers = {"Authorization": authorization or f"Bearer {token}"} if authorization or token else {}
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = httpx.post(
        f"{front_door}/api/own-jobs/acme",
        content=XML.encode(),
        headers={b"Content-Type": b"application/xml"} | {name.encode(): value for name, value in encoded.items()},
    )
    assert answer.status_code == status
    assert bool(stored(warehouse)) == (status == 200)
    if status != 200:
        assert answer.json()["error"]


def test_a_token_for_all_customers_writes_to_those_there_are(front_door: str, warehouse: Connection) -> None:
    warehouse.execute(
        "insert into core.integrations (integration_id, customer_id) values ('tool:new', 'new one/a') "
        "on conflict do nothing"
    )
    assert counts(post(front_door, XML.encode(), customer="new%20one%2Fa", token=ANY)) == [2, 0, 0, 0]
    assert set(stored(warehouse, "new one/a")) == {"A-1", "A-2"}
    for unknown in ("nobody", "%00"):
        answer = post(front_door, XML.encode(), customer=unknown, token=ANY)
        assert answer.status_code == 404
        assert "misspelt" in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({"content_type": "application/pdf"}, 415, "application/pdf is not read"),
        ({"content_type": ""}, 415, "(none) is not read"),
        ({"headers": {"Content-Encoding": "br"}}, 415, "Content-Encoding may be gzip"),
        ({"source": "gossip"}, 422, "'gossip' is no source"),
        ({"replace": "maybe"}, 422, "replace is 1 or 0"),
        ({"dry_run": "2"}, 422, "dry_run is 1 or 0"),
        ({"list": " "}, 422, "the name of a list has 1 to 200 characters"),
        ({"list": "x" * 201}, 422, "the name of a list has 1 to 200 characters"),
        ({"repalce": "1"}, 422, "unknown parameter 'repalce'"),
    ],
)
def test_what_is_not_understood_is_refused_with_a_clear_line(
    query: dict[str, Any], status: int, reason: str, front_door: str, warehouse: Connection
) -> None:
    answer = post(front_door, XML.encode(), **query)
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert stored(warehouse) == {}


def test_an_xml_bomb_and_external_entities_are_harmless(front_door: str, warehouse: Connection) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    for declared, used in ((laughs, "&l9;"), ('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;")):
        content = f"<!DOCTYPE s [{declared}]><s><job><id>1</id><title>{used}</title></job></s>"
        answer = post(front_door, content.encode())
        assert answer.status_code == 422
        assert "DOCTYPE" in answer.json()["error"]
    assert stored(warehouse) == {}


def test_a_body_over_the_limit_is_refused_with_and_without_its_length(
    front_door: str, warehouse: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_BYTES", 100_000)
    big = b"id,title\n" + b"1,Cook\n" * 20_000
    for content in (big, iter([big[:70_000], big[70_000:]])):
        answer = post(front_door, content, "text/csv")
        assert answer.status_code == 413
        assert "gzip" in answer.json()["error"]
    assert stored(warehouse) == {}


def test_a_sender_that_stops_in_the_middle_changes_nothing(front_door: str, warehouse: Connection) -> None:
    where = urlsplit(front_door)
    with socket.create_connection((where.hostname, where.port)) as sender:  # type: ignore[arg-type]
        sender.sendall(
            f"POST /api/own-jobs/acme?replace=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {ACME}\r\n"
            "Content-Type: text/csv\r\nContent-Length: 1000\r\n\r\nid,title\n1,Cook\n".encode()
        )
    time.sleep(0.2)
    assert stored(warehouse) == {}
    assert counts(post(front_door, "id,title\n1,Cook\n", "text/csv")) == [1, 0, 0, 0]


def test_lists_sent_at_the_same_time_are_one_after_the_other(front_door: str, warehouse: Connection) -> None:
    lists = [[{"id": str(n), "title": f"Cook {sender}"} for n in range(300)] for sender in range(6)]
    answers: list[httpx.Response] = []
    senders = [
        threading.Thread(
            target=lambda jobs=jobs: answers.append(post(front_door, json.dumps(jobs), "application/json", replace="1"))
        )
        for jobs in lists
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(set(stored(warehouse).values())) == 1
    assert len(stored(warehouse)) == 300


def test_a_customer_whose_lists_wait_keeps_nobody_else_waiting(
    front_door: str, warehouse: Connection, module_warehouse_url: str
) -> None:
    def send(customer: str, token: str, title: str) -> httpx.Response:
        jobs = json.dumps([{"id": "1", "title": title}])
        return post(front_door, jobs, "application/json", customer=customer, token=token)

    assert counts(send("acme", ACME, "Cook")) == [1, 0, 0, 0]
    with connect(module_warehouse_url) as other, ThreadPoolExecutor(4) as senders:
        other.execute("select from core.own_jobs where customer_id = 'acme' for update")
        waiting = [senders.submit(send, "acme", ACME, f"Cook {number}") for number in range(4)]
        time.sleep(0.5)  # all of them have arrived
        assert counts(send("other", OTHER, "Nurse")) == [1, 0, 0, 0]
        assert not any(each.done() for each in waiting)
        other.rollback()
        assert [each.result().status_code for each in waiting] == [200] * 4


@pytest.mark.parametrize(
    "entry", ["short", "acme=short", "acme=", "=token-of-many-characters", "bare-token-of-many-chars="]
)
def test_a_token_that_can_be_guessed_is_refused_and_not_shown(entry: str) -> None:
    with pytest.raises(SettingsError, match="16 characters") as refused:
        read_tokens([entry])
    assert entry not in str(refused.value)


def jobs(*numbers: int) -> str:
    return json.dumps([{"id": number, "title": f"Job {number}"} for number in numbers])


def test_lists_with_names_of_their_own_leave_each_others_jobs_alone(front_door: str, warehouse: Connection) -> None:
    assert counts(post(front_door, jobs(1, 2), "application/json", replace="1", list="north")) == [2, 0, 0, 0]
    answer = post(front_door, jobs(3), "application/json", replace="1", list="south")
    assert (counts(answer), answer.json()["list"]) == ([1, 0, 0, 0], "south")
    assert counts(post(front_door, jobs(2), "application/json", replace="1", list="north")) == [0, 0, 1, 1]
    assert counts(post(front_door, jobs(4), "application/json", replace="1")) == [1, 0, 0, 0]
    assert set(stored(warehouse)) == {"2", "3", "4"}


def test_a_list_that_drops_too_many_says_what_is_held_and_how_it_is_released(
    front_door: str, warehouse: Connection
) -> None:
    post(front_door, jobs(*range(40)), "application/json", replace="1")
    answer = post(front_door, jobs(0, 99), "application/json", replace="1")
    assert counts(answer) == [1, 0, 1, 0]
    told = answer.json()
    assert (told["held"], len(told["examples"]["held"])) == (39, 5)
    assert f"kombo-pipeline release own-jobs {told['hold_id']}`" in told["not_withdrawn"]
    assert len(stored(warehouse)) == 41
    [hold] = warehouse.execute("select * from core.held_withdrawals where decision is null").fetchall()
    assert (hold["hold_id"], hold["list"], hold["living_jobs"]) == (told["hold_id"], "multiposter", 40)
    assert post(front_door, jobs(*range(40)), "application/json", replace="1").json()["held"] == 0
    assert not warehouse.execute("select from core.held_withdrawals where decision is null").fetchall()


def test_a_row_that_cannot_be_read_is_said_to_withdraw_nobody(front_door: str, warehouse: Connection) -> None:
    post(front_door, jobs(1, 2), "application/json")
    answer = post(front_door, '{"id": 1, "title": "Job 1"}\n{broken\n', "application/x-ndjson", replace="1")
    assert counts(answer) == [0, 0, 1, 0]
    assert answer.json()["not_withdrawn"] == "1 row could not be read and names no job, so no job was withdrawn"
    assert set(stored(warehouse)) == {"1", "2"}


def test_a_dry_run_says_what_a_list_would_do_and_writes_nothing(front_door: str, warehouse: Connection) -> None:
    post(front_door, jobs(*range(40)), "application/json", replace="1")
    tables = ("core.own_jobs", "core.held_withdrawals", "core.notices")
    before = [warehouse.execute(f"select xmin::text, * from {table}").fetchall() for table in tables]
    changed = '[{"id": 0, "title": "Changed"}, {"id": 99, "title": "New"}, {"title": "no id"}]'
    told = post(front_door, changed, "application/json", replace="1", dry_run="1").json()
    assert (told["dry_run"], told["new"], told["changed"], told["withdrawn"], len(told["bad"])) == (True, 1, 1, 0, 1)
    assert told["examples"]["changed"] == [{"own_job_id": "0", "title": "Changed", "changed": ["title"]}]
    told = post(front_door, jobs(*range(35)), "application/json", replace="1", dry_run="true").json()
    assert told["withdrawn"] == len(told["examples"]["withdrawn"]) == 5
    told = post(front_door, jobs(0), "application/json", replace="1", dry_run="true").json()
    assert (told["held"], told["hold_id"]) == (39, None)
    assert "release own-jobs" not in told["not_withdrawn"]
    assert [warehouse.execute(f"select xmin::text, * from {table}").fetchall() for table in tables] == before


def delete(front_door: str, *, customer: str = "acme", token: str | None = ACME, **query: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.delete(f"{front_door}/api/own-jobs/{customer}", params=query, headers=headers, timeout=30)


@pytest.mark.parametrize("own_job_id", ["A-1", "a/b?c=1&d #%", "Ä 1"])
def test_one_job_is_withdrawn_by_its_id_in_whatever_list_it_is(
    front_door: str, warehouse: Connection, own_job_id: str
) -> None:
    post(front_door, json.dumps([{"id": own_job_id, "title": "Cook"}, {"id": "2", "title": "Nurse"}]),
         "application/json", list="north")  # fmt: skip
    tried = delete(front_door, own_job_id=own_job_id, dry_run="1")
    assert (tried.status_code, tried.json()) == (200, {"withdrawn": 1, "dry_run": True})
    assert len(stored(warehouse)) == 2
    assert delete(front_door, own_job_id=own_job_id).json() == {"withdrawn": 1, "dry_run": False}
    assert set(stored(warehouse)) == {"2"}
    assert delete(front_door, own_job_id=own_job_id).json() == {"withdrawn": 0, "dry_run": False}


@pytest.mark.parametrize(
    ("request_of", "status", "reason"),
    [
        ({"own_job_id": "9"}, 404, "customer 'acme' has no own job '9'"),
        ({"own_job_id": "1", "customer": "other"}, 403, "another customer's"),
        ({"own_job_id": "1", "customer": "other", "token": ANY}, 404, "customer 'other' has no own job '1'"),
        ({"own_job_id": "1", "token": None}, 401, "Bearer"),
        ({}, 422, "name the job"),
        ({"own_job_id": ""}, 422, "name the job"),
        ({"own_job_id": "a\0b"}, 422, "name the job"),
        ({"own_job_id": "1", "list": "north"}, 422, "unknown parameter 'list'; known are own_job_id, dry_run"),
        ({"own_job_id": "1", "dry_run": "maybe"}, 422, "dry_run is 1 or 0"),
    ],
)
def test_a_withdrawal_that_is_not_understood_or_not_allowed_withdraws_nothing(
    front_door: str, warehouse: Connection, request_of: dict[str, Any], status: int, reason: str
) -> None:
    post(front_door, jobs(1), "application/json")
    answer = delete(front_door, **request_of)
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert set(stored(warehouse)) == {"1"}
