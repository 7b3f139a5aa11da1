"""A list that drops too many own jobs at once withdraws none of them until a person has looked."""

import random
from collections.abc import Iterable
from typing import Any

import psycopg
import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.own_jobs import held_withdrawals
from kombo_pipeline.own_jobs.files import BadRow
from kombo_pipeline.own_jobs.importing import Imported, import_own_jobs, release_withdrawal
from kombo_pipeline.own_jobs.reading import OwnJob


def brought(conn: Connection, ids: Iterable[object], *more: BadRow, **options: Any) -> Imported:
    """What a list does that has these jobs; it replaces unless told otherwise."""
    jobs = [OwnJob(str(id_), f"Job {id_}") for id_ in ids]
    values = {"customer_id": "acme", "source": "import", "replace": True} | options
    return import_own_jobs(conn, [*jobs, *more], **values)


def living(conn: Connection, customer_id: str = "acme") -> set[str]:
    rows = conn.execute(
        "select own_job_id from core.own_jobs where customer_id = %s and withdrawn_at is null", (customer_id,)
    )
    return {row["own_job_id"] for row in rows}


def held(conn: Connection) -> list[list[str]]:
    """The sets that wait."""
    return [hold.own_job_ids for hold in held_withdrawals.waiting(conn)]


def decisions(conn: Connection) -> list[str | None]:
    return [row["decision"] for row in conn.execute("select decision from core.held_withdrawals order by hold_id")]


def ids(numbers: Iterable[int]) -> set[str]:
    return set(map(str, numbers))


@pytest.mark.parametrize(
    ("jobs", "left", "is_held"),
    [
        (40, 1, True),
        (11, 0, False),  # no job at all withdraws none, without a hold
        (12, 1, True),
        (11, 1, False),  # ten are not more than ten
        (50, 39, True),
        (55, 44, False),  # 11 of 55 are not more than a fifth
        (54, 43, True),
        (200, 160, False),
        (200, 159, True),
    ],
)
def test_more_than_ten_jobs_and_more_than_a_fifth_of_the_list_are_held(
    conn: Connection, jobs: int, left: int, is_held: bool
) -> None:
    brought(conn, range(100_000, 100_000 + jobs))
    done = brought(conn, range(100_000, 100_000 + left))
    gone = jobs - left
    assert (done.held, done.withdrawn) == ((gone, 0) if is_held else (0, gone if left else 0))
    assert len(living(conn)) == (jobs if is_held or not left else left)
    assert (done.hold_id is not None) == is_held == bool(held(conn))


def test_the_rest_of_a_list_that_is_held_is_taken_in(conn: Connection) -> None:
    brought(conn, range(40))
    done = brought(conn, [0, *range(100, 130)])
    assert (done.new, done.changed, done.unchanged, done.held) == (30, 0, 1, 39)
    assert living(conn) == ids([*range(40), *range(100, 130)])
    assert [job.own_job_id for job in done.examples["held"]] == sorted(ids(range(1, 40)))[:5]


def test_the_jobs_of_other_lists_and_customers_neither_count_nor_are_held(conn: Connection) -> None:
    brought(conn, range(1000, 1200), list_name="large")
    brought(conn, range(1000, 1200), customer_id="other")
    brought(conn, range(40))
    assert brought(conn, range(20)).held == 20  # 20 of 40, not of 240
    assert held(conn) == [sorted(ids(range(20, 40)))]
    assert brought(conn, range(1000, 1180), list_name="large").withdrawn == 20
    assert len(held(conn)) == 1


def test_a_release_withdraws_exactly_the_held_set_and_only_once(conn: Connection) -> None:
    brought(conn, range(40))
    hold_id = brought(conn, [0, 1, *range(50, 60)]).hold_id
    assert hold_id is not None
    released = release_withdrawal(conn, hold_id, decided_by="jana")
    assert released is not None
    assert {job.own_job_id for job in released.withdrawn} == ids(range(2, 40))
    assert living(conn) == ids([0, 1, *range(50, 60)])
    assert release_withdrawal(conn, hold_id, decided_by="jana") is None
    assert brought(conn, [0, 1, *range(50, 60)]).held == 0


@pytest.mark.parametrize(
    "options", [{}, {"replace": False}, {"list_name": "north"}, {"list_name": "north", "replace": False}]
)
def test_jobs_that_any_later_list_brings_are_taken_out_of_the_held_set(
    conn: Connection, options: dict[str, Any]
) -> None:
    brought(conn, range(40))
    hold_id = brought(conn, [0]).hold_id
    assert hold_id is not None
    brought(conn, [0, *range(1, 11)], **options)
    assert held(conn) == [sorted(ids(range(11, 40)))]
    [waiting] = held_withdrawals.waiting(conn)
    released = release_withdrawal(conn, waiting.hold_id, decided_by="jana")
    assert released is not None
    assert len(released.withdrawn) == 29
    assert living(conn) == ids(range(11))


@pytest.mark.parametrize("replace", [True, False])
def test_a_list_that_brings_all_back_makes_the_hold_void(conn: Connection, replace: bool) -> None:
    brought(conn, range(40))
    brought(conn, [0])
    assert brought(conn, range(40), replace=replace).unchanged == 40
    assert (held(conn), decisions(conn)) == ([], ["superseded"])
    assert living(conn) == ids(range(40))


def test_a_later_list_that_lacks_the_same_jobs_keeps_the_hold_and_one_that_lacks_others_replaces_it(
    conn: Connection,
) -> None:
    brought(conn, range(40))
    first = brought(conn, [0, 1]).hold_id
    assert brought(conn, [0, 1, 77]).hold_id == first
    second = brought(conn, [0, 77])
    assert second.hold_id != first
    assert (second.held, decisions(conn)) == (39, ["superseded", None])
    assert first is not None
    assert release_withdrawal(conn, first, decided_by="jana") is None


