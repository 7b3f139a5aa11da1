"""What several statements need: one number, and a text as a part of a LIKE pattern."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from kombo_pipeline.db.connection import Connection


def number(conn: Connection, statement: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
    """Return the number that a statement selects as `n`."""
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return int(row["n"])


def like_literal(text: str) -> str:
    """Return a text that LIKE takes as it is: its percent signs and underscores stand for themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
