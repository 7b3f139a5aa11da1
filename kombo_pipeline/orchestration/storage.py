"""Dagster's own storage, as dagster.yaml names it."""

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from kombo_pipeline import settings
from kombo_pipeline.db import urls


class PipelineStorage(DagsterPostgresStorage):
    """Dagster's storage in the database of KOMBO_DAGSTER_URL, else in the embedded Postgres.

    Spares every process that loads dagster.yaml an environment variable in the one spelling that
    dagster-postgres accepts.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the configuration schema: there is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> "PipelineStorage":
        """Build the storage that dagster.yaml names."""
        return cls(urls.dagster_url(settings.load()), inst_data=inst_data)
