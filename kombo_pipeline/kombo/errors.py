"""What can go wrong at Kombo, sorted by what to do about it.

KomboError
├── KomboRefused        do not repeat; `who_must_act` says who can change that
├── KomboUnavailable    repeat later, not before `retry_after`
├── KomboNotReady       the first sync has not finished: a state of the integration, not a failure
└── KomboProtocolError  a response that breaks the contract; `retryable` says whether repeating can help
    └── KomboTooLargeError  a response above our limit; smaller pages can help
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from kombo_pipeline.vocabulary import Actor


class KomboError(Exception):
    """Any failure of a call to Kombo.

    `code` is Kombo's machine key, `status` the HTTP status, `log_url` the page in Kombo's dashboard; each is
    None where there was none. `message` is one printable line, safe for a log and for a Postgres text.
    `who_must_act` is None when nobody has to act and waiting is enough. `retry_after` is in seconds, None when the
    response named no time.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        log_url: str | None = None,
        integration_id: str | None = None,
        who_must_act: Actor | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = one_line(message)
        super().__init__(self.message)
        self.code = code
        self.status = status
        self.log_url = log_url
        self.integration_id = integration_id
        self.who_must_act = who_must_act
        self.retry_after = retry_after

    def __str__(self) -> str:
        where = [self.code, self.status and f"HTTP {self.status}", self.integration_id]
        context = ", ".join(part for part in where if part)
        log = f" (log: {self.log_url})" if self.log_url else ""
        return f"{self.message} [{context}]{log}" if context else f"{self.message}{log}"


class KomboRefused(KomboError):  # noqa: N818
    """Kombo refuses the request until `who_must_act` has acted; repeating does not help."""

    who_must_act: Actor


class KomboUnavailable(KomboError):  # noqa: N818
    """Kombo, the customer's tool or the network is not available at the moment; repeat with back-off."""

    retryable = True


class KomboNotReady(KomboError):  # noqa: N818
    """The integration's first sync has not finished; wait for a webhook or ask again slowly.

    It may take hours (docs.kombo.dev), and `who_must_act` may have to do something first.
    """

    who_must_act: Actor


class KomboProtocolError(KomboError):
    """The response breaks Kombo's contract, so nothing in it may be used.

    `retryable` is True where another attempt may succeed (truncated or invalid JSON).
    """

    def __init__(self, message: str, *, retryable: bool = False, integration_id: str | None = None) -> None:
        super().__init__(message, integration_id=integration_id, who_must_act="kombo")
        self.retryable = retryable


class KomboTooLargeError(KomboProtocolError):
    """The response is above our limit; a smaller page may be below it.

    `record_id` is the id of the first record in it, None where it could not be found.
    """

    def __init__(self, message: str, *, integration_id: str | None = None, record_id: str | None = None) -> None:
        super().__init__(message, integration_id=integration_id)
        self.record_id = record_id


ERROR_CODES: dict[str, tuple[type[KomboError], Actor | None]] = {
    "PLATFORM.RATE_LIMIT_EXCEEDED": (KomboUnavailable, None),
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": (KomboUnavailable, None),
    "PLATFORM.UNKNOWN_ERROR": (KomboUnavailable, None),
    "PLATFORM.TASK_TIMED_OUT": (KomboUnavailable, None),
    "PLATFORM.INTEGRATION_NOT_FOUND": (KomboRefused, "us"),
    "PLATFORM.INPUT_INVALID": (KomboRefused, "us"),
    "PLATFORM.IP_NOT_WHITELISTED": (KomboRefused, "us"),
    "PLATFORM.AUTHENTICATION_INVALID": (KomboRefused, "us"),
    "INTEGRATION.SETUP_SYNC_PENDING": (KomboNotReady, "kombo"),
    "INTEGRATION.QA_FAILED": (KomboNotReady, "kombo"),
    "INTEGRATION.SETUP_INCOMPLETE": (KomboNotReady, "customer"),
    "INTEGRATION.PERMISSION_MISSING": (KomboRefused, "customer"),
    "INTEGRATION.AUTHENTICATION_INVALID": (KomboRefused, "customer"),
    "INTEGRATION.INACTIVE": (KomboRefused, "us"),
    "INTEGRATION.MODEL_NOT_AVAILABLE": (KomboRefused, "kombo"),
    "INTEGRATION.MODEL_DISABLED": (KomboRefused, "us"),
    "INTEGRATION.ACTION_NOT_AVAILABLE": (KomboRefused, "kombo"),
    "INTEGRATION.ACTION_DISABLED": (KomboRefused, "us"),
    "REMOTE.SERVICE_UNAVAILABLE": (KomboUnavailable, None),
    "REMOTE.RATE_LIMIT_EXCEEDED": (KomboUnavailable, None),
    "REMOTE.INPUT_INVALID": (KomboRefused, "us"),
    "REMOTE.UNKNOWN_HTTP_ERROR": (KomboRefused, "kombo"),
    "ATS.JOB_CLOSED": (KomboRefused, "us"),
    "ATS.APPLICATION_ALREADY_EXISTS": (KomboRefused, "us"),
}
"""Every error code of Kombo's ATS API (SDK 1.4.0) with what to do and who must do it.

docs.kombo.dev says what may be retried: rate limits, an unavailable tool and a plain 503. All other errors need a
person. `UNKNOWN_ERROR` and `TASK_TIMED_OUT` are faults of Kombo itself, and are retried a few times.
"""

