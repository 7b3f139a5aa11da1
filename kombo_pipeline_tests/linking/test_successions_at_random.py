"""Takeovers of random connections: the rule is the one that is written down, and an undo puts back what was there."""

from collections import Counter
from typing import Any, NamedTuple
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import successions
from kombo_pipeline.linking import decisions
from kombo_pipeline.linking.decisions import Answer

OLD, NEW = "greenhouse:old", "greenhouse:new"


class Job(NamedTuple):
    remote_id: str | None
    name: str | None
    status: str | None
    deleted: bool


class Said(NamedTuple):
    own_job: int
    decision: str
    job: int


remote_ids = st.one_of(st.integers(0, 15).map("r-{}".format), st.sampled_from([None, "", " ", "r-1 "]))
jobs = st.lists(
    st.builds(
        Job,
        remote_ids,
        st.sampled_from(["Nurse", "nurse ", "Baker", "", None]),
        st.sampled_from(["OPEN"] * 6 + ["CLOSED", "DRAFT", None, "Pausiert"]),
        st.sampled_from([False] * 9 + [True]),
    ),
    max_size=12,
)
some_said = st.lists(
    st.builds(
        Said,
        st.integers(0, 3),
        st.sampled_from(["accepted", "accepted", "rejected", "no_counterpart", "unsure"]),
        st.integers(0, 11),
    ),
    max_size=8,
)


def same_jobs(number: int) -> list[Job]:
    return [Job(f"s-{n}", f"Job {n}", "OPEN", False) for n in range(number)]


def put(conn: Connection, integration: str, jobs: list[Job], *, state: str, days: int) -> None:
    conn.execute(
        "insert into core.integrations (integration_id, customer_id, tool, state, full_fetched_at, "
        "kombo_last_sync_started_at) values (%s, 'acme', 'greenhouse', %s, now(), now())",
        (integration, state),
    )
    conn.cursor().executemany(
        "insert into core.jobs (integration_id, kombo_job_id, remote_id, name, status, visibility, remote_deleted_at, "
        "first_seen_at, last_fetch_id) values (%s, %s, %s, %s, %s, 'PUBLIC', case when %s then now() end, "
        "now() - make_interval(days => %s), 1)",
        [
            (integration, f"{integration}-{n}", job.remote_id, job.name, job.status, job.deleted, days)
            for n, job in enumerate(jobs)
        ],
    )


def say(conn: Connection, integration: str, said: list[Said], number: int) -> None:
    for each in said:
        if each.decision in ("accepted", "rejected") and each.job >= number:
            continue
        decisions.answer(
            conn,
            Answer(
                answer_id=uuid4(),
                customer_id="acme",
                own_job_id=str(each.own_job),
                integration_id=integration,
                decision=each.decision,  # type: ignore[arg-type]
                decided_by="ana",
                kombo_job_ids=[f"{integration}-{each.job}"] if each.decision in ("accepted", "rejected") else [],
            ),
        )


def key(job: Job) -> str | None:
    return (job.remote_id or "").strip(" ") or None


def expected(old: list[Job], new: list[Job]) -> tuple[int, int]:
    """How many jobs agree and how many are compared, as docs/operations.md has it."""

    def is_open(job: Job) -> bool:
        return job.status not in ("CLOSED", "DRAFT", "ARCHIVED")

    shared = [Counter(key(job) for job in side) for side in (old, new)]
    old_there, new_there = ([job for job in side if not job.deleted] for side in (old, new))
    agreeing = compared = 0
    paired = set()
    for job in old_there:
        pairs = [n for n, other in enumerate(new_there) if key(job) is not None and key(other) == key(job)]
        paired.update(pairs)
        for n in pairs:
            other = new_there[n]
            if is_open(job) or is_open(other):
                compared += 1
                is_one = shared[0][key(job)] == shared[1][key(job)] == 1
                titles = [" ".join((each.name or "").split()).lower() for each in (job, other)]
                agreeing += is_one and titles[0] == titles[1] != ""
        compared += not pairs and is_open(job)
    return agreeing, compared + sum(is_open(job) for n, job in enumerate(new_there) if n not in paired)


def picture(conn: Connection, integration: str) -> list[Any]:
    """What counts of a connection: jobs, live links, answers that stand, targets."""
    return [
        conn.execute(query.encode(), (integration,)).fetchall()
        for query in (
            "select kombo_job_id, lifecycle from core.jobs where integration_id = %s order by 1",
            "select link_id, state, reason, confirmed_by from core.job_links where integration_id = %s order by 1",
            "select decision_id from marts.link_decisions where integration_id = %s and stands order by 1",
            "select own_job_id, kombo_job_id from marts.application_targets where integration_id = %s order by 1, 2",
        )
    ]


