"""Connections to the warehouse.

Every connection is opened here, with all the settings that the statements rely on, whatever the environment, the
database or the role says.
"""

import os
import re
from collections.abc import Mapping
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from kombo_pipeline.db.dates import hold_every_date

Connection = psycopg.Connection[dict[str, Any]]

# For every connection of the process, those of pools included: ATSs send dates such as 9999-12-31T23:59:59-05:00.
hold_every_date(psycopg.adapters)

OLDEST_POSTGRES: Final = 15
SESSION: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    "search_path": "",
    "default_transaction_isolation": "read\\ committed",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "transform_null_equals": "off",
}
"""What every session relies on, as it is written in the startup parameter `options`."""
# Those of them that the server reports to the client; a pooler in transaction mode keeps them with the client.
_REPORTED: Final = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
}
_SCHEME = re.compile(r"^postgres(ql)?(\+\w+)?://")
_NO_OPTIONS: Final = "unsupported startup parameter"
_NO_URL = (
    "KOMBO_WAREHOUSE_URL or KOMBO_DAGSTER_URL cannot be read; write postgresql://user:password@host:5432/database, "
    "with @ : / and % in the password percent-encoded"
)
_without_options: set[str] = set()
"""URLs of poolers that refuse the startup parameter `options`."""


class UnsuitableDatabaseError(psycopg.OperationalError):
    """The database cannot hold the warehouse; the message is one line that says what to do."""


def with_driver(url: str, driver: str = "") -> str:
    """Return a Postgres URL of any spelling (postgres://, postgresql+psycopg2://) with `driver` in its scheme.

    With a driver the URL is for SQLAlchemy, which reads several hosts from the query alone. Raises ValueError, which
    names neither the URL nor its password, when `url` is no Postgres URL.
    """
    plain = _SCHEME.sub("postgresql://", url)
    try:
        parts = conninfo_to_dict(plain) if _SCHEME.match(url) else {"port": "none"}
    except psycopg.ProgrammingError:
        raise ValueError(_NO_URL) from None
    # Where a password that is not encoded would end up.
    if "@" in f"{parts.get('host')}{parts.get('dbname')}" or not re.fullmatch(r"[\d,]*", str(parts.get("port", ""))):
        raise ValueError(_NO_URL)
    if not driver:
        return plain
    if "," in str(parts.get("host") or ""):
        plain = _hosts_in_query(parts)
    return plain.replace("postgresql://", f"postgresql+{driver}://", 1)


def _hosts_in_query(parts: Mapping[str, Any]) -> str:
    rest = dict(parts)
    user, password, database = (str(rest.pop(name, "") or "") for name in ("user", "password", "dbname"))
    hosts = str(rest["host"]).split(",")
    ports = str(rest.pop("port", "") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    rest["port"] = ",".join(port or "5432" for port in ports)
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return f"postgresql://{who}@/{quote(database, safe='')}?{urlencode(rest, safe=',/', quote_via=quote)}"


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Return a URL with parameters in its query, less those that it has already."""
    known = conninfo_to_dict(with_driver(url))
    missing = urlencode({name: value for name, value in parameters.items() if name not in known})
    return f"{url}{'&' if '?' in url else '?'}{missing}" if missing else url


def redacted(url: str) -> str:
    """Return `url` without its password, for messages."""
    without = re.sub(r"(//[^/@:]*):[^/]*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", without)


def connect(url: str, *, name: str = "kombo_pipeline", **settings: str) -> Connection:
    """Open a connection that returns rows as dicts, in UTC, with transactions begun by the first statement.

    `settings` are further ones for the session; a pooler may drop them. Raises psycopg.OperationalError when the
    server cannot be reached, UnsuitableDatabaseError when it cannot hold the warehouse.
    """
    settings = {"idle_in_transaction_session_timeout": "1h", **settings}
    return Session.connect(url, row_factory=dict_row, name=name, settings=settings)


class Session(psycopg.Connection[Any]):
    """A connection with the settings that all statements rely on; pools make theirs of this class."""

    @classmethod
    def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, name: str = "kombo_pipeline", settings: Mapping[str, str], **options: Any
    ) -> Self:
        """Open a connection, without the startup parameter `options` where a pooler refuses it."""
        tried = conninfo not in _without_options
        try:
            conn = super().connect(_conninfo(conninfo, name, settings), prepare_threshold=None, **options)
        except psycopg.OperationalError as error:
            if _NO_OPTIONS not in str(error) or not tried:
                raise
            _without_options.add(conninfo)
            conn = super().connect(_conninfo(conninfo, name, settings), prepare_threshold=None, **options)
        try:
            refuse_unsuitable(conn.info)
            if statements := _corrections(conn.info):
                conn.execute(statements)
                conn.commit()
        except BaseException:
            conn.close()
            raise
        return conn


async def connect_async(url: str, *, name: str, settings: Mapping[str, str], **options: Any) -> Any:
    """Open a connection for asyncio, in autocommit mode, as `connect` does otherwise."""
    options |= {"autocommit": True, "prepare_threshold": None}
    tried = url not in _without_options
    try:
        conn = await psycopg.AsyncConnection.connect(_conninfo(url, name, settings), **options)
    except psycopg.OperationalError as error:
        if _NO_OPTIONS not in str(error) or not tried:
            raise
        _without_options.add(url)
        conn = await psycopg.AsyncConnection.connect(_conninfo(url, name, settings), **options)
    try:
        refuse_unsuitable(conn.info)
        if statements := _corrections(conn.info):
            await conn.execute(statements)
    except BaseException:
        await conn.close()
        raise
    return conn


def _conninfo(url: str, name: str, settings: Mapping[str, str]) -> str:
    """The URL's own parameters, and ours where it has none; of `options` both, and ours win."""
    given = conninfo_to_dict(with_driver(url))
    defaults = {
        "connect_timeout": "10",
        # A server that vanished without a word is noticed in about a minute, not in two hours.
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "fallback_application_name": name,
    }
    of_user = given.pop("options", None) or os.environ.get("PGOPTIONS", "")
    ours = " ".join(f"-c {key}={value}" for key, value in {**settings, **SESSION}.items())
    # An empty value would let libpq read PGOPTIONS.
    options = "" if url in _without_options else f"{of_user} {ours}".strip()
    return make_conninfo("", **{**defaults, **given, "client_encoding": "UTF8", "options": options})


def refuse_unsuitable(info: psycopg.ConnectionInfo) -> None:
    """Raise UnsuitableDatabaseError for a server that is too old, and for a database that is not UTF8."""
    if info.server_version < OLDEST_POSTGRES * 10_000:
        raise UnsuitableDatabaseError(
            f"The server is Postgres {info.server_version // 10_000}; kombo_pipeline needs {OLDEST_POSTGRES} or newer: "
            "upgrade it, or set KOMBO_WAREHOUSE_URL to another one. Nothing was changed."
        )
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnsuitableDatabaseError(
            f"Database {info.dbname} has the encoding {encoding}, in which names would be damaged; make another one "
            "with: create database warehouse encoding 'UTF8' locale 'C' template template0. Nothing was changed."
        )


def _corrections(info: psycopg.ConnectionInfo) -> str:
    """Statements that set what the server reports otherwise than asked for, as a pooler does that drops `options`."""
    return "; ".join(
        f"set {name} = '{value}'" for name, value in _REPORTED.items() if info.parameter_status(name) != value
    )
