"""A person's answers and what becomes of links, on a real warehouse."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from kombo_pipeline.db.connection import Connection
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


def test_what_kombo_tells_of_the_integration_moves_its_links_only_with_another_customer(
    acme: Any, world: World, run: Run, conn: Connection
) -> None:
    say(conn, acme, "accepted", acme[1][0])
    for origin, customer, expected in (
        (None, "acme", ("active", None)),
        ("other", "other", ("retired", "customer_changed")),
    ):
        world.integration(acme[0]).origin_id = origin
        assert run(acme[0]).success
        conn.rollback()
        assert conn.execute("select customer_id from core.integrations").fetchone() == {"customer_id": customer}
        assert state(conn) == [(acme[1][0], *expected)]


def test_an_integration_that_becomes_another_customers_loses_its_links(
    acme: Any, world: World, conn: Connection
) -> None:
    from kombo_pipeline.ingest import events
    from kombo_pipeline.ingest.statements import webhook_events

    say(conn, acme, "accepted", acme[1][0])
    conn.execute(
        "insert into raw.webhook_events (event_id, event_type, integration_id, payload) values ('e1', 'data-changed', "
        "%s, %s)",
        (acme[0], psycopg.types.json.Jsonb({"data": {"end_user": {"origin_id": "other"}, "integration_id": acme[0]}})),
    )
    assert events.observe_events(conn) == 1
    assert state(conn) == [(acme[1][0], "retired", "customer_changed")]
    assert webhook_events.unseen(conn, 1) == []


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
