"""Addresses that nobody would write, errors as programs read them, and what the log says of a failure."""

import re
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from kombo_pipeline.backoffice import app, rendering
from kombo_pipeline.backoffice.access import MAX_FORM_FIELDS
from kombo_pipeline.own_jobs import feed
from kombo_pipeline_tests.backoffice.conftest import PASSWORD, Backoffice, running_backoffice
from kombo_pipeline_tests.backoffice.test_access import routes

TOKEN = "any-token-of-32-characters-123456"
ODD = [
    *(
        b"%00",
        b"style.css%00",
        b"a%00b",
        b".",
        b"..",
        b"%2e%2e",
        b"..%2f..%2fapp.py",
        b"..%5capp.py",
        b"%2fetc%2fpasswd",
    ),
    *(b"a" * 255, b"a" * 256, b"a" * 5000, b"%61" * 256, b"%ff", b"%c3%28", b"%ed%a0%80", b"%", b"%zz", b"\xc3\xa4"),
    *(b"%0d%0aX-Odd:%20y", b"%F0%9F%92%A9" * 80, b"9" * 30, b"-1", b"1e9", b"NaN", b"%20", b"a;b", b"{name}", b"a%2fb"),
]
"""Last parts of an address, as they stand on the wire."""


def status_of(url: str, target: bytes, *, method: bytes = b"GET", headers: dict[str, str] | None = None) -> int:
    """Send an address as it is; no client library tidies it up."""
    given = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items()).encode()
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        head = b"%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n"
        connection.sendall(head % (method, target, where.netloc.encode(), given))
        found = re.match(rb"HTTP/1.1 (\d{3}) ", connection.makefile("rb").readline())
    assert found, "no answer"
    return int(found[1])


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd[:20]))
def test_an_odd_address_is_no_failure_at_any_door(backoffice: Backoffice, odd: bytes) -> None:
    session = backoffice.client("admin").cookies["kombo_session"]
    signed_in, bearer = {"Cookie": f"kombo_session={session}"}, {"Authorization": f"Bearer {TOKEN}"}
    doors = {path for method, path in routes() if method == "GET" and "{" in path}
    assert {"/static/{name}", "/c/{token}", "/links/{link_id}"} <= doors
    for path in sorted(doors):
        target = re.sub(rb"\{[^}]*\}", lambda _: odd, path.encode())
        for headers in ({}, signed_in):
            assert status_of(backoffice.url, target, headers=headers) in (303, 400, 404), (path, headers)
    assert status_of(backoffice.url, b"/static/" + odd) in (400, 404)
    for target in (b"/" + odd, b"/static/" + odd + b"/x", b"//" + odd, b"/?q=" + odd, b"/login?next=" + odd):
        assert status_of(backoffice.url, target, headers=signed_in) < 500, target
    for method in (b"POST", b"DELETE"):
        assert status_of(backoffice.url, b"/api/own-jobs/" + odd, method=method, headers=bearer) < 500
    for name in ("kombo_session", "kombo_customer", "kombo_browser", "kombo_flash", "kombo_form"):
        cookie = {"Cookie": f"{name}={odd.decode('latin-1').encode('ascii', 'replace').decode()}"}
        assert status_of(backoffice.url, b"/nothing", headers=cookie) == 404, name


def test_names_of_static_files_end_at_none_but_those_files(backoffice: Backoffice) -> None:
    for length in (255, 256, 300, 4096, 20_000):
        assert status_of(backoffice.url, b"/static/" + b"a" * length) == 404, length
    assert status_of(backoffice.url, b"/static/style.css") == 200
    for odd in (b"Style.css", b"style.css/", b"./style.css", b"%2e/style.css", b"../static/style.css", b"style.css%20"):
        assert status_of(backoffice.url, b"/static/" + odd) == 404, odd


