"""Deliveries that the receiver refuses: counted in memory by minute and reason, written and logged now and then.

Whoever can reach the receiver can be refused, so a refusal costs a number in memory: no row, no line, no wait.
"""

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kombo_pipeline.db.connection import with_driver
from kombo_pipeline.ingest.statements import refused_deliveries

FLUSH_SECONDS = 5
WRITE_SECONDS = 5
LOG_EVERY: Final = timedelta(minutes=1)
MAX_COUNTS: Final = 10_000
"""Counts kept while the warehouse is away: some days."""
REASONS: Final = {
    "wrong_signature": "their signature is wrong: is KOMBO_WEBHOOK_SECRETS the secret of the webhook in Kombo's "
    "dashboard?",
    "no_signature": "they have no signature; they do not come from Kombo, or a proxy drops X-Kombo-Signature",
    "too_large": "their body is too large",
    "too_slow": "their body took too long",
    "cut_off": "the sender left before the end",
}
"""Why a delivery is refused, in words."""
_STATUS = {413: "too_large", 408: "too_slow", 400: "cut_off"}

log = logging.getLogger(__name__)


class Refusals:
    """What this process has refused."""

    def __init__(self, warehouse_url: str) -> None:
        self._url = with_driver(warehouse_url)
        self._unwritten: Counter[tuple[datetime, str]] = Counter()
        self._last_hour: Counter[tuple[datetime, str]] = Counter()
        self._untold: Counter[str] = Counter()
        self._told_at: dict[str, datetime] = {}

    def note(self, reason: str) -> None:
        """Count a refused delivery."""
        key = (datetime.now(UTC).replace(second=0, microsecond=0), reason)
        self._unwritten[key] += 1
        self._last_hour[key] += 1
        if reason != "cut_off":  # clients come and go
            self._untold[reason] += 1

    def of_last_hour(self) -> dict[str, int]:
        """Return how many this process refused within the last hour, by reason."""
        since = datetime.now(UTC) - timedelta(hours=1)
        for minute, reason in [key for key in self._last_hour if key[0] < since]:
            del self._last_hour[minute, reason]
        total: Counter[str] = Counter()
        for (_, reason), number in self._last_hour.items():
            total[reason] += number
        return dict(total)

    async def run(self) -> None:
        """Write and log what was refused, every FLUSH_SECONDS until cancelled and once more then."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self.flush()
        finally:
            await self.flush(last=True)

    async def flush(self, *, last: bool = False) -> None:
        """Write the counts and log them, for each reason a line a minute; what cannot be written waits."""
        self.of_last_hour()
        self._tell(everything=last)
        if not self._unwritten:
            return
        counts, self._unwritten = self._unwritten, Counter()
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._write(counts)
        except Exception as error:
            # Counts are not worth a retry of their own; they go with the next ones.
            log.debug("refused deliveries not written: %s", type(error).__name__)
            for key in sorted(counts)[-MAX_COUNTS:]:
                self._unwritten[key] += counts[key]

    async def _write(self, counts: Counter[tuple[datetime, str]]) -> None:
        options: dict[str, Any] = {
            "autocommit": True,
            "application_name": "kombo_pipeline receiver, refusals",
            "connect_timeout": WRITE_SECONDS,
        }
        async with await psycopg.AsyncConnection.connect(self._url, **options) as conn:
            await refused_deliveries.add(conn, counts)

    def _tell(self, *, everything: bool) -> None:
        now = datetime.now(UTC)
        for reason, number in list(self._untold.items()):
            told_at = self._told_at.get(reason)
            if everything or told_at is None or now - told_at >= LOG_EVERY:
                log.warning("refused deliveries: %d, because %s", number, REASONS[reason])
                self._told_at[reason] = now
                del self._untold[reason]


class CountRefusals:
    """Middleware that counts the answers of `path` that refuse a delivery."""

    def __init__(self, app: ASGIApp, *, refusals: Refusals, path: str) -> None:
        self._app, self._refusals, self._path = app, refusals, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and look at the status of its answer."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and (reason := _reason(scope, message["status"])):
                self._refusals.note(reason)
            await send(message)

        await self._app(scope, receive, watch)


def _reason(scope: Scope, status: int) -> str | None:
    if status == 401:
        is_signed = any(name == b"x-kombo-signature" for name, _ in scope["headers"])
        return "wrong_signature" if is_signed else "no_signature"
    return _STATUS.get(status)