def test_a_list_that_lacks_few_of_the_held_jobs_withdraws_those_and_ends_the_hold(conn: Connection) -> None:
    brought(conn, range(40))
    brought(conn, [0])
    done = brought(conn, range(36))
    assert (done.withdrawn, done.held, held(conn), decisions(conn)) == (4, 0, [], ["superseded"])
    assert living(conn) == ids(range(36))


def test_a_refused_set_is_not_held_again_until_a_list_has_brought_one_of_its_jobs(conn: Connection) -> None:
    brought(conn, range(40))
    hold_id = brought(conn, [0]).hold_id
    assert hold_id is not None
    released = release_withdrawal(conn, hold_id, decided_by="jana", refuse=True)
    assert released is not None
    assert not released.withdrawn
    again = brought(conn, [0])
    assert (again.held, again.withdrawn, held(conn)) == (0, 0, [])
    assert again.not_withdrawn == "39 jobs are not in the list, and a person has refused to withdraw them"
    assert living(conn) == ids(range(40))
    brought(conn, range(40))
    assert brought(conn, [0]).held == 39
    assert decisions(conn) == ["refused", None]


def test_a_job_whose_row_could_not_be_read_is_not_held(conn: Connection) -> None:
    brought(conn, range(40))
    brought(conn, [0])
    assert brought(conn, [0], BadRow(2, "broken", own_job_id="7")).held == 38
    assert "7" not in held(conn)[0]
    kept = brought(conn, [0, 1], BadRow(2, "broken"))
    assert (kept.held, kept.withdrawn) == (0, 0)
    assert sorted(ids(range(2, 40)) - {"7"}) == held(conn)[0]


def test_a_release_leaves_a_job_that_was_written_into_another_list_by_sql(conn: Connection) -> None:
    brought(conn, range(40))
    hold_id = brought(conn, [0]).hold_id
    conn.execute("update core.own_jobs set list = 'mine' where own_job_id = '5'")
    assert hold_id is not None
    released = release_withdrawal(conn, hold_id, decided_by="jana")
    assert released is not None
    assert living(conn) == {"0", "5"}


def test_what_is_tried_out_and_rolled_back_leaves_no_hold(conn: Connection) -> None:
    brought(conn, range(40))
    with conn.transaction():
        assert brought(conn, [0]).held == 39
        raise psycopg.Rollback
    assert (held(conn), decisions(conn)) == ([], [])


def test_random_lists_do_what_a_plain_model_says(conn: Connection) -> None:
    """Three lists of one customer, whole ones and parts, with unread rows, jobs marked withdrawn, and decisions."""
    chance = random.Random(20261128)
    model: dict[str, tuple[str, bool]] = {}  # own job -> its list, whether it is alive
    waiting: dict[str, set[str]] = {}
    refused: list[set[str]] = []
    seen = {"held": 0, "withdrawn": 0, "released": 0, "unread": 0, "refused": 0}
    for _ in range(120):
        name = chance.choice(["a", "b", "c"])
        of_list = {id_ for id_, (list_name, alive) in model.items() if list_name == name and alive}
        if chance.random() < 0.6 and name in waiting:
            [hold] = [each for each in held_withdrawals.waiting(conn) if each.list_name == name]
            refuse = chance.random() < 0.6
            release_withdrawal(conn, hold.hold_id, decided_by="jana", refuse=refuse)
            gone = waiting.pop(name)
            if refuse:
                refused.append(gone)
                seen["refused"] += 1
            else:
                model |= dict.fromkeys(gone, (name, False))
                seen["released"] += 1
        else:
            kept = chance.choice([1.0, 0.95, 0.9, 0.3])
            jobs = {id_ for id_ in sorted(of_list) if chance.random() < kept}
            jobs |= {str(chance.randrange(150)) for _ in range(chance.choice([0, 1, 30]))}
            ending = {id_ for id_ in sorted(jobs & model.keys()) if chance.random() < 0.02}
            replace, unread = chance.random() < 0.8, chance.random() < 0.1
            rows: list[OwnJob | BadRow] = [OwnJob(id_, "Job", withdrawn=id_ in ending) for id_ in sorted(jobs)]
            if unread:
                rows.append(BadRow(1, "broken"))
            done = import_own_jobs(conn, rows, customer_id="acme", source="import", list_name=name, replace=replace)
            brings = jobs - ending
            model |= dict.fromkeys(brings, (name, True))
            model |= {id_: (model[id_][0], False) for id_ in ending}
            waiting = {each: left for each, gone in waiting.items() if (left := gone - brings)}
            refused = [gone for gone in refused if not gone & brings]
            seen["unread"] += replace and unread
            if replace and brings and not unread:
                absent = {id_ for id_, (list_name, alive) in model.items() if list_name == name and alive} - brings
                waiting.pop(name, None)
                if not (len(absent) > 10 and len(absent) * 5 > len(of_list)):
                    model |= dict.fromkeys(absent, (name, False))
                    seen["withdrawn"] += len(absent)
                elif absent not in refused:
                    waiting[name] = absent
                    seen["held"] += 1
                assert done.held == len(waiting.get(name, ()))
        assert living(conn) == {id_ for id_, (_, alive) in model.items() if alive}
        assert {each.list_name: set(each.own_job_ids) for each in held_withdrawals.waiting(conn)} == waiting
    assert all(times >= 3 for times in seen.values()), seen
