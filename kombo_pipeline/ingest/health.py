"""What is known of an integration: its owner and state, who must act on it, and what to tell them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from kombo_pipeline import limits
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import identity
from kombo_pipeline.ingest.identity import NO_CLAIM, Told
from kombo_pipeline.ingest.statements import integrations, unreadable_fields
from kombo_pipeline.ingest.statements.unreadable_fields import Share
from kombo_pipeline.linking import links
from kombo_pipeline.linking.statements import job_links


class Diagnosis(NamedTuple):
    """Who must act (us, kombo, customer), None when nobody has to; and what to tell them, or what there is to know."""

    who_must_act: str | None
    what_to_do: str | None


# Both must be exceeded: some odd records are always about, a change of what the ATS sends shows in many.
ODD_ABOVE_RECORDS = 10
ODD_ABOVE_SHARE = 0.05
_STALE_AT_ONCE: Final = 20

_FINE = Diagnosis(None, None)
_RECONNECT = Diagnosis(
    "customer",
    "The credentials of the connection are invalid or may not read jobs. Ask the customer to reconnect the "
    "ATS (Kombo's reconnection link keeps the integration and its job ids).",
)


def diagnose(
    integration: Mapping[str, Any], fetch_error_by: str | None = None, share: Share | None = None
) -> Diagnosis:
    """Say who must act on an integration, the most pressing reason first.

    The meaning of sync states and setup errors, and whose they are to mend, is Kombo's guide "Handling failing
    syncs", corrected: FAILED is a critical error. `fetch_error_by` is who must act on a refused fetch, `share`
    how many of its records cannot be read whole.
    """
    code, fetch_state = integration["fetch_error_code"], integration["fetch_state"]
    if integration["deleted_at"] is not None:
        return _FINE
    if integration["succeeded_by"] is not None:
        return _taken_over(integration)
    if integration["claimed_customer_id"] is not None:
        return Diagnosis(
            "us",
            f"Kombo says that the integration belongs to {integration['claimed_customer_id']} now, no more to "
            f"{integration['customer_id']}. Its links are suspended until somebody answers whose it is: on its page in "
            "the back office, or with `kombo-pipeline release owner`.",
        )
    if code == "INTEGRATION.SETUP_INCOMPLETE":
        return Diagnosis("customer", "The connection is not set up completely. Ask the customer to finish the steps.")
    if code == "INTEGRATION.QA_FAILED":
        return Diagnosis("kombo", "The first sync failed Kombo's quality checks. Ask Kombo support how it stands.")
    if (
        integration["state"] == "INVALID"
        or integration["last_sync_state"] == "AUTHENTICATION_FAILED"
        or code in ("INTEGRATION.AUTHENTICATION_INVALID", "INTEGRATION.PERMISSION_MISSING")
    ):
        return _RECONNECT
    if integration["state"] == "INACTIVE" or code == "INTEGRATION.INACTIVE":
        return Diagnosis("us", "The integration is switched off. Switch it on in the Kombo dashboard.")
    if code == "PLATFORM.AUTHENTICATION_INVALID":
        return Diagnosis("us", "Kombo does not accept KOMBO_API_KEY. Check the key, its environment and KOMBO_API_URL.")
    if code == "PLATFORM.INTEGRATION_NOT_FOUND":
        return Diagnosis(
            "us",
            "Kombo does not know the integration under this key. Check that KOMBO_API_URL names its region and "
            "KOMBO_API_KEY its environment; nothing was closed.",
        )
    if fetch_state == "refused":
        return Diagnosis(
            fetch_error_by or integration["who_must_act"] or "us",
            f"Kombo refused: {integration['fetch_error']}",
        )
    if integration["jobs_model_enabled"] is False:
        return Diagnosis(
            "us",
            "The jobs model is switched off in the scope configuration. Kombo reports its jobs as deleted.",
        )
    if share and is_alarming(share):
        return Diagnosis("us", _unreadable(share))
    diagnosis = {
        "FAILED": Diagnosis("kombo", "The newest sync failed; Kombo is alerted. The data of the last good one stays."),
        "TIMED_OUT": Diagnosis("kombo", "The newest sync timed out; Kombo restarts it by itself."),
        "PARTIALLY_FAILED": Diagnosis("kombo", "The newest sync had non-fatal errors; Kombo takes care of them."),
    }.get(integration["last_sync_state"], _FINE)
    if diagnosis == _FINE and integration["details_error"] is not None:
        return Diagnosis(
            integration["details_error_by"],
            f"{integration['details_error']} Its jobs are fetched all the same; until the details are known, jobs that "
            "a full fetch does not show stay open, and mass deletions wait.",
        )
    return diagnosis


def _taken_over(integration: Mapping[str, Any]) -> Diagnosis:
    told_at = integration["state_updated_at"]
    if integration["state"] == "ACTIVE" and told_at is not None and told_at > integration["succeeded_at"]:
        return Diagnosis(
            "us",
            f"{integration['succeeded_by']} has taken over from this connection, yet Kombo says that it is active "
            "again. Delete the one in Kombo that the customer does not use, or undo the takeover in the back office.",
        )
    return Diagnosis(None, f"Taken over by {integration['succeeded_by']}; nothing is fetched any more.")


def is_alarming(share: Share) -> bool:
    """Whether so many records cannot be read whole, now or in the newest fetch, that the reader must be mended."""
    if share.odd <= ODD_ABOVE_RECORDS:
        return False
    of_newest = share.odd_of_newest > max(ODD_ABOVE_RECORDS, ODD_ABOVE_SHARE * share.records_of_newest)
    return of_newest or share.odd > ODD_ABOVE_SHARE * max(share.jobs, share.odd)


def _unreadable(share: Share) -> str:
    field = f", most often the field {share.field} ({share.jobs_with_field} jobs)" if share.field else ""
    return (
        f"{share.odd} records cannot be read whole{field}. Their status and deletion are applied, other fields that "
        "cannot be read keep their last value. See marts.quarantined_records for the reasons, mend "
        "kombo_pipeline/kombo/record.py, deploy, then run `kombo-pipeline release records`."
    )


def diagnose_and_store(conn: Connection, integration_id: str, fetch_error_by: str | None = None) -> None:
    """Bring who_must_act and what_to_do of an integration in line with its other columns."""
    integration = integrations.get(conn, integration_id)
    if integration is not None:
        share = unreadable_fields.shares(conn, [integration_id]).get(integration_id)
        integrations.update(conn, integration_id, diagnose(integration, fetch_error_by, share)._asdict())


def note_details(conn: Connection, integration_id: str, values: Mapping[str, Any], *, read_at: datetime) -> None:
    """Set what the details of an integration tell, which were asked for at `read_at` (our clock).

    They may name a customer, an organization, a tool and a category; what they do not name stays. Whose the integration
    is follows identity.changes_by, unless an event has told it that came after the details were asked for.
    """
    before = integrations.lock_all(conn, [integration_id])[integration_id]
    after = {**before, **{name: value for name, value in values.items() if name not in Told._fields}}
    if not integrations.told_since(conn, integration_id, read_at):
        told = Told(
            identity.usable_id(values.get("customer_id")),
            identity.text(values.get("organization_name"), limits.NAME),
            identity.text(values.get("tool"), limits.WORD),
            identity.text(values.get("category"), limits.WORD),
        )
        has_links = bool(job_links.linked_integrations(conn, [integration_id]))
        after |= identity.changes_by(before, told, has_links=has_links, at=read_at)
        after["details_read_at"] = read_at
    store(conn, [(before, after)])


def answer_owner(conn: Connection, integration_id: str, *, customer_id: str, answered_by: str) -> bool:
    """Say whose an integration in doubt is, in the caller's transaction; return whether it becomes another customer's.

    When it stays the known one's its links stand again, and the same claim raises no second question. When it is the
    claimed one's, the links of the former customer are retired. Raises LookupError when nobody doubts the owner, and
    ValueError for a customer that is neither.
    """
    before = integrations.lock_all(conn, [integration_id]).get(integration_id)
    if before is None or before["claimed_customer_id"] is None:
        raise LookupError(f"The owner of {integration_id} is not in doubt; `kombo-pipeline release owner` lists those")
    current, claimed = before["customer_id"], before["claimed_customer_id"]
    if customer_id not in (current, claimed):
        raise ValueError(f"{integration_id} belongs to {current} or to {claimed}; {customer_id} is neither")
    moves = bool(customer_id == claimed)
    after = {**before, **NO_CLAIM, "customer_id": customer_id, "declined_customer_id": None if moves else claimed}
    share = unreadable_fields.shares(conn, [integration_id]).get(integration_id)
    after |= diagnose(after, share=share)._asdict()
    if moves:
        links.retire_other_customer(conn, integration_id, customer_id=customer_id)
    integrations.write_owner_answer(conn, after, answered_by=answered_by)
    links.follow_jobs(conn, integration_id)
    return moves


def store(conn: Connection, changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Write the rows of integrations, each as it was and as it is to be, with who must act; let their links follow.

    The rows are locked. Links and matches of another customer end before its name goes, which the database demands.
    """
    for before, after in changes:
        if before["customer_id"] is not None and after["customer_id"] != before["customer_id"]:
            links.retire_other_customer(conn, after["integration_id"], customer_id=after["customer_id"])
    shares = unreadable_fields.shares(conn, [after["integration_id"] for _, after in changes])
    diagnosed = [
        (before, {**after, **diagnose(after, share=shares.get(after["integration_id"]))._asdict()})
        for before, after in changes
    ]
    integrations.write_told(conn, [after for before, after in diagnosed if after != before])
    for before, after in changes:
        if (before["claimed_customer_id"] is None) != (after["claimed_customer_id"] is None):
            links.follow_jobs(conn, after["integration_id"])


def note_staleness(conn: Connection, *, after: timedelta) -> int:
    """Note which integrations have data older than `after` and which have not any more; commit, and return how many.

    Staleness has no transaction of its own, so the webhook sensor asks. Each commit closes or opens the targets of some
    integrations, and the product is told by it.
    """
    changed = 0
    while found := integrations.note_staleness(conn, after=after, limit=_STALE_AT_ONCE):
        conn.commit()
        changed += found
    conn.commit()
    return changed
