"""What is known of an integration: its owner and state, who must act on it, and what to tell them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import integrations, unreadable_fields
from kombo_pipeline.ingest.statements.unreadable_fields import Share
from kombo_pipeline.linking import links


class Diagnosis(NamedTuple):
    """Who must act (us, kombo, customer) and what to tell them; both None when nobody has to."""

    who_must_act: str | None
    what_to_do: str | None


# Both must be exceeded: some odd records are always about, a change of what the ATS sends shows in many.
ODD_ABOVE_RECORDS = 10
ODD_ABOVE_SHARE = 0.05

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
    return {
        "FAILED": Diagnosis("kombo", "The newest sync failed; Kombo is alerted. The data of the last good one stays."),
        "TIMED_OUT": Diagnosis("kombo", "The newest sync timed out; Kombo restarts it by itself."),
        "PARTIALLY_FAILED": Diagnosis("kombo", "The newest sync had non-fatal errors; Kombo takes care of them."),
    }.get(integration["last_sync_state"], _FINE)


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
        share = unreadable_fields.share(conn, integration_id)
        integrations.update(conn, integration_id, diagnose(integration, fetch_error_by, share)._asdict())


def note(conn: Connection, integration_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of core.integrations. An integration that turns out to be another customer's loses its links."""
    if values.get("customer_id") is not None:
        links.retire_other_customer(conn, integration_id, customer_id=values["customer_id"])
    integrations.update(conn, integration_id, values)
