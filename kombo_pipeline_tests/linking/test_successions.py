"""Customers that connect their ATS anew: when the new connection takes over, what follows, and how it is undone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.ingest import events, lifecycle, polling, successions
from kombo_pipeline.ingest.statements import integrations, webhook_events
from kombo_pipeline.ingest.successions import SuccessionError
from kombo_pipeline.linking import candidates, decisions
from kombo_pipeline.linking.decisions import Answer
from kombo_pipeline.linking.statements import matched_integrations
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.conftest import as_member

Run = Callable[..., Any]
Job = tuple[str, str]
"""Remote id and title."""
TITLES = ("Nurse", "Baker", "Welder", "Judge", "Pilot", "Tailor", "Surgeon", "Miner", "Painter", "Clerk")


def jobs_of(number: int, *, other: int = 0) -> list[Job]:
    """So many jobs, the last `other` of them with remote ids that no other list has."""
    same = [(f"r-{n}", TITLES[n]) for n in range(number - other)]
    return same + [(f"other-{uuid4().hex[:6]}", f"Other {n}") for n in range(other)]


class Customer:
    """A customer of the sandbox that connects its ATS once or several times."""

    def __init__(self, world: World, run: Run, conn: Connection) -> None:
        self.world, self.run, self.conn = world, run, conn

    def connect(self, jobs: Sequence[Job], *, origin: str = "acme", tool: str = "greenhouse", **fields: Any) -> str:
        """A connection whose jobs have been fetched and matched."""
        integration = self.world.add_integration(jobs=0, origin_id=origin, tool=tool)
        told: dict[str, str] = {}
        for number, (remote_id, name) in enumerate(jobs):
            shared = any(remote_id == other for other, _ in jobs[:number])
            job = self.world.open_job(
                integration,
                # The sandbox makes a job's id of its remote id, so two cannot have the same there.
                **{"remote_id": f"{remote_id}-{number}" if shared else remote_id, "name": name, "status": "OPEN"}
                | {"visibility": "PUBLIC", "job_code": None, "post_url": None, "remote_url": None, "job_postings": []}
                | dict.fromkeys(("remote_created_at", "opened_at"), "2026-01-01T00:00:00.000Z")
                | {"location": {"city": "Bonn", "country": "DE"}}
                | fields,
            )
            if shared:
                told[job] = remote_id
        self.world.sync(integration)
        for job, remote_id in told.items():
            self.world.set_raw(integration, job, {"remote_id": remote_id})
        self.fetch(integration)
        return integration

    def fetch(self, integration: str) -> None:
        assert self.run(integration).success
        self.conn.rollback()

    def stop(self, integration: str, how: str) -> None:
        """End a connection in Kombo: INVALID, INACTIVE or deleted; the webhook is seen."""
        if how == "deleted":
            self.world.delete_integration(integration)
        else:
            self.world.set_state(integration, state=how)
        self.conn.execute(
            "update core.integrations set state = %s where integration_id = %s and %s <> 'deleted'",
            (how, integration, how),
        )
        if how == "deleted":
            now = datetime.now(UTC)
            integrations.update(self.conn, integration, {"deleted_at": now})
            lifecycle.close_integrations(self.conn, {integration: now})
        self.conn.commit()

    def own_job(self, own_job_id: str, title: str, **values: str) -> None:
        columns = {"customer_id": "acme", "own_job_id": own_job_id, "title": title, **values}
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        self.conn.execute(f"insert into core.own_jobs ({names}) values ({places})".encode(), tuple(columns.values()))
        self.conn.commit()

    def job(self, integration: str, remote_id: str) -> str:
        row = self.conn.execute(
            "select kombo_job_id from core.jobs where integration_id = %s and remote_id = %s", (integration, remote_id)
        ).fetchone()
        assert row is not None
        return str(row["kombo_job_id"])

    def say(self, integration: str, own_job_id: str, decision: Any, *remote_ids: str, **more: Any) -> UUID:
        given = Answer(
            **{
                "answer_id": uuid4(),
                "customer_id": "acme",
                "own_job_id": own_job_id,
                "integration_id": integration,
                "decision": decision,
                "decided_by": "ana",
                "kombo_job_ids": [self.job(integration, remote_id) for remote_id in remote_ids],
            }
            | more
        )
        decisions.answer(self.conn, given)
        self.conn.commit()
        return given.answer_id

    def state(self, integration: str) -> tuple[str, str | None] | None:
        """How the newest succession of a successor stands, and who decided it."""
        row = self.conn.execute(
            "select state, decided_by from core.successions where integration_id = %s order by created_at desc limit 1",
            (integration,),
        ).fetchone()
        return (row["state"], row["decided_by"]) if row else None

    def open_jobs(self) -> dict[str, int]:
        rows = self.conn.execute("select integration_id, count(*) as n from marts.open_jobs group by 1")
        return {row["integration_id"]: row["n"] for row in rows}

    def targets(self) -> list[tuple[str, str, str | None]]:
        """Own job, integration and remote id of each application target."""
        rows = self.conn.execute(
            "select own_job_id, integration_id, remote_id from marts.application_targets order by 1, 2, 3"
        )
        return [(row["own_job_id"], row["integration_id"], row["remote_id"]) for row in rows]

    def links(self, integration: str) -> list[tuple[str, str, str | None, str | None]]:
        """Own job, state, reason and person of each link."""
        rows = self.conn.execute(
            "select own_job_id, state, reason, confirmed_by from core.job_links where integration_id = %s "
            "order by own_job_id, link_id",
            (integration,),
        )
        return [(row["own_job_id"], row["state"], row["reason"], row["confirmed_by"]) for row in rows]

    def queue(self) -> set[tuple[str, str]]:
        return {
            (row["integration_id"], row["own_job_id"])
            for row in self.conn.execute("select integration_id, own_job_id from marts.review_queue")
        }


@pytest.fixture
def acme(world: World, run: Run, conn: Connection) -> Customer:
    return Customer(world, run, conn)


@pytest.mark.parametrize(
    ("how", "before", "after", "expected"),
    [
        ("INVALID", jobs_of(5), jobs_of(5), "accepted"),
        ("INACTIVE", jobs_of(5), jobs_of(5), "accepted"),
        ("deleted", jobs_of(5), jobs_of(5), "accepted"),
        ("INVALID", jobs_of(6, other=1), jobs_of(5), "accepted"),
        ("INVALID", jobs_of(5), jobs_of(6, other=1), "accepted"),
        ("deleted", [(r, f" {t.upper()}  ") for r, t in jobs_of(6)], jobs_of(6), "accepted"),
        ("INVALID", jobs_of(5, other=1), jobs_of(5, other=1), "proposed"),
        ("INVALID", jobs_of(4), jobs_of(4), "proposed"),
        ("INVALID", jobs_of(7, other=2), jobs_of(5), "proposed"),
        ("INVALID", jobs_of(5), jobs_of(7, other=2), "proposed"),
        ("ACTIVE", jobs_of(6), jobs_of(6), "proposed"),
        ("deleted", jobs_of(6), [(r, f"{t} II") for r, t in jobs_of(6)], None),
        ("deleted", jobs_of(6), [(f"x{r}", t) for r, t in jobs_of(6)], None),
        ("deleted", [(" ", t) for _, t in jobs_of(6)], [(" ", t) for _, t in jobs_of(6)], None),
        ("deleted", [("same", t) for _, t in jobs_of(6)], [("same", t) for _, t in jobs_of(6)], None),
        ("deleted", [(r, "") for r, _ in jobs_of(6)], [(r, "") for r, _ in jobs_of(6)], None),
    ],
)  # fmt: skip
def test_only_a_connection_that_has_stopped_and_whose_jobs_agree_is_taken_over(
    acme: Customer, how: str, before: list[Job], after: list[Job], expected: str | None
) -> None:
    old = acme.connect(before)
    acme.stop(old, how)
    counted = acme.open_jobs()
    new = acme.connect(after)
    assert (acme.state(new) or (None,))[0] == expected
    assert acme.open_jobs().get(old, 0) == (0 if expected == "accepted" else counted.get(old, 0))
    assert acme.state(old) is None


@pytest.mark.parametrize(("origin", "tool"), [("other", "greenhouse"), ("acme", "personio"), ("", "greenhouse")])
def test_neither_another_customer_nor_another_tool_takes_over(acme: Customer, origin: str, tool: str) -> None:
    old = acme.connect(jobs_of(6))
    acme.stop(old, "deleted")
    new = acme.connect(jobs_of(6), origin=origin, tool=tool)
    assert acme.state(new) is None
    assert acme.conn.execute("select 1 from core.integrations where succeeded_by is not null").fetchall() == []


def test_an_older_connection_never_takes_over_from_a_newer_one(acme: Customer) -> None:
    old = acme.connect(jobs_of(6))
    new = acme.connect(jobs_of(6))
    acme.stop(new, "deleted")
    acme.fetch(old)
    assert acme.state(old) is None
    assert acme.open_jobs() == {old: 6}


def test_jobs_that_are_newer_than_the_old_connection_do_not_speak_against_it(acme: Customer) -> None:
    old = acme.connect(jobs_of(5))
    acme.stop(old, "deleted")
    new = acme.world.add_integration(jobs=0, origin_id="acme")
    for remote_id, name in jobs_of(5):
        acme.world.open_job(new, remote_id=remote_id, name=name, status="OPEN")
    for number in range(10):
        acme.world.open_job(
            new, remote_id=f"n-{number}", name="New", status="OPEN", remote_created_at="2099-01-01T00:00:00Z"
        )
    acme.world.sync(new)
    acme.fetch(new)
    assert acme.state(new) == ("accepted", None)


def test_a_connection_that_stops_later_is_taken_over_by_the_next_fetch(acme: Customer) -> None:
    old, new = acme.connect(jobs_of(6)), acme.connect(jobs_of(6))
    assert acme.state(new) == ("proposed", None)
    assert acme.open_jobs() == {old: 6, new: 6}
    acme.stop(old, "INVALID")
    acme.fetch(new)
    assert acme.state(new) == ("accepted", None)
    assert acme.open_jobs() == {new: 6}


def test_what_people_said_follows_by_remote_id_in_the_transaction_that_applies(acme: Customer) -> None:
    acme.own_job("confirmed", "Nurse")
    acme.own_job("twice", "Nurse")
    acme.own_job("by-remote-id", "Baker", remote_id="r-1")
    acme.own_job("rejected", "Welder")
    acme.own_job("none", "Judge")
    acme.own_job("unsettled", "Pilot")
    old = acme.connect(jobs_of(6))
    acme.own_job("by-kombo-id", "Tailor", kombo_job_id=acme.job(old, "r-5"))
    acme.fetch(old)
    for own_job_id in ("confirmed", "twice"):
        acme.say(old, own_job_id, "accepted", "r-0")
    acme.say(old, "rejected", "rejected", "r-2", "r-3")
    shown = [{"kombo_job_id": acme.job(old, f"r-{n}"), "confidence": 0.5} for n in range(6)]
    acme.say(old, "none", "no_counterpart", on_screen={"candidates": shown})
    before = {(own, remote_id) for own, _, remote_id in acme.targets()}
    assert before == {("confirmed", "r-0"), ("twice", "r-0"), ("by-remote-id", "r-1"), ("by-kombo-id", "r-5")}
    given = acme.conn.execute(
        "select own_job_id, decision, method, decided_by, decided_at from core.link_decisions order by decision_id"
    ).fetchall()
    acme.stop(old, "INVALID")
    new = acme.connect(jobs_of(6))

    assert acme.targets() == sorted((own, new, remote_id) for own, remote_id in before)
    assert {link[1:3] for link in acme.links(old)} == {("retired", "succeeded")}
    assert {(own, who) for own, _, _, who in acme.links(new)} == {
        *(("confirmed", "ana"), ("twice", "ana"), ("by-remote-id", None), ("by-kombo-id", None)),
    }
    carried = acme.conn.execute(
        "select own_job_id, decision, method, decided_by, decided_at from marts.link_decisions "
        "where integration_id = %s and stands and note = 'carried over from ' || %s",
        (new, old),
    ).fetchall()
    assert sorted(map(repr, carried)) == sorted(map(repr, given))
    assert {own for integration, own in acme.queue() if integration == new} <= {"rejected", "unsettled"}
    assert {integration for integration, _ in acme.queue()} <= {new}
    rejected = acme.conn.execute(
        "select own_job_id, kombo_job_id from marts.match_candidates where integration_id = %s and rejected", (new,)
    ).fetchall()
    assert {row["kombo_job_id"] for row in rejected} <= {acme.job(new, "r-2"), acme.job(new, "r-3")}
    assert rejected


def test_jobs_that_come_after_an_empty_first_fetch_are_judged_too(acme: Customer) -> None:
    old = acme.connect(jobs_of(6))
    acme.stop(old, "deleted")
    new = acme.connect([])
    assert acme.state(new) is None
    for remote_id, name in jobs_of(6):
        acme.world.open_job(new, remote_id=remote_id, name=name, status="OPEN")
    acme.world.sync(new)
    acme.fetch(new)
    kinds = acme.conn.execute("select kind from raw.fetches where integration_id = %s order by fetch_id", (new,))
    assert [row["kind"] for row in kinds] == ["full", "incremental"]
    assert acme.state(new) == ("accepted", None)


def test_of_two_new_connections_one_takes_over_and_the_other_is_not_even_proposed(acme: Customer) -> None:
    old = acme.connect(jobs_of(6))
    acme.world.add_integration(jobs=0, origin_id="acme", synced=False)
    acme.stop(old, "deleted")
    first, second = acme.connect(jobs_of(6)), acme.connect(jobs_of(6))
    assert acme.state(first) == ("accepted", None)
    pairs = acme.conn.execute("select integration_id, predecessor_id, state from core.successions order by state")
    assert [tuple(row.values()) for row in pairs] == [(first, old, "accepted"), (second, first, "proposed")]


def test_a_deleted_connection_leaves_no_card(acme: Customer) -> None:
    acme.own_job("own", "Nurse")
    old = acme.connect([("r-0", "Nurse"), ("r-1", "Nurse")])
    acme.say(old, "own", "accepted", "r-0")
    acme.world.set_status(old, acme.job(old, "r-0"), "CLOSED")
    acme.world.sync(old)
    acme.fetch(old)
    assert acme.queue() == {(old, "own")}
    acme.stop(old, "deleted")
    assert acme.queue() == set()


def test_undo_gives_the_old_connection_back_what_it_had_and_ends_what_was_carried(acme: Customer) -> None:
    for own, title in (("active", "Nurse"), ("waiting", "Baker"), ("rejected", "Welder"), ("alone", "Other 0")):
        acme.own_job(own, title)
    before_jobs = jobs_of(7, other=1)
    old = acme.connect(before_jobs)
    acme.say(old, "active", "accepted", "r-0")
    acme.say(old, "waiting", "accepted", "r-1")
    acme.say(old, "alone", "accepted", before_jobs[-1][0])
    acme.say(old, "rejected", "rejected", "r-2")
    for status in ("CLOSED", "OPEN"):
        acme.world.set_status(old, acme.job(old, "r-1"), status)
        acme.world.sync(old)
        acme.fetch(old)
    acme.stop(old, "INVALID")
    picture = (acme.links(old), acme.targets(), acme.open_jobs(), acme.queue())
    assert ("waiting", "suspended", "closed", "ana") in picture[0]
    new = acme.connect(jobs_of(6))
    assert acme.targets() == [("active", new, "r-0")]
    assert {(own, state) for own, state, _, _ in acme.links(new)} == {("active", "active"), ("waiting", "suspended")}
    assert ("alone", "suspended", "integration_gone", "ana") in acme.links(old)

    successions.undo(acme.conn, integration_id=new, predecessor_id=old, decided_by="ben")
    acme.conn.commit()
    assert acme.links(old) == picture[0]
    assert acme.targets() == picture[1]
    assert acme.open_jobs() == picture[2] | {new: 6}
    assert picture[3] <= acme.queue()
    assert {(state, reason) for _, state, reason, _ in acme.links(new)} == {("retired", "undone")}
    standing = acme.conn.execute(
        "select integration_id, own_job_id from marts.link_decisions where stands order by decision_id"
    ).fetchall()
    assert {row["integration_id"] for row in standing} == {old}
    assert len(standing) == 4
    assert acme.state(new) == ("undone", "ben")
    acme.fetch(new)
    assert acme.state(new) == ("undone", "ben"), "a person's answer is not judged again"

    successions.accept(acme.conn, integration_id=new, predecessor_id=old, decided_by="ben")
    acme.conn.commit()
    assert acme.targets() == [("active", new, "r-0")]


def test_an_undo_after_the_old_connection_was_deleted_brings_no_job_back(acme: Customer) -> None:
    acme.own_job("own", "Nurse")
    old = acme.connect(jobs_of(6))
    acme.say(old, "own", "accepted", "r-0")
    acme.stop(old, "INVALID")
    new = acme.connect(jobs_of(6))
    acme.stop(old, "deleted")
    successions.undo(acme.conn, integration_id=new, predecessor_id=old, decided_by="ben")
    acme.conn.commit()
    assert acme.open_jobs() == {new: 6}
    assert acme.links(old) == [("own", "suspended", "integration_gone", "ana")]
    assert acme.targets() == []


def test_links_follow_over_three_generations_and_come_back_one_by_one(acme: Customer) -> None:
    acme.own_job("own", "Nurse")
    acme.own_job("none", "Judge")
    first = acme.connect(jobs_of(6))
    acme.say(first, "own", "accepted", "r-0")
    answer = acme.say(first, "none", "no_counterpart")
    acme.stop(first, "deleted")
    second = acme.connect(jobs_of(6))
    acme.stop(second, "deleted")
    assert acme.open_jobs() == {}
    third = acme.connect(jobs_of(6))
    assert acme.targets() == [("own", third, "r-0")]
    assert acme.state(second) == acme.state(third) == ("accepted", None)
    pair = {"decided_by": "ben"}
    with pytest.raises(SuccessionError, match="has taken over from this connection since"):
        successions.undo(acme.conn, integration_id=second, predecessor_id=first, **pair)
    acme.conn.rollback()
    # What was said once is taken back wherever it was carried to.
    assert len(decisions.undo(acme.conn, undone_by="ana", answer_id=answer)) == 3
    acme.conn.rollback()
    successions.undo(acme.conn, integration_id=third, predecessor_id=second, **pair)
    successions.undo(acme.conn, integration_id=second, predecessor_id=first, **pair)
    acme.conn.commit()
    assert acme.targets() == []
    assert [acme.links(each)[0][1:3] for each in (first, second, third)] == [
        ("suspended", "integration_gone"),
        ("retired", "undone"),
        ("retired", "undone"),
    ]


def test_a_job_that_two_share_by_remote_id_does_not_follow(acme: Customer) -> None:
    titles = ["Nurse", "Baker"]
    for title in titles:
        acme.own_job(title, title)
    old = acme.connect([*jobs_of(8), ("shared", "Nurse II"), ("shared", "Nurse III"), ("later", "Cook")])
    acme.say(old, "Baker", "accepted", "later")
    nurse = acme.conn.execute("select kombo_job_id from core.jobs where name = 'Nurse II'").fetchone()
    assert nurse is not None
    acme.say(old, "Nurse", "accepted", kombo_job_ids=[nurse["kombo_job_id"]])
    acme.stop(old, "deleted")
    new = acme.connect([*jobs_of(8), ("shared", "Nurse II"), ("later", "Cook"), ("later", "Cook")])
    assert acme.state(new) == ("proposed", None)
    successions.accept(acme.conn, integration_id=new, predecessor_id=old, decided_by="ben")
    assert acme.links(new) == []
    assert {link[1:3] for link in acme.links(old)} == {("suspended", "integration_gone")}


def test_a_link_to_a_job_whose_title_differs_waits_for_a_person(acme: Customer) -> None:
    acme.own_job("person", "Nurse")
    acme.own_job("identifier", "Baker", remote_id="r-1")
    old = acme.connect(jobs_of(10))
    acme.say(old, "person", "accepted", "r-0")
    assert len(acme.targets()) == 2
    acme.stop(old, "INVALID")
    new = acme.connect([("r-0", "Gardener"), ("r-1", "Astronaut"), *jobs_of(10)[2:]])
    assert acme.state(new) == ("accepted", None)
    assert ("person", "suspended", "succeeded", "ana") in acme.links(new)
    assert (new, "person") in acme.queue()
    assert "person" not in {own for own, _, _ in acme.targets()}
    assert ("identifier", "active", None, None) not in acme.links(new)


@pytest.mark.parametrize("how", ["INVALID", "deleted"])
def test_what_the_successor_knows_already_is_not_overruled(acme: Customer, how: str) -> None:
    acme.own_job("same", "Nurse", remote_id="r-0")
    acme.own_job("other", "Baker")
    acme.own_job("wrong", "Welder", remote_id="r-2")
    old = acme.connect(jobs_of(4))
    acme.say(old, "same", "accepted", "r-0")
    acme.say(old, "other", "accepted", "r-1")
    acme.say(old, "wrong", "rejected", "r-2")
    acme.stop(old, how)
    new = acme.connect(jobs_of(4))
    assert acme.state(new) == ("proposed", None)
    acme.say(new, "other", "accepted", "r-3", decided_by="eva")
    successions.accept(acme.conn, integration_id=new, predecessor_id=old, decided_by="ben")
    acme.conn.commit()
    live = {(own, state, who) for own, state, _, who in acme.links(new) if state != "retired"}
    assert live == {("same", "active", "ana"), ("other", "active", "eva")}
    assert ("wrong", "retired", "rejected", None) in acme.links(new)
    assert [(own, remote_id) for own, _, remote_id in acme.targets()] == [("other", "r-3"), ("same", "r-0")]
    assert candidates.match_integration(acme.conn, new).scored >= 1
    live = {(own, state, who) for own, state, _, who in acme.links(new) if state != "retired"}
    assert live == {("same", "active", "ana"), ("other", "active", "eva")}


def test_what_the_customer_chose_to_show_or_not_follows_too(acme: Customer) -> None:
    from kombo_pipeline.linking.statements import exposed_jobs

    acme.own_job("hidden", "Nurse")
    old = acme.connect(jobs_of(6))
    acme.say(old, "hidden", "accepted", "r-0")
    exposed_jobs.end_exposures(acme.conn, old, [acme.job(old, "r-0")], by="customer")
    exposed_jobs.expose(acme.conn, old, [acme.job(old, "r-1")], by="ana", channel="picker")
    acme.stop(old, "INVALID")
    new = acme.connect(jobs_of(6))
    assert acme.links(new) == [("hidden", "active", None, "ana")]
    assert acme.targets() == []
    shown = acme.conn.execute(
        "select kombo_job_id, exposed_by, channel from core.exposed_jobs where integration_id = %s "
        "and exposed_until is null",
        (new,),
    ).fetchall()
    assert shown == [{"kombo_job_id": acme.job(new, "r-1"), "exposed_by": "ana", "channel": "picker"}]


def test_a_connection_that_was_taken_over_is_not_fetched_and_says_so(acme: Customer) -> None:
    acme.own_job("own", "Nurse")
    old = acme.connect(jobs_of(6))
    acme.stop(old, "INVALID")
    new = acme.connect(jobs_of(6))

    def health() -> tuple[str, str | None, str, bool]:
        row = acme.conn.execute(
            "select health, who_must_act, what_to_do, stale from marts.integration_health where integration_id = %s",
            (old,),
        ).fetchone()
        assert row is not None
        return row["health"], row["who_must_act"], row["what_to_do"], row["stale"]

    assert health() == ("gone", None, f"Taken over by {new}; nothing is fetched any more.", False)
    acme.world.set_state(old, state="ACTIVE")
    acme.conn.execute(
        "insert into raw.webhook_events (event_id, event_type, integration_id, payload) values "
        "('e1', 'data-changed', %(old)s, '{}'), ('e2', 'integration-state-changed', %(old)s, "
        "jsonb_build_object('data', jsonb_build_object('state', 'ACTIVE', 'updated_at', '2099-01-01T00:00:00Z')))",
        {"old": old},
    )
    events.observe_events(acme.conn)
    acme.conn.commit()
    assert old not in {row.integration_id for row in webhook_events.waiting_for_fetch(acme.conn)}
    [rhythm] = [row for row in integrations.rhythms(acme.conn) if row.integration_id == old]
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    state = replace(rhythm, fetch_attempted_at=long_ago, full_fetched_at=long_ago)
    assert not polling.is_silent(state, now=datetime.now(UTC))
    assert not polling.full_fetch_is_due(state, now=datetime.now(UTC))
    assert old not in {row.integration_id for row in matched_integrations.own_jobs_waiting(acme.conn)}
    acme.fetch(old)
    assert acme.open_jobs() == {new: 6}
    assert health()[:2] == ("needs attention", "us")
    assert "active again" in health()[2]

    successions.undo(acme.conn, integration_id=new, predecessor_id=old, decided_by="ben")
    acme.conn.commit()
    assert old in {row.integration_id for row in webhook_events.waiting_for_fetch(acme.conn)}
    acme.fetch(old)
    assert acme.open_jobs() == {old: 6, new: 6}
    assert health()[:2] == ("healthy", None)


def test_a_fetch_that_had_landed_before_the_takeover_is_not_applied(acme: Customer) -> None:
    old = acme.connect(jobs_of(6))
    fetch = acme.conn.execute(
        "insert into raw.fetches (integration_id, kind, covers_event_seq, status) values (%s, 'incremental', 0, "
        "'landed') returning fetch_id",
        (old,),
    ).fetchone()
    acme.stop(old, "INVALID")
    new = acme.connect(jobs_of(6))
    acme.fetch(old)
    assert fetch is not None
    row = acme.conn.execute("select status, error from raw.fetches where fetch_id = %(fetch_id)s", fetch).fetchone()
    assert row == {"status": "abandoned", "error": f"{new} has taken over from it."}


def test_a_person_decides_with_the_rights_of_the_back_office(acme: Customer, warehouse_url: str) -> None:
    acme.own_job("own", "Nurse")
    acme.own_job("rejected", "Baker")
    old = acme.connect(jobs_of(4))
    acme.say(old, "own", "accepted", "r-0")
    acme.say(old, "rejected", "rejected", "r-1")
    new = acme.connect(jobs_of(4))
    pair = {"integration_id": new, "predecessor_id": old, "decided_by": "ben"}
    with connect(as_member("kombo_backoffice", warehouse_url)) as office:
        successions.accept(office, **pair)
        office.commit()
        assert acme.targets() == [("own", new, "r-0")]
        acme.conn.rollback()
        successions.undo(office, **pair)
        office.commit()
        assert acme.targets() == [("own", old, "r-0")]
        other = acme.connect(jobs_of(2))
        successions.refuse(office, integration_id=other, predecessor_id=old, decided_by="ben")


def test_refused_is_never_proposed_again_and_decisions_are_made_once(acme: Customer) -> None:
    old, new = acme.connect(jobs_of(6)), acme.connect(jobs_of(6))
    pair = {"integration_id": new, "predecessor_id": old, "decided_by": "ben"}
    successions.refuse(acme.conn, **pair)
    acme.conn.commit()
    acme.stop(old, "deleted")
    acme.fetch(new)
    assert acme.state(new) == ("refused", "ben")
    for decide, words in ((successions.refuse, "decided meanwhile"), (successions.undo, "has not taken over")):
        with pytest.raises(SuccessionError, match=words):
            decide(acme.conn, **pair)
        acme.conn.rollback()
    successions.accept(acme.conn, **pair)
    with pytest.raises(SuccessionError, match="already"):
        successions.accept(acme.conn, **pair)
    with pytest.raises(LookupError):
        successions.accept(acme.conn, integration_id=old, predecessor_id=new, decided_by="ben")
    acme.conn.rollback()
    acme.stop(new, "deleted")
    with pytest.raises(SuccessionError, match="itself gone"):
        successions.accept(acme.conn, **pair)
