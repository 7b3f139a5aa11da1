"""Kombo's webhooks: who sent a body, what it says, and whether jobs have to be fetched because of it.

Everything here is lenient: a body nobody can read is still landed, an unknown type is still an event.
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
"""The ATS models of SDK 1.4.0 that cannot show in `GET /ats/jobs`; what can is listed on docs.kombo.dev."""

FRUITLESS_SYNC_STATES = frozenset({"FAILED", "TIMED_OUT", "CANCELLED", "AUTHENTICATION_FAILED"})
"""Syncs that brought nothing to fetch; the data of the last good one stays readable (docs.kombo.dev)."""

# Printable ASCII, as a header carries nothing else; no comma or slash and no '...', which mean something to
# Dagster in a partition key; a first character that is no path segment by itself.
_INTEGRATION_ID = re.compile(r"(?!.*\.\.\.)[A-Za-z0-9][!-+\-.0-~]{0,199}")


class Event(msgspec.Struct, frozen=True):
    """A webhook that could be read; `payload` is the whole body.

    `integration_id` is None where the type has none, where it is not told, and where it fits no partition.
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
    """The index of the secret that signed `raw`, None if none did; an empty secret never matches."""
    if header is None:
        return None
    given = header.encode("utf-8", "replace") if isinstance(header, str) else header
    for index, secret in enumerate(secrets):
        if secret and hmac.compare_digest(sign(secret, raw).encode(), given):
            return index
    return None


def parse(raw: bytes) -> Event | None:
    """The event in a body, None if it is no JSON object with an `id` and a `type` in printable characters."""
    try:
        # The standard library's parser, because it lets odd strings pass that are no reason to lose an event.
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
    """The key a delivery is landed under: Kombo's event id, or the hash of a body that could not be read."""
    return event.event_id if event else f"sha256:{hashlib.sha256(raw).hexdigest()}"


def jsonb_text(raw: bytes) -> str | None:
    """The body as JSON that Postgres accepts as jsonb, None if it has no such form.

    Postgres keeps no NUL and no lone surrogate in a string and no number of any size; numbers come out as
    64-bit floats, or as integers when they are.
    """
    try:
        text = msgspec.json.encode(msgspec.json.decode(raw)).decode()
    except (ValueError, RecursionError):
        return None
    return None if re.search(r"(?<!\\)(?:\\\\)*\\u0000", text) else text


def is_trigger(event_type: str, payload: Mapping[str, Any] | None) -> bool:
    """Whether an event is a reason to fetch the integration's jobs; `payload` is the whole body.

    In doubt (a state, model or payload nobody knows) the answer is yes: an incremental fetch is harmless.
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
    """Whether an id can be a partition key and a header; beyond that it is opaque (docs.kombo.dev)."""
    return _INTEGRATION_ID.fullmatch(integration_id) is not None


def told_integration_id(event_type: str, payload: Mapping[str, Any] | None) -> Any:
    """The integration that a body names, whatever stands there; None where it names none."""
    data = _mapping(_mapping(payload).get("data"))
    # Elsewhere `data.id` is something else, an order for example.
    own_id = data.get("id") if event_type in {"integration-created", "integration-deleted"} else None
    candidates = (data.get("integration_id"), own_id, _mapping(data.get("integration")).get("id"))
    told = [value for value in candidates if value is not None]
    return next((value for value in told if isinstance(value, str)), told[0] if told else None)


def is_ats(payload: Mapping[str, Any] | None) -> bool:
    """Whether an event speaks of an ATS integration; one without a readable category may."""
    category = _category(_mapping(payload))
    return not isinstance(category, str) or category.strip().upper() == "ATS"


def _category(body: Mapping[str, Any]) -> Any:
    data = _mapping(body.get("data"))
    candidates = (data.get("integration_category"), data.get("category"), _mapping(data.get("integration")))
    told = [value.get("category") if isinstance(value, Mapping) else value for value in candidates]
    return next((value for value in told if value), None)


def _shows_in_jobs(model: object) -> bool:
    name = _mapping(model).get("name")
    return not isinstance(name, str) or not (name in UNRELATED_MODELS or name.startswith(("hris_", "lms_")))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_name(value: object) -> bool:
    """Whether Postgres can keep and index it, and a log line print it."""
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()
