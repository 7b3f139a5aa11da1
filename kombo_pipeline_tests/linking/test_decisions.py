"""A person's answers and what becomes of links, on a real warehouse."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import events, health
from kombo_pipeline.linking import decisions, links
from kombo_pipeline.linking.decisions import Answer, AnsweredMeanwhileError
from kombo_pipeline.sandbox.world import World

Run = Callable[..., Any]


def own_job(conn: Connection, own_job_id: str, *, title: str = "Engineer", customer: str = "acme") -> None:
    conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title) values (%s, %s, %s)", (customer, own_job_id, title)
    )


@pytest.fixture
def acme(world: World, run: Run, conn: Connection) -> tuple[str, list[str]]:
    """An integration of customer acme and its open jobs, two own jobs beside them."""
    integration = world.add_integration(jobs=0, origin_id="acme")
    jobs = [world.open_job(integration, name=f"Engineer {n}", visibility="PUBLIC") for n in range(3)]
    world.sync(integration)
    conn.execute("insert into core.integrations (integration_id, customer_id) values (%s, 'acme')", (integration,))
    own_job(conn, "own-1")
    own_job(conn, "own-2")
    conn.commit()
    assert run(integration).success
    return integration, jobs


def say(conn: Connection, acme: tuple[str, list[str]], decision: Any, *jobs: str, **more: Any) -> UUID:
    given = {"answer_id": uuid4(), "customer_id": "acme", "own_job_id": "own-1", "decided_by": "ana"} | more
    decisions.answer(conn, Answer(integration_id=acme[0], decision=decision, kombo_job_ids=jobs, **given))
    conn.commit()
    return given["answer_id"]


def state(conn: Connection, own_job_id: str = "own-1") -> list[tuple[str, str, str | None]]:
    rows = conn.execute(
        "select kombo_job_id, state, reason from core.job_links where own_job_id = %s order by link_id", (own_job_id,)
    ).fetchall()
    return [(row["kombo_job_id"], row["state"], row["reason"]) for row in rows]


def targets(conn: Connection) -> list[str]:
    return [row["own_job_id"] for row in conn.execute("select own_job_id from marts.application_targets")]


def notices(conn: Connection) -> list[str]:
    return [row["event_type"] for row in conn.execute("select event_type from core.link_notices order by notice_seq")]


def test_an_accepted_pair_is_a_link_and_an_application_target(acme: Any, conn: Connection) -> None:
    say(conn, acme, "accepted", acme[1][0])
    assert state(conn) == [(acme[1][0], "active", None)]
    assert targets(conn) == ["own-1"]
    assert notices(conn) == ["link.started"]


def test_a_repeated_answer_is_one_answer(acme: Any, conn: Connection) -> None:
    answer_id = say(conn, acme, "accepted", acme[1][0])
    say(conn, acme, "accepted", acme[1][0], answer_id=answer_id)
    assert conn.execute("select count(*) as n from core.link_decisions").fetchone() == {"n": 1}
    assert notices(conn) == ["link.started"]


def test_the_second_reviewer_is_told_what_the_first_did(acme: Any, conn: Connection) -> None:
    say(conn, acme, "accepted", acme[1][0], seen_decision_id=0)
    with pytest.raises(AnsweredMeanwhileError, match="ana answered meanwhile: accepted"):
        say(conn, acme, "no_counterpart", seen_decision_id=0, decided_by="ben")
    conn.rollback()
    assert state(conn) == [(acme[1][0], "active", None)]


def test_another_choice_supersedes_the_link_and_its_undo_brings_the_first_back(acme: Any, conn: Connection) -> None:
    first, second = acme[1][:2]
    say(conn, acme, "accepted", first)
    answer_id = say(conn, acme, "accepted", second)
    assert state(conn) == [(first, "retired", "superseded"), (second, "active", None)]
    decisions.undo(conn, undone_by="ben", answer_id=answer_id)
    conn.commit()
    assert state(conn) == [(first, "active", None), (second, "retired", "undone")]


def test_an_undone_link_is_gone_and_undoing_twice_changes_nothing(acme: Any, conn: Connection) -> None:
    answer_id = say(conn, acme, "accepted", acme[1][0])
    assert len(decisions.undo(conn, undone_by="ana", answer_id=answer_id)) == 1
    assert decisions.undo(conn, undone_by="ana", answer_id=answer_id) == []
    assert state(conn) == [(acme[1][0], "retired", "undone")]
    assert targets(conn) == []


def test_a_closed_job_suspends_its_link_and_reopening_only_proposes(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    job = acme[1][0]
    say(conn, acme, "accepted", job)
    for status in ("CLOSED", "OPEN"):
        world.set_status(acme[0], job, status)
        world.sync(acme[0])
        assert run(acme[0]).success
        conn.rollback()
        assert state(conn) == [(job, "suspended", "closed")]
        assert targets(conn) == []
    answer_id = say(conn, acme, "accepted", job)
    assert state(conn) == [(job, "active", None)]
    assert notices(conn) == ["link.started", "link.suspended", "link.resumed"]
    decisions.undo(conn, undone_by="ana", answer_id=answer_id)
    assert state(conn) == [(job, "suspended", "undone")]


def test_a_link_to_a_deleted_job_says_so(acme: Any, world: World, run: Run, conn: Connection) -> None:
    say(conn, acme, "accepted", acme[1][0])
    world.delete_job(acme[0], acme[1][0])
    world.sync(acme[0])
    assert run(acme[0]).success
    conn.rollback()
    assert state(conn) == [(acme[1][0], "suspended", "deleted")]


def test_a_withdrawn_own_job_has_no_target_and_its_answer_survives(acme: Any, conn: Connection) -> None:
    say(conn, acme, "accepted", acme[1][0])
    for withdrawn, expected in (("now()", ("suspended", "withdrawn")), ("null", ("active", None))):
        conn.execute(f"update core.own_jobs set withdrawn_at = {withdrawn} where own_job_id = 'own-1'")
        links.follow_jobs(conn, acme[0])
        assert state(conn) == [(acme[1][0], *expected)]


def test_jobs_of_another_customer_cannot_be_linked(acme: Any, conn: Connection) -> None:
    own_job(conn, "theirs", customer="other")
    with pytest.raises(LookupError, match="no ATS job"):
        say(conn, acme, "accepted", acme[1][0], customer_id="other", own_job_id="theirs")
    conn.rollback()
    own_job(conn, "theirs", customer="other")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) values ('other', 'theirs', %s, %s, 'job_code', '{}', '{}')",
            (acme[0], acme[1][0]),
        )


def test_the_database_refuses_a_title_link_without_a_person(acme: Any, conn: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="a_title_links_only_with_a_person"):
        conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) values ('acme', 'own-1', %s, %s, 'title', '{}', '{}')",
            (acme[0], acme[1][0]),
        )


def test_answers_cannot_be_changed_or_deleted(acme: Any, conn: Connection) -> None:
    say(conn, acme, "unsure")
    for statement in ("update core.link_decisions set decided_by = 'x'", "delete from core.link_decisions"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            conn.execute(statement)
        conn.rollback()


def owner(conn: Connection) -> tuple[str | None, str | None]:
    """Whose the integration is, and whose Kombo says that it is now, while that is in doubt."""
    row = conn.execute("select customer_id, claimed_customer_id from core.integrations").fetchone()
    assert row is not None
    return row["customer_id"], row["claimed_customer_id"]


def details_name(conn: Connection, world: World, run: Run, integration: str, origin: str | None) -> None:
    world.integration(integration).origin_id = origin
    assert run(integration).success
    conn.rollback()


def event_names(conn: Connection, integration: str, origin: object, **data: Any) -> None:
    """An event of now that tells whose the integration is."""
    conn.execute(
        "insert into raw.webhook_events (event_id, event_type, integration_id, payload) values "
        "(gen_random_uuid()::text, 'data-changed', %s, %s)",
        (
            integration,
            psycopg.types.json.Jsonb(
                {"data": {"end_user": {"origin_id": origin}, "integration_id": integration} | data}
            ),
        ),
    )
    assert events.observe_events(conn) == 1
    conn.commit()


def test_another_owner_in_the_details_suspends_the_links_and_its_return_lets_them_stand_again(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    job = acme[1][0]
    say(conn, acme, "accepted", job)
    conn.commit()
    for origin, expected, link in (
        (None, ("acme", None), ("active", None)),
        ("other", ("acme", "other"), ("suspended", "owner_in_doubt")),
        ("other", ("acme", "other"), ("suspended", "owner_in_doubt")),
        ("", ("acme", "other"), ("suspended", "owner_in_doubt")),
        ("acme", ("acme", None), ("active", None)),
    ):
        details_name(conn, world, run, acme[0], origin)
        assert owner(conn) == expected
        assert state(conn) == [(job, *link)]
        assert bool(targets(conn)) == (link[0] == "active")
    assert notices(conn) == ["link.started", "link.suspended", "link.resumed"]


def test_another_owner_in_an_event_is_a_question_and_an_event_that_names_the_known_one_ends_it(
    acme: Any, conn: Connection
) -> None:
    say(conn, acme, "accepted", acme[1][0])
    event_names(conn, acme[0], "other")
    assert owner(conn) == ("acme", "other")
    assert state(conn) == [(acme[1][0], "suspended", "owner_in_doubt")]
    assert targets(conn) == []
    row = conn.execute("select health, who_must_act, what_to_do from marts.integration_health").fetchone()
    assert row is not None
    assert (row["health"], row["who_must_act"]) == ("needs attention", "us")
    assert "release owner" in row["what_to_do"]
    event_names(conn, acme[0], " acme\t")
    assert owner(conn) == ("acme", None)
    assert state(conn) == [(acme[1][0], "active", None)]
    assert len(targets(conn)) == 1
    assert conn.execute("select who_must_act from marts.integration_health").fetchall() == [{"who_must_act": None}]


@pytest.mark.parametrize(
    "origin",
    ["", " ", "\u00a0\u2003", "\u200b", "\n\t", None, 7, True, ["other"], {"id": "other"}, "x" * 501, "acme ", " acme"],
)
def test_what_is_no_other_customer_raises_no_question(acme: Any, conn: Connection, origin: object) -> None:
    say(conn, acme, "accepted", acme[1][0])
    event_names(conn, acme[0], origin)
    assert owner(conn) == ("acme", None)
    assert state(conn) == [(acme[1][0], "active", None)]


def test_without_live_links_the_owner_changes_at_once(acme: Any, conn: Connection) -> None:
    say(conn, acme, "rejected", acme[1][0])
    event_names(conn, acme[0], "other")
    assert owner(conn) == ("other", None)
    assert conn.execute("select from core.own_job_matches").fetchall() == []
    assert len(conn.execute("select from core.link_decisions").fetchall()) == 1


def test_while_the_owner_is_in_doubt_nothing_makes_an_active_link(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    """Not an answer, not one that is taken back, not a job that opens, not a matching."""
    first, second = acme[1][:2]
    say(conn, acme, "accepted", first)
    event_names(conn, acme[0], "other")
    for act in (
        lambda: say(conn, acme, "accepted", first),
        lambda: say(conn, acme, "accepted", second),
        lambda: decisions.undo(conn, undone_by="ana", answer_id=say(conn, acme, "accepted", first)),
        lambda: links.follow_jobs(conn, acme[0]),
    ):
        act()
        conn.commit()
        live = conn.execute("select reason from core.job_links where state <> 'retired'").fetchall()
        assert live == [{"reason": "owner_in_doubt"}]
        assert targets(conn) == []
    assert "link.resumed" not in notices(conn)
    world.integration(acme[0]).origin_id = "other"
    world.sync(acme[0])
    assert run(acme[0]).success
    conn.rollback()
    assert targets(conn) == []
    assert waiting(conn).get("own-1") is None


def test_a_job_that_closes_during_the_doubt_keeps_its_link_suspended_afterwards(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    job = acme[1][0]
    say(conn, acme, "accepted", job)
    event_names(conn, acme[0], "other")
    for status in ("CLOSED", "OPEN"):
        world.set_status(acme[0], job, status)
        world.integration(acme[0]).origin_id = "other"
        world.sync(acme[0])
        assert run(acme[0]).success
        conn.rollback()
        assert state(conn) == [(job, "suspended", "closed")]
    details_name(conn, world, run, acme[0], "acme")
    assert owner(conn) == ("acme", None)
    assert state(conn) == [(job, "suspended", "closed")]
    assert waiting(conn)["own-1"] == "reopened"


def test_a_person_who_says_that_it_is_still_theirs_is_not_asked_again(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    say(conn, acme, "accepted", acme[1][0])
    event_names(conn, acme[0], "other")
    assert not health.answer_owner(conn, acme[0], customer_id="acme", answered_by="ana")
    conn.commit()
    assert state(conn) == [(acme[1][0], "active", None)]
    event_names(conn, acme[0], "other")
    details_name(conn, world, run, acme[0], "other")
    assert owner(conn) == ("acme", None)
    assert state(conn) == [(acme[1][0], "active", None)]
    event_names(conn, acme[0], "a third one")
    assert owner(conn) == ("acme", "a third one")


def test_a_person_who_says_that_it_is_the_others_now_ends_the_links_and_keeps_the_answers(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    say(conn, acme, "accepted", acme[1][0])
    event_names(conn, acme[0], "other")
    with pytest.raises(ValueError, match="neither"):
        health.answer_owner(conn, acme[0], customer_id="a stranger", answered_by="ana")
    assert health.answer_owner(conn, acme[0], customer_id="other", answered_by="ana")
    conn.commit()
    assert owner(conn) == ("other", None)
    assert state(conn) == [(acme[1][0], "retired", "customer_changed")]
    assert conn.execute("select from core.own_job_matches").fetchall() == []
    assert len(conn.execute("select from core.link_decisions").fetchall()) == 1
    with pytest.raises(LookupError, match="not in doubt"):
        health.answer_owner(conn, acme[0], customer_id="acme", answered_by="ana")
    conn.rollback()
    details_name(conn, world, run, acme[0], "other")
    assert owner(conn) == ("other", None)


def waiting(conn: Connection) -> dict[str, str]:
    return {row["own_job_id"]: row["why"] for row in conn.execute("select own_job_id, why from marts.review_queue")}


def happens(conn: Connection, world: World, run: Run, integration: str) -> None:
    world.sync(integration)
    assert run(integration).success
    conn.rollback()


def test_a_linked_job_that_reopens_or_changes_comes_back_for_another_look(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    job = acme[1][0]
    assert waiting(conn)["own-1"] == "candidates"
    say(conn, acme, "accepted", job)
    assert "own-1" not in waiting(conn)
    world.set_status(acme[0], job, "CLOSED")
    happens(conn, world, run, acme[0])
    assert waiting(conn)["own-1"] == "successor"
    world.set_status(acme[0], job, "OPEN")
    happens(conn, world, run, acme[0])
    assert waiting(conn)["own-1"] == "reopened"
    say(conn, acme, "accepted", job)
    assert "own-1" not in waiting(conn)
    world.edit_job(acme[0], job, name="Surgeon")
    happens(conn, world, run, acme[0])
    assert waiting(conn)["own-1"] == "changed"
    confirmed = say(conn, acme, "accepted", job)
    assert "own-1" not in waiting(conn)
    decisions.undo(conn, undone_by="ana", answer_id=confirmed)
    assert waiting(conn)["own-1"] == "changed"


def test_rejected_jobs_and_no_counterpart_leave_the_queue_until_something_else_is_proposed(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    jobs = acme[1]
    say(conn, acme, "rejected", jobs[0])
    assert waiting(conn)["own-1"] == "candidates"
    on_screen = {"candidates": [{"kombo_job_id": job} for job in jobs[1:]]}
    answer_id = say(conn, acme, "no_counterpart", on_screen=on_screen)
    assert "own-1" not in waiting(conn)
    decisions.undo(conn, undone_by="ana", answer_id=answer_id)
    assert waiting(conn)["own-1"] == "candidates"
    say(conn, acme, "rejected", *jobs)
    assert "own-1" not in waiting(conn)
    world.open_job(acme[0], name="Engineer", visibility="PUBLIC", status="OPEN")
    happens(conn, world, run, acme[0])
    assert waiting(conn)["own-1"] == "candidates"
