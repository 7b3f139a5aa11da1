"""Outbound notices: what your product is told, as signed webhooks (standardwebhooks.com).

The outbox is core.notices, written by triggers in the transaction that causes a notice (see linking/targets.py). Every
notice is delivered at least once and always under the same `webhook-id`, by which the receiver drops repetitions.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx
import psycopg

from kombo_pipeline import certificates
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.kombo.errors import one_line
from kombo_pipeline.linking.statements import notices as statements
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
"""From each failed attempt to the next, give or take JITTER: ten attempts in three days, as the scheme has it."""
JITTER: Final = 0.1
GIVEN_UP_AFTER: Final = timedelta(days=3)
"""A notice that was never sent for so long is given up: delivery that is switched on later brings no flood."""
MAX_REASON: Final = 200
"""Characters of what an endpoint says of itself that are kept and logged."""
ANSWER_SECONDS: Final = 15
"""A receiver that has not answered by then has failed; Standard Webhooks advises 15 to 30."""
AT_A_TIME: Final = 16
LOOK_EVERY_SECONDS: Final = 1
RECONNECT_SECONDS: Final = 3
_SECRET_BYTES: Final = range(24, 65)
_GONE: Final = 410

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """Where notices go and what signs them; neither shows in a log, for a URL may carry a token."""

    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)


def endpoint(url: str | None, secret: str | None) -> Endpoint | None:
    """Read KOMBO_NOTICE_URL and KOMBO_NOTICE_SECRET; None when no URL is set and notices are off.

    Several secrets are separated by commas. Raises SettingsError, which shows neither, for a URL without a secret
    and for what cannot be used.
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
    """The headers of Standard Webhooks: a signature by each secret, so that a receiver can change over in its time."""
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
    """Send the notices that are due, at most `limit` at once, commit what came of it and return how many were tried.

    They stay locked meanwhile, so any number of processes may do so at a time. 2xx is delivered, 410 is given
    up, anything else (a redirect too) is tried again later. When the commit is lost they are sent again.
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


def _record(conn: Connection, notice: Mapping[str, Any], failure: "_Failure | None") -> None:
    if failure is None:
        statements.mark_delivered(conn, notice["notice_id"])
        return
    is_last = failure.is_final or notice["attempts"] >= len(RETRY_AFTER)
    pause = None if is_last else RETRY_AFTER[notice["attempts"]] * random.uniform(1 - JITTER, 1 + JITTER)
    statements.mark_failed(conn, notice["notice_id"], error=failure.reason, retry_after=pause)
    log.warning("notice %s: %s%s", notice["notice_id"], failure.reason, "; given up" if is_last else "")


@dataclass(frozen=True)
class _Failure:
    reason: str
    is_final: bool = False


async def _send_all(due: Sequence[Mapping[str, Any]], to: Endpoint) -> list[_Failure | None]:
    async with httpx.AsyncClient(
        verify=certificates.trusted(), timeout=ANSWER_SECONDS, follow_redirects=False
    ) as client:
        return await asyncio.gather(*(_send(client, notice, to) for notice in due))


async def _send(client: httpx.AsyncClient, notice: Mapping[str, Any], to: Endpoint) -> _Failure | None:
    body = json.dumps(notice["payload"], ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed_headers(to.secrets, message_id=str(notice["notice_id"]), sent_at=int(time.time()), body=body)
    try:
        # The status is all that counts: a body is not read, and one that trickles holds nothing up.
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            client.stream("POST", to.url, content=body, headers=headers) as answer,
        ):
            if answer.is_success:
                return None
            return _Failure(
                one_line(f"answered {answer.status_code} {answer.reason_phrase}", MAX_REASON),
                is_final=answer.status_code == _GONE,
            )
    except (TimeoutError, httpx.TimeoutException):
        return _Failure(f"no answer within {ANSWER_SECONDS} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Only the kind: the text may show the URL.
        return _Failure(f"no answer: {type(error).__name__}")


class Deliverer(threading.Thread):
    """Delivers notices from its start until it is stopped, whatever happens to the database meanwhile."""

    def __init__(self, warehouse_url: str, to: Endpoint) -> None:
        super().__init__(name="notices", daemon=True)
        self._warehouse_url, self._to = warehouse_url, to
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look once a second for what is due."""
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
                # Unforeseen, and no reason for silence from then on.
                log.exception("notices were not delivered")
                self._stopped.wait(RECONNECT_SECONDS)

    def stop(self) -> None:
        """End after the delivery in hand, ANSWER_SECONDS at the latest."""
        self._stopped.set()
        self.join(ANSWER_SECONDS + RECONNECT_SECONDS)
