"""The kept list of who waits: never a card that does not wait, never an answer that is not taken out."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from kombo_pipeline.backoffice import waiting
from kombo_pipeline.backoffice.waiting import Waiting
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import decisions
from kombo_pipeline.linking.statements.review_queue import Order, Queue
from kombo_pipeline_tests.backoffice import reviewing as r
from kombo_pipeline_tests.backoffice.ats_jobs import add_own_job

QUEUE = Queue(customer_id="acme")


@pytest.fixture
def acme(conn: Connection) -> Iterator[Connection]:
    r.add_customer(conn, "acme", own_jobs=4)
    yield conn


def test_an_answer_is_taken_out_at_once_and_an_undone_one_is_back(acme: Connection) -> None:
    lists = Waiting()
    assert lists.count(acme, QUEUE) == 4
    _, _, first = lists.next(acme, QUEUE)
    assert first is not None
    r.say(acme, "acme", first[1], "unsure", answer_id=(answer := uuid4()))
    assert lists.count(acme, QUEUE) == 3
    assert lists.next(acme, QUEUE)[2] != first
    decisions.undo(acme, undone_by="ana", answer_id=answer)
    assert lists.next(acme, QUEUE) == (4, 0, first)


def test_what_does_not_wait_any_more_for_another_reason_is_never_shown(acme: Connection) -> None:
    lists = Waiting()
    _, _, first = lists.next(acme, QUEUE)
    assert first is not None
    acme.execute("update core.own_jobs set withdrawn_at = now() where own_job_id = %s", (first[1],))
    count, _, second = lists.next(acme, QUEUE)
    assert (count, second != first) == (3, True)


def test_what_begins_to_wait_is_there_once_the_list_is_read_anew(
    acme: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = Waiting()
    assert lists.count(acme, QUEUE) == 4
    add_own_job(acme, "acme", "late", title="Data Engineer", location="Wien")
    r.rematch(acme, "personio:acme")
    assert not lists.is_old()
    monkeypatch.setattr(waiting, "FRESH_SECONDS", 0)
    assert lists.is_old()
    lists.read(acme)
    assert lists.count(acme, QUEUE) == 5


def test_a_list_of_which_nobody_has_asked_for_long_is_read_before_it_is_used(
    acme: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = Waiting()
    assert lists.count(acme, QUEUE) == 4
    add_own_job(acme, "acme", "late", title="Data Engineer", location="Wien")
    r.rematch(acme, "personio:acme")
    monkeypatch.setattr(waiting, "KEPT_SECONDS", 0)
    assert lists.count(acme, QUEUE) == 5


def test_an_empty_queue_is_asked_for_again(acme: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "EMPTY_SECONDS", 0)
    lists = Waiting()
    assert lists.next(acme, Queue(customer_id="acme", source="email")) == (0, 0, None)
    acme.execute("update core.own_jobs set source = 'email' where own_job_id = 'acme/0'")
    assert lists.count(acme, Queue(customer_id="acme", source="email")) == 1


def test_more_than_all_cannot_be_passed_over_and_few_queues_are_kept(acme: Connection) -> None:
    lists = Waiting()
    assert lists.next(acme, QUEUE, skip=99)[:2] == (4, 3)
    for number in range(40):
        lists.count(acme, Queue(customer_id="acme", days=number))
    assert lists._kept is not None
    assert len(lists._kept.queues) == waiting.KEPT_QUEUES


def test_what_changes_its_queue_leaves_the_old_one_alone(acme: Connection) -> None:
    lists = Waiting()
    mail, imported = Queue(customer_id="acme", source="email"), Queue(customer_id="acme", source="import")
    everything = lists.count(acme, QUEUE)
    acme.execute("update core.own_jobs set source = 'import' where customer_id = 'acme'")
    lists.read(acme)
    assert lists.count(acme, imported) == everything
    _, _, first = lists.next(acme, imported)
    assert first is not None
    acme.execute("update core.own_jobs set source = 'email' where own_job_id = %s", (first[1],))
    assert lists.next(acme, imported)[0] == everything - 1
    assert lists.next(acme, mail) == (1, 0, first)
    assert lists.count(acme, QUEUE) == everything


@pytest.mark.parametrize("order", ["strongest", "oldest", "informative"])
def test_a_queue_is_ordered_as_the_view_tells(acme: Connection, order: Order) -> None:
    placed = {"strongest": "confidence desc nulls last", "oldest": "created_at", "informative": """
        confidence - coalesce((select c.confidence from core.job_match_candidates c where c.rank = 2
        and (c.customer_id, c.own_job_id, c.integration_id) = (q.customer_id, q.own_job_id, q.integration_id)), 0)
        nulls last"""}  # fmt: skip
    rows = acme.execute(
        "select customer_id, own_job_id, integration_id from marts.review_queue q where why <> 'unlikely' "
        f"order by {placed[order]}, 1, 2, 3"
    ).fetchall()
    assert rows
    assert list(Waiting().read(acme).queue(Queue(order=order))) == [tuple(row.values()) for row in rows]


def test_many_answers_at_once_are_all_taken_out(acme: Connection) -> None:
    lists = Waiting()
    lists.count(acme, QUEUE)
    for _ in range(waiting.MOST_ANSWERS + 5):
        r.say(acme, "acme", "acme/0", "unsure")
    assert lists.count(acme, QUEUE) == 3
