"""A customer with two integrations: what names a job in each of them names none, whichever is matched first."""

import random
from threading import Barrier, Thread
from typing import Any

import pytest
from psycopg.errors import LockNotAvailable

from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.linking.candidates import match_integration
from kombo_pipeline.matching import identifiers
from kombo_pipeline_tests.linking.test_candidates import Customer, tables

US, DE = "successfactors:us", "successfactors:de"
SF = "https://career5.successfactors.eu/career?career_ns=job_listing&company={}&career_job_req_id={}"


@pytest.fixture
def us(conn: Connection) -> Customer:
    return Customer(conn, US)


@pytest.fixture
def de(us: Customer) -> Customer:
    return Customer(us.conn, DE)


def until_still(*connections: Customer) -> None:
    """Match until nothing is left to do, as the sensor does."""
    for _ in range(6):
        for connection in connections:
            connection.match()
        if not connections[0].conn.execute("select from core.own_job_matches where own_hash = ''").fetchone():
            return
    raise AssertionError("the connections never come to rest")


def test_one_code_in_two_connections_links_neither_and_both_ask(us: Customer, de: Customer) -> None:
    us.ats("a", "Nurse", job_code="R-4711", location_raw="Boston")
    de.ats("b", "Nurse", job_code="R-4711", location_raw="Boston")
    us.own("1", "Nurse", job_code="R-4711", location="Boston")
    us.match()
    assert us.links() == [], "the other connection counts although its own matching has not read its jobs yet"
    until_still(de, us)
    assert de.links() == []
    for each, job in ((us, "a"), (de, "b")):
        assert each.outcome("1") == ("review", "job code R-4711 belongs to 2 ATS jobs of 2 connections")
        assert (job, "job_code") in each.candidates("1")


def test_a_link_comes_back_for_a_look_when_another_connection_brings_the_same_code(us: Customer, de: Customer) -> None:
    us.ats("a", job_code="R-4711")
    us.own("1", job_code="R-4711")
    us.match()
    assert us.links() == [("1", "a", "active", None)]
    assert us.queue() == {}
    de.ats("b", job_code="R-4711", status="CLOSED")
    until_still(de, us)
    assert us.links() == [("1", "a", "active", None)], "it is not cut"
    assert us.queue() == {"1": "changed"}
    us.say("accepted", "1", "a")
    us.match()
    assert us.queue() == {}


def test_the_doubt_ends_when_the_other_connection_has_the_job_no_more(us: Customer, de: Customer) -> None:
    us.ats("a", job_code="R-4711")
    de.ats("b", job_code="R-4711")
    us.own("1", job_code="R-4711")
    until_still(us, de)
    us.conn.execute("delete from core.job_links")
    de.ats("b", job_code="R-4712")
    until_still(de, us)
    assert us.links() == [("1", "a", "active", None)]
    assert us.outcome("1") == ("linked", None)


def test_a_connection_that_was_deleted_counts_no_more(us: Customer, de: Customer) -> None:
    us.own("1", job_code="R-4711")
    de.ats("b", job_code="R-4711")
    de.match()
    us.ats("a", job_code="R-4711")
    us.match()
    assert us.links() == []
    us.conn.execute("update core.integrations set deleted_at = now() where integration_id = %s", (DE,))
    us.match()
    assert us.links() == [("1", "a", "active", None)]


def test_the_tenant_of_an_address_tells_which_connection_is_meant(us: Customer, de: Customer) -> None:
    us.ats("a", job_code="R-4711", post_url=SF.format("acmeUS", 77))
    de.ats("b", job_code="R-4711", post_url=SF.format("acmeDE", 77))
    us.own("1", job_code="R-4711", post_url=SF.format("acmeUS", 77))
    de.match()
    until_still(us, de)
    assert us.links() == [("1", "a", "active", None)]
    assert de.links() == []


def test_the_same_number_of_another_tenant_is_no_target(us: Customer, de: Customer) -> None:
    us.ats("a", post_url=SF.format("acmeUS", 77))
    de.ats("b", post_url=SF.format("acmeDE", 77))
    us.own("1", post_url=SF.format("acmeUS", 77))
    until_still(us, de)
    assert (us.links(), de.links()) == ([("1", "a", "active", None)], [])


