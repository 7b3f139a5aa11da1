"""Anything may happen to a customer, in any order; the copy must tell what Kombo promises to tell."""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.ingest import lifecycle
from kombo_pipeline.ingest.apply import apply_landed_fetches, release_records
from kombo_pipeline.kombo import client as kombo_client
from kombo_pipeline.kombo.errors import KomboError
from kombo_pipeline.sandbox.deliveries import Webhook
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline_tests.conftest import copied
from kombo_pipeline_tests.ingest.crashes import run
from kombo_pipeline_tests.ingest.model import (
    NESTED_TABLES,
    OVERLAP,
    Customer,
    Record,
    Served,
    as_stored,
    assert_history_has_no_gap,
    client,
    empty,
    picture,
    stored,
)

JOBS = st.integers(0, 1000)
WORDS = {"close": "CLOSED", "archive": "ARCHIVED", "draft": "DRAFT", "reopen": "OPEN", "hold": "On Hold", "clear": None}
ACTS = st.sampled_from((
    "open", "edit", "edit nested", "edit nested", "add nested", "remove nested", "delete", "delete", "delete many",
    "restore", "repost", *WORDS,
))  # fmt: skip
LISTS = st.sampled_from(list(NESTED_TABLES))
EDITED = {"stages": "name", "screening_questions": "title", "job_postings": "title", "hiring_team": "last_name"}
ODDITIES: list[Record] = [{"name": 7}, {"description": "\0"}, {"stages": [{"name": "no id"}]}, {"opened_at": "soon"}]
# What is stored of such a field; of the others the last readable value stays.
ODD_VALUES = {"description": "", "stages": []}
SYNC_STATES = (
    *["SUCCEEDED"] * 8,
    "PARTIALLY_FAILED",
    "FAILED",
    "TIMED_OUT",
    "CANCELLED",
    "AUTHENTICATION_FAILED",
    "ODD",
)
# What an apply looks at apart from the pages.
CIRCUMSTANCES = ("state", "setup_status", "jobs_model_enabled", "data_expired_at", "last_sync_state")
STATUSES = {"OPEN": "open", "CLOSED": "closed", "DRAFT": "draft", "ARCHIVED": "archived"}


SEEN: Counter[str] = Counter()


