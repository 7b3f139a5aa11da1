"""A customer whose webhooks come in through the receiver, and what sensor and poll make of them."""

from collections.abc import Callable, Collection, Generator
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import events, polling
from kombo_pipeline.ingest.statements import integrations, webhook_events
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.responses import Page
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.orchestration import due
from kombo_pipeline.sandbox.api import API_KEY
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET, Webhook
from kombo_pipeline.sandbox.traffic import Request
from kombo_pipeline_tests.ingest.model import Customer, Record, Served


class Subscriber(Customer):
    """One integration, its webhooks delivered to our receiver."""

    def __init__(self, conn: Connection, served: Served, receiver_url: str, **options: Any) -> None:
        self.conn, self.world, self.kombo, self.url = conn, served.world, served.kombo, served.url
        self.skew = timedelta(0)
        self.id = self.world.add_integration(**options)
        self._receiver_url = receiver_url

    def settle(self) -> None:
        """A first fetch, long enough after and before everything else for nothing to be told twice."""
        self.world.drain()
        self.world.clock.advance(timedelta(hours=1))
        self.fetch()
        self.world.clock.advance(timedelta(hours=1))
        self.world.requests.clear()

    def client(self, **options: Any) -> Kombo:
        defaults = {"api_url": self.url, "api_key": API_KEY, "now": self.now, "max_attempts": 3}
        return Kombo(**{**defaults, "sleep": lambda seconds: None, **options})

    def post(self, raw: bytes, signature: str | None = None) -> int:
        """What the receiver answers to a delivery, well signed unless told otherwise."""
        headers = {"X-Kombo-Signature": signature or sign(WEBHOOK_SECRET, raw)}
        return httpx.post(self._receiver_url, content=raw, headers=headers).status_code

    def deliver(self, hooks: list[Webhook] | None = None) -> None:
        for hook in self.world.drain() if hooks is None else hooks:
            assert self.post(hook.body) == 200
        self.tick()

    def tick(self) -> None:
        """The sensor looks at what has landed."""
        events.observe_events(self.conn)
        self.conn.commit()

    def due(self, in_work: Collection[str] = ()) -> list[str]:
        """The integrations that the sensor would run."""
        waiting = webhook_events.waiting_for_fetch(self.conn)
        self.conn.commit()
        return [each.integration_id for each in due.due_integrations(waiting, in_work)]

    def is_polled(self) -> bool:
        """Whether the poll would run this integration."""
        state = next(each for each in integrations.rhythms(self.conn) if each.integration_id == self.id)
        self.conn.commit()
        return polling.is_silent(state, now=self.world.clock.now())

    def requests(self) -> list[Request]:
        """What was asked of `GET /ats/jobs` since the first fetch."""
        return [request for request in self.world.requests if request.path == "/v1/ats/jobs"]

    def health(self) -> Record:
        return self.one("select * from marts.integration_health where integration_id = %s", self.id)

    def one(self, query: str, *parameters: Any) -> Record:
        [row] = self.conn.execute(query, parameters).fetchall()
        return row

    def publishable(self) -> set[str]:
        """The jobs that may be shown to applicants."""
        query = "select kombo_job_id from marts.open_jobs where publishable and integration_id = %s"
        return {row["kombo_job_id"] for row in self.conn.execute(query, (self.id,))}

    def job_with(self, *fields: str) -> str:
        """An open job whose nested lists of these names are not empty."""
        return next(id_ for id_ in self.open_ids() if all(self.kombo_job(id_)[field] for field in fields))

    def edit(self, job_id: str, **fields: Any) -> None:
        self.world.edit_job(self.id, job_id, **fields)


class Meanwhile:
    """A client that does something else between the first page and what comes after it."""

    def __init__(self, kombo: Kombo, act: Callable[[], None]) -> None:
        self.integration, self.find_jobs = kombo.integration, kombo.find_jobs
        self._kombo, self._act = kombo, act

    def job_pages(self, integration_id: str, **options: Any) -> Generator[Page, None, None]:
        with closing(self._kombo.job_pages(integration_id, **options)) as pages:
            for page in pages:
                yield page
                if page.number == 1:
                    self._act()
