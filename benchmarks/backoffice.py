"""How long pages of the back office take, beside the bare SQL that each needs, with a large customer.

Everything is generated: 100,000 ATS jobs of one integration, 20,000 own jobs with five candidates each that wait for
a person, and 20,000 that were answered before. Requests come one after the other over HTTP from a session that is
signed in; the bare SQL is what the page asks the database, on one connection from this process, its rows fetched.
Both are warm.
"""

import argparse
import contextlib
import html
import itertools
import multiprocessing
import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

import httpx
from psycopg.types.json import Jsonb

from benchmarks.lab import embedded_postgres, fresh_database, machine, table
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.matching.scoring import band
from kombo_pipeline.sandbox.words import DEPARTMENTS

CUSTOMER, INTEGRATION = "acme", "greenhouse:CBNMt7dSNCzBdnRTx87dev4E"
CITIES = ("Berlin", "München", "Hamburg", "Köln", "Leipzig", "Wien", "Zürich", "London", "Paris", "Madrid", "Graz")
LEVELS = ("", "Junior ", "Senior ", "Lead ", "Head of ", "Working Student ")
TEXT = "<p>We look for people who like what they do, and do it well. Come as you are.</p>" * 20


def fill(conn: Connection, *, ats_jobs: int, own_jobs: int, answered: int) -> None:
    """Write the jobs and what matching would have found, without running it."""
    chance = random.Random(7)
    titles = [title for department in DEPARTMENTS for words in department.titles.values() for title in words]
    conn.execute(
        "insert into core.integrations (integration_id, customer_id, organization_name, tool, fetch_state, fetched_at, "
        "full_fetched_at, matched_at, matched_fetch_id) values (%s, %s, 'Acme', 'greenhouse', 'current', now(), now(), "
        "now(), 1)",
        (INTEGRATION, CUSTOMER),
    )
    jobs = [
        (f"job{n:06d}", f"{chance.choice(LEVELS)}{chance.choice(titles)}", f"REQ-{n:06d}", chance.choice(CITIES))
        for n in range(ats_jobs)
    ]
    with conn.cursor().copy(
        "copy core.jobs (integration_id, kombo_job_id, name, job_code, location_city, remote_id, description, status, "
        "visibility, post_url, last_fetch_id) from stdin"
    ) as copy:
        for number, (job_id, title, code, city) in enumerate(jobs):
            url = f"https://boards.greenhouse.io/acme/jobs/{4_000_000 + number}"
            status = "OPEN" if number % 4 else "CLOSED"
            copy.write_row((INTEGRATION, job_id, title, code, city, str(number), TEXT, status, "PUBLIC", url, 1))
    with conn.cursor().copy(
        "copy core.matchable_jobs (integration_id, kombo_job_id, title, place, department, employment_type, job_code, "
        "identifiers, vector, search_text, job_hash) from stdin"
    ) as copy:
        for number, (job_id, title, code, city) in enumerate(jobs):
            identifiers = [f"kombo_id:{job_id}", f"remote_id:{number}", f"job_code:{code}"]
            identifiers.append(f"post_url:greenhouse:{4_000_000 + number}")
            text = " ".join((title, code, city, str(number), job_id)).lower()
            vector = chance.randbytes(300) if number % 4 else None
            copy.write_row((INTEGRATION, job_id, title, city, "", "", code, identifiers, vector, text, b""))
    with conn.cursor().copy(
        "copy core.own_jobs (customer_id, own_job_id, title, location, created_at) from stdin"
    ) as copy:
        for number in range(own_jobs + answered):
            _, title, _, city = jobs[number * 5 % len(jobs)]
            at = f"2026-{1 + number % 9:02d}-{1 + number % 27:02d}"
            copy.write_row((CUSTOMER, f"own-{number:05d}", f"{title} (m/w/d)", city, at))
    found = [sorted((chance.random() for _ in range(5)), reverse=True) for _ in range(own_jobs + answered)]
    with conn.cursor().copy(
        "copy core.own_job_matches (customer_id, own_job_id, integration_id, outcome, none_probability, confidence, "
        "band, own_hash, matcher_version, identifiers, vector, shortlist_floor, shortlist) from stdin"
    ) as copy:
        for number, confidences in enumerate(found):
            best = confidences[0]
            own = (CUSTOMER, f"own-{number:05d}", INTEGRATION, "candidates", 1 - best, best, band(best))
            copy.write_row((*own, "", "titles-1", [], chance.randbytes(300), 0.1, list(range(100))))
    with conn.cursor().copy(
        "copy core.job_match_candidates (customer_id, own_job_id, integration_id, kombo_job_id, rank, score, "
        "confidence, band, method, evidence, matcher_version) from stdin"
    ) as copy:
        for number, confidences in enumerate(found):
            for rank, confidence in enumerate(confidences, 1):
                job = jobs[(number * 5 + rank - 1) % len(jobs)]
                own = (CUSTOMER, f"own-{number:05d}", INTEGRATION, job[0], rank, confidence * 10, confidence)
                copy.write_row((*own, band(confidence), "title", Jsonb(evidence(job[1], job[3])), "titles-1"))
    # Nine of ten answered ones are linked to their first candidate, of the tenth it was rejected.
    conn.execute(
        "insert into core.link_decisions (answer_id, customer_id, own_job_id, integration_id, kombo_job_id, decision, "
        "method, decided_by, decided_at, own_seen, ats_seen, on_screen) select gen_random_uuid(), c.customer_id, "
        "c.own_job_id, c.integration_id, c.kombo_job_id, case when right(c.own_job_id, 1) = '0' then 'rejected' "
        "else 'accepted' end, case when right(c.own_job_id, 1) <> '0' then 'title' end, 'ana', "
        "now() - interval '1 day' - random() * interval '90 days', core.seen(o), core.seen(j), "
        "jsonb_build_object('candidates', (select jsonb_agg(jsonb_build_object('kombo_job_id', x.kombo_job_id, 'band', "
        "x.band, 'confidence', x.confidence, 'evidence', x.evidence) order by x.rank) from core.job_match_candidates x "
        "where x.customer_id = c.customer_id and x.own_job_id = c.own_job_id)) from core.job_match_candidates c "
        "join core.own_jobs o on o.customer_id = c.customer_id and o.own_job_id = c.own_job_id "
        "join core.jobs j on j.integration_id = c.integration_id and j.kombo_job_id = c.kombo_job_id "
        "where c.rank = 1 and c.own_job_id >= %s order by c.own_job_id",
        (f"own-{own_jobs:05d}",),
    )
    conn.execute(
        "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, confirmed_by, "
        "own_seen, ats_seen, state, reason) select d.customer_id, d.own_job_id, d.integration_id, d.kombo_job_id, "
        "'title', 'ana', d.own_seen, d.ats_seen, case when j.lifecycle = 'open' then 'active' else 'suspended' end, "
        "nullif(j.lifecycle, 'open') from core.link_decisions d join core.jobs j using (integration_id, kombo_job_id) "
        "where d.decision = 'accepted'"
    )
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")
    conn.autocommit = False


