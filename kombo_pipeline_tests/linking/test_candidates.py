"""Matching on a real warehouse: what links, what is proposed, and that matching a part is matching everything."""

import dataclasses
import random
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.limits import TITLE
from kombo_pipeline.linking import decisions, links
from kombo_pipeline.linking.by_title import jobs_by_title
from kombo_pipeline.linking.candidates import HASHED, Matched, match_integration
from kombo_pipeline.linking.decisions import Answer
from kombo_pipeline.linking.statements.matchable_jobs import AtsJob
from kombo_pipeline.orchestration import audits
from kombo_pipeline_tests.hostile_texts import hostile_texts

ACME = "greenhouse:acme"


class Customer:
    """Writes jobs of one customer as a fetch and an import leave them."""

    def __init__(self, conn: Connection, integration_id: str = ACME) -> None:
        self.conn, self.integration_id = conn, integration_id
        conn.execute(
            "insert into core.integrations (integration_id, customer_id, organization_name, tool, full_fetched_at) "
            "values (%s, 'acme', 'Acme', 'greenhouse', now())",
            (integration_id,),
        )

    def ats(self, kombo_job_id: str, name: str = "Engineer", **fields: Any) -> None:
        """Create or change an ATS job as an applied fetch does."""
        fetch = self.conn.execute(
            "insert into raw.fetches (integration_id, kind, covers_event_seq, status) "
            "values (%s, 'incremental', 0, 'applied') returning fetch_id",
            (self.integration_id,),
        ).fetchone()
        assert fetch is not None
        row = {"name": name, "status": "OPEN", "last_fetch_id": fetch["fetch_id"]} | fields
        names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
        self.conn.execute(
            f"insert into core.jobs (integration_id, kombo_job_id, {names}) values (%(integration)s, %(id)s, {marks}) "
            f"on conflict (integration_id, kombo_job_id) do update set ({names}) = row({marks})",
            row | {"integration": self.integration_id, "id": kombo_job_id},
        )
        self.conn.execute(
            "insert into core.job_changes (integration_id, kombo_job_id, field, fetch_id) values (%s, %s, 'name', %s)",
            (self.integration_id, kombo_job_id, fetch["fetch_id"]),
        )
        links.follow_jobs(self.conn, self.integration_id)

    def own(self, own_job_id: str, title: str = "Engineer", **fields: Any) -> None:
        row = {"title": title} | fields
        names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
        self.conn.execute(
            f"insert into core.own_jobs (customer_id, own_job_id, {names}) values ('acme', %(id)s, {marks}) "
            f"on conflict (customer_id, own_job_id) do update set ({names}) = row({marks})",
            row | {"id": own_job_id},
        )

    def match(self) -> Matched:
        matched = match_integration(self.conn, self.integration_id)
        self.conn.commit()
        return matched

    def say(self, decision: Any, own_job_id: str, *kombo_job_ids: str, method: str = "title") -> Any:
        return decisions.answer(
            self.conn,
            Answer(
                answer_id=uuid4(), customer_id="acme", own_job_id=own_job_id, integration_id=self.integration_id,
                decision=decision, decided_by="ana", kombo_job_ids=kombo_job_ids, method=method,
            ),
        )[0].answer_id  # fmt: skip

    def outcome(self, own_job_id: str) -> tuple[str, str | None]:
        row = self.conn.execute(
            "select outcome, reason from core.own_job_matches where integration_id = %s and own_job_id = %s",
            (self.integration_id, own_job_id),
        ).fetchone()
        assert row is not None
        return row["outcome"], row["reason"]

    def candidates(self, own_job_id: str) -> list[tuple[str, str]]:
        rows = self.conn.execute(
            "select kombo_job_id, method from core.job_match_candidates where integration_id = %s and own_job_id = %s "
            "order by rank",
            (self.integration_id, own_job_id),
        )
        return [(row["kombo_job_id"], row["method"]) for row in rows]

    def links(self) -> list[tuple[str, str, str, str | None]]:
        rows = self.conn.execute(
            "select own_job_id, kombo_job_id, state, reason from core.job_links where integration_id = %s "
            "order by own_job_id, link_id",
            (self.integration_id,),
        )
        return [tuple(row.values()) for row in rows]  # type: ignore[misc]

    def queue(self) -> dict[str, str]:
        return {
            row["own_job_id"]: row["why"]
            for row in self.conn.execute(
                "select * from marts.review_queue where integration_id = %s", (self.integration_id,)
            )
        }


