"""Every environment variable: its name, its default, its meaning. Nothing else reads the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import load_dotenv

SANDBOX_PORT, WEBSERVER_PORT, RECEIVER_PORT, CODE_SERVER_PORT = 8090, 3000, 8080, 4266
MINIMUM_SECRET_LENGTH = 16


class SettingsError(ValueError):
    """An environment variable is missing or wrong; the message names it and says what to write."""


@dataclass(frozen=True)
class Settings:
    """The environment as the project understands it; secrets stay out of its repr."""

    kombo_api_url: str
    """KOMBO_API_URL: https://api.kombo.dev/v1 (EU, the default), https://api.us.kombo.dev/v1 or https://api.ca.kombo.dev/v1."""
    kombo_api_key: str | None = field(repr=False)
    """KOMBO_API_KEY: the bearer key of your Kombo environment. Unset: `up` starts the sandbox."""
    webhook_secrets: tuple[str, ...] = field(repr=False)
    """KOMBO_WEBHOOK_SECRETS: comma-separated, newest first; all are accepted, so a rotation loses nothing."""
    warehouse_url: str | None = field(repr=False)
    """KOMBO_WAREHOUSE_URL: the warehouse. Unset: a database of the embedded Postgres."""
    dagster_url: str | None = field(repr=False)
    """KOMBO_DAGSTER_URL: Dagster's own database. Unset: another database of the embedded Postgres."""
    data_dir: Path
    """KOMBO_DATA_DIR: embedded Postgres and logs; .local below the working directory by default."""
    overlap_seconds: float
    """KOMBO_OVERLAP_SECONDS: how far before the watermark an incremental fetch asks; 300 by default."""


def load() -> Settings:
    """Read the environment, and a `.env` file of the working directory for what it does not set.

    Raises SettingsError for a value that cannot be used.
    """
    load_dotenv(Path.cwd() / ".env")
    overlap = _text("KOMBO_OVERLAP_SECONDS") or "300"
    try:
        overlap_seconds = float(overlap)
    except ValueError:
        overlap_seconds = -1
    if not 0 <= overlap_seconds <= 86_400:
        raise SettingsError(f"KOMBO_OVERLAP_SECONDS is {overlap!r}; write a number of seconds from 0 to 86400")
    return Settings(
        kombo_api_url=(_text("KOMBO_API_URL") or "https://api.kombo.dev/v1").rstrip("/"),
        kombo_api_key=_text("KOMBO_API_KEY"),
        webhook_secrets=tuple(filter(None, map(str.strip, (_text("KOMBO_WEBHOOK_SECRETS") or "").split(",")))),
        warehouse_url=_text("KOMBO_WAREHOUSE_URL"),
        dagster_url=_text("KOMBO_DAGSTER_URL"),
        data_dir=Path(_text("KOMBO_DATA_DIR") or ".local").absolute(),
        overlap_seconds=overlap_seconds,
    )


def _text(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None
