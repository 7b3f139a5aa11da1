"""What answers at the address of Dagster's webserver may be anything; a real one answers in pages/test_integrations."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from kombo_pipeline.backoffice.runs import Dagster, NotStartedError, Run


class _Answers(BaseHTTPRequestHandler):
    """Answers every request with the same bytes."""

    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def dagster() -> Iterator[Dagster]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Dagster(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


def answer(dagster: Dagster, body: object) -> Run:
    _Answers.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return dagster.fetch("i-1", full=False, by="Ann")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        None,
        7,
        [],
        [[]],
        {},
        {"data": None},
        {"data": []},
        {"data": "Runs"},
        {"data": {}},
        {"data": {"runsOrError": None}},
        {"data": {"runsOrError": []}},
        {"data": {"runsOrError": {}}},
        {"data": {"runsOrError": {"__typename": 7}}},
        {"data": {"runsOrError": {"__typename": "Runs", "results": {}}}},
        {"data": {"runsOrError": {"__typename": "Runs", "results": [{}]}}},
        {"data": {"runsOrError": {"__typename": "Runs", "results": [{"runId": None}]}}},
        {"data": {"runsOrError": {"__typename": "Runs"}}},
        {"data": {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r"}}}},
        {"data": {"runsOrError": {"__typename": "PythonError", "message": []}}},
        {"data": {"runsOrError": {"__typename": "PythonError", "errors": "no"}}},
        {"errors": "no"},
        {"errors": [{}]},
        {"errors": [None]},
    ],
    ids=lambda body: repr(body)[:60],
)
def test_what_does_not_answer_as_dagster_does_starts_no_run_and_is_said(dagster: Dagster, body: object) -> None:
    with pytest.raises(NotStartedError, match=r"KOMBO_DAGSTER_WEBSERVER"):
        answer(dagster, body)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"data": {"runsOrError": {"__typename": "UnauthorizedError", "message": "no"}}}, "read-only"),
        ({"data": {"runsOrError": {"__typename": "RepositoryNotFoundError"}}}, "not loaded the code location"),
        ({"data": {"runsOrError": {"__typename": "PythonError", "message": "a\nb"}}}, "Dagster refused: a"),
        ({"data": {"runsOrError": {"__typename": "Odd", "errors": [{"message": "odd"}]}}}, "Dagster refused: odd"),
        ({"errors": [{"message": "no such field"}]}, "did not understand the request: no such field"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_of_dagsters_is_passed_on_in_words(dagster: Dagster, body: object, told: str) -> None:
    with pytest.raises(NotStartedError, match=told):
        answer(dagster, body)


def test_a_run_that_is_in_flight_is_found_rather_than_another_started(dagster: Dagster) -> None:
    found = answer(dagster, {"data": {"runsOrError": {"__typename": "Runs", "results": [{"runId": "r-1"}]}}})
    assert found == Run("r-1", started=False)