def evidence(title: str, city: str) -> dict[str, Any]:
    """Reasons as long as real ones."""
    reasons = [
        (f"title words in common: {title.lower()}", 4.1), (f"same city {city}", 1.2), ("other employment type", -0.9),
        ("posted 12 days later", -0.3), ("other candidates have the same title", -0.2),
    ]  # fmt: skip
    return {
        "own_title": title.lower(),
        "ats_title": title.lower(),
        "only_own": [],
        "only_ats": ["senior"],
        "contributions": [{"text": text, "weight": weight} for text, weight in reasons],
    }


NAME, PASSWORD = "benchmark", "a password of the benchmark"


@contextlib.contextmanager
def running_backoffice(warehouse_url: str) -> Iterator[httpx.Client]:
    """A session that is signed in to a back office in a process of its own."""
    from kombo_pipeline.backoffice.passwords import hashed
    from kombo_pipeline.backoffice.statements import users

    with connect(warehouse_url) as conn:
        users.put_user(conn, NAME, role="reviewer", password_hash=hashed(PASSWORD))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(warehouse_url, port), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as client:
        try:
            while True:
                with contextlib.suppress(httpx.ConnectError):
                    client.get("/healthz")
                    break
                assert process.is_alive()
                time.sleep(0.1)
            assert client.post("/login", data={"name": NAME, "password": PASSWORD}).status_code == 303
            yield client
        finally:
            process.terminate()
            process.join()


def _serve(warehouse_url: str, port: int) -> None:
    from dataclasses import replace

    from kombo_pipeline import settings
    from kombo_pipeline.backoffice import app

    secret, url = "the secret of the benchmark, long enough", f"http://127.0.0.1:{port}"
    given = replace(settings.load(), backoffice_secret=secret, backoffice_url=url)
    app.serve(warehouse_url=warehouse_url, settings=given, host="127.0.0.1", port=port)


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, page[:1000]
    return html.unescape(found[1])


def get(client: httpx.Client, path: str, *, expected: str, **query: Any) -> str:
    """A page that must hold a text: a quick wrong answer is none."""
    response = client.get(path, params=query)
    assert response.status_code == 200, (path, response.status_code)
    assert expected in response.text, (path, response.text[:2000])
    return response.text


def answer_and_next(client: httpx.Client, page: list[str]) -> None:
    """Link the first candidate and load the card that follows."""
    form = {name: field(page[0], name) for name in ("csrf_token", "card")}
    said = client.post("/review/answer", data=form | {"answer": "unsure"})
    assert said.status_code == 303, said.status_code
    page[0] = get(client, said.headers["location"], expected="own-title")


