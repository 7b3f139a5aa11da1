"""Links between own jobs and ATS jobs: the one way in which a link is made, and how links follow their jobs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import ats_jobs, job_links


@dataclass(frozen=True, kw_only=True)
class NewLink:
    """A pair to be linked, and by what right: an identifier, or the person who confirmed it."""

    customer_id: str
    own_job_id: str
    kombo_job_id: str
    method: str
    """title, search, or the identifier that names the ATS job."""
    confirmed_by: str | None
    matcher_version: str | None


def make(conn: Connection, integration_id: str, new: Sequence[NewLink]) -> None:
    """Link pairs of one integration, in the caller's transaction, and let the links follow their jobs at once.

    A link to an ATS job that is not open, of an own job that is withdrawn, or in an integration whose owner is in doubt
    is suspended from the start.
    """
    link_ids = [job_links.insert_link(conn, {**asdict(link), "integration_id": integration_id}) for link in new]
    follow_jobs(conn, integration_id, link_ids=link_ids)


def confirm(conn: Connection, integration_id: str, link_id: int, *, confirmed_by: str) -> None:
    """Let a link hold for what both jobs are today, because a person has looked at it again."""
    job_links.confirm(conn, link_id, confirmed_by=confirmed_by)
    follow_jobs(conn, integration_id, link_ids=[link_id])


def retire(conn: Connection, link_id: int, reason: str) -> None:
    """End a link for good; its row stays."""
    job_links.set_state(conn, link_id, "retired", reason)


def retire_other_customer(conn: Connection, integration_id: str, *, customer_id: str) -> None:
    """End what links an integration to customers other than `customer_id`, its present one, and forget its matches."""
    job_links.end_other_customer(conn, integration_id, customer_id=customer_id)


def follow_jobs(
    conn: Connection, integration_id: str, *, link_ids: Sequence[int] | None = None, fetch_id: int | None = None
) -> None:
    """Bring the links of an integration in line with its jobs, in the transaction that changed them.

    A job that is not open suspends its link: applications must stop at once; so does a doubt about the integration's
    owner, until it ends. A job that opens again resumes nothing by itself, a person is asked (marts.review_queue), as
    when a linked job is not what it was. `link_ids` are the only links, `fetch_id` the fetch whose jobs are the only
    ones, that may have fallen behind.
    """
    narrowed = job_links.which(link_ids=link_ids, fetch_id=fetch_id)
    job_links.follow_lifecycle(conn, integration_id, narrowed)
    job_links.mark_for_another_look(conn, integration_id, narrowed)
    job_links.expose_linked(conn, integration_id, narrowed)


def follow_own_jobs(conn: Connection, customer_id: str) -> None:
    """Bring the links of a customer in line with its own jobs, in the transaction that withdrew or returned some."""
    for integration in ats_jobs.integrations(conn, customer_id=customer_id):
        follow_jobs(conn, integration.integration_id)
