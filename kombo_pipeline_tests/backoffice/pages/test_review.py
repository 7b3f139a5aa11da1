"""The review page without a browser: the queue, the card, answers, undo, search."""

import html
import time
from uuid import uuid4

import pytest

from kombo_pipeline_tests.backoffice import reviewing as r
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, add_own_job
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client

pytestmark = pytest.mark.usefixtures("nobody_looked_before")


@pytest.fixture
def customer(backoffice: Backoffice) -> str:
    """A customer of the test's own, with eight own jobs that wait."""
    name = f"c{uuid4().hex[:8]}"
    with backoffice.connect() as conn:
        r.add_customer(conn, name)
    return name


@pytest.fixture
def conn(backoffice: Backoffice):
    with backoffice.connect() as connection:
        yield connection


def text(response) -> str:
    assert response.status_code in (200, 409, 422), response.text[:500]
    return html.unescape(response.text)


def card(client: Client, customer: str, own_job: str, **more: str) -> str:
    return text(client.get("/review", params=r.at(customer, own_job, **more)))


def press(client: Client, page: str, answer: str, **more: str):
    return client.submit("/review/answer", card=r.token(page), answer=answer, **more)


def test_the_first_visit_says_what_is_missing(admin: Client, backoffice: Backoffice, conn) -> None:
    assert "No customer has connected an ATS yet" in text(admin.get("/review"))
    add_integration(conn, "personio:first", "first", fetch_state="waiting", fetched_at=None)
    conn.commit()
    assert "There are no own jobs yet" in text(admin.get("/review"))
    add_own_job(conn, "first", "own-1")
    conn.commit()
    page = text(admin.get("/review"))
    assert "1 own job wait to be matched" in page or "1 own job waits to be matched" in page
    assert "The first sync of First has not finished" in page


def test_the_queue_shows_the_strongest_first_and_the_next_after_an_answer(
    reviewer: Client, customer: str, conn
) -> None:
    page = text(reviewer.get("/review", params={"customer": customer}))
    assert "8</b> left" in page
    first = r.candidates(page)[0]
    said = press(reviewer, page, f"link:{first}")
    assert said.status_code == 303
    assert said.headers["location"] == f"/review?customer={customer}"
    after = text(reviewer.get(said.headers["location"]))
    assert "7</b> left" in after
    assert r.candidates(after)[0] != first
    number = first.rsplit("-", 1)[1]
    assert r.decisions(conn, customer, f"{customer}/{number}") == [("accepted", first)]
    assert r.link_of(conn, customer, f"{customer}/{number}") == (first, "active", None)


def test_what_was_on_the_screen_is_kept_with_the_answer(reviewer: Client, customer: str, conn) -> None:
    page = card(reviewer, customer, f"{customer}/0", order="oldest")
    press(reviewer, page, f"link:{customer}-0", note="same team")
    row = conn.execute(
        "select on_screen, note, decided_by, method, matcher_version from core.link_decisions where customer_id = %s",
        (customer,),
    ).fetchone()
    shown = row["on_screen"]["candidates"]
    assert [each["kombo_job_id"] for each in shown] == r.candidates(page)
    assert shown[0]["title"] == "Backend Engineer Senior"
    assert shown[0]["evidence"]["contributions"]
    assert {"rank", "confidence", "band", "lifecycle"} <= shown[0].keys()
    assert (row["on_screen"]["order"], row["on_screen"]["why"]) == ("oldest", "candidates")
    assert (row["note"], row["decided_by"], row["method"]) == ("same team", "reviewer", "title")
    assert row["matcher_version"].startswith("titles-")


def test_a_double_click_is_one_answer(reviewer: Client, customer: str, conn) -> None:
    page = card(reviewer, customer, f"{customer}/1")
    for _ in range(3):
        assert press(reviewer, page, f"link:{customer}-1").status_code == 303
    assert r.decisions(conn, customer, f"{customer}/1") == [("accepted", f"{customer}-1")]