class Upstream(RuleBasedStateMachine):
    """One customer. The model is what was stored before, Kombo's copy, and what Kombo promises to tell."""

    conn: Connection
    url: str
    second_url: str
    served: Served

    @initialize(seed=st.integers(0, 50), emptied=st.booleans(), inclusive=st.booleans(), questions_count=st.booleans())
    def connect(self, seed: int, emptied: bool, inclusive: bool, questions_count: bool) -> None:
        empty(self.conn)
        self.served.restart(seed)
        self.world = self.served.world
        behaviour = self.world.behaviour
        behaviour.anonymise_purged, behaviour.updated_after_inclusive = emptied, inclusive
        behaviour.question_edits_count = questions_count
        behaviour.shuffle, behaviour.duplicate_rate, behaviour.short_page_rate = True, 0.3, 0.2
        self.untold = ("stages", "hiring_team") + (() if questions_count else ("screening_questions",))
        self.acme = Customer(self.conn, self.served, jobs=16)
        self.acme.kombo = client(self.served.url, self.acme.now, max_attempts=1)
        self.id = self.acme.id
        self.before: dict[str, Record] = {}
        self.vanished: set[str] = set()
        self.vanished_before: set[str] = set()
        self.deleted: list[str] = []
        self.hooks: list[Webhook] = []
        self.watermark: datetime | None = None
        self.versions: dict[tuple[str, str], list[Any]] = defaultdict(list)
        self.circumstances: dict[int, Record] = {}
        self.a_person_decided = False
        self.in_kombo: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "acme"):
            SEEN.update(event for _, event in self.acme.changes())
            SEEN["odd records"] += len(self.acme.quarantined())
            SEEN["decisions"] += self.a_person_decided
            self.acme.kombo.close()
            self.replay()

    # The ATS

    def job(self, number: int) -> str:
        jobs = self.acme.ids()
        return jobs[number % len(jobs)] if jobs else self.world.open_job(self.id)

    @rule(acts=st.lists(st.tuples(ACTS, JOBS, LISTS, st.sampled_from("ABC")), min_size=1, max_size=6))
    def recruiters_work(self, acts: list[tuple[str, int, str, str]]) -> None:
        for act, number, field, value in acts:
            job_id = self.job(number)
            entries = self.world.ats_job(self.id, job_id)[field]
            if act == "open":
                self.world.open_job(self.id)
            elif act == "edit":
                self.world.edit_job(self.id, job_id, name=value)
            elif act == "repost":
                self.world.repost_job(self.id, job_id)
            elif act == "restore" and self.deleted:
                self.world.restore_job(self.id, self.deleted.pop(number % len(self.deleted)))
            elif act == "edit nested" and entries:
                self.world.edit_nested(self.id, job_id, field, number % len(entries), **{EDITED[field]: value})
            elif act == "remove nested" and entries:
                self.world.remove_nested(self.id, job_id, field, number % len(entries))
            elif act in ("add nested", "edit nested", "remove nested"):
                self.world.add_nested(self.id, job_id, field, **{EDITED[field]: value})
            elif act in ("delete", "delete many"):
                for _ in range(14 if act == "delete many" else 1):
                    self.deleted.append(self.job(number))
                    self.world.delete_job(self.id, self.deleted[-1])
            elif act in WORDS:
                self.world.set_status(self.id, job_id, WORDS[act])

    # Kombo

    @rule(state=st.sampled_from(SYNC_STATES), kind=st.sampled_from(("FULL", "FULL", "DELTA")))
    def sync(self, state: str, kind: Any) -> None:
        self.world.sync(self.id, state, kind=kind)

    @rule(number=JOBS)
    def upstream_event(self, number: int) -> None:
        self.world.upstream_event(self.id, self.job(number))

    @rule(state=st.sampled_from((*["ACTIVE"] * 3, "INVALID", "INACTIVE")), refuses=st.booleans())
    def set_state(self, state: str, refuses: bool) -> None:
        self.world.set_state(self.id, state=state)
        self.world.behaviour.refuse_inactive = refuses

    @rule(enabled=st.sampled_from((True, True, True, False)), sync=st.booleans())
    def switch_the_jobs_model(self, enabled: bool, sync: bool) -> None:
        self.world.enable_jobs_model(self.id, enabled=enabled)
        if sync:
            self.world.sync(self.id)

    @rule(number=JOBS, oddity=st.sampled_from([None, None, *ODDITIES]))
    def distort(self, number: int, oddity: Record | None) -> None:
        rows = sorted(self.world.integration(self.id).mirror.rows)
        odd = sorted(self.odd())
        if oddity is None and odd:
            self.world.set_raw(self.id, odd[number % len(odd)], None)
        elif rows:
            self.world.set_raw(self.id, rows[number % len(rows)], oddity)

    # Time, and what goes wrong on the way

    @rule(passes=st.sampled_from((timedelta(seconds=1), timedelta(minutes=7), timedelta(days=2), timedelta(days=15))))
    def wait(self, passes: timedelta) -> None:
        self.wait_for(passes)

    def wait_for(self, passes: timedelta) -> None:
        self.world.clock.advance(passes)
        self.world.settle()

    @rule(number=JOBS, count=st.sampled_from((1, 1, 2, 14)))
    def tombstones_come_and_go_unseen(self, number: int, count: int) -> None:
        for _ in range(min(count, len(self.acme.ids()))):
            self.deleted.append(self.job(number))
            self.world.delete_job(self.id, self.deleted[-1])
        self.world.sync(self.id)
        self.wait_for(timedelta(days=15))

    @rule(skew=st.sampled_from((timedelta(0), timedelta(minutes=3), timedelta(minutes=-3), timedelta(days=365))))
    def set_our_clock(self, skew: timedelta) -> None:
        self.acme.skew = skew

    @rule(fate=st.sampled_from(("delivered", "lost", "doubled", "reordered", "delayed")), order=st.randoms())
    def deliver(self, fate: str, order: random.Random) -> None:
        self.hooks += self.world.drain()
        if fate == "delayed":
            return
        due, self.hooks = self.hooks, []
        if fate == "lost":
            due = [hook for hook in due if order.random() < 0.5]
        if fate == "doubled":
            due += due
        if fate in ("reordered", "doubled"):
            order.shuffle(due)
        self.acme.deliver(due)

    # Our side

    @rule()
    def fetch(self) -> None:
        self.fetch_and_check(full=False)

    @rule()
    def reconcile(self) -> None:
        self.fetch_and_check(full=True)

    @rule(full=st.booleans())
    def sync_and_fetch(self, full: bool) -> None:
        self.world.sync(self.id)
        self.fetch_and_check(full=full)

    @rule(full=st.booleans(), fatal=st.integers(20, 160))
    def fetch_and_die(self, full: bool, fatal: int) -> None:
        """Cut off at a point of the connection, if the run has so many."""
        try:
            self.fetch_and_check(full=full, fatal=fatal)
        except psycopg.OperationalError:
            SEEN["runs killed"] += 1
            self.unchanged()

    @rule(full=st.booleans(), kind=st.sampled_from(("answer", "drop", "truncate")), page=st.sampled_from((1, 2)))
    def fetch_in_vain(self, full: bool, kind: Any, page: int) -> None:
        self.world.faults.append(Fault(kind, path="/ats/jobs", page=page))
        try:
            self.acme.land(full=full)
        except KomboError:
            newest = self.newest_fetch()
            assert newest is not None
            assert newest["status"] in ("unavailable", "refused")
        self.world.faults.clear()
        self.remember_versions()
        self.unchanged()

    @rule(refuse=st.booleans())
    def decide(self, refuse: bool) -> None:
        hold = self.acme.hold()
        if hold is None:
            return
        self.a_person_decided = True
        self.acme.conn.commit()
        lifecycle.release_closure(self.conn, hold["hold_id"], decided_by="Jana", refuse=refuse)
        self.conn.commit()
        after = stored(self.conn, self.id)
        for job_id, was in self.before.items():
            if refuse or job_id not in hold["kombo_job_ids"]:
                assert after[job_id] == was
            elif hold["reason"] == "status_off":
                assert after[job_id] == was | {"status": None}
            elif hold["reason"] == "jobs_model_off":
                assert after[job_id] == was | {"remote_deleted_at": after[job_id]["remote_deleted_at"]}
                assert after[job_id]["remote_deleted_at"] is not None
            elif job_id not in self.in_kombo and not was["remote_deleted_at"]:
                self.vanished.add(job_id)
        self.before = after
        assert_history_has_no_gap(self.conn)

    @rule()
    def release_what_cannot_be_read(self) -> None:
        if self.circumstances and not self.pending():
            applied, staying = release_records(self.conn)
            assert (applied, len(staying)) == (0, len(self.acme.quarantined()))
            self.conn.commit()
            self.note_circumstances()
            self.unchanged()

    # The model

    def odd(self) -> dict[str, str]:
        """The jobs that are sent with a field that cannot be read, and which field it is."""
        rows = self.world.integration(self.id).mirror.rows
        return {id_: next(iter(row.mutate({}))) for id_, row in rows.items() if row.mutate is not None}

    def pending(self) -> list[Record]:
        return self.conn.execute("select * from raw.fetches where status = 'landed' order by fetch_id").fetchall()

    def newest_fetch(self) -> Record | None:
        row = self.conn.execute("select * from raw.fetches order by fetch_id desc limit 1").fetchone()
        self.conn.commit()
        return row

    def unchanged(self) -> None:
        assert stored(self.conn, self.id) == self.before
        row = self.conn.execute("select kombo_last_sync_started_at as at from core.integrations").fetchone()
        assert (row and row["at"]) == self.watermark
        self.conn.commit()

    def remember_versions(self) -> None:
        for job_id, record in self.world.kombo_jobs(self.id).items():
            for name in self.untold:
                self.versions[job_id, name].append(as_stored(record, {})[name])

    def fetch_and_check(self, *, full: bool, fatal: int = 0) -> None:
        """One run, and what it must have done to what was stored before it."""
        pending, began = self.pending(), self.world.clock.now()
        self.conn.commit()
        known = len(self.world.requests)
        self.remember_versions()
        try:
            run(self.url, self.acme, full=full, fatal=fatal)
        except KomboError as error:
            blocked = self.world.integration(self.id).state != "ACTIVE"
            assert blocked, error
            self.unchanged()
            return
        except psycopg.OperationalError:
            newest = self.newest_fetch()
            if newest is None or newest["status"] != "applied" or newest["fetch_id"] in self.circumstances:
                raise
        fetch, integration = self.newest_fetch(), self.acme.integration()
        self.conn.commit()
        assert fetch is not None
        assert fetch["status"] == "applied"
        assert_history_has_no_gap(self.conn)
        self.check_requests(list(self.world.requests)[known:], fetch)
        self.note_circumstances()
        SEEN[f"{fetch['kind']} fetch applied"] += 1
        SEEN["fetches that had landed before"] += len(pending)
        SEEN["jobs held"] += self.acme.hold() is not None
        self.check_jobs(fetch, integration, pending)
        at = integration["kombo_last_sync_started_at"]
        assert at <= began
        assert self.watermark is None or at >= self.watermark
        assert at >= min(began, self.acme.now()).replace(microsecond=0)
        self.watermark = at
        uncovered = self.conn.execute("select from raw.webhook_events where starts_fetch and handled_at is null")
        assert uncovered.fetchone() is None
        self.conn.commit()

    def check_requests(self, requests: list[Any], fetch: Record) -> None:
        queries = [request.query for request in requests if request.path == "/v1/ats/jobs"]
        for query in queries:
            # Of jobs that a full traversal did not show, Kombo is asked by id.
            allowed = {"cursor", "ids"} if fetch["kind"] == "full" else {"cursor", "updated_after"}
            assert query.keys() - allowed == {"include_deleted", "page_size"}
            assert query["include_deleted"] == "true"
        if fetch["kind"] == "incremental":
            assert self.watermark is not None
            (since,) = {query.get("updated_after", "") for query in queries}
            assert datetime.fromisoformat(since) == self.watermark - OVERLAP

    def check_jobs(self, fetch: Record, integration: Record, pending: list[Record]) -> None:
        full = fetch["kind"] == "full"
        fetches_were_pending, full_was_pending = bool(pending), any(p["kind"] == "full" for p in pending)
        self.vanished_before = set(self.vanished)
        kombo, after, odd = self.world.kombo_jobs(self.id), stored(self.conn, self.id), self.odd()
        model_off = not integration["jobs_model_enabled"] or integration["data_expired_at"] is not None
        holds = self.conn.execute("select * from core.held_closures order by hold_id").fetchall()
        held = {j for hold in holds if hold["reason"] == "jobs_model_off" for j in hold["kombo_job_ids"]}
        without_status = {j for hold in holds if hold["reason"] == "status_off" for j in hold["kombo_job_ids"]}
        for job_id, record in kombo.items():
            was, is_ = self.before.get(job_id), after.get(job_id)
            assert is_ is not None, "a job did not arrive"
            wanted = as_stored(record, is_)
            if field := odd.get(job_id):
                # A pending fetch may have brought a value that was readable.
                last_readable = is_ if fetches_were_pending else was or {}
                wanted[field] = ODD_VALUES.get(field, last_readable.get(field))
                wanted["unreadable_fields"] = is_["unreadable_fields"]
            is_emptied = record["remote_deleted_at"] and record["name"] is None and record["remote_id"] is None
            is_emptied = is_emptied and field != "name"
            if is_emptied and (was or full_was_pending):
                # A pending fetch may have brought the job before Kombo emptied it, and so may have its date.
                known = was or is_
                wanted = is_ | {"remote_deleted_at": known["remote_deleted_at"] or wanted["remote_deleted_at"]}
            if is_["remote_deleted_at"] is None and record["remote_deleted_at"] and job_id in held:
                assert model_off or not full, "a held deletion outlived its reason"
                continue
            if job_id in without_status and record["status"] is None and is_ == was:
                continue
            assert is_emptied or list(is_["unreadable_fields"] or ()) == ([field] if field else []), job_id
            self.assert_told(job_id, is_, wanted, full=full)
            self.vanished.discard(job_id)
        self.check_absent(fetch, integration, after, full_was_pending=full_was_pending)
        self.check_quarantine(fetch, integration, odd, kombo, held | without_status)
        self.before, self.in_kombo = after, set(kombo)

    def assert_told(self, job_id: str, is_: Record, wanted: Record, *, full: bool) -> None:
        if is_ == wanted:
            return
        differing = {key for key in wanted if is_[key] != wanted[key]}
        assert not full, f"a full fetch left {job_id} different in {differing}"
        assert differing <= set(self.untold), f"{job_id} differs in {differing}"
        for name in differing:
            ids = [[entry["id"] for entry in side[name]] for side in (is_, wanted)]
            assert ids[0] == ids[1], f"{name} of {job_id} lacks or has too many"
            assert is_[name] in self.versions[job_id, name], f"{name} of {job_id} was never so"

    def check_absent(
        self, fetch: Record, integration: Record, after: dict[str, Record], *, full_was_pending: bool
    ) -> None:
        kombo = self.world.kombo_jobs(self.id)
        absent = {id_ for id_ in self.before if id_ not in kombo}
        for job_id in absent:
            assert after[job_id] == self.before[job_id] or full_was_pending
        states = self.acme.lifecycles()
        alive = {id_ for id_ in absent if not self.before[id_]["remote_deleted_at"] and id_ not in self.vanished}
        if full_was_pending:
            self.vanished |= {id_ for id_, state in states.items() if state == "vanished"}
        elif fetch["kind"] == "full" and not self.doubtful(integration):
            closing = [id_ for id_ in alive if self.before[id_]["status"] == "OPEN"]
            was_open = [
                id_ for id_, job in self.before.items()
                if job["status"] == "OPEN" and not job["remote_deleted_at"] and id_ not in self.vanished_before
            ]  # fmt: skip
            too_many = len(closing) > 10 and len(closing) > 0.2 * len(was_open)
            if not (too_many or (fetch["records"] == 0 and closing)):
                self.vanished |= alive
        for job_id, job in after.items():
            if job["remote_deleted_at"]:
                wanted = "deleted"
            else:
                wanted = "vanished" if job_id in self.vanished else STATUSES.get(job["status"], "unknown")
            assert states[job_id] == wanted, job_id

    def doubtful(self, integration: Record) -> bool:
        return (
            integration["state"] != "ACTIVE"
            or integration["setup_status"] != "COMPLETED"
            or not integration["jobs_model_enabled"]
            or integration["data_expired_at"] is not None
            or integration["last_sync_state"] not in (None, "SUCCEEDED")
        )

    def check_quarantine(
        self, fetch: Record, integration: Record, odd: dict[str, str], kombo: dict[str, Record], held: set[str]
    ) -> None:
        aside = {row["kombo_job_id"] for row in self.acme.quarantined()}
        # Of an emptied tombstone only the date is read, once the job is known: what else is odd in it does not matter.
        emptied = {
            job_id
            for job_id in odd.keys() & kombo.keys()
            if kombo[job_id]["name"] is None and kombo[job_id]["remote_id"] is None and odd[job_id] != "name"
        }
        assert odd.keys() - emptied - held <= aside & kombo.keys() <= odd.keys() | held
        if fetch["kind"] == "full" and not self.doubtful(integration) and self.acme.hold() is None:
            assert odd.keys() - emptied - held <= aside <= odd.keys() | held

    def note_circumstances(self) -> None:
        row = self.acme.integration()
        for fetch in self.conn.execute("select fetch_id from raw.fetches where status = 'applied'"):
            self.circumstances.setdefault(fetch["fetch_id"], {name: row[name] for name in CIRCUMSTANCES})
        self.conn.commit()

    def replay(self) -> None:
        """The landed pages alone lead to the same tables."""
        if self.a_person_decided:
            return
        with connect(self.second_url) as second:
            empty(second)
            for table in ("core.integrations", "raw.fetches", "raw.job_pages"):
                rows = self.conn.execute(f"select * from {table}").fetchall()
                for row in rows:
                    names = ", ".join(row)
                    values = ", ".join(f"%({name})s" for name in row)
                    second.execute(f"insert into {table} ({names}) overriding system value values ({values})", row)
            self.conn.commit()
            second.execute("update raw.fetches set status = 'abandoned'")
            second.execute("update core.integrations set kombo_last_sync_started_at = null, full_fetched_at = null")
            for fetch_id, circumstances in sorted(self.circumstances.items()):
                second.execute(
                    "update core.integrations set " + ", ".join(f"{name} = %({name})s" for name in circumstances),
                    circumstances,
                )
                second.execute("update raw.fetches set status = 'landed' where fetch_id = %s", (fetch_id,))
                apply_landed_fetches(second, self.id)
            ours, theirs = picture(self.conn), {}
            second.commit()
            theirs = picture(second)
            for table in ("core.jobs", *(f"core.{name}" for name in NESTED_TABLES.values()), "core.job_changes"):
                lacking, odd = set(ours[table]) - set(theirs[table]), set(theirs[table]) - set(ours[table])
                assert theirs[table] == ours[table], f"{table}: lacks {lacking}, has {odd}"


