"""Who waits after wrong passwords, and who does not: visitors behind a proxy, against a running back office."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from kombo_pipeline.backoffice import attempts, passwords
from kombo_pipeline.backoffice.pages import sign_in
from kombo_pipeline.backoffice.statements import users
from kombo_pipeline_tests.backoffice.conftest import PASSWORD, Backoffice, Client, running_backoffice

LOOPBACK = (ip_network("127.0.0.1/32"),)
MakeVisitor = Callable[[str], Client]


@pytest.fixture(scope="module")
def backoffice_values() -> dict[str, Any]:
    return {"trusted_proxies": LOOPBACK}


@pytest.fixture(autouse=True)
def quick_hashes(backoffice: Backoffice, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes that cost nothing, for users ana and bob; each test begins with nothing counted."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", quick)
    monkeypatch.setattr(passwords, "_nobody", quick.hash("nobody"))
    with backoffice.connect() as conn:
        for name in ("ana", "bob"):
            users.put_user(conn, name, role="reviewer", password_hash=quick.hash(PASSWORD))
    yield
    with backoffice.connect() as conn:
        conn.execute("truncate core.sign_in_attempts")


@pytest.fixture
def visitor(backoffice: Backoffice) -> MakeVisitor:
    """Makes a browser that comes from an address through the trusted proxy."""

    def make(address: str) -> Client:
        client = backoffice.new_client()
        client.headers["X-Forwarded-For"] = address
        return client

    return make


def attempt(client: Client, name: str, password: str = "wrong") -> int:
    return client.submit("/login", name=name, password=password).status_code


def wrong(client: Client, name: str, times: int) -> list[int]:
    return [attempt(client, name) for _ in range(times)]


def let_time_pass(backoffice: Backoffice, seconds: int) -> None:
    with backoffice.connect() as conn:
        conn.execute("update core.sign_in_attempts set ends_at = ends_at - %s", (timedelta(seconds=seconds),))


def test_after_five_wrong_passwords_a_visitor_is_told_how_long_to_wait(
    backoffice: Backoffice, visitor: MakeVisitor
) -> None:
    client = visitor("203.0.113.1")
    assert wrong(client, "ana", 5) == [401] * 5
    refused = client.submit("/login", name=" ana ", password=PASSWORD)
    assert refused.status_code == 429
    seconds = int(refused.headers["retry-after"])
    assert 30 < seconds <= 60
    assert f"Wait {seconds} seconds, then try again" in refused.text
    assert attempt(client, "bob", PASSWORD) == 303, "another name of the same visitor"
    assert attempt(visitor("203.0.113.2"), "ana", PASSWORD) == 303, "another visitor of the same proxy"
    let_time_pass(backoffice, 61)
    assert attempt(client, "ana", PASSWORD) == 303


def test_a_right_password_is_not_counted(visitor: MakeVisitor) -> None:
    client = visitor("203.0.113.1")
    for _ in range(8):
        client.cookies.clear()
        assert attempt(client, "ana", PASSWORD) == 303
    assert wrong(visitor("203.0.113.1"), "ana", 6) == [401] * 5 + [429]


def test_wrong_passwords_under_invented_names_lock_out_their_own_address_alone(visitor: MakeVisitor) -> None:
    stranger = visitor("203.0.113.66")
    answers = [attempt(stranger, f"invented {number}") for number in range(60)]
    assert answers == [401] * attempts.OF_AN_ADDRESS + [429] * 10
    assert attempt(stranger, "ana", PASSWORD) == 429
    assert attempt(visitor("203.0.113.1"), "ana", PASSWORD) == 303


def test_who_signed_in_from_a_browser_before_is_locked_out_by_no_stranger(visitor: MakeVisitor) -> None:
    mine = visitor("203.0.113.1")
    assert attempt(mine, "ana", PASSWORD) == 303
    mine.submit("/logout")
    neighbour = visitor("203.0.113.1")  # of the same office
    for number in range(60):
        attempt(neighbour, f"invented {number}")
    for number in range(2, 30):
        wrong(visitor(f"203.0.113.{number}"), "ana", 5)
    elsewhere = visitor("198.51.100.1").submit("/login", name="ana", password=PASSWORD)
    assert elsewhere.status_code == 429, "the name has a budget of its own"
    assert "A browser in which you signed in before need not wait" in elsewhere.text
    assert attempt(mine, "ana", PASSWORD) == 303
    mine.headers["X-Forwarded-For"] = "198.51.100.2"
    assert attempt(mine, "ana", PASSWORD) == 303, "the browser counts, not where it is"
    assert attempt(visitor("198.51.100.3"), "bob", PASSWORD) == 303, "other names"


def test_one_address_cannot_use_up_what_a_name_has(backoffice: Backoffice, visitor: MakeVisitor) -> None:
    stranger, answers = visitor("203.0.113.66"), Counter[int]()
    for _ in range(30):
        answers.update(wrong(stranger, "ana", 6))
        let_time_pass(backoffice, 61)
    assert answers[401] == attempts.AN_HOUR
    assert attempt(visitor("203.0.113.1"), "ana", PASSWORD) == 303


def test_a_stolen_browser_cookie_allows_few_attempts_for_its_own_user(
    backoffice: Backoffice, visitor: MakeVisitor
) -> None:
    mine = visitor("203.0.113.1")
    assert attempt(mine, "ana", PASSWORD) == 303
    cookie, answers = mine.cookies["kombo_browser"], Counter[int]()
    for minute in range(12):
        for number in range(3):  # many thieves, with one cookie
            thief = visitor(f"198.51.{minute}.{number}")
            thief.cookies["kombo_browser"] = cookie
            answers.update(wrong(thief, "ana", 3))
        let_time_pass(backoffice, 61)
    assert answers[401] == attempts.AN_HOUR
    thief = visitor("198.51.100.1")
    thief.cookies["kombo_browser"] = cookie
    assert wrong(thief, "bob", 6) == [401] * 5 + [429], "for another user it is a stranger's"
    assert attempt(visitor("198.51.100.1"), "bob", PASSWORD) == 429


@pytest.mark.parametrize("change", ["cut", "forged", "other purpose", "garbage", "old"])
def test_a_browser_cookie_that_is_not_ours_makes_nobody_known(
    backoffice: Backoffice, visitor: MakeVisitor, change: str
) -> None:
    mine = visitor("203.0.113.1")
    assert attempt(mine, "ana", PASSWORD) == 303
    good = mine.cookies["kombo_browser"]
    kept = backoffice.access.signer("browser").loads(good)
    old = kept | {"users": {user: int(time.time()) - 1 for user in kept["users"]}}
    cookies = {
        "cut": good[:-1],
        "forged": "x" + good,
        "other purpose": backoffice.access.signer("notice").dumps(kept),
        "garbage": "x",
        "old": backoffice.access.signer("browser").dumps(old),
    }
    stranger = visitor("198.51.100.1")
    stranger.cookies["kombo_browser"] = cookies[change]
    wrong(stranger, "ana", 5)
    assert attempt(visitor("198.51.100.1"), "ana", PASSWORD) == 429, "counted as a stranger's"


def test_a_browser_knows_several_users_and_not_their_names(backoffice: Backoffice, visitor: MakeVisitor) -> None:
    shared = visitor("203.0.113.1")
    for name in ("ana", "bob", "viewer"):
        assert attempt(shared, name, PASSWORD) == 303
    for number in range(60):
        attempt(visitor("203.0.113.1"), f"invented {number}")
    assert [attempt(shared, name, PASSWORD) for name in ("ana", "bob", "viewer")] == [303] * 3
    told = str(backoffice.access.signer("browser").loads(shared.cookies["kombo_browser"]))
    assert not any(name in told for name in ("'ana'", "'bob'", "viewer"))


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.1", "203.0.113.1:999", True),
        ("203.0.113.1", "1.2.3.4, 203.0.113.1", True),
        ("203.0.113.1", "garbage, 203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("garbage", "rubbish", True),
    ],
)
def test_attempts_count_by_the_visitor_that_the_proxy_saw(
    visitor: MakeVisitor, first: str, second: str, is_same: bool
) -> None:
    wrong(visitor(first), "ana", 5)
    assert attempt(visitor(second), "ana", PASSWORD) == (429 if is_same else 303)


@pytest.mark.parametrize("trusted", [(), (ip_network("10.0.0.0/8"),)], ids=["none", "another"])
def test_without_a_trusted_peer_the_header_changes_nothing_and_the_log_may_say_so(
    module_warehouse_url: str, visitor: MakeVisitor, trusted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with running_backoffice(module_warehouse_url, trusted_proxies=trusted) as url:
        for number in range(8):
            client = visitor(f"203.0.113.{number}")
            client.base_url = url
            assert attempt(client, "ana") == (401 if number < 5 else 429)
    said = [record for record in caplog.records if "KOMBO_TRUSTED_PROXIES" in record.message]
    assert len(said) == (0 if trusted else 1)


def test_all_processes_count_together_and_a_restart_forgives_nothing(
    module_warehouse_url: str, visitor: MakeVisitor
) -> None:
    answers = []
    for _ in range(2):
        with running_backoffice(module_warehouse_url, trusted_proxies=LOOPBACK) as url:
            client = visitor("203.0.113.1")
            client.base_url = url
            answers.append(wrong(client, "ana", 3))
    assert answers == [[401] * 3, [401, 401, 429]]
    assert attempt(visitor("203.0.113.1"), "ana", PASSWORD) == 429


def test_attempts_at_the_same_time_are_all_counted_before_they_are_hashed(
    backoffice: Backoffice, visitor: MakeVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed, is_right = [], passwords.is_right

    def watched(password_hash: str | None, password: str) -> bool:
        hashed.append(password)
        return is_right(password_hash, password)

    monkeypatch.setattr(passwords, "is_right", watched)
    with ThreadPoolExecutor(16) as threads:
        answers = Counter(threads.map(lambda _: attempt(visitor("203.0.113.1"), "ana"), range(48)))
    assert answers == {401: attempts.A_MINUTE, 429: 48 - attempts.A_MINUTE}
    assert len(hashed) == attempts.A_MINUTE
    with backoffice.connect() as conn:
        counted = conn.execute("select attempts from core.sign_in_attempts").fetchall()
    assert [row["attempts"] for row in counted] == [attempts.A_MINUTE] * 4, "what was refused is not counted"


def test_a_crowd_waits_in_a_line_of_limited_length_and_holds_up_nobody_else(
    backoffice: Backoffice, visitor: MakeVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, reader = visitor("203.0.113.250"), backoffice.client("viewer")
    assert attempt(mine, "ana", PASSWORD) == 303
    may_end, at_once, is_right = threading.Event(), Counter[str](), passwords.is_right

    def slow(password_hash: str | None, password: str) -> bool:
        if password == PASSWORD:
            return is_right(password_hash, password)
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        may_end.wait(20)
        at_once["now"] -= 1
        return False

    monkeypatch.setattr(passwords, "is_right", slow)

    def stranger(number: int) -> httpx.Response:
        return visitor(f"203.0.113.{number}").submit("/login", name="bob", password="wrong")

    crowd = sign_in.MAX_IN_LINE + 9
    with ThreadPoolExecutor(crowd) as threads:
        answers = [threads.submit(stranger, number) for number in range(crowd)]
        deadline = time.monotonic() + 20
        while sum(answer.done() for answer in answers) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert attempt(mine, "ana", PASSWORD) == 303, "who is known has a line of its own"
        assert reader.get("/links").status_code == 200
        may_end.set()
        found = Counter(answer.result().status_code for answer in answers)
    assert found == {401: sign_in.MAX_IN_LINE + 1, 503: 8}
    assert at_once["most"] == 1
    busy = next(answer.result() for answer in answers if answer.result().status_code == 503)
    assert busy.headers["retry-after"] == "5"
    assert "Try again in a few seconds" in busy.text


def test_what_is_counted_tells_no_name_and_goes_when_its_time_is_over(
    backoffice: Backoffice, visitor: MakeVisitor
) -> None:
    for number in range(40):
        attempt(visitor("203.0.113.1"), f"a password typed as a name {number}")
    with backoffice.connect() as conn:
        rows = conn.execute("select budget, counted, t::text as text from core.sign_in_attempts t").fetchall()
    counts = {"visitor_minute": 40, "visitor_hour": 40, "name": 40, "address": 1}
    assert Counter(row["budget"] for row in rows) == counts
    assert len({row["counted"] for row in rows}) == 81
    assert not any(b"password".hex() in row["text"] or b"203.0.113".hex() in row["text"] for row in rows)
    let_time_pass(backoffice, 3601)
    for number in range(2):
        attempt(visitor("203.0.113.2"), f"another {number}")
    with backoffice.connect() as conn:
        assert len(conn.execute("select from core.sign_in_attempts").fetchall()) == 7


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (1, "1 second"), (42.1, "43 seconds"), (90, "90 seconds"), (91, "2 minutes"),
     (3599.5, "60 minutes")],
)  # fmt: skip
def test_a_wait_is_told_in_words(seconds: float, words: str) -> None:
    assert attempts.in_words(timedelta(seconds=seconds)) == words
