"""A link is active only while nothing suspends it, whatever made, confirmed, revived or carried it."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import decisions, links, successions
from kombo_pipeline_tests.linking.test_candidates import Customer
from kombo_pipeline_tests.test_changes import WAYS_IN

SUCCESSOR: Final = "greenhouse:newer"


def close(customer: Customer) -> None:
    customer.ats("one", remote_id="1", status="CLOSED")
    customer.ats("two", remote_id="2", status="CLOSED")


def withdraw(customer: Customer) -> None:
    customer.conn.execute("update core.own_jobs set withdrawn_at = now()")
    links.follow_own_jobs(customer.conn, "acme")


def doubt(customer: Customer) -> None:
    customer.conn.execute("update core.integrations set claimed_customer_id = 'other', claimed_at = now()")
    links.follow_jobs(customer.conn, customer.integration_id)


def nothing(customer: Customer) -> None:
    assert {state for _, _, state, _ in customer.links()} == {"active"}


STATES: Final[Mapping[str, Callable[[Customer], None]]] = {
    "nothing suspends the links": nothing,
    "the ATS jobs are closed": close,
    "the own jobs are withdrawn": withdraw,
    "the owner is in doubt": doubt,
}


def take_over(customer: Customer) -> None:
    customer.conn.execute(
        """
        insert into core.integrations (
            integration_id, customer_id, tool, full_fetched_at, claimed_customer_id, claimed_at
        )
        select %s, customer_id, tool, full_fetched_at, claimed_customer_id, claimed_at
        from core.integrations
        where integration_id = %s
        """,
        (SUCCESSOR, customer.integration_id),
    )
    customer.conn.execute(
        """
        insert into core.jobs (integration_id, kombo_job_id, name, status, remote_id, last_fetch_id)
        select %s, 'new ' || kombo_job_id, name, status, remote_id, last_fetch_id
        from core.jobs
        where integration_id = %s
        """,
        (SUCCESSOR, customer.integration_id),
    )
    customer.conn.execute(
        """
        insert into core.successions (
            integration_id, predecessor_id, state, agreeing_jobs, compared_jobs, decided_at
        )
        values (%s, %s, 'accepted', 2, 2, now())
        """,
        (SUCCESSOR, customer.integration_id),
    )
    successions.carry_over(customer.conn, integration_id=SUCCESSOR, predecessor_id=customer.integration_id)


def take_over_and_undo(customer: Customer) -> None:
    take_over(customer)
    successions.take_back(
        customer.conn, integration_id=SUCCESSOR, predecessor_id=customer.integration_id, undone_by="ana"
    )
    links.follow_jobs(customer.conn, customer.integration_id)
    links.follow_jobs(customer.conn, SUCCESSOR)


WAYS: Final = {
    **WAYS_IN,
    "another connection takes over": take_over,
    "taking over is undone": take_over_and_undo,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_leaves_a_link_active_that_something_suspends(conn: Connection, way: str, state: str) -> None:
    customer = Customer(conn)
    customer.ats("one", remote_id="1")
    customer.ats("two", remote_id="2")
    customer.own("by identifier", remote_id="1")
    customer.own("by title")
    customer.match()
    customer.say("accepted", "by title", "two")
    conn.commit()
    STATES[state](customer)
    WAYS[way](customer)
    wrong = conn.execute(
        """
        select l.own_job_id, l.integration_id, core.suspended_by(j, i, o) as reason
        from core.job_links l
        join core.jobs j using (integration_id, kombo_job_id)
        join core.integrations i using (integration_id)
        join core.own_jobs o on o.customer_id = l.customer_id and o.own_job_id = l.own_job_id
        where l.state = 'active' and core.suspended_by(j, i, o) is not null
        """
    ).fetchall()
    assert wrong == []
    if way == "another connection takes over":
        is_active = state == "nothing suspends the links"
        carried = conn.execute(
            "select own_job_id, state from core.job_links where integration_id = %s", (SUCCESSOR,)
        ).fetchall()
        assert {row["own_job_id"] for row in carried} == {"by identifier", "by title"}
        assert {row["state"] for row in carried} == {"active" if is_active else "suspended"}


def test_a_link_whose_ending_is_undone_is_suspended_where_its_job_has_closed_meanwhile(conn: Connection) -> None:
    customer = Customer(conn)
    customer.ats("one")
    customer.ats("two")
    customer.own("own")
    customer.match()
    customer.say("accepted", "own", "one")
    conn.commit()
    superseding = customer.say("accepted", "own", "two")
    conn.commit()
    customer.ats("one", status="CLOSED")
    conn.commit()
    decisions.undo(conn, undone_by="ana", answer_id=superseding)
    assert customer.links() == [("own", "one", "suspended", "closed"), ("own", "two", "retired", "undone")]