@pytest.fixture
def acme(conn: Connection) -> Customer:
    return Customer(conn)


@pytest.mark.parametrize(
    ("own", "ats", "method"),
    [
        ({"kombo_job_id": "a"}, {}, "kombo_id"),
        ({"remote_id": "17"}, {"remote_id": "17"}, "remote_id"),
        ({"job_code": "req 12"}, {"job_code": "REQ-0012"}, "job_code"),
        (
            {"post_url": "https://boards.greenhouse.io/acme/jobs/401?gh_src=x"},
            {"post_url": "https://acme.com/careers?gh_jid=401"},
            "post_url",
        ),
    ],
)
def test_a_unique_identifier_links_by_itself(
    acme: Customer, own: dict[str, Any], ats: dict[str, Any], method: str
) -> None:
    acme.ats("a", **ats)
    acme.ats("b")
    acme.own("1", **own)
    assert acme.match().linked == {method: 1}
    assert acme.links() == [("1", "a", "active", None)]
    assert acme.outcome("1") == ("linked", None)
    assert acme.candidates("1") == []
    assert acme.queue() == {}


def test_a_title_only_proposes(acme: Customer) -> None:
    acme.ats("a", "Senior Data Engineer", location_raw="Berlin")
    acme.ats("b", "Office Manager", location_raw="Berlin")
    acme.own("1", "Data Engineer (m/w/d), Senior", location="Berlin")
    acme.match()
    assert acme.links() == []
    assert acme.candidates("1")[0] == ("a", "title")
    assert acme.queue() == {"1": "candidates"}


def test_one_code_of_two_ats_jobs_goes_to_review_with_both(acme: Customer) -> None:
    acme.ats("a", "Engineer", job_code="R-12")
    acme.ats("b", "Engineer", job_code="R-12", status="CLOSED")
    acme.own("1", "Engineer", job_code="R-12")
    acme.match()
    assert acme.links() == []
    assert acme.outcome("1") == ("review", "job code R-12 belongs to 2 ATS jobs")
    assert {("a", "job_code"), ("b", "job_code")} <= set(acme.candidates("1"))
    assert acme.queue() == {"1": "identifiers"}


def test_the_same_code_with_quite_another_title_is_a_contradiction(acme: Customer) -> None:
    acme.ats("a", "Night Nurse", job_code="R-12")
    acme.own("1", "Forklift Driver", job_code="R-12")
    acme.match()
    assert acme.links() == []
    assert "is the same, but" in (acme.outcome("1")[1] or "")
    evidence = acme.conn.execute("select evidence from core.job_match_candidates").fetchone()
    assert evidence is not None
    assert evidence["evidence"]["contributions"][0]["text"] == "same job code"


def test_a_collision_that_comes_later_brings_the_own_job_back_and_leaves_its_link(acme: Customer) -> None:
    acme.ats("a", job_code="R-12")
    acme.own("1", job_code="R-12")
    acme.match()
    acme.own("2", job_code="R-12")
    acme.match()
    assert acme.links() == [("1", "a", "active", None)]
    assert acme.outcome("2")[0] == "review"
    assert acme.queue() == {"1": "changed", "2": "identifiers"}
    acme.say("accepted", "1", "a")
    acme.match()
    assert acme.queue() == {"2": "identifiers"}


def test_a_collision_ends_when_the_other_own_job_is_withdrawn(acme: Customer) -> None:
    acme.ats("a", job_code="R-12")
    acme.own("1", job_code="R-12")
    acme.own("2", job_code="R-12")
    acme.match()
    assert acme.links() == []
    acme.own("1", job_code="R-12", withdrawn_at="2026-11-01")
    acme.match()
    assert acme.links() == [("2", "a", "active", None)]


def test_a_code_of_too_many_jobs_names_them_once_it_is_one_of_fewer(acme: Customer) -> None:
    for number in range(21):
        acme.ats(f"a{number}", "Cook", job_code="R-4700")
    acme.own("1", "Baker", job_code="R-4700")
    acme.match()
    assert acme.outcome("1")[1] is None
    acme.ats("a0", "Cook", job_code="R-12")
    acme.match()
    assert acme.outcome("1")[1] == "job code R-4700 belongs to 20 ATS jobs"


