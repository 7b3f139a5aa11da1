"""One warehouse, sandbox and receiver a module; every test begins with all of them empty."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import receiver
from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET
from kombo_pipeline_tests.ingest import conftest as shared
from kombo_pipeline_tests.ingest.model import Served
from kombo_pipeline_tests.traps.subscriber import Subscriber

warehouse_url, conn = shared.warehouse_url, shared.conn
module_served, served = shared.module_served, shared.served


@pytest.fixture(scope="module")
def receiver_url(module_warehouse_url: str) -> Iterator[str]:
    server = receiver.server(warehouse_url=module_warehouse_url, secrets=[WEBHOOK_SECRET])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/kombo"
        server.should_exit = True
        thread.join()


@pytest.fixture
def connect(conn: Connection, served: Served, receiver_url: str) -> Callable[..., Subscriber]:
    """Connect a customer in the test's own world, which begins at the receiver's hour and stands still."""
    served.world.clock = Clock(datetime.now(UTC).replace(microsecond=0))
    return lambda **options: Subscriber(conn, served, receiver_url, **options)


@pytest.fixture
def acme(connect: Callable[..., Subscriber]) -> Subscriber:
    """A customer of twenty jobs, fetched once."""
    customer = connect(jobs=20)
    customer.settle()
    return customer


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of four jobs."""
    monkeypatch.setattr("kombo_pipeline.kombo.client.PAGE_SIZE", 4)