def test_two_connections_to_one_account_show_each_job_twice_and_link_it_in_both(us: Customer, de: Customer) -> None:
    fields: dict[str, Any] = {
        "remote_id": "77", "job_code": "R-4711", "opened_at": "2026-11-01", "post_url": SF.format("acme", 77),
    }  # fmt: skip
    us.ats("a", "Nurse", **fields)
    de.ats("b", "Nurse", **fields)
    us.own("1", "Nurse", job_code="R-4711")
    until_still(us, de)
    assert (us.links(), de.links()) == ([("1", "a", "active", None)], [("1", "b", "active", None)])


def test_two_accounts_that_number_alike_are_not_taken_for_one(us: Customer, de: Customer) -> None:
    us.ats("a", "Nurse", remote_id="77", opened_at="2026-11-01")
    de.ats("b", "Nurse", remote_id="77", opened_at="2026-11-09")
    us.own("1", "Nurse", remote_id="77")
    de.match()
    until_still(us, de)
    assert (us.links(), de.links()) == ([], [])


def test_a_kombo_id_is_asked_about_its_own_connection_only(us: Customer, de: Customer) -> None:
    us.ats("a", remote_id="70")
    de.ats("b", remote_id="77")
    us.own("1", kombo_job_id="a", remote_id="77")
    until_still(us, de)
    assert us.links() == [("1", "a", "active", None)]
    assert de.links() == []
    assert "name different ATS jobs" in (de.outcome("1")[1] or "")