def test_none_of_these_rejects_all_that_were_shown(reviewer: Client, customer: str, conn) -> None:
    page = card(reviewer, customer, f"{customer}/2")
    shown = r.candidates(page)
    assert press(reviewer, page, "none").status_code == 303
    assert r.decisions(conn, customer, f"{customer}/2") == [("rejected", job) for job in shown]
    again = card(reviewer, customer, f"{customer}/2")
    assert not set(r.candidates(again)) & set(shown)


def test_rejecting_one_pair_leaves_the_others(reviewer: Client, customer: str, conn) -> None:
    page = card(reviewer, customer, f"{customer}/2")
    first, second = r.candidates(page)[:2]
    assert press(reviewer, page, f"not:{first}").status_code == 303
    assert r.candidates(card(reviewer, customer, f"{customer}/2"))[0] == second


def test_no_counterpart_and_unsure_leave_the_queue(reviewer: Client, customer: str, conn) -> None:
    for number, answer in ((3, "nowhere"), (4, "unsure")):
        press(reviewer, card(reviewer, customer, f"{customer}/{number}"), answer)
    assert "6</b> left" in text(reviewer.get("/review", params={"customer": customer}))
    assert r.decisions(conn, customer, f"{customer}/4") == [("unsure", None)]


def test_unsure_comes_back_after_some_days(reviewer: Client, customer: str, conn) -> None:
    press(reviewer, card(reviewer, customer, f"{customer}/4"), "unsure")
    conn.execute("set session_replication_role = replica")
    conn.execute(
        "update core.link_decisions set decided_at = decided_at - interval '4 days' where customer_id = %s", (customer,)
    )
    conn.execute("set session_replication_role = origin")
    conn.commit()
    assert "8</b> left" in text(reviewer.get("/review", params={"customer": customer}))


def test_a_weak_candidate_is_linked_only_with_a_note_and_what_was_typed_stays(
    reviewer: Client, customer: str, conn
) -> None:
    page = card(reviewer, customer, f"{customer}/0")
    weak = r.candidates(page)[-1]
    refused = press(reviewer, page, f"link:{weak}", note="  ")
    assert refused.status_code == 422
    assert "The match is weak: write a note" in text(refused)
    assert r.decisions(conn, customer, f"{customer}/0") == []
    accepted = press(reviewer, refused.text, f"link:{weak}", note="the customer said so")
    assert accepted.status_code == 303
    assert r.link_of(conn, customer, f"{customer}/0") == (weak, "active", None)


def test_the_second_reviewer_is_told_and_may_answer_all_the_same(
    reviewer: Client, admin: Client, customer: str, conn
) -> None:
    own, job = f"{customer}/0", f"{customer}-0"
    page = card(admin, customer, own)
    press(reviewer, card(reviewer, customer, own), f"link:{job}")
    late = press(admin, page, "nowhere", note="not there")
    assert late.status_code == 409
    told = text(late)
    assert "<b>reviewer</b> answered" in told
    assert "Your answer was not taken" in told
    assert "Backend Engineer Senior" in told
    assert ">not there</textarea>" in told
    assert r.decisions(conn, customer, own) == [("accepted", job)]
    assert press(admin, late.text, "nowhere", note="not there").status_code == 303
    assert r.decisions(conn, customer, own) == [("accepted", job), ("no_counterpart", None)]
    assert r.link_of(conn, customer, own) is None


def test_a_job_that_closed_while_its_card_was_open_is_linked_suspended_and_the_page_says_so(
    reviewer: Client, customer: str, conn
) -> None:
    own, job = f"{customer}/0", f"{customer}-0"
    page = card(reviewer, customer, own)
    conn.execute("update core.jobs set status = 'CLOSED' where kombo_job_id = %s", (job,))
    conn.commit()
    said = press(reviewer, page, f"link:{job}")
    assert "But the link is suspended, because the ATS job is closed." in text(reviewer.get(said.headers["location"]))
    assert r.link_of(conn, customer, own) == (job, "suspended", "closed")


