"""A customer that connects its ATS anew: when the new connection takes over from the old one, and how to undo it.

Kombo gives a new connection another integration id and other job ids. Taken for another one, it would show each job
twice and lose every answer. It is the successor of an older connection of the same customer and tool when that one has
stopped and their jobs agree (see `is_the_same`); where less speaks for it, a person is asked.
"""

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health
from kombo_pipeline.ingest.statements import jobs
from kombo_pipeline.ingest.statements import successions as statements
from kombo_pipeline.ingest.statements.successions import Agreement, Succession
from kombo_pipeline.linking import links
from kombo_pipeline.linking import successions as carrying

AGREEING_JOBS = 5
"""Fewer agree by accident: several tools number their jobs from 1, and many customers look for nurses."""
AGREEING_SHARE = 0.8
"""Of the jobs compared. Jobs open and close between the end of the one connection and the start of the other."""


class SuccessionError(RuntimeError):
    """The decision cannot be carried out as things stand; the message says why."""


def is_the_same(found: Agreement) -> bool:
    """Whether the jobs of two connections show without a person that they read the same ATS."""
    return found.agreeing >= AGREEING_JOBS and found.agreeing >= AGREEING_SHARE * found.compared


def judge(conn: Connection, integration_id: str, *, after_full_fetch: bool, has_new_jobs: bool) -> list[str]:
    """Let the integration take over from older connections, or propose it; return those it took over from.

    To be called in the transaction that applies a fetch, once a full one has been applied: from that very moment the
    predecessor's jobs must not count any more. To compare takes a look at all jobs of both. So between full fetches
    only those that have stopped are compared, and only when new jobs have come or some agreed before. Nothing is
    judged where a person has decided.
    """
    taken_over = []
    for other in statements.other_connections(conn, integration_id):
        if not (after_full_fetch or (other.has_stopped and (other.is_proposed or has_new_jobs))):
            continue
        pair = {"integration_id": integration_id, "predecessor_id": other.integration_id}
        found = statements.agreement(conn, **pair)
        if not (found.agreeing and found.is_older):
            statements.withdraw_proposal(conn, **pair)
            continue
        is_accepted = other.has_stopped and is_the_same(found)
        if is_accepted and not statements.lock_free(conn, other.integration_id):
            continue
        statements.write(conn, **pair, found=found, is_accepted=is_accepted)
        if is_accepted:
            _take_over(conn, **pair)
            taken_over.append(other.integration_id)
    return taken_over


def accept(conn: Connection, *, integration_id: str, predecessor_id: str, decided_by: str) -> None:
    """Let the integration take over because a person says so, in the caller's transaction.

    Raises LookupError where nothing is known of the pair, SuccessionError where it is not possible (any more).
    """
    pair = {"integration_id": integration_id, "predecessor_id": predecessor_id}
    succession = _locked(conn, **pair)
    if succession.state == "accepted":
        raise SuccessionError("This connection has taken over already. Nothing was done.")
    if succession.predecessor_succeeded_by is not None:
        raise SuccessionError(f"{succession.predecessor_succeeded_by} has taken over from it already. Undo that first.")
    if succession.customer_id is None or succession.customer_id != succession.predecessor_customer_id:
        raise SuccessionError("The two connections do not belong to the same customer any more. Nothing was done.")
    if succession.deleted_at is not None or succession.succeeded_by is not None:
        raise SuccessionError("The newer connection is itself gone, so it cannot take over. Nothing was done.")
    statements.set_state(conn, **pair, state="accepted", decided_by=decided_by)
    _take_over(conn, **pair)


def refuse(conn: Connection, *, integration_id: str, predecessor_id: str, decided_by: str) -> None:
    """Note that the integration does not take over, in the caller's transaction; it is not proposed again."""
    pair = {"integration_id": integration_id, "predecessor_id": predecessor_id}
    if _locked(conn, **pair).state != "proposed":
        raise SuccessionError("Somebody has decided meanwhile. Nothing was done.")
    statements.set_state(conn, **pair, state="refused", decided_by=decided_by)


def undo(conn: Connection, *, integration_id: str, predecessor_id: str, decided_by: str) -> None:
    """Give the predecessor its jobs, links and answers back as they were, in the caller's transaction.

    What was carried over ends. Jobs and links of a predecessor that Kombo has deleted stay as deletion left them.
    """
    pair = {"integration_id": integration_id, "predecessor_id": predecessor_id}
    succession = _locked(conn, **pair)
    if succession.state != "accepted" or succession.predecessor_succeeded_at is None:
        raise SuccessionError("This connection has not taken over, or that was undone meanwhile. Nothing was done.")
    if succession.succeeded_by is not None:
        raise SuccessionError(f"{succession.succeeded_by} has taken over from this connection since. Undo that first.")
    statements.mark_succeeded(conn, predecessor_id=predecessor_id, succeeded_by=None)
    if succession.predecessor_deleted_at is None:
        statements.restore_jobs(conn, predecessor_id=predecessor_id, gone_at=succession.predecessor_succeeded_at)
    carrying.take_back(conn, **pair, undone_by=decided_by)
    links.follow_jobs(conn, predecessor_id)
    links.follow_jobs(conn, integration_id)
    statements.set_state(conn, **pair, state="undone", decided_by=decided_by)
    health.diagnose_and_store(conn, predecessor_id)


def _take_over(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    statements.lock(conn, integration_id=integration_id, predecessor_id=predecessor_id)
    succeeded_at = statements.mark_succeeded(conn, predecessor_id=predecessor_id, succeeded_by=integration_id)
    assert succeeded_at is not None
    carrying.carry_over(conn, integration_id=integration_id, predecessor_id=predecessor_id)
    jobs.mark_integration_gone(conn, integration_id=predecessor_id, gone_at=succeeded_at)
    links.follow_jobs(conn, predecessor_id)
    links.follow_jobs(conn, integration_id)
    health.diagnose_and_store(conn, predecessor_id)


def _locked(conn: Connection, *, integration_id: str, predecessor_id: str) -> Succession:
    succession = statements.lock(conn, integration_id=integration_id, predecessor_id=predecessor_id)
    if succession is None:
        raise LookupError(f"Nothing is known of {integration_id} taking over from {predecessor_id}")
    return succession
