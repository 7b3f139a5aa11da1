"""Whose an integration is: who may say so, what counts as a customer's id, and when a person must answer.

The details (GET /integrations/{id}) are current when they are read. An event names the owner too, but may come late or
be replayed: it changes what is known only if it is newer. When Kombo names another customer for an integration that has
links, a person is asked; until the answer the links are suspended, and nothing is deleted.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kombo_pipeline import limits
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.ingest.statements.webhook_events import LandedEvent

NO_CLAIM: Mapping[str, Any] = {"claimed_customer_id": None, "claimed_at": None}
_OWN_TIMES = {
    "sync-finished": "sync_ended_at",
    "integration-state-changed": "updated_at",
    "integration-created": "created_at",
    "integration-deleted": "deleted_at",
}


class Told(NamedTuple):
    """What Kombo told of an integration's identity; None where it told nothing that can be used."""

    customer_id: str | None
    organization_name: str | None
    tool: str | None
    category: str | None


def told_by_event(data: Mapping[str, Any]) -> Told:
    """Read the identity in the `data` of an event."""
    end_user = _mapping(data.get("end_user"))
    return Told(
        usable_id(end_user.get("origin_id")),
        text(end_user.get("organization_name"), limits.NAME),
        text(data.get("integration_tool") or data.get("tool"), limits.WORD),
        text(data.get("integration_category") or data.get("category"), limits.WORD),
    )


def changes_by_event(
    known: Integration, event: LandedEvent, data: Mapping[str, Any], *, has_links: bool
) -> dict[str, Any]:
    """Return the columns of core.integrations that an event's identity changes.

    An event that is replayed, or not newer than what is known, only fills columns that are still null.
    """
    told = told_by_event(data)
    if not any(told):
        return {}
    told_at = own_time(event.event_type, data, event.received_at)
    if not _is_news(known, event, told_at):
        return _filled(known, told)
    changes = changes_by(known, told, has_links=has_links, at=event.received_at)
    return changes | {"identity_event_seq": event.event_seq, "identity_told_at": told_at}


def changes_by(known: Integration, told: Told, *, has_links: bool, at: datetime) -> dict[str, Any]:
    """Return the columns of core.integrations that change when `told` is the newest that Kombo says."""
    changes = {name: value for name, value in told._asdict().items() if value is not None and name != "customer_id"}
    return changes | _owner(known, told.customer_id, has_links=has_links, at=at)


def _owner(known: Integration, told: str | None, *, has_links: bool, at: datetime) -> dict[str, Any]:
    current = usable_id(known.customer_id)
    if told is None or (known.deleted_at is not None and current is not None):
        return {}
    if told == current:
        # A claim of another customer, if there was one, is void. If Kombo claims again, that is a new question.
        return {**NO_CLAIM, "declined_customer_id": None}
    if told == known.declined_customer_id:
        return {**NO_CLAIM}
    if current is None or not has_links:
        return {**NO_CLAIM, "customer_id": told, "declined_customer_id": None}
    return {
        "claimed_customer_id": told,
        "claimed_at": known.claimed_at if known.claimed_customer_id == told else at,
    }


def _is_news(known: Integration, event: LandedEvent, told_at: datetime | None) -> bool:
    """Whether an event is newer than what is known: by the order of landing, and by Kombo's own time if it has one."""
    if event.replays:
        return False
    if known.identity_event_seq is not None and event.event_seq < known.identity_event_seq:
        return False
    if known.details_read_at is not None and (told_at or event.received_at) <= known.details_read_at:
        return False
    return told_at is None or known.identity_told_at is None or told_at >= known.identity_told_at


def _filled(known: Integration, told: Told) -> dict[str, Any]:
    return {name: value for name, value in told._asdict().items() if value is not None and getattr(known, name) is None}


def own_time(event_type: str | None, data: Mapping[str, Any], received_at: datetime) -> datetime | None:
    """Return Kombo's own time inside an event; None when it has none, or one that lies in the future."""
    moment = instant(data.get(_OWN_TIMES.get(event_type or "", "")))
    return moment if moment is not None and moment <= received_at else None


def usable_id(value: Any) -> str | None:
    """Return an id without white space and invisible characters around it; None for what can be no id.

    That is one without any visible character, with a character that Postgres cannot keep, or longer than its limit.
    """
    if not isinstance(value, str):
        return None
    start, end = 0, len(value)
    while start < end and _is_blank(value[start]):
        start += 1
    while end > start and _is_blank(value[end - 1]):
        end -= 1
    stripped = value[start:end]
    return stripped if stripped and not limits.CODE.fault(stripped) and stripped == storable(stripped) else None


def text(value: Any, limit: limits.Limit) -> str | None:
    """Return a text as Postgres can keep it; None for what is no text, is blank, or is too long for what it is."""
    if not isinstance(value, str) or not value.strip() or limit.fault(value):
        return None
    return storable(value) or None


def storable(value: str) -> str:
    """Return a text without NUL, and with a replacement character for each lone surrogate."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def instant(value: Any) -> datetime | None:
    """Return a timestamp of a payload in UTC; None when it is missing, unreadable or beyond the reach of a date."""
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_blank(character: str) -> bool:
    return character.isspace() or not character.isprintable()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
