"""Webhooks as Kombo sends them: payloads of all seven types, and their delivery."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import httpx
import msgspec

from kombo_pipeline import certificates
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.sandbox.clock import stamp
from kombo_pipeline.sandbox.integration import Integration, Sync
from kombo_pipeline.sandbox.records import Record

log = logging.getLogger(__name__)

WEBHOOK_SECRET = "kombo-sandbox-webhook-secret"  # noqa: S105
"""The sandbox's default secret; it protects nothing."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One delivery: the body as sent, and when it is due, UTC."""

    event_id: str
    type: str
    body: bytes
    integration_id: str | None
    due_at: datetime
    bad_signature: bool = False

    @property
    def payload(self) -> Record:
        """The body, decoded."""
        decoded: Record = msgspec.json.decode(self.body)
        return decoded


@dataclass(slots=True, kw_only=True)
class Issue:
    """A problem Kombo watches, of one integration or (None) of the whole environment."""

    issue_id: str
    type: str
    title: str
    message: str
    first_observed_at: datetime
    integration_id: str | None
    resolved_at: datetime | None = None


def data_changed(integration: Integration, models: Iterable[str]) -> Record:
    """Data in Kombo changed after a sync or an upstream event; names models, not jobs."""
    return _subject(integration) | {"changed_models": [{"name": name} for name in models]}


def sync_finished(integration: Integration, sync: Sync) -> Record:
    """A sync ended, in whatever state."""
    return {
        "sync_id": sync.sync_id,
        "sync_state": sync.state,
        "sync_started_at": stamp(sync.started_at),
        "sync_ended_at": stamp(sync.ended_at),
        "sync_duration_seconds": int((sync.ended_at - sync.started_at).total_seconds()),
        **_subject(integration),
        "end_user": integration.end_user,
        "log_url": f"https://app.kombo.dev/sandbox/logs?syncId={sync.sync_id}",
    }


def integration_created(integration: Integration) -> Record:
    """A customer connected; nothing is readable yet."""
    return _named(integration)


def integration_deleted(integration: Integration, at: datetime) -> Record:
    """A connection is gone for good."""
    return _named(integration) | {"deleted_at": stamp(at)}


def integration_state_changed(integration: Integration, at: datetime) -> Record:
    """The state, set-up or quality status moved."""
    return _subject(integration) | {
        "end_user": integration.end_user,
        "qa_status": integration.qa_status,
        "setup_status": integration.setup_status,
        "state": integration.state,
        "updated_at": stamp(at),
    }


def connection_flow_failed(*, tool: str, organization: str, origin_id: str | None) -> Record:
    """Connecting went wrong; there is no integration yet."""
    return {
        "integration_tool": tool,
        "integration_category": "ATS",
        "end_user": {"organization_name": organization, "creator_email": None, "origin_id": origin_id},
        "log_url": "https://app.kombo.dev/sandbox/logs?flowId=1",
    }


def issue_status_changed(issue: Issue, integration: Integration | None) -> Record:
    """An issue was raised or resolved."""
    return {
        "change": "resolved" if issue.resolved_at else "raised",
        "issue": {
            "id": issue.issue_id,
            "type": issue.type,
            "title": issue.title,
            "status": "RESOLVED" if issue.resolved_at else "OPEN",
            "markdown_message": issue.message,
            "first_observed_at": stamp(issue.first_observed_at),
            "resolved_at": stamp(issue.resolved_at) if issue.resolved_at else None,
        },
        "integration": _named(integration) if integration else None,
    }


def compose(event_id: str, event_type: str, data: Record, *, pretty: bool = False) -> bytes:
    """The body of a delivery; its signature covers exactly these bytes."""
    body = msgspec.json.encode({"id": event_id, "type": event_type, "data": data})
    return msgspec.json.format(body, indent=2) if pretty else body


def deliver(webhook: Webhook, url: str, *, secret: str = WEBHOOK_SECRET, attempts: int = 1) -> int | None:
    """POST a webhook, signed; returns the last status, None if nobody answered. Tries once a second until
    2xx.
    """
    signature = sign(secret if not webhook.bad_signature else f"not-{secret}", webhook.body)
    headers = {"content-type": "application/json", "x-kombo-signature": signature}
    status = None
    for attempt in range(attempts):
        if attempt:
            time.sleep(1)
        try:
            answer = httpx.post(url, content=webhook.body, headers=headers, timeout=10, verify=certificates.trusted())
            status = answer.status_code
        except httpx.HTTPError as error:
            log.debug("%s was not delivered: %s", webhook.event_id, error)
            continue
        if status < 300:
            break
    return status


class Courier(threading.Thread):
    """Delivers what falls due, in order, until stopped; without a URL it discards."""

    def __init__(
        self, due: Callable[[], list[Webhook]], *, url: str | None, secret: str, attempts: Callable[[], int]
    ) -> None:
        super().__init__(name="sandbox-courier", daemon=True)
        self._due, self._url, self._secret, self._attempts = due, url, secret, attempts
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look for due webhooks twenty times a second."""
        while not self._stopped.wait(0.05):
            for webhook in self._due():
                if self._url is None:
                    continue
                status = deliver(webhook, self._url, secret=self._secret, attempts=self._attempts())
                if status is None or status >= 300:
                    log.warning("webhook %s %s: answered %s", webhook.type, webhook.event_id, status)
                if self._stopped.is_set():
                    return

    def stop(self) -> None:
        """End after the delivery in hand."""
        self._stopped.set()
        self.join()


def _subject(integration: Integration) -> Record:
    return {
        "integration_id": integration.id,
        "integration_tool": integration.tool,
        "integration_category": "ATS",
    }


def _named(integration: Integration) -> Record:
    return {
        "id": integration.id,
        "tool": integration.tool,
        "category": "ATS",
        "end_user": integration.end_user,
    }