@pytest.fixture(scope="module")
def backoffice_values() -> dict[str, Any]:
    return {"own_jobs_tokens": (TOKEN,)}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/own-jobs/acme", 405),
        ("PUT", "/api/own-jobs/acme", 405),
        ("POST", "/api/nothing", 404),
        ("GET", "/api/", 404),
        ("GET", "/api", 404),
        ("POST", "/healthz", 405),
        ("GET", "/healthz/x", 404),
        ("POST", "/api/own-jobs/acme", 415),
        ("DELETE", "/api/own-jobs/acme", 422),
        ("DELETE", "/api/own-jobs/acme?own_job_id=x", 404),
    ],
)
def test_a_door_for_programs_answers_errors_in_json(
    backoffice: Backoffice, method: str, path: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = backoffice.client(None).request(method, path, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert set(answer.json()) == {"error"}
    if status == 405:
        assert answer.headers["allow"]
    assert backoffice.client(None).get("/healthz").json() == {"status": "ok"}


def test_people_read_pages_of_the_same_errors(backoffice: Backoffice) -> None:
    for method, path in (("GET", "/nothing"), ("PUT", "/review"), ("GET", "/apis"), ("GET", "/c/forged")):
        answer = backoffice.client("admin").request(method, path)
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"].startswith("text/html")


def test_a_body_too_long_and_a_failure_of_ours_are_told_in_json_too(
    backoffice: Backoffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/csv"}
    monkeypatch.setattr(feed, "MAX_BYTES", 10)
    answer = backoffice.client(None).post("/api/own-jobs/acme", headers=headers, content=b"x" * 20)
    assert (answer.status_code, list(answer.json())) == (413, ["error"])
    monkeypatch.undo()

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(feed.reading, "read", fail)
    answer = backoffice.client(None).post("/api/own-jobs/acme", headers=headers, content=b"id,title\n1,x\n")
    assert (answer.status_code, list(answer.json())) == (500, ["error"])


def test_a_failure_is_logged_once_with_its_place_and_without_the_address(
    module_warehouse_url: str,
    backoffice: Backoffice,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(name: str) -> None:
        raise OSError(36, f"File name too long\nDETAIL: {PASSWORD}", name)

    monkeypatch.setattr(rendering, "static_file", fail)
    with running_backoffice(module_warehouse_url) as url:
        assert status_of(url, b"/static/" + b"secret" * 3000 + b"?token=hush") == 500
    said = [record.getMessage() for record in caplog.records if record.name == "kombo_pipeline.backoffice.app"]
    assert len(said) == 1
    assert said[0].startswith("static answered 500: OSError: ")
    assert "in fail" in said[0], "where it happened"
    heard = said[0] + capfd.readouterr().err
    assert len(heard) < 10_000
    assert heard.count("secret") <= 40
    assert not any(word in heard for word in ("hush", PASSWORD, "Exception in ASGI application"))


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOO_MANY_FIELDS = b"a=&" * (MAX_FORM_FIELDS + 1)


def test_a_long_form_is_taken_apart_only_for_somebody_who_is_signed_in(backoffice: Backoffice) -> None:
    posts = {path for method, path in routes() if method == "POST" and not path.startswith("/api/")}
    assert len(posts) > 10
    strangers = [backoffice.new_client(), backoffice.new_client(cookies={"kombo_session": "invented"})]
    for path in sorted(posts):
        for stranger in strangers:
            status = 413 if path in ("/login", "/logout") else 401
            assert stranger.post(path, content=TOO_MANY_FIELDS, headers=FORM).status_code == status, path
    known = backoffice.client("reviewer").post("/picker/paste", content=TOO_MANY_FIELDS, headers=FORM)
    assert known.status_code == 400


def test_what_somebody_wrote_is_shown_again_when_the_session_has_ended(backoffice: Backoffice) -> None:
    answer = backoffice.new_client().post("/picker/paste", data={"text": "Nurse in Ulm"}, headers=FORM)
    assert (answer.status_code, "Nurse in Ulm" in answer.text) == (401, True)


def test_what_another_transaction_has_locked_is_waited_for_a_few_seconds_and_said(
    backoffice: Backoffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "LOCK_SECONDS", 1)
    with running_backoffice(backoffice.warehouse_url) as url, backoffice.connect() as other:
        other.execute("lock table core.backoffice_users")
        answer = httpx.post(
            f"{url}/login", data={"name": "x", "password": "x"}, headers={"Sec-Fetch-Site": "same-origin"}, timeout=20
        )
        other.rollback()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "Something else is changing the same data" in answer.text