def test_a_better_identifier_of_another_own_job_is_seen_through_the_ats_job(acme: Customer) -> None:
    acme.ats("a", remote_id="17", post_url="https://jobs.example/101")
    acme.own("1", post_url="https://jobs.example/101")
    acme.match()
    assert acme.outcome("1") == ("linked", None)
    acme.own("2", remote_id="17")
    acme.match()
    assert acme.links() == [("1", "a", "active", None), ("2", "a", "active", None)]
    assert "own job 2 has by its id in the ATS" in (acme.outcome("1")[1] or "")


def test_an_own_job_that_is_told_another_identifier_is_linked_anew(acme: Customer) -> None:
    acme.ats("a")
    acme.ats("b")
    acme.own("1", kombo_job_id="a")
    acme.match()
    acme.own("1", kombo_job_id="b")
    acme.match()
    assert acme.links() == [("1", "a", "retired", "identifiers_changed"), ("1", "b", "active", None)]


def test_a_job_that_is_posted_again_is_proposed_as_successor(acme: Customer) -> None:
    acme.ats("a", "Night Nurse", job_code="R-12", location_raw="Bonn")
    acme.own("1", "Night Nurse", job_code="R-12", location="Bonn")
    acme.match()
    acme.ats("a", "Night Nurse", job_code="R-12", location_raw="Bonn", remote_deleted_at="2026-11-01")
    acme.match()
    assert acme.links() == [("1", "a", "suspended", "deleted")]
    assert acme.queue() == {}
    acme.ats("b", "Night Nurse", job_code="R-12", location_raw="Bonn")
    acme.match()
    assert acme.links() == [("1", "a", "suspended", "deleted")]
    assert acme.outcome("1") == ("review", "The job code names this ATS job; the one that was linked is deleted")
    assert acme.candidates("1")[0] == ("b", "job_code")
    assert acme.queue() == {"1": "successor"}


def test_a_rejected_pair_never_returns_and_others_take_its_place(acme: Customer) -> None:
    for number in range(8):
        acme.ats(f"a{number}", "Night Nurse", location_raw="Bonn")
    acme.own("1", "Night Nurse", location="Bonn")
    acme.match()
    shown = [job for job, _ in acme.candidates("1")]
    assert len(shown) == 5
    answer_id = acme.say("rejected", "1", *shown)
    acme.match()
    rejected = {r["kombo_job_id"] for r in acme.conn.execute("select * from marts.match_candidates where rejected")}
    assert rejected == set(shown)
    assert len(acme.candidates("1")) == 8
    decisions.undo(acme.conn, undone_by="ana", answer_id=answer_id)
    acme.match()
    assert [job for job, _ in acme.candidates("1")] == shown


def test_a_rejected_identifier_does_not_link_again(acme: Customer) -> None:
    acme.ats("a", remote_id="17")
    acme.own("1", remote_id="17")
    acme.match()
    acme.say("rejected", "1", "a")
    assert acme.links() == [("1", "a", "retired", "rejected")]
    acme.match()
    assert acme.links() == [("1", "a", "retired", "rejected")]
    assert acme.outcome("1")[0] != "linked"


def test_an_identifier_that_contradicts_no_counterpart_asks_again(acme: Customer) -> None:
    acme.own("1", remote_id="17")
    acme.match()
    acme.say("no_counterpart", "1")
    acme.ats("a", remote_id="17")
    acme.match()
    assert acme.links() == []
    assert acme.outcome("1") == (
        "review",
        "The id in the ATS names this ATS job, although a person said that the ATS has none",
    )
    assert acme.queue() == {"1": "identifiers"}


def test_a_closed_job_is_no_candidate_and_one_that_reopens_is(acme: Customer) -> None:
    acme.ats("a", "Night Nurse")
    acme.own("1", "Night Nurse")
    for status, expected in (("OPEN", ["a"]), ("CLOSED", []), ("OPEN", ["a"])):
        acme.ats("a", "Night Nurse", status=status)
        acme.match()
        assert [job for job, _ in acme.candidates("1")] == expected


def test_a_link_whose_job_is_renamed_comes_back_for_another_look(acme: Customer) -> None:
    acme.ats("a", "Night Nurse")
    acme.own("1", "Night Nurse")
    acme.match()
    acme.say("accepted", "1", "a")
    assert acme.queue() == {}
    acme.ats("a", "Day Nurse")
    acme.match()
    assert acme.queue() == {"1": "changed"}
    acme.say("accepted", "1", "a")
    assert acme.queue() == {}


