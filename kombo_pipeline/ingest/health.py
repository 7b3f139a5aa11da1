"""The health of an integration: who must act on it, what to do, and the columns that follow from what Kombo tells."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from kombo_pipeline import limits
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import identity
from kombo_pipeline.ingest.identity import NO_CLAIM, Told
from kombo_pipeline.ingest.statements import integration_owners, integrations, unreadable_fields
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.ingest.statements.unreadable_fields import Share
from kombo_pipeline.linking import links
from kombo_pipeline.linking.statements import job_links
from kombo_pipeline.vocabulary import Actor


class Diagnosis(NamedTuple):
    """Who must act on an integration, and what they have to do."""

    who_must_act: Actor | None
    """None when nobody has to act."""
    what_to_do: str | None
    """What whoever must act has to do, or what there is to know when nobody has to."""


# Both must be exceeded: a few unreadable records are normal, a change of what the ATS sends concerns many.
ODD_ABOVE_RECORDS = 10
ODD_ABOVE_SHARE = 0.05
_STALE_AT_ONCE: Final = 20

_FINE = Diagnosis(None, None)
_RECONNECT = Diagnosis(
    "customer",
    "The credentials of the connection are invalid or may not read jobs. Ask the customer to reconnect the "
    "ATS (Kombo's reconnection link keeps the integration and its job ids).",
)


def diagnose(integration: Integration, fetch_error_by: Actor | None = None, share: Share | None = None) -> Diagnosis:
    """Say who must act on an integration; of several problems the most pressing one counts.

    The meaning of sync states and setup errors, and who must act on them, is Kombo's guide "Handling failing syncs",
    with one correction: FAILED is a critical error. `fetch_error_by` is who must act on a refused fetch, `share` says
    how many records cannot be read whole.
    """
    if integration.deleted_at is not None:
        return _FINE
    if integration.succeeded_by is not None:
        return _taken_over(integration, integration.succeeded_by)
    return (
        _owner_in_doubt(integration)
        or _not_ready(integration)
        or _refused(integration, fetch_error_by)
        or _doubtful_data(integration, share)
        or _SYNCS.get(integration.last_sync_state or "")
        or _without_details(integration)
        or _FINE
    )


_SYNCS: Final[Mapping[str, Diagnosis]] = {
    "FAILED": Diagnosis("kombo", "The newest sync failed; Kombo is alerted. The data of the last good one stays."),
    "TIMED_OUT": Diagnosis("kombo", "The newest sync timed out; Kombo restarts it by itself."),
    "PARTIALLY_FAILED": Diagnosis("kombo", "The newest sync had non-fatal errors; Kombo takes care of them."),
}


def _taken_over(integration: Integration, successor: str) -> Diagnosis:
    told_at, since = integration.state_updated_at, integration.succeeded_at
    if integration.state == "ACTIVE" and told_at is not None and since is not None and told_at > since:
        return Diagnosis(
            "us",
            f"{successor} has taken over from this connection, yet Kombo says that it is active again. Delete the one "
            "in Kombo that the customer does not use, or undo the takeover in the back office.",
        )
    return Diagnosis(None, f"Taken over by {successor}; nothing is fetched any more.")


def _owner_in_doubt(integration: Integration) -> Diagnosis | None:
    if integration.claimed_customer_id is None:
        return None
    return Diagnosis(
        "us",
        f"Kombo says that the integration belongs to {integration.claimed_customer_id} now, no more to "
        f"{integration.customer_id}. Its links are suspended until somebody answers whose it is: on its page in "
        "the back office, or with `kombo-pipeline release owner`.",
    )


def _not_ready(integration: Integration) -> Diagnosis | None:
    """Say who must act when the connection is not set up, not valid, or switched off."""
    code = integration.fetch_error_code
    if code == "INTEGRATION.SETUP_INCOMPLETE":
        return Diagnosis("customer", "The connection is not set up completely. Ask the customer to finish the steps.")
    if code == "INTEGRATION.QA_FAILED":
        return Diagnosis("kombo", "The first sync failed Kombo's quality checks. Ask Kombo support how it stands.")
    if (
        integration.state == "INVALID"
        or integration.last_sync_state == "AUTHENTICATION_FAILED"
        or code in ("INTEGRATION.AUTHENTICATION_INVALID", "INTEGRATION.PERMISSION_MISSING")
    ):
        return _RECONNECT
    if integration.state == "INACTIVE" or code == "INTEGRATION.INACTIVE":
        return Diagnosis("us", "The integration is switched off. Switch it on in the Kombo dashboard.")
    return None


def _refused(integration: Integration, fetch_error_by: Actor | None) -> Diagnosis | None:
    if integration.fetch_error_code == "PLATFORM.AUTHENTICATION_INVALID":
        return Diagnosis("us", "Kombo does not accept KOMBO_API_KEY. Check the key, its environment and KOMBO_API_URL.")
    if integration.fetch_error_code == "PLATFORM.INTEGRATION_NOT_FOUND":
        return Diagnosis(
            "us",
            "Kombo does not know the integration under this key. Check that KOMBO_API_URL names its region and "
            "KOMBO_API_KEY its environment; nothing was closed.",
        )
    if integration.fetch_state == "refused":
        by = fetch_error_by or integration.who_must_act or "us"
        return Diagnosis(by, f"Kombo refused: {integration.fetch_error}")
    return None


def _doubtful_data(integration: Integration, share: Share | None) -> Diagnosis | None:
    if integration.jobs_model_enabled is False:
        return Diagnosis(
            "us", "The jobs model is switched off in the scope configuration. Kombo reports its jobs as deleted."
        )
    return Diagnosis("us", _unreadable(share)) if share and is_alarming(share) else None


def _without_details(integration: Integration) -> Diagnosis | None:
    if integration.details_error is None:
        return None
    return Diagnosis(
        integration.details_error_by,
        f"{integration.details_error} Its jobs are fetched all the same; until the details are known, jobs that "
        "a full fetch does not show stay open, and mass deletions wait.",
    )


def is_alarming(share: Share) -> bool:
    """Whether so many records cannot be read whole, now or in the newest fetch, that our code must be corrected."""
    if share.odd <= ODD_ABOVE_RECORDS:
        return False
    of_newest = share.odd_of_newest > max(ODD_ABOVE_RECORDS, ODD_ABOVE_SHARE * share.records_of_newest)
    return of_newest or share.odd > ODD_ABOVE_SHARE * max(share.jobs, share.odd)


def _unreadable(share: Share) -> str:
    field = f", most often the field {share.field} ({share.jobs_with_field} jobs)" if share.field else ""
    return (
        f"{share.odd} records cannot be read whole{field}. Their status and deletion are applied, other fields that "
        "cannot be read keep their last value. See marts.quarantined_records for the reasons, correct "
        "kombo_pipeline/kombo/record.py, deploy, then run `kombo-pipeline release records`."
    )


def diagnose_and_store(conn: Connection, integration_id: str, fetch_error_by: Actor | None = None) -> None:
    """Update who_must_act and what_to_do of an integration from its other columns."""
    integration = integrations.get(conn, integration_id)
    if integration is not None:
        share = unreadable_fields.shares(conn, [integration_id]).get(integration_id)
        integrations.update(conn, integration_id, diagnose(integration, fetch_error_by, share)._asdict())


def note_details(conn: Connection, integration_id: str, values: Mapping[str, Any], *, read_at: datetime) -> None:
    """Store what the details of an integration tell; they were asked for at `read_at` (our clock).

    `values` are columns of core.integrations; those that are missing keep their stored value. The owner follows
    identity.changes_by, unless an event named it that came after the details were asked for.
    """
    before = integrations.lock_all(conn, [integration_id])[integration_id]
    changes = {name: value for name, value in values.items() if name not in Told._fields}
    if not integration_owners.told_since(conn, integration_id, read_at):
        told = Told(
            identity.usable_id(values.get("customer_id")),
            identity.text(values.get("organization_name"), limits.NAME),
            identity.text(values.get("tool"), limits.WORD),
            identity.text(values.get("category"), limits.WORD),
        )
        has_links = bool(job_links.linked_integrations(conn, [integration_id]))
        changes |= identity.changes_by(before, told, has_links=has_links, at=read_at)
        changes["details_read_at"] = read_at
    store(conn, [(before, replace(before, **changes))])


def answer_owner(conn: Connection, integration_id: str, *, customer_id: str, answered_by: str) -> bool:
    """Say whose an integration in doubt is, in the caller's transaction; return whether it becomes another customer's.

    If it stays with the known customer, its links become active again, and the same claim is not asked about a second
    time. If it moves to the claimed customer, the links of the former customer are retired. Raises LookupError when the
    owner is not in doubt, and ValueError for a customer that is neither of the two.
    """
    before = integrations.lock(conn, integration_id)
    if before is None or before.claimed_customer_id is None:
        raise LookupError(f"The owner of {integration_id} is not in doubt; `kombo-pipeline release owner` lists those")
    current, claimed = before.customer_id, before.claimed_customer_id
    if customer_id not in (current, claimed):
        raise ValueError(f"{integration_id} belongs to {current} or to {claimed}; {customer_id} is neither")
    moves = customer_id == claimed
    after = replace(before, **NO_CLAIM, customer_id=customer_id, declined_customer_id=None if moves else claimed)
    share = unreadable_fields.shares(conn, [integration_id]).get(integration_id)
    after = replace(after, **diagnose(after, share=share)._asdict())
    if moves:
        links.retire_other_customer(conn, integration_id, customer_id=customer_id)
    integration_owners.write_owner_answer(conn, after, answered_by=answered_by)
    links.follow_jobs(conn, integration_id)
    return moves


def store(conn: Connection, changes: Sequence[tuple[Integration, Integration]]) -> None:
    """Write integrations, given as (before, after), with who must act on them; make their links follow.

    Their rows must be locked. Links and matches of the former customer end before its name is replaced, because a
    foreign key demands it.
    """
    for before, after in changes:
        owner = after.customer_id
        if before.customer_id is not None and owner is not None and owner != before.customer_id:
            links.retire_other_customer(conn, after.integration_id, customer_id=owner)
    shares = unreadable_fields.shares(conn, [after.integration_id for _, after in changes])
    diagnosed = [
        (before, replace(after, **diagnose(after, share=shares.get(after.integration_id))._asdict()))
        for before, after in changes
    ]
    integrations.write_told(conn, [after for before, after in diagnosed if after != before])
    for before, after in changes:
        if (before.claimed_customer_id is None) != (after.claimed_customer_id is None):
            links.follow_jobs(conn, after.integration_id)


def note_staleness(conn: Connection, *, after: timedelta) -> int:
    """Note which integrations have become stale, or fresh again; commit, and return how many changed.

    Data is stale when it is older than `after`. Time alone makes it so, without a transaction that could note it:
    therefore the webhook sensor calls this. Each commit closes or opens targets, and the product is told of it.
    """
    changed = 0
    while found := integrations.note_staleness(conn, after=after, limit=_STALE_AT_ONCE):
        conn.commit()
        changed += found
    conn.commit()
    return changed
