"""What many statements need: to read one number, and to put a text into a LIKE pattern."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from kombo_pipeline.db.connection import Connection


def number(conn: Connection, statement: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
    """Return the number that a statement of one row selects as `n`."""
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return int(row["n"])


def like_literal(text: str) -> str:
    """Return a text for a LIKE pattern, with percent signs, underscores and backslashes escaped."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
