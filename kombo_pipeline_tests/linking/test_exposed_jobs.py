"""The picker's list and choices, on a real warehouse."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import ats_jobs, exposed_jobs, job_filter
from kombo_pipeline.linking.statements.job_filter import Filter
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, add_own_job, match

HERE = "personio:acme"


@pytest.fixture
def jobs(conn: Connection) -> Iterator[Connection]:
    """Two integrations; in the first a job of each lifecycle and visibility."""
    add_integration(conn, HERE, "acme")
    add_integration(conn, "personio:other", "other")
    add_job(conn, "personio:other", "theirs", name="Nurse")
    for status, visibility in product(
        ("OPEN", "CLOSED", "DRAFT", "ARCHIVED", "Pausiert", None),
        ("PUBLIC", "UNLISTED", "INTERNAL", "CONFIDENTIAL", "Nur Bonn", None),
    ):
        name = f"{status}-{visibility}".lower()
        add_job(conn, HERE, name, name=f"Nurse {name}", status=status, visibility=visibility)
    gone = {"remote_deleted_at": "now()", "vanished_at": "now()", "integration_gone_at": "now()"}
    for column, at in gone.items():
        add_job(conn, HERE, column, name=f"Driver {column}", **{column: at})
    add_job(
        conn, HERE, "j1", name="100% Ärztin_für alles", job_code="REQ-1", department="Care & Cure",
        location_city="Köln", location_country="DE", opened_at="2026-01-05", remote_id="r-1",
        post_url="https://jobs.acme.example/1",
    )  # fmt: skip
    add_job(conn, HERE, "j2", name="Electrician", location_raw="Bonn", opened_at="2026-03-05", department="Field")
    add_job(conn, HERE, "j3", name="accountant", location_raw="Aachen", opened_at="2026-02-05", department="Office")
    conn.commit()
    yield conn


def found(conn: Connection, **wanted: Any) -> set[str]:
    ids, total = job_filter.page(conn, Filter(integration_id=HERE, **wanted), offset=0, limit=1000)
    assert total in (None, len(ids)) or not ids
    assert len(set(ids)) == len(ids)
    return set(ids)


def test_a_filter_finds_the_same_before_and_after_matching_has_read_the_jobs(jobs: Connection) -> None:
    exposed_jobs.expose(jobs, HERE, ["j1", "open-internal", "closed-public"], by="ana", channel="picker")
    add_own_job(jobs, "acme", "o1", job_code="REQ-1", title="Ärztin für alles")
    wanted: list[dict[str, Any]] = [
        {"status": status, "visibility": visibility, "exposed": exposed}
        for status, visibility, exposed in product(
            job_filter.STATUSES, ("", *job_filter.VISIBILITIES), (None, True, False)
        )
    ]
    wanted += [
        {"words": words} for words in (("ärztin",), ("100%",), ("n_f",), ("%",), ("_",), ("\\",), ("req-1", "köln"))
    ]
    wanted += [{"place": "kÖLN"}, {"department": "care &"}, {"status": "all", "words": ("driver",)}]
    before = [found(jobs, **each) for each in wanted]
    match(jobs, HERE)
    assert jobs.execute("select count(*) as n from core.matchable_jobs").fetchone() == {"n": 39}
    assert [found(jobs, **each) for each in wanted] == before
    assert found(jobs, linked=True) == {"j1"}
    assert found(jobs, linked=False) == found(jobs) - {"j1"}


def test_words_are_taken_literally_and_all_must_be_there(jobs: Connection) -> None:
    assert found(jobs, words=("100%",)) == {"j1"}
    assert found(jobs, words=("_",)) == {"j1"}
    assert found(jobs, words=("req-1", "köln")) == {"j1"}
    assert found(jobs, words=("req-1", "bonn")) == set()


def test_no_job_of_another_integration_is_ever_found(jobs: Connection) -> None:
    assert "theirs" not in found(jobs, status="all")
    assert exposed_jobs.expose(jobs, HERE, ["theirs"], by="ana", channel="picker") == []
    assert ats_jobs.jobs(jobs, HERE, ["theirs"]) == []


@pytest.mark.parametrize(
    ("sort", "descending", "first"), [("opened", True, "j2"), ("opened", False, "j1"), ("title", False, "j1"),
                                      ("place", True, "j1"), ("department", True, "j3")]
)  # fmt: skip
@pytest.mark.parametrize("is_matched", [False, True])
def test_lists_are_sorted(jobs: Connection, sort: str, descending: bool, first: str, is_matched: bool) -> None:
    if is_matched:
        match(jobs, HERE)
    ids, total = job_filter.page(jobs, Filter(integration_id=HERE), sort=sort, descending=descending, offset=0, limit=1)
    assert ids == [first]
    assert total is None


def test_pages_show_each_job_once(jobs: Connection) -> None:
    for sort in job_filter.SORTS:
        ids: list[str] = []
        for offset in range(0, 50, 7):
            ids += job_filter.page(jobs, Filter(integration_id=HERE, status="all"), sort=sort, offset=offset, limit=7)[
                0
            ]
        assert len(ids) == len(set(ids)) == 42


def test_counts_tell_states_targets_and_exposures(jobs: Connection) -> None:
    exposed_jobs.expose(jobs, HERE, ["j1"], by="ana", channel="picker")
    by_lifecycle, may_be_targets, exposed = ats_jobs.counts(jobs, HERE)
    assert by_lifecycle == {
        "open": 9, "closed": 6, "draft": 6, "archived": 6, "unknown": 12, "deleted": 1, "vanished": 1,
        "integration_gone": 1,
    }  # fmt: skip
    assert (may_be_targets, exposed) == (6, 1)


def test_all_that_match_leaves_out_what_must_be_ticked_one_by_one(jobs: Connection) -> None:
    exposed_jobs.expose(jobs, HERE, ["j1"], by="ana", channel="picker")
    wanted = Filter(integration_id=HERE, status="all")
    preview = exposed_jobs.preview(jobs, wanted, "expose")
    assert preview.chosen == 5
    assert preview.left_out == {"already": 1, "not_visible": 3, "not_open": 33}
    assert exposed_jobs.choose_all(jobs, wanted, "expose", by="ana", channel="picker") == 5
    assert found(jobs, status="all", exposed=True) == {"j1", "j2", "j3", "open-public", "open-unlisted", "open-none"}
    assert exposed_jobs.preview(jobs, wanted, "expose").chosen == 0


def test_the_digest_of_a_preview_changes_with_the_set(jobs: Connection) -> None:
    wanted = Filter(integration_id=HERE)
    before = exposed_jobs.preview(jobs, wanted, "expose")
    add_job(jobs, HERE, "j4", name="New")
    after = exposed_jobs.preview(jobs, wanted, "expose")
    assert (before.chosen + 1, before.digest != after.digest) == (after.chosen, True)


def test_a_confidential_job_can_be_exposed_by_name_and_a_gone_one_cannot(jobs: Connection) -> None:
    chosen = ["open-confidential", "remote_deleted_at", "vanished_at", "integration_gone_at", "nowhere"]
    assert exposed_jobs.expose(jobs, HERE, chosen, by="ana", channel="picker") == ["open-confidential"]


def test_choices_are_history_and_a_second_choice_of_the_same_changes_nothing(jobs: Connection) -> None:
    for _ in range(2):
        exposed_jobs.expose(jobs, HERE, ["j1", "j2"], by="ana", channel="paste")
    jobs.commit()
    for _ in range(2):
        exposed_jobs.end_exposures(jobs, HERE, ["j1"], by="ben")
    jobs.commit()
    exposed_jobs.expose(jobs, HERE, ["j1"], by="cleo", channel="customer")
    jobs.commit()
    told = [(row.what, row.who, row.channel, row.jobs) for row in exposed_jobs.history(jobs, HERE)]
    assert told == [("exposed", "cleo", "customer", 1), ("ended", "ben", None, 1), ("exposed", "ana", "paste", 2)]
    of_job = exposed_jobs.history(jobs, HERE, kombo_job_id="j2")
    assert [(row.what, row.ids) for row in of_job] == [("exposed", ["j2"])]
    newest = exposed_jobs.history(jobs, HERE, limit=1)
    assert [row.who for row in exposed_jobs.history(jobs, HERE, before=newest[0].at)] == ["ben", "ana"]


def test_ending_all_that_match_reaches_jobs_that_are_gone(jobs: Connection) -> None:
    exposed_jobs.expose(jobs, HERE, ["j1", "open-internal"], by="ana", channel="picker")
    jobs.execute("update core.jobs set remote_deleted_at = now() where kombo_job_id = 'j1'")
    assert (
        exposed_jobs.choose_all(jobs, Filter(integration_id=HERE, status="all"), "end", by="ben", channel="picker") == 2
    )


def test_every_job_is_exported_once(jobs: Connection) -> None:
    match(jobs, HERE)
    lists = list(job_filter.every_job(jobs, Filter(integration_id=HERE, status="all"), at_once=10))
    assert [len(each) for each in lists] == [10, 10, 10, 10, 2]
    assert len({row.kombo_job_id for each in lists for row in each}) == 42