class Case(NamedTuple):
    same: int
    old: list[Job]
    new: list[Job]
    state: str
    said: list[Said]
    said_later: list[Said]


cases = st.builds(
    Case, st.integers(0, 7), jobs, jobs, st.sampled_from(["INVALID", "INACTIVE", "ACTIVE"]), some_said, some_said
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases)
def test_random_connections_are_taken_over_by_the_rule_and_an_undo_puts_back_what_was_there(
    conn: Connection, case: Case
) -> None:
    conn.rollback()
    # Few random jobs beside those that agree, or the rule would hardly ever be met.
    old, new = (same_jobs(case.same) + side[: 12 - case.same] for side in (case.old, case.new))
    put(conn, OLD, old, state=case.state, days=2)
    put(conn, NEW, new, state="ACTIVE", days=1)
    conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title) "
        "select 'acme', n, 'Nurse' from generate_series(0, 3) n"
    )
    say(conn, OLD, case.said, len(old))
    say(conn, NEW, case.said_later, len(new))
    before, before_new = picture(conn, OLD), picture(conn, NEW)
    taken_over = successions.judge(conn, NEW, after_full_fetch=True, has_new_jobs=True)

    agreeing, compared = expected(old, new)
    is_by_rule = agreeing >= 5 and agreeing >= 0.8 * compared and case.state != "ACTIVE" and bool(new)
    assert taken_over == ([OLD] if is_by_rule else [])
    row = conn.execute("select state, agreeing_jobs, compared_jobs from core.successions").fetchone()
    if not agreeing:
        assert row is None
        assert picture(conn, OLD) == before
        return
    assert row == {
        "state": "accepted" if is_by_rule else "proposed",
        "agreeing_jobs": agreeing,
        "compared_jobs": compared,
    }
    pair = {"integration_id": NEW, "predecessor_id": OLD, "decided_by": "ben"}
    if not is_by_rule:
        assert picture(conn, OLD) == before
        successions.accept(conn, **pair)
    assert_sound(conn, before_new)
    successions.undo(conn, **pair)
    assert picture(conn, OLD) == before
    assert conn.execute("select 1 from core.job_links where reason = 'succeeded'").fetchall() == []


def assert_sound(conn: Connection, before_new: list[Any]) -> None:
    """Nothing of the old connection counts; what was carried has the same remote id; the new one's links are kept."""
    assert conn.execute("select 1 from marts.open_jobs where integration_id = %s", (OLD,)).fetchall() == []
    assert conn.execute("select 1 from marts.application_targets where integration_id = %s", (OLD,)).fetchall() == []
    assert conn.execute("select 1 from marts.review_queue where integration_id = %s", (OLD,)).fetchall() == []
    twice = "select own_job_id from marts.application_targets group by 1 having count(*) > 1"
    assert conn.execute(twice.encode()).fetchall() == []
    carried = conn.execute(
        "select l.own_job_id, x.own_job_id as own, btrim(j.remote_id) as remote_id, btrim(k.remote_id) as remote, "
        "l.confirmed_by, x.confirmed_by as confirmed, l.created_at = x.created_at as same_time "
        "from core.carried_links c join core.job_links l on l.link_id = c.from_link_id "
        "join core.job_links x on x.link_id = c.to_link_id "
        "join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id "
        "join core.jobs k on k.integration_id = x.integration_id and k.kombo_job_id = x.kombo_job_id"
    ).fetchall()
    for link in carried:
        assert (link["own"], link["remote"], link["confirmed"]) == (
            link["own_job_id"],
            link["remote_id"],
            link["confirmed_by"],
        )
    links = {row["link_id"]: row for row in picture(conn, NEW)[1]}
    assert {row["link_id"]: row for row in before_new[1]}.items() <= links.items()
    shared = conn.execute(
        "select 1 from core.carried_links c join core.job_links x on x.link_id = c.to_link_id "
        "join core.jobs k on k.integration_id = x.integration_id and k.kombo_job_id = x.kombo_job_id "
        "where (select count(*) from core.jobs o where o.integration_id in (%s, %s) "
        "and btrim(o.remote_id) = btrim(k.remote_id)) <> 2",
        (OLD, NEW),
    ).fetchall()
    assert shared == []