def test_a_title_that_changed_while_the_card_was_open_is_shown_before_an_answer_holds(
    reviewer: Client, customer: str, conn
) -> None:
    own, job = f"{customer}/0", f"{customer}-0"
    page = card(reviewer, customer, own)
    conn.execute("update core.jobs set name = 'Gardener' where kombo_job_id = %s", (job,))
    conn.commit()
    late = press(reviewer, page, f"link:{job}")
    assert late.status_code == 409
    assert "“Backend Engineer Senior” → “Gardener”" in text(late)
    assert r.decisions(conn, customer, own) == []


def test_any_answer_can_be_undone_and_the_card_comes_back(reviewer: Client, admin: Client, customer: str, conn) -> None:
    own, job = f"{customer}/5", f"{customer}-5"
    press(reviewer, card(reviewer, customer, own), f"link:{job}")
    [row] = conn.execute("select answer_id from core.link_decisions where own_job_id = %s", (own,)).fetchall()
    undone = admin.submit("/review/undo", answer_id=str(row["answer_id"]))
    page = text(admin.get(undone.headers["location"]))
    assert "Taken back: “Sales Development Representative” is “Sales Development Rep”" in page
    assert r.candidates(page)[0] == job
    assert r.decisions(conn, customer, own) == [("accepted", job), ("undone", job)]
    assert r.link_of(conn, customer, own) is None
    again = admin.submit("/review/undo", answer_id=str(row["answer_id"]))
    assert "taken back before" in text(admin.get(again.headers["location"]))


def test_filters_and_order_are_in_the_address_and_nonsense_is_ignored(reviewer: Client, customer: str, conn) -> None:
    conn.execute(
        "update core.own_jobs set source = 'email', created_at = now() - interval '40 days' where own_job_id = %s",
        (f"{customer}/6",),
    )
    conn.commit()
    for query, left in (
        ({"source": "email"}, 1), ({"age": "30"}, 1), ({"age": "50"}, 0), ({"why": "candidates"}, 8),
        ({"why": "identifiers"}, 0), ({"integration": f"personio:{customer}"}, 8), ({"integration": "personio:x"}, 0),
        ({"band": "weird", "age": "soon", "order": "random", "skip": "-3", "source": "'; drop"}, 8),
    ):  # fmt: skip
        page = text(reviewer.get("/review", params={"customer": customer} | query))
        assert f"{left}</b> left" in page, query
    assert f"{customer}/6" in text(reviewer.get("/review", params={"customer": customer, "order": "oldest"}))
    assert reviewer.get("/review", params={"customer": customer, "order": "informative"}).status_code == 200


def test_cards_can_be_passed_over_and_gone_back_to(reviewer: Client, customer: str) -> None:
    seen = []
    for skip in range(8):
        page = text(reviewer.get("/review", params={"customer": customer, "skip": skip}))
        seen.append(r.candidates(page)[0])
        assert ("Previous" in page, "Next <kbd>" in page) == (skip > 0, skip < 7)
    assert len(set(seen)) == 8
    assert r.candidates(text(reviewer.get("/review", params={"customer": customer, "skip": 99})))[0] == seen[-1]


