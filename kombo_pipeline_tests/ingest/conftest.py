"""One warehouse and one sandbox server a module; every test begins with both of them empty."""

from collections.abc import Iterator

import pytest

from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.ingest.model import Served, client, empty


@pytest.fixture
def warehouse_url(module_warehouse_url: str) -> str:
    with connect(module_warehouse_url) as conn:
        empty(conn)
    return module_warehouse_url


@pytest.fixture
def conn(warehouse_url: str) -> Iterator[Connection]:
    with connect(warehouse_url) as connection:
        yield connection


@pytest.fixture(scope="module")
def module_served() -> Iterator[Served]:
    world = World()
    # A restarted world has another clock.
    with running(world) as sandbox, client(sandbox.url, lambda: world.clock.now()) as kombo:  # noqa: PLW0108
        yield Served(world, kombo, sandbox.url)


@pytest.fixture
def served(module_served: Served) -> Served:
    module_served.restart()
    return module_served
