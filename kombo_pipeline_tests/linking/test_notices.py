"""Outbound notices, delivered over a real wire to a receiver that verifies them with the reference library."""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from standardwebhooks import Webhook

from kombo_pipeline.cli import main
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.linking import notices
from kombo_pipeline.linking.notices import Deliverer, Endpoint, deliver_due, endpoint
from kombo_pipeline.linking.statements import exposed_jobs
from kombo_pipeline.linking.statements import notices as statements
from kombo_pipeline.settings import SettingsError

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-nine bytes").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"an older one of thirty bytes!!").decode()


class Product:
    """The user's product: takes notices, verifies each, and answers as it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        """webhook-id and body of what was verified, in order."""
        self.answers: list[int | float] = []
        """Of the next requests: a status, or a time to be silent for; 204 when there is none left."""
        self.secret = SECRET
        self.verify = True
        self.url = ""
        self.hits = 0
        self.phrase: str | None = None
        self.before_answer: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> Endpoint:
        found = endpoint(self.url, SECRET)
        assert found
        return found

    def take(self, headers: dict[str, str], body: bytes) -> int:
        if self.verify:
            Webhook(self.secret).verify(body, headers)
        with self._lock:
            self.hits += 1
            answer = self.answers.pop(0) if self.answers else 204
        self.before_answer()
        if isinstance(answer, float):
            time.sleep(answer)
            answer = 204
        if answer < 300:
            self.received.append((headers["webhook-id"], json.loads(body)))
        return answer

    @property
    def events(self) -> list[tuple[int, str]]:
        """The notices about links, with their link."""
        links = [body for _, body in self.received if body["type"].startswith("link.")]
        return [(body["data"]["link_id"], body["type"]) for body in links]


@pytest.fixture
def product() -> Iterator[Product]:
    product = Product()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = product.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status, product.phrase)
            if status == 302:
                self.send_header("Location", product.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    product.url = f"http://127.0.0.1:{server.server_port}/hooks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield product
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def link(conn: Connection) -> Callable[[], int]:
    """Makes a link, and with it the notice that it started; commits."""
    conn.execute("insert into core.integrations (integration_id, customer_id) values ('tool:one', 'acme')")

    def make() -> int:
        row = conn.execute(
            "with n as (select count(*)::text as n from core.jobs), "
            "job as (insert into core.jobs (integration_id, kombo_job_id, name, status, last_fetch_id) "
            "select 'tool:one', n, 'Engineer', 'OPEN', 1 from n), own as (insert into core.own_jobs (customer_id, "
            "own_job_id, title) select 'acme', n, 'Engineer' from n) select n from n"
        ).fetchone()
        assert row
        made = conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) values ('acme', %(n)s, 'tool:one', %(n)s, 'job_code', '{}', '{}') returning link_id",
            row,
        ).fetchone()
        assert made
        conn.commit()
        return int(made["link_id"])

    return make


def suspend(conn: Connection, link_id: int, *, resume: bool = False) -> None:
    conn.execute(
        "update core.job_links set state = %s, reason = %s, state_since = now() where link_id = %s",
        ("active" if resume else "suspended", None if resume else "closed", link_id),
    )
    conn.commit()


def newest(conn: Connection, link_id: int) -> dict[str, Any]:
    conn.rollback()
    row = conn.execute(
        "select *, next_attempt_at - now() as pause from core.link_notices where link_id = %s "
        "order by notice_seq desc limit 1",
        (link_id,),
    ).fetchone()
    assert row
    return row


def make_due(conn: Connection) -> None:
    conn.execute("update core.notices set next_attempt_at = now() where next_attempt_at is not null")
    conn.commit()


def test_a_notice_is_delivered_signed_and_says_what_became_of_the_link(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    link_id = link()
    suspend(conn, link_id)
    assert deliver_due(conn, product.endpoint) == 1
    assert deliver_due(conn, product.endpoint) == 1
    assert deliver_due(conn, product.endpoint) == 0
    (_, started), (_, suspended) = product.received
    assert started["type"] == "link.started"
    assert suspended["data"] == {
        "link_id": link_id,
        "customer_id": "acme",
        "own_job_id": "0",
        "integration_id": "tool:one",
        "kombo_job_id": "0",
        "method": "job_code",
        "state": "suspended",
        "reason": "closed",
    }
    assert newest(conn, link_id)["delivered_at"]


@pytest.mark.parametrize("known", [SECRET, OLD_SECRET])
def test_while_secrets_change_a_receiver_that_knows_either_is_content(
    known: str, conn: Connection, link: Callable[[], int], product: Product
) -> None:
    link()
    product.secret = known
    both = endpoint(product.url, f"{SECRET}, {OLD_SECRET}")
    assert both
    assert deliver_due(conn, both) == 1
    assert len(product.received) == 1


@pytest.mark.parametrize(("status", "retried"), [(500, True), (404, True), (302, True), (429, True), (410, False)])
def test_whatever_is_not_2xx_is_tried_again_and_gone_is_not(
    status: int, retried: bool, conn: Connection, link: Callable[[], int], product: Product
) -> None:
    link_id = link()
    product.answers = [status]
    assert deliver_due(conn, product.endpoint) == 1
    found = newest(conn, link_id)
    assert product.hits == 1  # a redirect is not followed
    assert found["attempts"] == 1
    assert found["delivered_at"] is None
    assert str(status) in found["last_error"]
    assert (found["next_attempt_at"] is not None, found["dead_at"] is None) == (retried, retried)
    make_due(conn)
    assert deliver_due(conn, product.endpoint) == retried
    assert bool(newest(conn, link_id)["delivered_at"]) == retried


@pytest.mark.parametrize("phrase", ["x" * 20_000, "né " * 9_000, "\x1b[31m" * 5_000, "a\tb " * 5_000])
def test_what_an_endpoint_says_of_itself_is_cut(
    phrase: str, conn: Connection, link: Callable[[], int], product: Product, caplog: pytest.LogCaptureFixture
) -> None:
    link_id = link()
    product.answers, product.phrase = [500], phrase
    assert deliver_due(conn, product.endpoint) == 1
    kept = newest(conn, link_id)["last_error"]
    assert kept.startswith("answered 500 ")
    assert len(kept) <= 200
    assert kept.isprintable()
    assert all(len(message) < 300 for message in caplog.messages)


def test_ten_attempts_take_about_three_days_and_then_it_is_a_dead_letter(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    link_id = link()
    product.answers = [500] * 10
    pauses = []
    for _ in range(10):
        assert deliver_due(conn, product.endpoint) == 1
        pauses.append(newest(conn, link_id)["pause"])
        make_due(conn)
    assert pauses.pop() is None
    assert [later > earlier for earlier, later in pairwise(pauses)] == [True] * 8
    assert 2.5 < sum(pause.total_seconds() for pause in pauses) / 86_400 < 3.5
    assert newest(conn, link_id)["dead_at"]
    assert deliver_due(conn, product.endpoint) == 0
    [dead] = statements.undelivered(conn, dead=True, limit=10)
    assert dead.customer_id == "acme"
    assert statements.retry(conn) == 1
    conn.commit()
    assert deliver_due(conn, product.endpoint) == 1
    assert product.received[0][0] == str(dead.notice_id)


def test_the_pause_is_jittered(conn: Connection, link: Callable[[], int], product: Product) -> None:
    links = [link() for _ in range(5)]
    product.answers = [500] * 5
    conn.execute("update core.link_notices set attempts = 4")
    conn.commit()
    assert deliver_due(conn, product.endpoint) == 5
    pauses = {round(newest(conn, link_id)["pause"].total_seconds() / 60) for link_id in links}
    assert len(pauses) > 1
    assert all(4.5 * 60 <= pause <= 5.5 * 60 for pause in pauses)


def test_a_receiver_that_is_silent_or_not_there_has_failed(
    conn: Connection,
    link: Callable[[], int],
    product: Product,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(notices, "RESPONSE_SECONDS", 0.2)
    link_id = link()
    product.answers = [1.0]
    assert deliver_due(conn, product.endpoint) == 1
    assert "no answer within" in newest(conn, link_id)["last_error"]
    make_due(conn)
    nobody = endpoint("http://127.0.0.1:1/hooks?token=hush", SECRET)
    assert nobody
    assert deliver_due(conn, nobody) == 1
    assert newest(conn, link_id)["last_error"] == "no answer: ConnectError"
    assert "hush" not in caplog.text + repr(nobody)
    assert SECRET.removeprefix("whsec_") not in caplog.text + repr(nobody)


def test_a_crash_between_sending_and_commit_sends_the_same_notice_again(
    warehouse_url: str, conn: Connection, link: Callable[[], int], product: Product
) -> None:
    link()
    with connect(warehouse_url) as doomed:
        row = doomed.execute("select pg_backend_pid() as pid").fetchone()
        doomed.commit()
        product.before_answer = lambda: end(conn, row["pid"])  # type: ignore[index]
        with pytest.raises(psycopg.OperationalError):
            deliver_due(doomed, product.endpoint)
    product.before_answer = lambda: None
    assert deliver_due(conn, product.endpoint) == 1
    first, second = product.received
    assert first == second


def end(conn: Connection, pid: int) -> None:
    conn.execute("select pg_terminate_backend(%s)", (pid,))
    conn.commit()


def test_a_later_notice_of_a_link_waits_for_the_earlier_one_and_no_other_does(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    first = link()
    suspend(conn, first)
    product.answers = [500]
    assert deliver_due(conn, product.endpoint) == 1
    second = link()
    assert deliver_due(conn, product.endpoint) == 1
    assert product.events == [(second, "link.started")]
    make_due(conn)
    while deliver_due(conn, product.endpoint):
        pass
    assert product.events == [(second, "link.started"), (first, "link.started"), (first, "link.suspended")]


def test_a_notice_that_was_given_up_holds_no_later_one_back(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    link_id = link()
    suspend(conn, link_id)
    product.answers = [410]
    assert [deliver_due(conn, product.endpoint) for _ in range(3)] == [1, 1, 0]
    assert product.events == [(link_id, "link.suspended")]


def test_an_endpoint_that_is_down_for_a_day_gets_everything_of_an_own_job_in_order(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    links = [link() for _ in range(3)]
    for choice in (expose, end_exposure, expose):
        for number in range(3):
            choice(conn, str(number))
        conn.commit()
    for link_id in links:
        suspend(conn, link_id)
    written = conn.execute("select sequence, type, own_job_id from marts.notices order by sequence").fetchall()
    conn.commit()
    assert {row["type"] for row in written} == {
        *("link.started", "link.suspended", "target.opened", "target.closed", "exposure.started", "exposure.ended"),
    }
    # Six attempts take a day; only the first notice of each own job and of each ATS job is tried.
    for _ in range(6):
        product.answers = [503] * 6
        assert deliver_due(conn, product.endpoint) == 6
        make_due(conn)
    while deliver_due(conn, product.endpoint):
        pass
    assert len(product.received) == len(written)
    for number in range(3):
        of_own_job = [row["type"] for row in written if row["own_job_id"] == str(number)]
        arrived = [body["type"] for _, body in product.received if body["data"].get("own_job_id") == str(number)]
        assert arrived == of_own_job


def test_a_notice_that_was_given_up_holds_nothing_back_and_one_that_waits_only_its_own_job(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    for number in range(2):
        link()
        expose(conn, str(number))
        conn.commit()
    conn.execute("update core.notices set next_attempt_at = null, delivered_at = now() where type <> 'target.opened'")
    for number in range(2):
        end_exposure(conn, str(number))
    conn.commit()
    conn.execute("update core.notices set next_attempt_at = now() + interval '1 hour' where type = 'target.opened' "
                 "and payload #>> '{data,own_job_id}' = '0'")  # fmt: skip
    conn.commit()
    while deliver_due(conn, product.endpoint):
        pass
    assert told(product) == [("target.opened", "1"), ("target.closed", "1")]
    conn.execute("update core.notices set next_attempt_at = null, dead_at = now() where next_attempt_at > now()")
    conn.commit()
    while deliver_due(conn, product.endpoint):
        pass
    assert told(product)[2:] == [("target.closed", "0")]


def told(product: Product) -> list[tuple[str, str]]:
    """The notices about targets that have arrived, with their own job."""
    return [
        (body["type"], body["data"]["own_job_id"]) for _, body in product.received if body["type"].startswith("target.")
    ]


def expose(conn: Connection, job: str) -> None:
    exposed_jobs.expose(conn, "tool:one", [job], by="ana", channel="picker")


def end_exposure(conn: Connection, job: str) -> None:
    exposed_jobs.end_exposures(conn, "tool:one", [job], by="ana")


def test_several_deliverers_send_each_notice_once_and_keep_each_links_order(
    warehouse_url: str, conn: Connection, link: Callable[[], int], product: Product
) -> None:
    links = [link() for _ in range(12)]
    for link_id in links:
        suspend(conn, link_id)
        suspend(conn, link_id, resume=True)
    product.before_answer = lambda: time.sleep(0.01)
    with delivering(warehouse_url, product.endpoint), delivering(warehouse_url, product.endpoint):
        until(lambda: len(product.received) >= 36)
        time.sleep(0.1)
    assert len({message_id for message_id, _ in product.received}) == len(product.received) == 36
    for link_id in links:
        told = [event for concerned, event in product.events if concerned == link_id]
        assert told == ["link.started", "link.suspended", "link.resumed"]


def test_delivery_goes_on_after_the_database_came_back(
    warehouse_url: str, conn: Connection, link: Callable[[], int], product: Product
) -> None:
    with delivering(warehouse_url, product.endpoint):
        link()
        until(lambda: len(product.events) == 1)
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
            "and pid <> pg_backend_pid()"
        )
        conn.commit()
        link()
        # The first may have come twice: its commit may have been lost with the connection.
        until(lambda: len(set(product.events)) == 2)


def test_what_is_unforeseen_does_not_end_delivery(
    warehouse_url: str,
    link: Callable[[], int],
    product: Product,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    link()
    asked = iter([lambda: 1 / 0])
    monkeypatch.setattr(notices.time, "time", lambda real=time.time: next(asked, real)())
    with caplog.at_level(logging.ERROR), delivering(warehouse_url, product.endpoint):
        until(lambda: len(product.received) == 1)
    assert "notices were not delivered" in caplog.text


def test_delivery_that_is_switched_on_later_brings_no_flood(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    old, new = link(), link()
    conn.execute(
        "update core.link_notices set created_at = created_at - interval '3 days 1 minute', "
        "next_attempt_at = created_at - interval '3 days 1 minute' where link_id = %s",
        (old,),
    )
    conn.commit()
    assert deliver_due(conn, product.endpoint) == 1
    assert product.events == [(new, "link.started")]
    given_up = newest(conn, old)
    assert (given_up["attempts"], given_up["last_error"]) == (0, "not sent within 3 days, as delivery was off")
    assert statements.retry(conn, given_up["notice_id"]) == 1
    conn.commit()
    assert deliver_due(conn, product.endpoint) == 1
    assert product.events[-1] == (old, "link.started")
    assert statements.retry(conn, given_up["notice_id"]) == 0


def test_a_notice_that_a_link_change_rolled_back_never_existed(
    conn: Connection, link: Callable[[], int], product: Product
) -> None:
    link_id = link()
    assert deliver_due(conn, product.endpoint) == 1
    conn.execute("update core.job_links set state = 'suspended', reason = 'closed' where link_id = %s", (link_id,))
    conn.rollback()
    assert deliver_due(conn, product.endpoint) == 0
    assert len(product.received) == 1


@pytest.mark.parametrize(
    ("url", "secret", "complaint"),
    [
        ("https://h/x", None, "KOMBO_NOTICE_URL needs KOMBO_NOTICE_SECRET"),
        ("https://h/x", "whsec_c2hvcnQ=", "24 to 64 random bytes"),
        ("https://h/x", "whsec_not base64 at all, really!", "24 to 64 random bytes"),
        ("h/x", SECRET, "KOMBO_NOTICE_URL cannot be read"),
        ("file:///etc/passwd", SECRET, "KOMBO_NOTICE_URL cannot be read"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_without_showing_it(
    url: str, secret: str | None, complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint) as refused:
        endpoint(url, secret)
    assert secret is None or secret not in str(refused.value)


def test_without_a_url_notices_are_off() -> None:
    assert endpoint(None, None) is None


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "LOOK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(notices, "RECONNECT_SECONDS", 0.05)


@contextmanager
def delivering(warehouse_url: str, to: Endpoint) -> Iterator[None]:
    deliverer = Deliverer(warehouse_url, to)
    deliverer.start()
    try:
        yield
    finally:
        deliverer.stop()
    assert not deliverer.is_alive()


def until(condition: Callable[[], bool], *, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_command_lists_what_waits_and_what_was_given_up_and_has_it_sent_again(
    warehouse_url: str,
    conn: Connection,
    link: Callable[[], int],
    product: Product,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", warehouse_url)

    def command(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["notices", *arguments])
        return result.exit_code, result.output

    assert command() == (0, "No notice waits.\n")
    link_id = link()
    assert f"link.started link {link_id} of acme, 0 attempts, due" in command()[1]
    product.answers = [410]
    assert deliver_due(conn, product.endpoint) == 1
    notice_id = newest(conn, link_id)["notice_id"]
    conn.rollback()
    assert command()[1] == "No notice waits.\n"
    listed = command("--dead")[1]
    assert listed == f"{notice_id} link.started link {link_id} of acme, 1 attempts, given up: answered 410 Gone\n"
    assert command("--retry-dead") == (0, "1 notices are due now.\n")
    assert deliver_due(conn, product.endpoint) == 1
    code, output = command("--retry", str(notice_id))
    assert code == 1
    assert "that was not delivered" in output
    assert command("--dead", "--retry-dead")[0] == 2