def test_new_own_jobs_come_into_a_queue_that_is_looked_at_all_the_time(
    reviewer: Client, customer: str, conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "8</b> left" in text(reviewer.get("/review", params={"customer": customer}))
    add_own_job(conn, customer, f"{customer}/late", title="Data Engineer", location="Wien")
    r.rematch(conn, f"personio:{customer}")
    monkeypatch.setattr("kombo_pipeline.backoffice.waiting.FRESH_SECONDS", 0)
    assert "8</b> left" in text(reviewer.get("/review", params={"customer": customer}))
    deadline = time.monotonic() + 10
    while "9</b> left" not in text(reviewer.get("/review", params={"customer": customer})):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_order_by_what_is_hardest_to_tell_apart(reviewer: Client, customer: str, conn) -> None:
    page = text(reviewer.get("/review", params={"customer": customer, "order": "informative"}))
    conn.rollback()
    hardest = conn.execute(
        "select q.own_job_id from marts.review_queue q join core.job_match_candidates c "
        "using (customer_id, own_job_id) where customer_id = %s and q.why <> 'unlikely' group by 1 order by "
        "max(c.confidence) filter (where rank = 1) - coalesce(max(c.confidence) filter (where rank = 2), 0) limit 1",
        (customer,),
    ).fetchone()
    assert hardest["own_job_id"] in page


def test_the_card_says_what_a_person_must_know_of_each_job(reviewer: Client, customer: str, conn) -> None:
    conn.execute(
        "update core.jobs set visibility = 'INTERNAL', status = 'CLOSED', closed_at = '2026-02-03' "
        "where kombo_job_id = %s",
        (f"{customer}-0",),
    )
    conn.commit()
    r.say(conn, customer, f"{customer}/1", "accepted", f"{customer}-0")
    page = card(reviewer, customer, f"{customer}/0")
    assert "closed since 2026-02-03" in page
    assert ">internal</span>" in page
    assert "already linked to “Pflegefachkraft (m/w/d)” (suspended)" in page


def test_a_linked_job_that_changed_is_shown_with_what_it_was(reviewer: Client, customer: str, conn) -> None:
    own, job = f"{customer}/0", f"{customer}-0"
    r.say(conn, customer, own, "accepted", job)
    conn.execute("update core.jobs set name = 'Head of Backend' where kombo_job_id = %s", (job,))
    r.rematch(conn, f"personio:{customer}")
    page = text(reviewer.get("/review", params={"customer": customer, "why": "changed"}))
    assert "Is the link still right?" in page
    assert "ATS title changed: “Backend Engineer Senior” → “Head of Backend”" in page
    assert "Still right" in page
    assert press(reviewer, page, f"link:{job}").status_code == 303
    assert "0</b> left" in text(reviewer.get("/review", params={"customer": customer, "why": "changed"}))


def test_a_job_that_opened_again_is_proposed_to_resume(reviewer: Client, customer: str, conn) -> None:
    own, job = f"{customer}/0", f"{customer}-0"
    r.say(conn, customer, own, "accepted", job)
    for status in ("CLOSED", "OPEN"):
        conn.execute("update core.jobs set status = %s where kombo_job_id = %s", (status, job))
        r.rematch(conn, f"personio:{customer}")
    page = text(reviewer.get("/review", params={"customer": customer, "why": "reopened"}))
    assert "is open again. Resume the link?" in page
    assert r.candidates(page)[0] == job
    press(reviewer, page, f"link:{job}")
    assert r.link_of(conn, customer, own) == (job, "active", None)


def test_a_posting_that_came_again_is_proposed_as_successor(reviewer: Client, customer: str, conn) -> None:
    own, job = f"{customer}/0", f"{customer}-0"
    r.say(conn, customer, own, "accepted", job)
    conn.execute("update core.jobs set status = 'CLOSED' where kombo_job_id = %s", (job,))
    add_job(conn, f"personio:{customer}", f"{customer}-new", name="Backend Engineer Senior", location_city="Berlin")
    r.rematch(conn, f"personio:{customer}")
    page = text(reviewer.get("/review", params={"customer": customer, "why": "successor"}))
    assert "Was it posted again as one of these?" in page
    assert "The linked job" in page
    assert r.candidates(page)[0] == f"{customer}-new"
    press(reviewer, page, f"link:{customer}-new")
    assert r.link_of(conn, customer, own) == (f"{customer}-new", "active", None)


def test_going_against_an_identifier_needs_a_note(reviewer: Client, customer: str, conn) -> None:
    integration = f"personio:{customer}"
    for job in ("a", "b"):
        add_job(conn, integration, f"{customer}-{job}", name="Nurse", job_code="N-1", location_city="Berlin")
    add_own_job(conn, customer, f"{customer}/nurse", title="Nurse", job_code="N-1", location="Berlin")
    r.rematch(conn, integration)
    page = card(reviewer, customer, f"{customer}/nurse")
    assert "job code N-1 belongs to 2 ATS jobs" in page
    assert "same job code" in page
    assert press(reviewer, page, "nowhere").status_code == 422
    assert "goes against what an identifier says" in text(press(reviewer, page, "none"))
    assert press(reviewer, page, f"link:{r.candidates(page)[0]}").status_code == 303
    [row] = conn.execute("select method from core.job_links where own_job_id = %s", (f"{customer}/nurse",)).fetchall()
    assert row["method"] == "job_code"


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("store nachwuchs", "7"),
        ("GRAZ store", "7"),
        ("REQ-1004", "4"),
        ("req 1004", "4"),
        ("70003", "3"),
        ("https://{customer}.jobs.personio.de/job/70002?utm_source=mail#apply", "2"),
        ("{customer}-5", "5"),
    ],
)
def test_search_finds_by_whatever_is_at_hand(reviewer: Client, customer: str, sought: str, found: str) -> None:
    at = r.at(customer, f"{customer}/0", q=sought.format(customer=customer))
    options = text(reviewer.get("/review/search", params=at))
    assert f'data-found="{customer}-{found}"' in options
    assert options.count("data-found") == 1
    page = text(reviewer.get("/review", params=at))
    assert f"found={customer}-{found}" in page


