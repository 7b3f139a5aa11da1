"""How jobs end: deleted, vanished, or gone with their integration; and when a closure of many jobs is held."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.guard import HELD_ABOVE_JOBS, is_held
from kombo_pipeline.ingest.statements import held_closures, integrations, jobs, quarantined_records, staged_jobs
from kombo_pipeline.ingest.statements.fetches import Fetch
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.ingest.statements.jobs import GoneColumn
from kombo_pipeline.linking import links
from kombo_pipeline.vocabulary import HoldReason

DETAILS_UNKNOWN = "Kombo did not give the details of the integration"


@dataclass(frozen=True)
class Vanished:
    """What became of the jobs that a full fetch did not show."""

    closed: int = 0
    held: int = 0
    notes: list[str] = field(default_factory=list)


def deletions_are_doubtful(integration: Integration) -> bool:
    """Whether deletions may come from a changed scope configuration rather than from recruiters."""
    return integration.jobs_model_enabled is False or integration.data_expired_at is not None


def hold_implausible_closures(
    conn: Connection, integration: Integration, fetch: Fetch, *, emptied: dict[str, datetime]
) -> int:
    """Hold staged closures that come rather from a changed scope configuration than from recruiters.

    Kombo marks every job deleted when the jobs model is switched off; its data is out of step while data_expired_at is
    set; and a field that is switched off becomes null on every job. The details of the integration say whether the
    first two are so. While the details are unknown, mass deletions wait until a full fetch that knows them shows the
    jobs again. A tombstone without such a reason, or a status that a recruiter set, is a fact and is applied at once,
    however many come: applications to a job that ended must stop. Held jobs are removed from the staged ones and from
    the `emptied` tombstones. Returns how many jobs are held.
    """
    integration_id = integration.integration_id
    doubtful, unknown = deletions_are_doubtful(integration), integration.details_error is not None
    deleted: dict[str, datetime] = {}
    if doubtful or unknown:
        staged = staged_jobs.staged_deletions(conn, integration_id=integration_id, emptied=emptied)
        deleted = _held(conn, fetch, "jobs_model_off" if doubtful else "details_unknown", staged)
        if deleted and unknown:
            integrations.update(conn, integration_id, {"closures_await_details": True})
    if not (doubtful or unknown):
        held_closures.supersede(conn, integration_id=integration_id, reason="jobs_model_off")
    if not unknown and fetch.kind == "full":
        held_closures.supersede(conn, integration_id=integration_id, reason="details_unknown")
    statusless = _held(conn, fetch, "status_off", staged_jobs.staged_status_losses(conn))
    if fetch.kind == "full" and not statusless:
        held_closures.supersede(conn, integration_id=integration_id, reason="status_off")
    for job in deleted:
        emptied.pop(job, None)
    return len(deleted) + len(statusless)


def _held(conn: Connection, fetch: Fetch, reason: HoldReason, ending: dict[str, datetime]) -> dict[str, datetime]:
    """Hold staged jobs that would end together, if there are too many; return those held."""
    integration_id = fetch.integration_id
    if len(ending) <= HELD_ABOVE_JOBS:
        return {}  # without counting the open jobs of every fetch
    open_jobs = jobs.open_job_count(conn, integration_id)
    if not is_held(ending=len(ending), living=open_jobs):
        return {}
    staged_jobs.unstage(conn, list(ending))
    quarantined_records.drop_held(conn, fetch_id=fetch.fetch_id, kombo_job_ids=list(ending))
    held_closures.hold(
        conn,
        integration_id=integration_id,
        fetch_id=fetch.fetch_id,
        reason=reason,
        gone_at=ending,
        open_jobs=open_jobs,
    )
    return ending


def close_vanished(
    conn: Connection,
    integration: Integration,
    fetch: Fetch,
    *,
    unidentified: int,
    open_jobs: int,
) -> Vanished:
    """Mark the jobs that a complete full fetch did not show as vanished, or hold them if they are too many.

    Kombo removes a tombstone 14 days after the deletion; after that, absence is the only sign of it. Absence counts
    only when the responses are complete and the data behind them is healthy; otherwise nothing closes, and a note says
    why.
    """
    doubts = absence_doubts(integration)
    if unidentified:
        doubts.append(f"{unidentified} records have no readable id, so any job may be among them")
    integration_id, fetch_id = integration.integration_id, fetch.fetch_id
    absent = staged_jobs.absent_jobs(conn, integration_id=integration_id)
    if not absent:
        held_closures.supersede(conn, integration_id=integration_id, reason="vanished")
        return Vanished()
    if doubts:
        if DETAILS_UNKNOWN in doubts:
            integrations.update(conn, integration_id, {"closures_await_details": True})
        return Vanished(notes=[f"{len(absent)} jobs did not appear but were left as they are: {'; '.join(doubts)}."])
    open_absent = sum(is_open for is_open in absent.values())
    gone_at = dict.fromkeys(absent, fetch.started_at or datetime.now(UTC))
    nothing_came = fetch.records == 0 and open_absent > 0
    if nothing_came or is_held(ending=open_absent, living=open_jobs):
        held_closures.hold(
            conn,
            integration_id=integration_id,
            fetch_id=fetch_id,
            reason="vanished",
            gone_at=gone_at,
            open_jobs=open_jobs,
        )
        return Vanished(held=len(absent))
    held_closures.supersede(conn, integration_id=integration_id, reason="vanished")
    jobs.mark_gone(conn, integration_id=integration_id, column="vanished_at", gone_at=gone_at, fetch_id=fetch_id)
    return Vanished(closed=len(absent))


def absence_doubts(integration: Integration) -> list[str]:
    """Say why a job that is absent from a complete fetch may still exist; empty when there is no such reason."""
    doubts = []
    if integration.state not in (None, "ACTIVE"):
        doubts.append(f"the integration is {integration.state}")
    if integration.setup_status not in (None, "COMPLETED"):
        doubts.append(f"its setup is {integration.setup_status}")
    if integration.jobs_model_enabled is False:
        doubts.append("the jobs model is switched off in Kombo")
    if integration.data_expired_at is not None:
        doubts.append("its data awaits a sync after a change of scopes or filters")
    if integration.details_error is not None:
        doubts.append(DETAILS_UNKNOWN)
    if integration.last_sync_state not in (None, "SUCCEEDED"):
        doubts.append(f"its newest sync ended {integration.last_sync_state}")
    return doubts


def close_integrations(conn: Connection, deleted_at: Mapping[str, datetime]) -> None:
    """End the jobs of integrations that were deleted in Kombo, because no tombstones will come for them.

    Deletion is final; connecting anew gives another integration and other job ids (Kombo's documentation).
    """
    for integration_id in integrations.with_live_jobs(conn, list(deleted_at)):
        jobs.mark_integration_gone(conn, integration_id=integration_id, gone_at=deleted_at[integration_id])
        links.follow_jobs(conn, integration_id)


def release_closure(conn: Connection, hold_id: int, *, decided_by: str, refuse: bool = False) -> int | None:
    """Close the jobs of a held closure, or refuse to; return how many closed, None when the hold does not wait.

    Exactly the jobs that were held are closed, except vanished jobs that an applied fetch has shown since.
    """
    hold = held_closures.decide(conn, hold_id, decision="refused" if refuse else "released", decided_by=decided_by)
    if hold is None:
        return None
    if refuse:
        return 0
    integration_id, fetch_id = hold.integration_id, hold.fetch_id
    gone_at = dict(zip(hold.kombo_job_ids, hold.gone_at, strict=True))
    if hold.reason == "status_off":
        jobs.clear_status(conn, integration_id=integration_id, kombo_job_ids=list(gone_at), fetch_id=fetch_id)
    else:
        column: GoneColumn = "remote_deleted_at"
        if hold.reason == "vanished":
            column = "vanished_at"
            for job in held_closures.seen_since(
                conn, integration_id=integration_id, fetch_id=fetch_id, kombo_job_ids=list(gone_at)
            ):
                del gone_at[job]
        jobs.mark_gone(conn, integration_id=integration_id, column=column, gone_at=gone_at, fetch_id=fetch_id)
    links.follow_jobs(conn, integration_id)
    return len(gone_at)
