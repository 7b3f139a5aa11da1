"""The own jobs of the sandbox's customers, brought into the warehouse as a multiposter's feed brings them."""

import io
import time
import urllib.request
from http.client import HTTPException
from typing import Final

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.own_jobs import importing, reading

AGAIN_AFTER_SECONDS: Final = 180


class SandboxFeeds:
    """Knows when each customer's feed was read, and reads it again after some minutes."""

    def __init__(self, sandbox: str, *, again_after_seconds: float = AGAIN_AFTER_SECONDS) -> None:
        self._sandbox = sandbox
        self._again_after = again_after_seconds
        self._read_at: dict[str, float] = {}

    def import_due(self, conn: Connection) -> None:
        """Import and commit the feeds that are due; none before its customer's ATS jobs have been fetched in full.

        A feed that the sandbox does not give, because it is being started again or does not know the customer,
        is asked for again at the next look.
        """
        for integration in integrations.fetched_in_full(conn):
            integration_id, now = integration.integration_id, time.monotonic()
            if now < self._read_at.get(integration_id, -self._again_after) + self._again_after:
                continue
            url = f"{self._sandbox}/sandbox/integrations/{integration_id}/own-jobs"
            try:
                with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 -- our own address
                    feed = io.BytesIO(answer.read())
            except (OSError, HTTPException):
                continue
            rows = reading.read(feed, format="xml")
            importing.import_own_jobs(
                conn,
                rows,
                customer_id=integration.customer_id,
                source="multiposter",
                # A customer with two connections has two feeds, which do not withdraw each other's jobs.
                list_name=integration_id,
                replace=True,
            )
            conn.commit()
            self._read_at[integration_id] = now
