"""Sends notices to your product as signed webhooks (standardwebhooks.com).

The outbox is core.notices: triggers write it in the transaction that causes a notice (see linking/targets.py). Every
notice is delivered at least once, always with the same `webhook-id`, so that the receiver can drop repetitions.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import httpx
import psycopg

from kombo_pipeline import certificates
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.kombo.errors import one_line
from kombo_pipeline.linking.statements import notices as statements
from kombo_pipeline.linking.statements.notices import DueNotice
from kombo_pipeline.settings import SettingsError

RETRY_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long after each failed attempt the next one follows, give or take JITTER: ten attempts in three days."""
JITTER: Final = 0.1
GIVEN_UP_AFTER: Final = timedelta(days=3)
"""A notice that nobody has tried to send for this long is given up, so that delivery does not begin with a flood."""
MAX_REASON: Final = 200
"""How many characters of an endpoint's status line are kept and logged."""
RESPONSE_SECONDS: Final = 15
"""A receiver that has not responded after this many seconds has failed; Standard Webhooks advises 15 to 30."""
AT_A_TIME: Final = 16
LOOK_EVERY_SECONDS: Final = 1
RECONNECT_SECONDS: Final = 3
_SECRET_BYTES: Final = range(24, 65)
_GONE: Final = 410

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """Where notices are sent and the secrets that sign them. Neither appears in a log: a URL may hold a token."""

    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)


def endpoint(url: str | None, secret: str | None) -> Endpoint | None:
    """Return the endpoint of KOMBO_NOTICE_URL and KOMBO_NOTICE_SECRET; None when no URL is set: notices are off.

    Several secrets are separated by commas. Raises SettingsError for a URL without a secret and for values that cannot
    be used; its message shows neither value.
    """
    if url is None:
        return None
    try:
        parsed = httpx.URL(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.host)
    except httpx.InvalidURL:
        usable = False
    if not usable:
        raise SettingsError("KOMBO_NOTICE_URL cannot be read; write https://host/path")
    keys = []
    for each in (secret or "").split(","):
        try:
            keys.append(base64.b64decode(each.strip().removeprefix("whsec_"), validate=True))
        except (binascii.Error, ValueError):
            keys.append(b"")
    if any(len(key) not in _SECRET_BYTES for key in keys):
        raise SettingsError(
            "KOMBO_NOTICE_URL needs KOMBO_NOTICE_SECRET: whsec_ and the base64 of 24 to 64 random bytes; make one "
            'with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return Endpoint(url, tuple(keys))


def signed_headers(secrets: Sequence[bytes], *, message_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature by each secret, so that a secret can be replaced."""
    content = f"{message_id}.{sent_at}.".encode() + body
    macs = [base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
        "content-type": "application/json",
        "user-agent": "kombo_pipeline",
    }


def deliver_due(conn: Connection, to: Endpoint, *, limit: int = AT_A_TIME) -> int:
    """Send the notices that are due, at most `limit` at once, commit the results and return how many were tried.

    They stay locked until the commit, so several processes may call this at the same time. A status of 2xx means that a
    notice is delivered; with 410 it is given up; after anything else, a redirect too, it is tried again later. When the
    commit is lost, the notices are sent again.
    """
    given_up = statements.give_up_unsent(
        conn, older_than=GIVEN_UP_AFTER, error=f"not sent within {GIVEN_UP_AFTER.days} days, as delivery was off"
    )
    if given_up:
        log.warning("%d notices were given up, as delivery was off for too long", given_up)
    due = statements.claim_due(conn, limit)
    if due:
        for notice, failure in zip(due, asyncio.run(_send_all(due, to)), strict=True):
            _record(conn, notice, failure)
    conn.commit()
    return len(due)


def _record(conn: Connection, notice: DueNotice, failure: "_Failure | None") -> None:
    if failure is None:
        statements.mark_delivered(conn, notice.notice_id)
        return
    is_last = failure.is_final or notice.attempts >= len(RETRY_AFTER)
    pause = None if is_last else RETRY_AFTER[notice.attempts] * random.uniform(1 - JITTER, 1 + JITTER)
    statements.mark_failed(conn, notice.notice_id, error=failure.reason, retry_after=pause)
    log.warning("notice %s: %s%s", notice.notice_id, failure.reason, "; given up" if is_last else "")


@dataclass(frozen=True)
class _Failure:
    reason: str
    is_final: bool = False


async def _send_all(due: Sequence[DueNotice], to: Endpoint) -> list[_Failure | None]:
    async with httpx.AsyncClient(
        verify=certificates.trusted(), timeout=RESPONSE_SECONDS, follow_redirects=False
    ) as client:
        return await asyncio.gather(*(_send(client, notice, to) for notice in due))


async def _send(client: httpx.AsyncClient, notice: DueNotice, to: Endpoint) -> _Failure | None:
    body = json.dumps(notice.payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed_headers(to.secrets, message_id=str(notice.notice_id), sent_at=int(time.time()), body=body)
    try:
        # Only the status counts. The body is not read, so a slow one delays nothing.
        async with (
            asyncio.timeout(RESPONSE_SECONDS),
            client.stream("POST", to.url, content=body, headers=headers) as response,
        ):
            if response.is_success:
                return None
            return _Failure(
                one_line(f"answered {response.status_code} {response.reason_phrase}", MAX_REASON),
                is_final=response.status_code == _GONE,
            )
    except (TimeoutError, httpx.TimeoutException):
        return _Failure(f"no answer within {RESPONSE_SECONDS} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Only the kind of error: its text may show the URL.
        return _Failure(f"no answer: {type(error).__name__}")


class Deliverer(threading.Thread):
    """A thread that delivers notices until it is stopped, also when the database is away for some time."""

    def __init__(self, warehouse_url: str, to: Endpoint) -> None:
        super().__init__(name="notices", daemon=True)
        self._warehouse_url, self._to = warehouse_url, to
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look for due notices once a second."""
        while not self._stopped.is_set():
            try:
                with connect(self._warehouse_url) as conn:
                    while not self._stopped.is_set():
                        if not deliver_due(conn, self._to):
                            self._stopped.wait(LOOK_EVERY_SECONDS)
            except psycopg.Error as error:
                log.warning("notices wait for the warehouse: %s", type(error).__name__)
                self._stopped.wait(RECONNECT_SECONDS)
            except Exception:
                # An unforeseen error must not stop all later notices.
                log.exception("notices were not delivered")
                self._stopped.wait(RECONNECT_SECONDS)

    def stop(self) -> None:
        """Stop after the delivery that is under way, RESPONSE_SECONDS at the latest."""
        self._stopped.set()
        self.join(RESPONSE_SECONDS + RECONNECT_SECONDS)
