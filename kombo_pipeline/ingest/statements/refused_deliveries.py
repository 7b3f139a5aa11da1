"""Statements on raw.refused_deliveries: what the receivers refused, counted by minute and reason."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg

from kombo_pipeline.db.connection import Connection


async def add(conn: psycopg.AsyncConnection[Any], counts: Mapping[tuple[datetime, str], int]) -> None:
    """Add counts by minute and reason; whoever reads adds up the rows, so that a receiver needs only insert."""
    await conn.execute(
        """
        insert into raw.refused_deliveries (minute, reason, deliveries)
        select minute, reason, deliveries
        from unnest(%s::timestamptz[], %s::text[], %s::bigint[]) as refused (minute, reason, deliveries)
        """,
        ([minute for minute, _ in counts], [reason for _, reason in counts], list(counts.values())),
    )


def delete(conn: Connection, *, older_than: timedelta) -> int:
    """Delete old counts; return how many rows."""
    return conn.execute("delete from raw.refused_deliveries where minute < now() - %s", (older_than,)).rowcount
