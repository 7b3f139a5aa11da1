"""A warehouse that the tests of a module share; each finds it without own jobs."""

from collections.abc import Iterator

import pytest

from kombo_pipeline.db.connection import Connection, connect


@pytest.fixture
def conn(module_warehouse_url: str) -> Iterator[Connection]:
    with connect(module_warehouse_url) as connection:
        connection.execute("delete from core.held_withdrawals")
        connection.execute("delete from core.job_links")
        connection.execute("delete from core.own_jobs")
        connection.commit()
        yield connection
        connection.rollback()