@pytest.mark.parametrize("sought", ["100%", "_", "\\", "x' or '1'='1", "\x00", "💥", "https://", "a" * 5000])
def test_search_takes_any_text_as_it_is(reviewer: Client, customer: str, sought: str) -> None:
    options = text(reviewer.get("/review/search", params=r.at(customer, f"{customer}/0", q=sought)))
    assert "data-found" not in options


def test_search_shows_open_jobs_first_and_closed_ones_with_a_mark(reviewer: Client, customer: str, conn) -> None:
    conn.execute("update core.jobs set status = 'CLOSED' where kombo_job_id = %s", (f"{customer}-2",))
    r.rematch(conn, f"personio:{customer}")
    options = text(reviewer.get("/review/search", params=r.at(customer, f"{customer}/0", q="manager")))
    assert [each.split('"')[0] for each in options.split('data-found="')[1:]] == [f"{customer}-7", f"{customer}-2"]
    assert options.count(">closed</span>") == 1


def test_a_job_found_by_search_is_compared_and_linked_as_found(reviewer: Client, customer: str, conn) -> None:
    own = f"{customer}/0"
    add_job(conn, f"personio:{customer}", f"{customer}-far", name="Something else", job_code="FAR-1")
    conn.commit()
    page = card(reviewer, customer, own, found=f"{customer}-far")
    assert "Found by search" in page
    assert press(reviewer, page, f"link:{customer}-far").status_code == 303
    [row] = conn.execute("select method, confirmed_by from core.job_links where own_job_id = %s", (own,)).fetchall()
    assert row == {"method": "search", "confirmed_by": "reviewer"}


def test_a_card_of_another_customers_integration_does_not_exist(
    reviewer: Client, customer: str, backoffice: Backoffice, conn
) -> None:
    other = f"o{uuid4().hex[:8]}"
    r.add_customer(conn, other, own_jobs=1)
    for at in (r.at(customer, f"{customer}/0", f"personio:{other}"), r.at(other, f"{customer}/0"), r.at("x", "y", "z")):
        assert reviewer.get("/review", params=at).status_code == 404
    page = card(reviewer, customer, f"{customer}/0", found=f"{other}-0")
    assert "Found by search" not in page
    assert press(reviewer, page, f"link:{other}-0").status_code == 400


