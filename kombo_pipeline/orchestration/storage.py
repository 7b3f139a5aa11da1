"""Dagster's own storage, as dagster.yaml names it."""

import atexit
import os
import tempfile
from collections.abc import Mapping
from typing import Any, Final

from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from kombo_pipeline import settings
from kombo_pipeline.db import urls

_VALIDATION: Final = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Set by `dagster definitions validate` before it loads dagster.yaml."""


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
    def from_config_value(  # type: ignore[override]
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> DagsterStorage:
        """Build the storage that dagster.yaml names.

        `dagster definitions validate` only loads code: it gets an empty storage that vanishes with it, so that no
        server is started and none needs to be reachable.
        """
        if os.environ.get(_VALIDATION):
            nowhere = tempfile.TemporaryDirectory(prefix="dagster-validate-")
            atexit.register(nowhere.cleanup)
            return DagsterSqliteStorage(nowhere.name, inst_data=inst_data)
        return cls(urls.dagster_url(settings.load()), inst_data=inst_data)
