"""What an event means: pure functions that return the integration as it is after an event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kombo_pipeline import limits
from kombo_pipeline.ingest import identity
from kombo_pipeline.ingest.identity import instant, text
from kombo_pipeline.ingest.statements.integration_issues import Issue
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.ingest.statements.webhook_events import LandedEvent
from kombo_pipeline.kombo import webhooks

_BROUGHT_DATA = ("SUCCEEDED", "PARTIALLY_FAILED")
_NAMES_AN_INTEGRATION = frozenset(
    {"sync-finished", "data-changed", "integration-created", "integration-state-changed", "integration-deleted"}
)
_SHOWN = 80

Changes = dict[str, Any]
"""New values of fields of Integration."""


class UninterpretableError(ValueError):
    """An event that cannot be interpreted; the message says in one line why."""


@dataclass(frozen=True)
class Reading:
    """An event that could be read."""

    event: LandedEvent
    payload: Mapping[str, Any] | None
    """None where it is not kept any more."""
    integration_id: str | None
    """None where it concerns no ATS integration."""
    issue: Issue | None

    @property
    def data(self) -> Mapping[str, Any]:
        """What the event tells."""
        return _mapping(_mapping(self.payload).get("data"))


def read(event: LandedEvent) -> Reading:
    """Read an event; raises UninterpretableError when nobody could act on it."""
    if event.event_type is None:
        raise UninterpretableError("the body is no JSON object with an id and a type")
    payload = _payload(event)
    integration_id = event.integration_id if webhooks.is_ats(payload) else None
    if integration_id is None and webhooks.is_ats(payload):
        told = webhooks.told_integration_id(event.event_type, payload)
        if told is not None:
            raise UninterpretableError(
                f"the integration id {_shown(told)} cannot be a partition key, which has 1 to 200 printable ASCII "
                "characters, no blank, comma or slash, and begins with a letter or digit"
            )
        if event.event_type in _NAMES_AN_INTEGRATION and payload is not None:
            raise UninterpretableError("it names no integration")
    issue = _issue(event, payload) if event.event_type == "issue-status-changed" and payload is not None else None
    return Reading(event, payload, integration_id, issue)


def interpret(reading: Reading, known: Integration, *, has_links: bool) -> tuple[Integration, bool]:
    """Return the integration as it is after an event, and whether the event asks for a fetch.

    Events may come late, twice and out of order, so the times inside them count, not their order. A time that lies
    after the arrival of the event is not used.
    """
    event, data = reading.event, reading.data
    changes = identity.changes_by_event(known, event, data, has_links=has_links)
    match event.event_type:
        case "sync-finished":
            changes |= _sync(known, data, event.received_at)
        case "data-changed":
            changes["last_data_changed_at"] = max(event.received_at, known.last_data_changed_at or event.received_at)
        case "integration-state-changed":
            changes |= _state(known, data, event.received_at)
        case "integration-deleted":
            told = instant(data.get("deleted_at")) or event.received_at
            changes["deleted_at"] = known.deleted_at or min(told, event.received_at)
    after = replace(known, **changes)
    starts_fetch = after.deleted_at is None and webhooks.is_trigger(event.event_type or "", reading.payload)
    return after, starts_fetch


def _sync(known: Integration, data: Mapping[str, Any], received_at: datetime) -> Changes:
    state = text(data.get("sync_state"), limits.WORD)
    told = _dated(data.get("sync_ended_at"), received_at)
    ended_at = told or received_at
    values: Changes = {}
    if _is_newer(ended_at, received_at, known.last_sync_ended_at, is_ours=known.sync_time_is_ours):
        values = {
            "last_sync_id": text(data.get("sync_id"), limits.CODE),
            "last_sync_state": state,
            "last_sync_ended_at": ended_at,
            "sync_time_is_ours": told is None,
            "last_sync_log_url": text(data.get("log_url"), limits.ADDRESS),
        }
    if state in _BROUGHT_DATA:
        values["last_sync_succeeded_at"] = max(ended_at, known.last_sync_succeeded_at or ended_at)
    return values


def _state(known: Integration, data: Mapping[str, Any], received_at: datetime) -> Changes:
    told = _dated(data.get("updated_at"), received_at)
    updated_at = told or received_at
    if not _is_newer(updated_at, received_at, known.state_updated_at, is_ours=known.state_time_is_ours):
        return {}
    states = {name: text(data.get(name), limits.WORD) for name in ("state", "setup_status", "qa_status")}
    return {**states, "state_updated_at": updated_at, "state_time_is_ours": told is None}


def _dated(value: Any, received_at: datetime) -> datetime | None:
    moment = instant(value)
    return moment if moment is not None and moment <= received_at else None


def _is_newer(moment: datetime, received_at: datetime, known: datetime | None, *, is_ours: bool) -> bool:
    """Whether something is newer than what is known; where Kombo gave no time that could be used, by arrival."""
    return known is None or (received_at if is_ours else moment) >= known


def _issue(event: LandedEvent, payload: Mapping[str, Any]) -> Issue:
    issue = _mapping(_mapping(payload.get("data")).get("issue"))
    issue_id = identity.usable_id(issue.get("id"))
    if issue_id is None:
        raise UninterpretableError(
            f"the issue id {_shown(issue.get('id'))} is no text of 1 to {limits.CODE.most} characters"
        )
    return Issue(
        issue_id=issue_id,
        integration_id=event.integration_id,
        issue_type=text(issue.get("type"), limits.NAME),
        title=text(issue.get("title"), limits.NAME),
        status=text(issue.get("status"), limits.WORD),
        message=text(issue.get("markdown_message"), limits.DESCRIPTION),
        first_observed_at=instant(issue.get("first_observed_at")),
        resolved_at=instant(issue.get("resolved_at")),
    )


def _payload(event: LandedEvent) -> Mapping[str, Any] | None:
    if event.payload is not None:
        return _mapping(json.loads(event.payload))
    # What Postgres cannot keep as jsonb, for a NUL in some text for example.
    parsed = webhooks.parse(event.body) if event.body is not None else None
    return parsed.payload if parsed else None


def _shown(value: Any) -> str:
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    return ascii(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