def contenders(client: httpx.Client, conn: Connection) -> dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]]:
    """Each page with the SQL that it needs; both are called with a number that grows."""
    from kombo_pipeline.backoffice.pages import search
    from kombo_pipeline.backoffice.statements import overview
    from kombo_pipeline.backoffice.waiting import Waiting
    from kombo_pipeline.backoffice.widgets import card
    from kombo_pipeline.linking.statements import answers, ats_jobs, job_filter, review_cards, review_queue

    # The newest first: it is the oldest that get answered.
    keys = list(Waiting().read(conn).queue(review_queue.Queue(order="oldest")))[::-1]
    at = {"of": CUSTOMER, "in": INTEGRATION, "own": "own-00001"}
    page = [get(client, "/review", expected="own-title", order="oldest")]

    def card_sql(number: int) -> None:
        key = keys[number]
        assert review_queue.waiting_job(conn, key)
        card.load(conn, key)
        answers.progress(conn, NAME)
        answers.standing_of_person(conn, NAME, since=datetime.now(UTC) - timedelta(days=1), limit=5)
        review_cards.integrations(conn)

    def picker_sql(words: tuple[str, ...]) -> None:
        wanted = job_filter.Filter(integration_id=INTEGRATION, words=words)
        ats_jobs.counts(conn, INTEGRATION)
        ids, _ = job_filter.page(conn, wanted, offset=0, limit=50)
        ats_jobs.jobs(conn, INTEGRATION, ids)

    cities = itertools.cycle(CITIES)
    return {
        "/review, the next card": (
            lambda n: get(client, "/review", expected="own-title", skip=n),
            card_sql,
        ),
        "/review, an answer and the next card": (lambda _: answer_and_next(client, page), card_sql),
        "/review, a filter's first page": (lambda n: get(client, "/review", expected="own-title", age=n + 1), card_sql),
        "who waits, read anew": (lambda _: Waiting().read(conn), lambda _: review_queue.waiting(conn)),
        "/review, search by words": (
            lambda _: get(client, "/review/search", expected="data-found", **at, q=f"engineer {next(cities)}"),
            lambda _: search.find(conn, INTEGRATION, f"engineer {next(cities)}"),
        ),
        "/review, search by code": (
            lambda n: get(client, "/review/search", expected="data-found", **at, q=f"REQ-{n:06d}"),
            lambda n: search.find(conn, INTEGRATION, f"REQ-{n:06d}"),
        ),
        "/picker": (
            lambda _: get(client, "/picker", expected="REQ-", integration=INTEGRATION),
            lambda _: picker_sql(()),
        ),
        "/picker, search": (
            lambda _: get(client, "/picker", expected="REQ-", integration=INTEGRATION, q=f"engineer {next(cities)}"),
            lambda _: picker_sql(("engineer", next(cities))),
        ),
        "/integrations": (
            lambda _: get(client, "/integrations", expected="Acme"),
            lambda _: overview.health(conn),
        ),
        "/history": (
            lambda _: get(client, "/history", expected="ana"),
            lambda _: answers.newest(conn, limit=51),
        ),
    }


def timed(call: Callable[[int], Any], rounds: int) -> list[float]:
    """Milliseconds of each round, after three that do not count."""
    taken = []
    for number in range(rounds + 3):
        started = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - started) * 1000)
    return taken[3:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ats-jobs", type=int, default=100_000)
    parser.add_argument("--own-jobs", type=int, default=20_000, help="own jobs that wait for a person")
    parser.add_argument("--answered", type=int, default=20_000, help="own jobs that were answered before")
    parser.add_argument("--rounds", type=int, default=60, help="requests of each kind")
    options = parser.parse_args()
    print(machine())
    rows: list[list[object]] = []
    with embedded_postgres() as server:
        url = fresh_database(server, "warehouse")
        with connect(url) as conn:
            fill(conn, ats_jobs=options.ats_jobs, own_jobs=options.own_jobs, answered=options.answered)
            with running_backoffice(url) as client:
                for name, (page, bare) in contenders(client, conn).items():
                    statements = timed(bare, options.rounds)
                    conn.rollback()
                    pages = timed(page, options.rounds)
                    figures = [quantiles(taken, n=20) for taken in (pages, statements)]
                    rows.append([name, *(each[index] for each in figures for index in (9, 18))])
    print(f"\n## Back office, {options.ats_jobs:,} ATS jobs, {options.own_jobs:,} own jobs wait\n")
    print(table(["", "page p50 ms", "page p95 ms", "bare SQL p50 ms", "bare SQL p95 ms"], rows))


if __name__ == "__main__":
    main()
