"""The warehouse and Kombo as Dagster sees them."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from kombo_pipeline import settings
from kombo_pipeline.db import urls
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.versions import open_warehouse
from kombo_pipeline.kombo.client import Kombo

MAX_TOTAL_WAIT_SECONDS = 120
"""How long a run waits for Kombo in all, over any number of retries: it keeps a slot from other integrations."""


class Warehouse(dg.ConfigurableResource[None]):
    """The Postgres database with the schemas raw, core and marts."""

    url: str = ""
    """Empty: KOMBO_WAREHOUSE_URL, else the embedded Postgres."""

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection for a block; what it did not commit is rolled back when it raises.

        Raises SchemaError when this code cannot work on the warehouse's schema.
        """
        with open_warehouse(self.url or urls.warehouse_url(settings.load())) as conn:
            yield conn


class KomboApi(dg.ConfigurableResource[None]):
    """Kombo's API under one key."""

    api_url: str = ""
    """Empty: KOMBO_API_URL."""
    api_key: str = ""
    """Empty: KOMBO_API_KEY."""

    def client(self) -> Kombo:
        """Return a client for one run; raises dg.Failure, which is not retried, when no key is set."""
        environment = settings.load()
        api_key = self.api_key or environment.kombo_api_key
        if api_key is None:
            raise dg.Failure(
                "KOMBO_API_KEY is not set; create a key in the Kombo dashboard, or use `kombo-pipeline up`",
                allow_retries=False,
            )
        return Kombo(
            api_url=self.api_url or environment.kombo_api_url, api_key=api_key, max_total_wait=MAX_TOTAL_WAIT_SECONDS
        )
