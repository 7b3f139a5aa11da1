"""The audit of dependencies in `make lint`: a known hole stops it, a missing network does not."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

PROJECT = Path(__file__).parents[1]


class Osv(http.server.BaseHTTPRequestHandler):
    """Answers as api.osv.dev does, with the hole that a test puts into one package."""

    holes: ClassVar[dict[str, str]] = {}
    status: ClassVar[int] = 200
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        package = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]
        self.asked.append(package["name"])
        events = [{"introduced": "0"}, {"fixed": "999.1"}]
        affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
        hole = self.holes.get(package["name"])
        answer = {"vulns": [{"id": hole, "summary": "bad", "affected": affected}]} if hole else {}
        body = json.dumps(answer).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("holes", {}), ("status", 200), ("asked", [])):
        monkeypatch.setattr(Osv, name, value)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        server.shutdown()


def audit(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, PROJECT / ".ci" / "audit.py", *options]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


def pinned() -> list[str]:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()[1:]
    return [line.partition("==")[0] for line in lines]


def test_every_pinned_dependency_is_asked_about(osv: str) -> None:
    done = audit("--osv-url", osv)
    assert (done.returncode, done.stdout) == (0, f"No known hole in {len(pinned())} pinned dependencies.\n"), (
        done.stderr
    )
    assert sorted(Osv.asked) == sorted(pinned())


def test_a_known_hole_stops_it_and_says_what_to_do(osv: str) -> None:
    Osv.holes = {"starlette": "PYSEC-2099-1"}
    done = audit("--osv-url", osv)
    assert done.returncode == 1
    assert "starlette 1.10.0: PYSEC-2099-1, mended in 999.1" in done.stderr
    assert "Raise these versions in constraints.txt" in done.stderr


def test_without_a_network_it_says_in_one_line_that_it_was_skipped(osv: str) -> None:
    Osv.status = 503
    for url in ("http://127.0.0.1:1/v1/query", "http://nowhere.invalid/v1/query", osv):
        done = audit("--osv-url", url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("The audit of dependencies was skipped, since OSV does not answer: ")
        assert done.stdout.count("\n") == 1


def test_an_audit_that_cannot_run_is_no_audit_that_was_skipped() -> None:
    done = audit("--no-such-option")
    assert (done.returncode, "--no-such-option" in done.stderr) == (1, True)


def test_constraints_pin_every_package_and_name_no_registry() -> None:
    head, *lines = (PROJECT / "constraints.txt").read_text().splitlines()
    assert head.startswith("# ")
    assert all(len(line.split("==")) == 2 and "/" not in line and "@" not in line for line in lines), lines