def test_two_matchings_at_the_same_time_do_not_both_link(us: Customer, de: Customer, warehouse_url: str) -> None:
    us.ats("a", job_code="R-4711")
    de.ats("b", job_code="R-4712")
    until_still(us, de)
    us.own("2", job_code="R-6000")
    us.ats("a2", job_code="R-6000")
    de.ats("b2", job_code="R-6000")
    us.conn.commit()
    start = Barrier(2)

    def match(integration_id: str) -> None:
        with connect(warehouse_url) as conn, conn.transaction():
            start.wait()
            match_integration(conn, integration_id)

    threads = [Thread(target=match, args=(each,)) for each in (US, DE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [link for each in (us, de) for link in each.links()] == []
    until_still(us, de)
    assert "2 connections" in (us.outcome("2")[1] or "")
    assert "2 connections" in (de.outcome("2")[1] or "")


def test_a_matching_waits_for_that_of_another_integration_of_the_customer(
    us: Customer, de: Customer, warehouse_url: str
) -> None:
    us.ats("a", job_code="R-4711")
    us.conn.commit()
    match_integration(us.conn, US)  # its transaction has not ended
    with connect(warehouse_url, lock_timeout="200ms") as other, pytest.raises(LockNotAvailable):
        match_integration(other, DE)
    us.conn.commit()
    with connect(warehouse_url, lock_timeout="200ms") as other:
        match_integration(other, DE)


def test_a_link_by_a_form_that_is_not_believed_any_more_comes_back_and_a_person_settles_it(
    us: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://acme.wd3.myworkdayjobs.com/External/job/Manager_R{}_173"
    for number in "123":
        us.ats(f"a{number}", "Manager", post_url=url.format(f"2{number}"))
        us.own(number, "Manager", post_url=url.format(f"2{number}"))
    us.match()
    assert len(us.links()) == 3
    # As an older version would have left them, which dropped the year.
    us.conn.execute("update core.own_jobs set post_url = %s", (url.format("25"),))
    us.conn.execute("update core.own_job_matches m set own_hash = o.content_hash from core.own_jobs o "
                    "where o.own_job_id = m.own_job_id")  # fmt: skip
    monkeypatch.setattr(identifiers, "VERSION", "identifiers-next")
    us.match()
    assert {link[2] for link in us.links()} == {"active"}, "none is cut"
    assert us.queue() == {"1": "changed", "2": "changed", "3": "changed"}
    reason = "The address that linked this ATS job does not name it for certain any more"
    assert us.outcome("1") == ("review", reason)
    assert us.candidates("1")[0] == ("a1", "post_url")
    us.say("accepted", "1", "a1")
    us.say("rejected", "2", "a2")
    us.match()
    assert us.queue()["3"] == "changed"
    assert "1" not in us.queue()
    assert [link[2:] for link in us.links() if link[0] in "12"] == [("active", None), ("retired", "rejected")]


def test_a_new_version_of_the_rules_computes_all_stored_keys_again(
    us: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    us.ats("a", job_code="R-4711")
    us.own("1", job_code="R-4711")
    us.match()
    for table in ("matchable_jobs", "own_job_matches"):
        us.conn.execute(f"update core.{table} set identifiers = '{{old}}'")
    assert us.match().scored == 0
    monkeypatch.setattr(identifiers, "VERSION", "identifiers-next")
    us.match()
    for table in ("matchable_jobs", "own_job_matches"):
        row = us.conn.execute(f"select identifiers from core.{table}").fetchone()
        assert row is not None
        assert "job_code:r 4711" in row["identifiers"]


def test_an_own_job_that_was_withdrawn_and_comes_back_under_another_id_is_linked(us: Customer) -> None:
    us.ats("a", job_code="R-4711")
    us.own("1", job_code="R-4711")
    us.match()
    us.own("1", job_code="R-4711", withdrawn_at="2026-11-01")
    us.own("2", job_code="R-4711")
    us.match()
    assert ("2", "a", "active", None) in us.links()


def test_short_codes_link_only_where_all_codes_of_the_customer_behave(us: Customer, de: Customer) -> None:
    for number in range(1, 25):
        us.ats(f"a{number}", f"Job {chr(64 + number)}", job_code=str(number))
    us.own("1", "Job G", job_code="7")
    us.match()
    assert us.links() == [("1", "a7", "active", None)]
    for number in range(30, 60):
        de.ats(f"b{number}", f"Work {number}", job_code=str(number % 3 + 80))
    de.match()
    us.own("2", "Job H", job_code="8")
    us.match()
    assert [link for link in us.links() if link[0] == "2"] == []
    assert "may be a short number" in (us.outcome("2")[1] or "")
    assert us.queue()["1"] == "changed"


@pytest.mark.parametrize("seed", range(2))
def test_matching_what_changed_in_two_connections_equals_matching_everything(
    us: Customer, de: Customer, seed: int
) -> None:
    rng = random.Random(seed)

    def identifying() -> dict[str, Any]:
        number = rng.randint(10, 30)
        return {
            "job_code": rng.choice([f"R-10{number}", f"r 10{number}", str(number), "N/A", None]),
            "remote_id": rng.choice([str(number), None, None]),
            "post_url": rng.choice([SF.format(rng.choice(["us", "de"]), number), "https://acme.com/jobs", None]),
        }

    def change() -> None:
        title, place = rng.choice(["Nurse", "Cook", "Night Nurse"]), rng.choice(["Berlin", "Bonn", None])
        if rng.random() < 0.6:
            where = rng.choice([us, de])
            gone = {"remote_deleted_at": "2026-11-01" if rng.random() < 0.1 else None}
            status = rng.choice(["OPEN", "OPEN", "CLOSED"])
            job = f"{where.integration_id[-2:]}{rng.randint(0, 25)}"
            where.ats(job, title, location_raw=place, status=status, **gone, **identifying())
        else:
            withdrawn = "2026-11-01" if rng.random() < 0.1 else None
            us.own(f"o{rng.randint(0, 15)}", title, location=place, withdrawn_at=withdrawn, **identifying())

    for _ in range(70):
        change()
    for _ in range(4):
        for _ in range(rng.randint(1, 5)):
            change()
        until_still(*rng.sample([us, de], 2))
        until_still(us, de)
        stepwise = tables(us.conn)
        for _ in range(2):
            us.conn.execute("update core.integrations set matched_with = null, matched_fetch_id = null")
            for integration_id in rng.sample([US, DE], 2):
                match_integration(us.conn, integration_id)
        for integration_id in (US, DE):
            match_integration(us.conn, integration_id)
        at_once = tables(us.conn)
        us.conn.rollback()
        for ours, theirs in zip(stepwise, at_once, strict=True):
            assert ours == theirs
