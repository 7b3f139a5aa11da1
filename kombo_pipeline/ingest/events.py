"""Interprets landed webhooks: registers integrations, notes their state, marks the events that ask for a fetch."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health, lifecycle
from kombo_pipeline.ingest.statements import forgotten, integrations, webhook_events
from kombo_pipeline.kombo.webhooks import is_trigger

_BROUGHT_DATA = ("SUCCEEDED", "PARTIALLY_FAILED")


def observe_events(conn: Connection, limit: int = 1000) -> int:
    """Look at landed events nobody has looked at, in the caller's transaction; return how many there were.

    Registers integrations, notes their state, ends deleted ones, and marks the events that ask for a fetch.
    Events may come late, twice and out of order: what they tell is dated by what is in them.
    """
    ignored = forgotten.ignore_events(conn)
    found = webhook_events.unseen(conn, limit)
    for event in found:
        if event["integration_id"] is not None and _is_ats(event["payload"]):
            starts_fetch = _observe(conn, event)
        else:
            _observe_issue(conn, event)
            starts_fetch = False
        webhook_events.mark_seen(conn, event["event_seq"], starts_fetch=starts_fetch)
    return ignored + len(found)


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
    health.note(conn, integration_id, values)
    health.diagnose_and_store(conn, integration_id)
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