def test_an_unsure_answer_returns_after_its_days(acme: Customer) -> None:
    acme.ats("a", "Night Nurse")
    acme.own("1", "Night Nurse")
    acme.match()
    acme.say("unsure", "1")
    assert acme.queue() == {}
    acme.conn.commit()
    acme.conn.execute("set session_replication_role = replica")
    acme.conn.execute("update core.link_decisions set decided_at = now() - interval '3 days 1 minute'")
    acme.conn.execute("set session_replication_role = origin")
    assert acme.queue() == {"1": "candidates"}


def test_no_counterpart_holds_until_a_likely_candidate_turns_up_that_was_not_shown(acme: Customer) -> None:
    acme.ats("b", "Night Porter", location_raw="Kiel")
    acme.own("1", "Night Nurse", location="Bonn")
    acme.match()
    acme.say("no_counterpart", "1")
    acme.match()
    assert acme.queue() == {}
    acme.ats("a", "Night Nurse", location_raw="Bonn")
    acme.match()
    assert acme.queue() == {"1": "candidates"}


def test_without_a_customer_nothing_is_matched_and_it_is_said_why(acme: Customer) -> None:
    acme.conn.execute("update core.integrations set customer_id = null")
    assert "names no customer" in acme.match().why
    assert "not registered" in match_integration(acme.conn, "nobody:1").why


@pytest.mark.parametrize("title", ["", " ", "x" * TITLE.most, "\u202e\U0001f600", "(m/w/d)", "工程师"])
def test_any_title_is_matched(acme: Customer, title: str) -> None:
    acme.ats("a", title or None)  # type: ignore[arg-type]
    acme.own("1", title)
    acme.own("2", None)  # type: ignore[arg-type]
    acme.match()
    assert {acme.outcome("1")[0], acme.outcome("2")[0]} <= {"candidates", "none"}


def test_own_jobs_of_another_customer_are_never_compared(acme: Customer) -> None:
    acme.ats("a", remote_id="17")
    acme.conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title, remote_id) values ('other', '1', 'Engineer', '17')"
    )
    assert acme.match().scored == 0
    assert acme.links() == []


def test_a_new_matcher_version_matches_everything_and_loses_no_answer(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kombo_pipeline.matching.scoring import default_matcher

    acme.ats("a", "Night Nurse")
    acme.ats("b", "Night Nurse")
    for own in "123":
        acme.own(own, "Night Nurse")
    acme.match()
    acme.say("accepted", "1", "a")
    acme.say("rejected", "2", "a")
    assert acme.match().scored == 2  # of whom something was said
    monkeypatch.setattr(default_matcher(), "version", "titles-next")
    assert acme.match().scored == 3
    assert acme.links() == [("1", "a", "active", None)]
    assert acme.queue() == {"2": "candidates", "3": "candidates"}
    versions = acme.conn.execute("select distinct matcher_version from core.job_match_candidates").fetchall()
    assert versions == [{"matcher_version": "titles-next"}]


WORDS = [
    *("senior", "junior", "night", "day", "data", "office", "warehouse"),
    *("nurse", "engineer", "driver", "forklift", "manager", "sales"),
]
PLACES = ["Berlin", "Bonn", "Kiel", "Hamburg, Germany", None]


def tables(conn: Connection) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """What matching wrote, but for the times at which it did."""
    return tuple(
        conn.execute(
            f"select to_jsonb(t) - 'matched_at' - 'proposed_at' as row from core.{table} t order by 1"
        ).fetchall()
        for table in ("own_job_matches", "job_match_candidates", "matchable_jobs")
    )  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(3))
