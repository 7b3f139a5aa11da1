"""What is known of an integration: its owner and state, who must act on it, and what to tell them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.linking import links


class Diagnosis(NamedTuple):
    """Who must act (us, kombo, customer) and what to tell them; both None when nobody has to."""

    who_must_act: str | None
    what_to_do: str | None


_FINE = Diagnosis(None, None)
_RECONNECT = Diagnosis(
    "customer",
    "The credentials of the connection are invalid or may not read jobs. Ask the customer to reconnect the "
    "ATS (Kombo's reconnection link keeps the integration and its job ids).",
)


def diagnose(integration: Mapping[str, Any], fetch_error_by: str | None = None) -> Diagnosis:
    """Say who must act on an integration, the most pressing reason first.

    The meaning of sync states and setup errors, and whose they are to mend, is Kombo's guide "Handling failing
    syncs", corrected: FAILED is a critical error. `fetch_error_by` is who must act on a refused fetch.
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


def diagnose_and_store(conn: Connection, integration_id: str, fetch_error_by: str | None = None) -> None:
    """Bring who_must_act and what_to_do of an integration in line with its other columns."""
    integration = integrations.get(conn, integration_id)
    if integration is not None:
        integrations.update(conn, integration_id, diagnose(integration, fetch_error_by)._asdict())


def note(conn: Connection, integration_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of core.integrations. An integration that turns out to be another customer's loses its links."""
    if values.get("customer_id") is not None:
        links.retire_other_customer(conn, integration_id, customer_id=values["customer_id"])
    integrations.update(conn, integration_id, values)
