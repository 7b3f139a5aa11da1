"""Own jobs by HTTP, at the front door of a running back office."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
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


@pytest.mark.parametrize(
    "entry", ["short", "acme=short", "acme=", "=token-of-many-characters", "bare-token-of-many-chars="]
)
def test_a_token_that_can_be_guessed_is_refused_and_not_shown(entry: str) -> None:
    with pytest.raises(SettingsError, match="16 characters") as refused:
        read_tokens([entry])
    assert entry not in str(refused.value)
