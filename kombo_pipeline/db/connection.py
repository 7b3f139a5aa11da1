"""Connections to the warehouse."""

import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from kombo_pipeline.db.dates import hold_every_date

Connection = psycopg.Connection[dict[str, Any]]

# For every connection of the process, those of pools included: ATSs send dates such as 9999-12-31T23:59:59-05:00.
hold_every_date(psycopg.adapters)

_SCHEME = re.compile(r"^postgres(ql)?(\+\w+)?://")
_NO_URL = (
    "KOMBO_WAREHOUSE_URL or KOMBO_DAGSTER_URL cannot be read; write postgresql://user:password@host:5432/database, "
    "with @ : / and % in the password percent-encoded"
)


def with_driver(url: str, driver: str = "") -> str:
    """Return a Postgres URL of any spelling (postgres://, postgresql+psycopg2://) with `driver` in its scheme.

    Raises ValueError, which names neither the URL nor its password, when `url` is no Postgres URL.
    """
    plain = _SCHEME.sub("postgresql://", url)
    try:
        parts = conninfo_to_dict(plain) if _SCHEME.match(url) else {"port": "none"}
    except psycopg.ProgrammingError:
        raise ValueError(_NO_URL) from None
    # Where a password that is not encoded would end up.
    if "@" in f"{parts.get('host')}{parts.get('dbname')}" or not re.fullmatch(r"[\d,]*", str(parts.get("port", ""))):
        raise ValueError(_NO_URL)
    return plain.replace("postgresql://", f"postgresql+{driver}://", 1) if driver else plain


def redacted(url: str) -> str:
    """Return `url` without its password, for messages."""
    without = re.sub(r"(//[^/@:]*):[^/]*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", without)


def connect(url: str) -> Connection:
    """Open a connection that returns rows as dicts, in UTC, with transactions begun by the first statement.

    Raises psycopg.OperationalError when the server cannot be reached.
    """
    return psycopg.connect(
        with_driver(url),
        row_factory=dict_row,
        application_name="kombo_pipeline",
        connect_timeout=10,
        options="-c timezone=UTC -c idle_in_transaction_session_timeout=1h",
        # A server that vanished without a word is noticed in about a minute, not in two hours.
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
    )
