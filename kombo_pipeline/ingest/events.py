"""What webhooks and fetches tell of an integration: its state, who must act, what to tell them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import lifecycle
from kombo_pipeline.ingest.statements import integrations, webhook_events
from kombo_pipeline.kombo.webhooks import is_trigger

_BROUGHT_DATA = ("SUCCEEDED", "PARTIALLY_FAILED")


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
    return {
        "FAILED": Diagnosis("kombo", "The newest sync failed; Kombo is alerted. The data of the last good one stays."),
        "TIMED_OUT": Diagnosis("kombo", "The newest sync timed out; Kombo restarts it by itself."),
        "PARTIALLY_FAILED": Diagnosis("kombo", "The newest sync had non-fatal errors; Kombo takes care of them."),
    }.get(integration["last_sync_state"], _FINE)


def diagnose_and_store(conn: Connection, integration_id: str, fetch_error_by: str | None = None) -> None:
    """Bring who_must_act and what_to_do of an integration in line with its other columns."""
    integration = integrations.get(conn, integration_id)
    if integration is not None:
        integrations.update(conn, integration_id, diagnose(integration, fetch_error_by)._asdict())


def observe_events(conn: Connection, limit: int = 1000) -> int:
    """Look at landed events nobody has looked at, in the caller's transaction; return how many there were.

    Registers integrations, notes their state, ends deleted ones, and marks the events that ask for a fetch.
    Events may come late, twice and out of order: what they tell is dated by what is in them.
    """
    found = webhook_events.unseen(conn, limit)
    for event in found:
        if event["integration_id"] is not None and _is_ats(event["payload"]):
            starts_fetch = _observe(conn, event)
        else:
            _observe_issue(conn, event)
            starts_fetch = False
        webhook_events.mark_seen(conn, event["event_seq"], starts_fetch=starts_fetch)
    return len(found)


def _observe(conn: Connection, event: Mapping[str, Any]) -> bool:
    integration_id, data = event["integration_id"], _mapping(event["payload"]).get("data")
    data = _mapping(data)
    integrations.register(conn, integration_id)
    integration = integrations.get(conn, integration_id, lock=True)
    assert integration is not None
    values: dict[str, Any] = _owner(data)
    match event["event_type"]:
        case "sync-finished":
            values |= _sync(integration, data, event["received_at"])
        case "data-changed":
            values["last_data_changed_at"] = event["received_at"]
        case "integration-state-changed":
            updated_at = instant(data.get("updated_at")) or event["received_at"]
            if integration["state_updated_at"] is None or updated_at >= integration["state_updated_at"]:
                values |= {name: _text(data.get(name)) for name in ("state", "setup_status", "qa_status")}
                values["state_updated_at"] = updated_at
        case "integration-deleted":
            lifecycle.close_integration(conn, integration_id, instant(data.get("deleted_at")) or event["received_at"])
        case "issue-status-changed":
            _observe_issue(conn, event)
    integrations.update(conn, integration_id, values)
    diagnose_and_store(conn, integration_id)
    if integration["deleted_at"] is not None or event["event_type"] == "integration-deleted":
        # No fetch will ever cover what it still announced.
        webhook_events.mark_covered(conn, integration_id=integration_id, covers_event_seq=event["event_seq"])
        return False
    return is_trigger(event["event_type"], event["payload"])


def _sync(integration: Mapping[str, Any], data: Mapping[str, Any], received_at: datetime) -> dict[str, Any]:
    state, ended_at = _text(data.get("sync_state")), instant(data.get("sync_ended_at")) or received_at
    values: dict[str, Any] = {}
    if integration["last_sync_ended_at"] is None or ended_at >= integration["last_sync_ended_at"]:
        values = {
            "last_sync_id": _text(data.get("sync_id")),
            "last_sync_state": state,
            "last_sync_ended_at": ended_at,
            "last_sync_log_url": _text(data.get("log_url")),
        }
    if state in _BROUGHT_DATA:
        values["last_sync_succeeded_at"] = max(ended_at, integration["last_sync_succeeded_at"] or ended_at)
    return values


def _owner(data: Mapping[str, Any]) -> dict[str, Any]:
    end_user = _mapping(data.get("end_user"))
    told = {
        "customer_id": _text(end_user.get("origin_id")),
        "organization_name": _text(end_user.get("organization_name")),
        "tool": _text(data.get("integration_tool") or data.get("tool")),
        "category": _text(data.get("integration_category") or data.get("category")),
    }
    return {name: value for name, value in told.items() if value is not None}


def _observe_issue(conn: Connection, event: Mapping[str, Any]) -> None:
    issue = _mapping(_mapping(_mapping(event["payload"]).get("data")).get("issue"))
    issue_id = _text(issue.get("id"))
    if event["event_type"] == "issue-status-changed" and issue_id:
        integrations.upsert_issue(
            conn,
            {
                "issue_id": issue_id,
                "integration_id": event["integration_id"],
                "issue_type": _text(issue.get("type")),
                "title": _text(issue.get("title")),
                "status": _text(issue.get("status")),
                "message": _text(issue.get("markdown_message")),
                "first_observed_at": instant(issue.get("first_observed_at")),
                "resolved_at": instant(issue.get("resolved_at")),
            },
        )


def _is_ats(payload: Any) -> bool:
    """Whether an event speaks of an ATS integration; one without a category may."""
    data = _mapping(_mapping(payload).get("data"))
    category = data.get("integration_category") or data.get("category")
    return category is None or str(category).upper() == "ATS"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def instant(value: Any) -> datetime | None:
    """Return a timestamp of a payload, None when it is missing or unreadable."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