def test_a_viewer_looks_and_does_not_answer(viewer: Client, reviewer: Client, customer: str, conn) -> None:
    page = card(viewer, customer, f"{customer}/0")
    assert "You can see this page, but only a reviewer can answer." in page
    assert r.candidates(page) == []
    mine = card(reviewer, customer, f"{customer}/0")
    assert press(viewer, mine, f"link:{customer}-0").status_code == 403
    assert viewer.submit("/review/undo", answer_id=str(uuid4())).status_code == 403
    assert r.decisions(conn, customer, f"{customer}/0") == []


def test_an_answer_that_makes_no_sense_is_refused_and_changes_nothing(reviewer: Client, customer: str, conn) -> None:
    page = card(reviewer, customer, f"{customer}/0")
    for answer in ("", "link:", "link:unknown", "explode", "none:x", "unsure:x"):
        assert press(reviewer, page, answer).status_code == 400, answer
    assert reviewer.submit("/review/answer", card="forged", answer="unsure").status_code == 400
    assert reviewer.submit("/review/undo").status_code == 400
    assert reviewer.submit("/review/undo", answer_id="x").status_code == 400
    assert r.decisions(conn, customer, f"{customer}/0") == []


EVIL = '<script>window.evil = 1</script><img src=x onerror="window.evil = 2">'


def test_foreign_text_stays_text_and_foreign_addresses_harmless(reviewer: Client, customer: str, conn) -> None:
    conn.execute(
        "update core.jobs set name = %(evil)s || ' Backend Engineer Senior', department = %(evil)s, "
        "job_code = %(evil)s, "
        'description = \'<p onclick="x()">Fine</p><a href="javascript:x()" hx-get="/x">link</a>\' || %(evil)s, '
        "post_url = 'javascript:window.evil=3', remote_url = %(tab)s where kombo_job_id = %(job)s",
        {"evil": EVIL, "tab": "java\tscript:alert(1)", "job": f"{customer}-0"},
    )
    conn.execute(
        "update core.own_jobs set title = title || %s, post_url = 'data:text/html,x' where own_job_id = %s",
        (EVIL, f"{customer}/0"),
    )
    r.rematch(conn, f"personio:{customer}")
    raw = reviewer.get("/review", params=r.at(customer, f"{customer}/0")).text
    assert f"{customer}-0" in raw
    assert "<script>window" not in raw
    assert "<img" not in raw
    assert 'href="javascript' not in raw.lower()
    assert 'href="data:' not in raw
    assert "hx-get" not in raw
    assert "<p>Fine</p>link" in raw
    options = reviewer.get("/review/search", params=r.at(customer, f"{customer}/0", q="backend senior")).text
    assert "<script" not in options
    assert "data-found" in options


def test_bands_show_how_often_they_were_right(reviewer: Client, backoffice: Backoffice, conn) -> None:
    from kombo_pipeline.linking.statements import answers

    name = f"p{uuid4().hex[:8]}"
    r.add_customer(conn, name)
    before = answers.band_precision(conn)
    bands = {}
    for number, answer in enumerate(("link", "link", "not", "nowhere")):
        page = card(reviewer, name, f"{name}/{number}")
        job = r.candidates(page)[0]
        conn.rollback()
        [row] = conn.execute(
            "select band from core.job_match_candidates where customer_id = %s and kombo_job_id = %s and rank = 1 "
            "and own_job_id = %s",
            (name, job, f"{name}/{number}"),
        ).fetchall()
        right, judged = bands.get(row["band"], (0, 0))
        bands[row["band"]] = (right + (answer == "link"), judged + 1)
        assert press(reviewer, page, answer if answer == "nowhere" else f"{answer}:{job}").status_code == 303
    conn.rollback()
    after = answers.band_precision(conn)
    gained = {
        band: (after[band][0] - before.get(band, (0, 0))[0], after[band][1] - before.get(band, (0, 0))[1])
        for band in bands
    }
    assert gained == bands