# Guide "Reading jobs": before May 2026 the pending error was a 503 with nothing but this message.
_FIRST_SYNC_PENDING = re.compile(r"first sync of this integration didn.t finish", re.IGNORECASE)


def error_from_response(status: int, headers: Mapping[str, str], body: bytes, integration_id: str | None) -> KomboError:
    """Return the error for a response with another status than 200; `body` is decompressed and may hold anything.

    Branches on `error.code`, on the HTTP status where the code is null or unknown, and never on the message
    (docs.kombo.dev), except for the message-only body that once meant a first sync still running.
    """
    response_headers = httpx.Headers(headers)
    code, message, log_url = _error_fields(body)
    if 300 <= status < 400:
        message = (
            f"redirected to {_host(response_headers.get('location', ''))}; redirects are not followed, because the "
            "API key must not go to another host: set KOMBO_API_URL to the final address"
        )
    elif message is None:
        message = f"a response without a Kombo error: {body[:300].decode('utf-8', 'replace')!r}"
    kind, who_must_act = ERROR_CODES.get(code or "") or _by_status(status)
    if code is None and status in {409, 503} and _FIRST_SYNC_PENDING.search(message):
        kind, who_must_act = KomboNotReady, "kombo"
    return kind(
        message,
        code=code,
        status=status,
        log_url=log_url,
        integration_id=integration_id,
        who_must_act=who_must_act,
        retry_after=_retry_after(status, response_headers) if kind is KomboUnavailable else None,
    )


def seconds(value: str | None) -> float | None:
    """A header's number of seconds, None if it is absent or anything else."""
    return float(value) if value and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value) else None


def _by_status(status: int) -> tuple[type[KomboError], Actor | None]:
    if status in {408, 425, 429} or status >= 500:
        return KomboUnavailable, None
    return KomboRefused, "us"


def _retry_after(status: int, headers: httpx.Headers) -> float | None:
    """Seconds to wait: Retry-After (seconds or a date) and, on 429 only, Kombo's `ratelimit-reset`."""
    waits = [
        seconds(headers.get("retry-after")),
        _seconds_until(headers.get("retry-after"), headers.get("date")),
    ]
    # All responses carry ratelimit-reset; only on a 429 does it mean that we have to wait.
    if status == 429:
        waits.append(seconds(headers.get("ratelimit-reset")))
    return max((wait for wait in waits if wait is not None), default=None)


def _seconds_until(date: str | None, now: str | None) -> float | None:
    """Seconds from the server's own clock to a date it named, so that a wrong local clock does not matter."""
    until, since = http_date(date), http_date(now) or datetime.now(UTC)
    return max(0.0, (until - since).total_seconds()) if until else None


def http_date(value: str | None) -> datetime | None:
    """An HTTP date header as an aware UTC datetime, None if it is absent or malformed."""
    try:
        date = parsedate_to_datetime(value or "")
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _error_fields(body: bytes) -> tuple[str | None, str | None, str | None]:
    """`error.code`, `error.message`, `error.log_url`, each None unless it is a string of a Kombo error."""
    try:
        # The standard library's parser accepts odd strings, which must not hide the code.
        envelope: Any = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None, None, None
    error = envelope.get("error") if isinstance(envelope, dict) else None
    if not isinstance(error, dict):
        return None, None, None

    def text(key: str) -> str | None:
        value = error.get(key)
        return one_line(value) if isinstance(value, str) and value else None

    return text("code"), text("message") or text("title") or text("code"), text("log_url")


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or "a path on the same host"
    except ValueError:
        return "an unreadable address"


def one_line(text: str, limit: int = 500) -> str:
    """Return foreign text without anything that could break a log line, a terminal or a Postgres text."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * limit]).split())[:limit]
