"""Where the two databases are: at the URLs of the environment, else in the embedded Postgres."""

from kombo_pipeline.db.connection import with_driver
from kombo_pipeline.settings import Settings


def warehouse_url(settings: Settings) -> str:
    """Return the warehouse's URL, starting the embedded Postgres when none is set."""
    return with_driver(settings.warehouse_url or _embedded(settings, "warehouse"))


def dagster_url(settings: Settings) -> str:
    """Return the URL of Dagster's database, starting the embedded Postgres when none is set.

    Names psycopg2, the only driver that dagster-postgres works with.
    """
    return with_driver(settings.dagster_url or _embedded(settings, "dagster"), "psycopg2")


def _embedded(settings: Settings, database: str) -> str:
    from kombo_pipeline.db import embedded  # noqa: PLC0415 -- an optional extra; production sets URLs

    return embedded.ensure_database(embedded.ensure(settings.data_dir / "postgres"), database)