@pytest.fixture(scope="module")
def second_url(postgres_server: embedded.Server, migrated_template: str) -> Iterator[str]:
    yield from copied(postgres_server, migrated_template)


def go_through_what_chance_may_leave_out(upstream: Upstream) -> None:
    """One history by hand: a job is deleted and restored, a run is killed, another job vanishes."""
    upstream.connect(seed=1, emptied=False, inclusive=True, questions_count=True)
    upstream.sync(state="SUCCEEDED", kind="FULL")
    upstream.sync_and_fetch(full=False)
    for act in ("delete", "restore"):
        upstream.recruiters_work(acts=[(act, 0, "stages", "A")])
        upstream.sync(state="SUCCEEDED", kind="FULL")
        upstream.sync_and_fetch(full=False)
    upstream.fetch_and_die(full=False, fatal=9)
    upstream.tombstones_come_and_go_unseen(number=1, count=1)
    upstream.reconcile()
    upstream.teardown()


@pytest.mark.timeout(3600)
def test_whatever_happens_upstream_the_copy_tells_what_kombo_tells(
    conn: Connection, warehouse_url: str, second_url: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kombo_client, "PAGE_SIZE", 6)
    more = os.environ.get("SYNC_TEST_EXAMPLES")

    @seed(int(os.environ.get("SYNC_TEST_SEED", "3")))  # the same histories at each run, wherever this module stands
    def machine() -> Upstream:
        upstream = Upstream()
        upstream.conn, upstream.url, upstream.second_url, upstream.served = conn, warehouse_url, second_url, served
        return upstream

    go_through_what_chance_may_leave_out(machine())
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(more or 10),
            stateful_step_count=30,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
            print_blob=True,
        ),
    )
    wanted = {"incremental fetch applied", "full fetch applied", "runs killed", "deleted", "vanished", "restored"}
    assert wanted <= SEEN.keys(), f"nothing was proved of {wanted - SEEN.keys()}: {SEEN}"
    print(SEEN)
