"""Links between own jobs and ATS jobs: how they are made, confirmed, ended and revived, and how they follow their jobs.

A link is active only while nothing speaks against it. Each function here asks core.suspended_by in the statement that
changes the link; nothing else makes a link active.
"""

from collections.abc import Sequence

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import ats_jobs, job_links
from kombo_pipeline.linking.statements.job_links import NewLink
from kombo_pipeline.vocabulary import LinkReason


def make(conn: Connection, integration_id: str, new: Sequence[NewLink]) -> None:
    """Link pairs of one integration, in the caller's transaction, and let the links follow their jobs at once.

    A link is suspended from the start when its ATS job is not open, its own job is withdrawn, or the owner of the
    integration is in doubt.
    """
    link_ids = [job_links.insert_link(conn, integration_id, link) for link in new]
    follow_jobs(conn, integration_id, link_ids=link_ids)


def confirm(conn: Connection, integration_id: str, link_id: int, *, confirmed_by: str) -> None:
    """Note that a person has confirmed a link for what both jobs are today; it is active if it can be."""
    job_links.confirm(conn, link_id, confirmed_by=confirmed_by)
    follow_jobs(conn, integration_id, link_ids=[link_id])


def suspend(conn: Connection, link_id: int, reason: LinkReason) -> None:
    """Suspend a link until a person confirms it again."""
    job_links.set_state(conn, link_id, "suspended", reason)


def retire(conn: Connection, link_id: int, reason: LinkReason) -> None:
    """End a link; its row stays."""
    job_links.set_state(conn, link_id, "retired", reason)


def revive(conn: Connection, link_id: int) -> None:
    """Let a retired link live again because the answer that ended it was taken back; it is active if it can be."""
    job_links.revive(conn, link_id)


def retire_other_customer(conn: Connection, integration_id: str, *, customer_id: str) -> None:
    """End the links of an integration with own jobs of customers other than `customer_id`, and delete their matches."""
    job_links.end_other_customer(conn, integration_id, customer_id=customer_id)


def follow_jobs(
    conn: Connection, integration_id: str, *, link_ids: Sequence[int] | None = None, fetch_id: int | None = None
) -> None:
    """Bring the links of an integration in line with its jobs, in the transaction that changed them.

    A link whose ATS job is not open, or whose integration has a doubtful owner, is suspended at once, because
    applications must stop. When the ATS job opens again, or a linked job is no longer what was confirmed, the link does
    not change by itself: a person is asked (marts.review_queue). With `link_ids` only these links are looked at, with
    `fetch_id` only those whose ATS job the fetch changed.
    """
    narrowed = job_links.which(link_ids=link_ids, fetch_id=fetch_id)
    job_links.follow_lifecycle(conn, integration_id, narrowed)
    job_links.mark_questions(conn, integration_id, narrowed)
    job_links.expose_linked(conn, integration_id, narrowed)


def follow_own_jobs(conn: Connection, customer_id: str) -> None:
    """Bring the links of a customer in line with its own jobs, in the transaction that withdrew or restored some."""
    for integration in ats_jobs.integrations(conn, customer_id=customer_id):
        follow_jobs(conn, integration.integration_id)
