"""Kombo's webhooks: verify the signature, read the event, decide whether it is a reason to fetch jobs.

Reading is lenient: a body that cannot be read is still stored, and an unknown type is still an event.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

UNRELATED_MODELS = frozenset(
    {
        "ats_candidates",
        "ats_applications",
        "ats_tags",
        "ats_interviews",
        "ats_offers",
        "ats_rejection_reasons",
        "ats_notes",
        "ats_scorecards",
        "ats_attachments",
        "ats_join_candidates_tags",
        "ats_join_users_roles",
        "ats_join_interviews_users",
    }
)
"""The ATS models of SDK 1.4.0 that do not appear in `GET /ats/jobs`; docs.kombo.dev lists those that do."""

FRUITLESS_SYNC_STATES = frozenset({"FAILED", "TIMED_OUT", "CANCELLED", "AUTHENTICATION_FAILED"})
"""States of syncs without new data; the data of the last good sync stays readable (docs.kombo.dev)."""

# Printable ASCII, because the id is sent in a header; no comma, slash or '...', which have a meaning in Dagster's
# partition keys; the first character is a letter or a digit, so that the id is never the path segment "." or "..".
_INTEGRATION_ID = re.compile(r"(?!.*\.\.\.)[A-Za-z0-9][!-+\-.0-~]{0,199}")


class Event(msgspec.Struct, frozen=True):
    """A webhook that could be read; `payload` is the whole body.

    `integration_id` is None where the type has none, where the body has none, and where it cannot be a partition key.
    """

    event_id: str
    event_type: str
    integration_id: str | None
    category: str | None
    payload: dict[str, Any]


def sign(secret: str, raw: bytes) -> str:
    """`X-Kombo-Signature` of a raw body: HMAC-SHA256, base64url without padding (docs.kombo.dev)."""
    mac = hmac.new(secret.encode(), raw, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def verify(secrets: Sequence[str], raw: bytes, header: bytes | str | None) -> int | None:
    """Return the index of the secret that signed `raw`, None if none did; an empty secret never matches."""
    if header is None:
        return None
    given = header.encode("utf-8", "replace") if isinstance(header, str) else header
    for index, secret in enumerate(secrets):
        if secret and hmac.compare_digest(sign(secret, raw).encode(), given):
            return index
    return None


def parse(raw: bytes) -> Event | None:
    """Return the event in a body; None unless it is a JSON object with a printable `id` and `type`."""
    try:
        # The standard library's parser accepts odd strings, which must not lose an event.
        body = json.loads(raw.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not _is_name(body.get("id")) or not _is_name(body.get("type")):
        return None
    integration_id = told_integration_id(body["type"], body)
    category = _category(body)
    return Event(
        event_id=body["id"],
        event_type=body["type"],
        integration_id=integration_id
        if isinstance(integration_id, str) and valid_integration_id(integration_id)
        else None,
        category=category if _is_name(category) else None,
        payload=body,
    )


def event_id_of(raw: bytes, event: Event | None) -> str:
    """Return the key under which a delivery is stored: Kombo's event id, or the hash of an unreadable body."""
    return event.event_id if event else f"sha256:{hashlib.sha256(raw).hexdigest()}"


def jsonb_text(raw: bytes) -> str | None:
    """Return the body as JSON that Postgres accepts as jsonb; None where that is not possible.

    Postgres stores no NUL, no lone surrogate and no number of unlimited size. Numbers become 64-bit floats, or stay
    integers.
    """
    try:
        text = msgspec.json.encode(msgspec.json.decode(raw)).decode()
    except (ValueError, RecursionError):
        return None
    return None if re.search(r"(?<!\\)(?:\\\\)*\\u0000", text) else text


def is_trigger(event_type: str, payload: Mapping[str, Any] | None) -> bool:
    """Whether an event is a reason to fetch the integration's jobs; `payload` is the whole body.

    An unknown state, model or payload counts as a reason: an unnecessary incremental fetch does no harm.
    """
    data = _mapping(_mapping(payload).get("data"))
    if not is_ats(payload):
        return False
    match event_type:
        case "sync-finished":
            state = data.get("sync_state")
            return not (isinstance(state, str) and state in FRUITLESS_SYNC_STATES)
        case "data-changed":
            models = data.get("changed_models")
            return not isinstance(models, list) or any(_shows_in_jobs(model) for model in models)
        case "integration-created" | "remote-event-received":
            return True
    return False


def valid_integration_id(integration_id: str) -> bool:
    """Return whether an id can be a partition key and a header; otherwise ids are opaque (docs.kombo.dev)."""
    return _INTEGRATION_ID.fullmatch(integration_id) is not None


def told_integration_id(event_type: str, payload: Mapping[str, Any] | None) -> Any:
    """Return the integration id in a body, of any type and unchecked; None where there is none."""
    data = _mapping(_mapping(payload).get("data"))
    # Elsewhere `data.id` is something else, an order for example.
    own_id = data.get("id") if event_type in {"integration-created", "integration-deleted"} else None
    candidates = (data.get("integration_id"), own_id, _mapping(data.get("integration")).get("id"))
    given = [value for value in candidates if value is not None]
    return next((value for value in given if isinstance(value, str)), given[0] if given else None)


def is_ats(payload: Mapping[str, Any] | None) -> bool:
    """Return whether an event is about an ATS integration; True also without a readable category."""
    category = _category(_mapping(payload))
    return not isinstance(category, str) or category.strip().upper() == "ATS"


def _category(body: Mapping[str, Any]) -> Any:
    data = _mapping(body.get("data"))
    candidates = (data.get("integration_category"), data.get("category"), _mapping(data.get("integration")))
    given = [value.get("category") if isinstance(value, Mapping) else value for value in candidates]
    return next((value for value in given if value), None)


def _shows_in_jobs(model: object) -> bool:
    name = _mapping(model).get("name")
    return not isinstance(name, str) or not (name in UNRELATED_MODELS or name.startswith(("hris_", "lms_")))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_name(value: object) -> bool:
    """Return whether the value is a short printable text, which Postgres can index and a log can print."""
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()
