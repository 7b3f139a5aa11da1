"""Anything may happen to targets, in any order and by any door; who heard every notice knows exactly what is true."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health, successions
from kombo_pipeline.ingest.forget import forget
from kombo_pipeline.linking import decisions, links, targets
from kombo_pipeline.linking.candidates import match_integration
from kombo_pipeline.linking.decisions import Answer
from kombo_pipeline.linking.statements import exposed_jobs
from kombo_pipeline.linking.statements import targets as statements
from kombo_pipeline.own_jobs import importing
from kombo_pipeline.own_jobs import statements as own_jobs
from kombo_pipeline.own_jobs.importing import OwnJob
from kombo_pipeline.sandbox import deliveries
from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.vocabulary import NO_TARGET_REASONS
from kombo_pipeline_tests.ingest import conftest as shared
from kombo_pipeline_tests.ingest.model import Customer, Served, empty
from kombo_pipeline_tests.linking.told import Product, assert_told

warehouse_url, conn = shared.warehouse_url, shared.conn
module_served, served = shared.module_served, shared.served

TITLES = ("Nurse", "Baker", "Welder", "Judge", "Pilot", "Tailor")
WEEK = timedelta(days=7)
NUMBERS = st.integers(0, 5)
SEEN: Counter[str] = Counter()


class Targets(RuleBasedStateMachine):
    """One customer with six ATS jobs and four own jobs, and the connections through which it has been read."""

    conn: Connection
    served: Served

    @initialize()
    def connect(self) -> None:
        empty(self.conn)
        self.served.restart()
        self.world = self.served.world
        self.world.clock = Clock(datetime.now(UTC).replace(microsecond=0))
        self.product, self.connections, self.answers = Product(), list[Customer](), list[UUID]()
        self.customer = "acme"
        self.add_connection()
        for number in range(4):
            # One of them names its ATS job, so that matching links it.
            job = OwnJob(f"own-{number}", title=TITLES[number], remote_id="r-3" if number == 3 else None)
            self.import_jobs([job])
        for number in range(3):
            self.say(number, number, "accepted")
        self.match()

    def teardown(self) -> None:
        if hasattr(self, "product"):
            SEEN.update(reason for _, reason in self.product.closed)

    def add_connection(self) -> None:
        """Read the same six jobs through a new connection."""
        self.connections.append(Customer(self.conn, self.served, jobs=0))
        self.world.integration(self.acme.id).origin_id = self.customer
        for number, title in enumerate(TITLES):
            self.world.open_job(
                self.acme.id, name=title, remote_id=f"r-{number}", status="OPEN", visibility="PUBLIC", job_code=None,
                post_url=None, remote_url=None, job_postings=[], remote_created_at="2026-01-01T00:00:00.000Z",
            )  # fmt: skip
        self.world.sync(self.acme.id)
        self.acme.deliver()
        self.acme.land(full=True)
        self.acme.apply()
        self.check()

    @property
    def acme(self) -> Customer:
        """The newest connection."""
        return self.connections[-1]

    @property
    def is_there(self) -> bool:
        """Whether it can be read."""
        row = self.conn.execute(
            "select deleted_at is null and state is distinct from 'INVALID' as is_there from core.integrations "
            "where integration_id = %s",
            (self.acme.id,),
        ).fetchone()
        self.conn.commit()
        return bool(row and row["is_there"])

    def job(self, number: int) -> str:
        return self.acme.ids()[number]

    def check(self) -> None:
        for told in assert_told(self.conn, self.product):
            SEEN[told] += 1
        current = self.conn.execute(
            "select integration_id, kombo_job_id from core.exposed_jobs where exposed_until is null"
        ).fetchall()
        known = {row["integration_id"] for row in self.conn.execute("select integration_id from core.integrations")}
        self.conn.commit()
        exposed = {(row["integration_id"], row["kombo_job_id"]) for row in current}
        assert exposed == {pair for pair in self.product.exposed if pair[0] in known}

    # The ATS and Kombo

    @rule(number=NUMBERS, act=st.sampled_from(("CLOSED", "OPEN", "INTERNAL", "PUBLIC", "delete")))
    def recruiters_work(self, number: int, act: str) -> None:
        self.world.set_state(self.acme.id, state="ACTIVE")
        if act in ("CLOSED", "OPEN"):
            self.world.set_status(self.acme.id, self.job(number), act)
        elif act in ("INTERNAL", "PUBLIC"):
            self.world.edit_job(self.acme.id, self.job(number), visibility=act)
        elif act == "delete" and len(self.acme.ids()) == len(TITLES):
            self.world.delete_job(self.acme.id, self.job(number))
            self.world.open_job(self.acme.id, name=TITLES[number], visibility="PUBLIC")
        self.fetch(full=False)

    @rule(full=st.booleans())
    def fetch(self, full: bool) -> None:
        self.world.sync(self.acme.id)
        self.acme.deliver()
        if self.is_there:
            self.acme.land(full=full)
            self.acme.apply()
        self.check()

    @rule(state=st.sampled_from(("ACTIVE", "ACTIVE", "INVALID", "INACTIVE")))
    def connection_changes(self, state: str) -> None:
        self.world.set_state(self.acme.id, state=state)
        self.acme.deliver()
        self.check()

    @rule(owner=st.sampled_from(("other", "itself")), moves=st.booleans())
    def owner_is_in_doubt(self, owner: str, moves: bool) -> None:
        integration = self.world.integration(self.acme.id)
        integration.origin_id = self.customer if owner == "itself" else owner
        self.world.clock.advance(timedelta(seconds=1))
        self.world._send("integration-created", deliveries.integration_created(integration), integration)
        self.acme.deliver()
        self.check()
        row = self.acme.integration()
        if row["claimed_customer_id"]:
            to = row["claimed_customer_id"] if moves else row["customer_id"]
            health.answer_owner(self.conn, self.acme.id, customer_id=to, answered_by="ana")
            self.commit()

    @rule()
    def customer_connects_anew(self) -> None:
        if self.acme.integration()["customer_id"] != self.customer or len(self.connections) > 3:
            return
        self.world.set_state(self.acme.id, state="INVALID")
        self.acme.deliver()
        self.add_connection()

    @rule()
    def takeover_is_undone(self) -> None:
        row = self.conn.execute(
            "select integration_id, predecessor_id from core.successions where state = 'accepted' "
            "and integration_id = %s",
            (self.acme.id,),
        ).fetchone()
        if row:
            successions.undo(self.conn, **row, decided_by="ana")
            SEEN["takeovers undone"] += 1
        self.commit()

    @precondition(lambda self: len(self.connections) < 3)
    @rule(how=st.sampled_from(("deleted", "forgotten")))
    def connection_goes(self, how: str) -> None:
        if how == "deleted":
            self.world.delete_integration(self.acme.id)
            self.acme.deliver()
        else:
            forget(self.conn, self.acme.id, forgotten_by="ana")
        self.check()
        assert not any(pair[2] == self.acme.id for pair in self.product.targets)
        self.add_connection()

    @rule(days=st.sampled_from((1, 6, 8)), fails=st.booleans())
    def days_pass(self, days: int, fails: bool) -> None:
        """Nothing is fetched meanwhile, or Kombo cannot read the ATS meanwhile."""
        if fails:
            self.world.sync(self.acme.id, "FAILED")
            self.acme.deliver()
        columns = ("last_sync_succeeded_at", "last_data_changed_at") if fails else ("fetched_at", "registered_at")
        for column in columns:
            self.conn.execute(
                f"update core.integrations set {column} = {column} - make_interval(days => %s)".encode(), (days,)
            )
        self.conn.commit()
        self.tick()

    @rule()
    def tick(self) -> None:
        health.note_staleness(self.conn, after=WEEK)
        self.check()

    # People and the product

    def say(self, own: int, job: int, decision: Any) -> None:
        kombo_job_id = self.job(job)
        known = self.conn.execute(
            "select from core.jobs j join core.integrations i using (integration_id) where integration_id = %s "
            "and kombo_job_id = %s and customer_id = %s",
            (self.acme.id, kombo_job_id, self.customer),
        ).fetchone()
        if known is not None:
            given = Answer(
                answer_id=uuid4(), customer_id=self.customer, own_job_id=f"own-{own}", integration_id=self.acme.id,
                decision=decision, decided_by="ana",
                kombo_job_ids=() if decision == "no_counterpart" else (kombo_job_id,),
            )  # fmt: skip
            decisions.answer(self.conn, given)
            self.answers.append(given.answer_id)
        self.commit()

    @rule(
        own=st.integers(0, 3),
        job=NUMBERS,
        decision=st.sampled_from(("accepted", "accepted", "rejected", "no_counterpart")),
    )
    def person_answers(self, own: int, job: int, decision: Any) -> None:
        self.say(own, job, decision)

    @rule(number=NUMBERS)
    def person_takes_an_answer_back(self, number: int) -> None:
        if self.answers:
            decisions.undo(self.conn, undone_by="ana", answer_id=self.answers[-1 - number % len(self.answers)])
        self.commit()

    @rule()
    def match(self) -> None:
        match_integration(self.conn, self.acme.id)
        self.commit()

    @rule(numbers=st.sets(NUMBERS, min_size=1), ends=st.booleans())
    def customer_chooses(self, numbers: set[int], ends: bool) -> None:
        ids = [self.job(number) for number in numbers]
        if ends:
            exposed_jobs.end_exposures(self.conn, self.acme.id, ids, by="ana")
        else:
            exposed_jobs.expose(self.conn, self.acme.id, ids, by="ana", channel="picker")
        self.commit()

    def import_jobs(self, jobs: list[OwnJob], *, replace: bool = False) -> None:
        importing.import_own_jobs(self.conn, jobs, customer_id=self.customer, source="import", replace=replace)
        self.commit()

    @rule(number=st.integers(0, 3), how=st.sampled_from(("page", "import", "sql")), back=st.booleans())
    def own_job_goes_or_comes_back(self, number: int, how: str, back: bool) -> None:
        own = f"own-{number}"
        if how == "import":
            kept = [number] if back else [each for each in range(4) if each != number]
            self.import_jobs([OwnJob(f"own-{each}", title=TITLES[each]) for each in kept], replace=not back)
        elif how == "page":
            own_jobs.set_withdrawn(self.conn, customer_id=self.customer, own_job_id=own, withdrawn=not back)
            links.follow_jobs(self.conn, self.acme.id)
        else:
            self.conn.execute(
                "update core.own_jobs set withdrawn_at = case when not %s then now() end where own_job_id = %s",
                (back, own),
            )
        self.commit()

    # What goes wrong on the way

    @rule(number=NUMBERS)
    def process_dies_before_its_commit(self, number: int) -> None:
        exposed_jobs.end_exposures(self.conn, self.acme.id, [self.job(number)], by="ana")
        targets.tell(self.conn, self.acme.id)
        self.conn.rollback()
        self.check()

    @rule(number=NUMBERS)
    def change_is_made_and_taken_back_in_one_transaction(self, number: int) -> None:
        ids = exposed_jobs.end_exposures(self.conn, self.acme.id, [self.job(number)], by="ana")
        exposed_jobs.expose(self.conn, self.acme.id, ids, by="ana", channel="picker")
        self.commit()

    @rule(number=st.integers(0, 3))
    def change_goes_past_the_triggers(self, number: int) -> None:
        """The check names the integration, and the next comparison mends it."""
        self.conn.execute("set local session_replication_role = replica")
        changed = self.conn.execute(
            "update core.own_jobs set withdrawn_at = case when withdrawn_at is null then now() end "
            "where own_job_id = %s",
            (f"own-{number}",),
        ).rowcount
        self.conn.commit()
        untold = statements.untold(self.conn)
        SEEN["changes past the triggers"] += changed
        for each in untold:
            SEEN["differences that the check named"] += 1
            targets.tell(self.conn, each.integration_id)
        self.commit()
        assert statements.untold(self.conn) == []

    def commit(self) -> None:
        self.conn.commit()
        self.check()


def go_through_what_chance_may_leave_out(model: Targets) -> None:
    """One history by hand: a job closes and opens again, and is seen by some only; another one is deleted."""
    model.connect()
    for act in ("CLOSED", "OPEN"):
        model.recruiters_work(number=0, act=act)
    model.say(0, 0, "accepted")
    for act in ("INTERNAL", "PUBLIC", "delete"):
        model.recruiters_work(number=0, act=act)
    model.teardown()


@pytest.fixture
def play(conn: Connection, served: Served) -> Iterator[Callable[[int, int], None]]:
    """Plays so many histories of so many steps."""

    def run(examples: int, steps: int) -> None:
        @seed(int(os.environ.get("TARGETS_TEST_SEED", "1")))  # the same histories at each run
        def machine() -> Targets:
            model = Targets()
            model.conn, model.served = conn, served
            return model

        go_through_what_chance_may_leave_out(machine())
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate,),
                print_blob=True,
            ),
        )

    SEEN.clear()
    yield run
    print(SEEN)


def test_who_heard_every_notice_knows_exactly_the_targets(play: Callable[[int, int], None]) -> None:
    play(8, 20)
    proved = {"target.opened", "exposure.ended", "integration.needs_reconnect", "closed", "not_publishable", "deleted"}
    assert proved <= SEEN.keys(), SEEN


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_who_heard_every_notice_of_a_long_history_knows_exactly_the_targets(play: Callable[[int, int], None]) -> None:
    play(int(os.environ.get("TARGETS_TEST_EXAMPLES", "150")), 40)
    reasons = {*NO_TARGET_REASONS, "differences that the check named", "takeovers undone", "integration.gone"}
    assert reasons - {"vanished"} <= SEEN.keys(), f"nothing was proved of {reasons - SEEN.keys()}: {SEEN}"