def test_matching_what_changed_equals_matching_everything(acme: Customer, seed: int) -> None:
    rng = random.Random(seed)

    def title() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, 4)))

    def identifiers() -> dict[str, Any]:
        chance = rng.random()
        code = f"R10{rng.randint(10, 22)}" if rng.random() < 0.5 else f"r-010{rng.randint(10, 22)}"
        return {"job_code": code if chance < 0.3 else "N/A" if chance < 0.6 else None}

    def change_ats() -> None:
        status = rng.choice(["OPEN"] * 5 + ["CLOSED"])
        gone = {"remote_deleted_at": "2026-11-01" if rng.random() < 0.1 else None}
        acme.ats(
            f"a{rng.randint(0, 60)}", title(), location_raw=rng.choice(PLACES), status=status, **gone, **identifiers()
        )

    def change_own() -> None:
        withdrawn = "2026-11-01" if rng.random() < 0.1 else None
        acme.own(
            f"o{rng.randint(0, 25)}", title(), location=rng.choice(PLACES), withdrawn_at=withdrawn, **identifiers()
        )

    def answer() -> None:
        shown = acme.conn.execute(
            "select own_job_id, kombo_job_id from core.job_match_candidates order by own_job_id, rank"
        ).fetchall()
        if shown:
            pair = rng.choice(shown)
            decision = rng.choice(["accepted", "rejected", "rejected"])
            given.append(acme.say(decision, pair["own_job_id"], pair["kombo_job_id"]))

    def undo() -> None:
        if given:
            decisions.undo(acme.conn, undone_by="ana", answer_id=given.pop(rng.randrange(len(given))))

    given: list[Any] = []
    for _ in range(60):
        change_ats()
    for _ in range(30):
        change_own()
    for _ in range(12):
        for _ in range(rng.randint(1, 5)):
            rng.choice([change_ats, change_ats, change_own, answer, undo])()
            assert not any(audits.broken_links(acme.conn, ACME).values())
        acme.match()
        stepwise = tables(acme.conn)
        acme.conn.execute("update core.integrations set matched_with = null, matched_fetch_id = null")
        match_integration(acme.conn, ACME)
        at_once = tables(acme.conn)
        acme.conn.rollback()
        for ours, theirs in zip(stepwise, at_once, strict=True):
            assert ours == theirs


def test_nothing_new_writes_nothing(acme: Customer) -> None:
    acme.ats("a", "Night Nurse")
    acme.own("1", "Night Nurse")
    acme.match()
    before = acme.conn.execute("select xmin::text, matched_at from core.own_job_matches").fetchall()
    assert acme.match().scored == 0
    assert acme.conn.execute("select xmin::text, matched_at from core.own_job_matches").fetchall() == before


def test_everything_that_matching_reads_of_an_ats_job_counts_for_its_hash() -> None:
    assert sorted(HASHED) == sorted(field.name for field in dataclasses.fields(AtsJob))


@pytest.mark.parametrize(
    "opened_at",
    ["0001-12-31 22:00:00+00 BC", "10000-01-01 04:59:59+00", "-infinity", "infinity", "0001-01-01", "9999-12-31"],
)
def test_no_date_of_a_job_stops_matching_or_counts_as_the_day_of_its_opening(acme: Customer, opened_at: str) -> None:
    acme.ats("odd", "Data Engineer", opened_at=opened_at, remote_created_at="2026-09-01")
    acme.ats("none", "Nurse", opened_at=opened_at, remote_created_at=opened_at)
    acme.own("own", "Data Engineer", posted_at="2026-09-02")
    assert acme.match().scored == 1
    rows = acme.conn.execute("select kombo_job_id, posted_on from core.matchable_jobs").fetchall()
    assert {row["kombo_job_id"]: str(row["posted_on"]) for row in rows} == {"odd": "2026-09-01", "none": "None"}
    assert acme.outcome("own")[0] == "candidates"


HOSTILE = [text for text in hostile_texts(50_000) if "\0" not in text and text.isprintable()][::10]


def test_one_text_of_a_customer_holds_no_run_up(acme: Customer) -> None:
    for number, text in enumerate(HOSTILE):
        fields = dict.fromkeys(("remote_id", "job_code", "post_url", "remote_url", "location_raw", "department"), text)
        acme.ats(f"k{number}", text, **fields)
        short = dict.fromkeys(("remote_id", "job_code", "location", "department"), text[:500])
        acme.own(f"o{number}", text[:1000], post_url=text[:4000], **short)
    acme.conn.commit()
    started = time.process_time()
    acme.match()
    jobs_by_title(acme.conn, HOSTILE, integration_id=ACME, customer="acme")
    assert time.process_time() - started < 0.1 * len(HOSTILE)


def test_an_id_of_an_ats_that_is_longer_than_any_names_nothing(acme: Customer) -> None:
    # The database takes no longer one of an own job: it was written before there was a limit.
    acme.conn.execute("alter table core.own_jobs drop constraint remote_id_is_not_too_long")
    for length in (500, 501):
        acme.ats(f"k{length}", remote_id="9" * length)
        acme.own(f"o{length}", "Engineer", remote_id="9" * length)
    acme.match()
    assert [link[:2] for link in acme.links()] == [("o500", "k500")]
