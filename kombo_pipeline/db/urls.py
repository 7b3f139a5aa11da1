"""Where the two databases are: at the URLs of the environment, else in the embedded Postgres."""

from kombo_pipeline.db.connection import Connection, with_driver, with_parameters
from kombo_pipeline.db.versions import open_warehouse
from kombo_pipeline.settings import Settings, load

# The server is on this machine and speaks no TLS; PGSSLMODE and its like are about other servers.
_TO_THE_EMBEDDED_SERVER = {
    "sslmode": "disable",
    "gssencmode": "disable",
    "channel_binding": "disable",
    "target_session_attrs": "any",
    "hostaddr": "127.0.0.1",
}


def warehouse_url(settings: Settings) -> str:
    """Return the warehouse's URL, starting the embedded Postgres when none is set."""
    return with_driver(settings.warehouse_url or _embedded(settings, "warehouse"))


def configured_warehouse() -> Connection:
    """Open a connection to the warehouse of the environment, for a command.

    Raises SettingsError for a setting that cannot be used, and what `open_warehouse` raises.
    """
    return open_warehouse(warehouse_url(load()))


def dagster_url(settings: Settings) -> str:
    """Return the URL of Dagster's database, starting the embedded Postgres when none is set.

    Names psycopg2, the only driver that dagster-postgres works with.
    """
    url = with_driver(settings.dagster_url or _embedded(settings, "dagster"), "psycopg2")
    return with_parameters(url, {"client_encoding": "utf8"})


def _embedded(settings: Settings, database: str) -> str:
    from kombo_pipeline.db import embedded  # noqa: PLC0415 -- an optional extra; production sets URLs

    embedded.make_private(settings.data_dir)
    url = embedded.ensure_database(embedded.ensure(settings.data_dir / "postgres"), database)
    return with_parameters(url, _TO_THE_EMBEDDED_SERVER)
