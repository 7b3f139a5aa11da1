"""Every environment variable: its name, its default, its meaning. Nothing else reads the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import load_dotenv

SANDBOX_PORT, WEBSERVER_PORT, RECEIVER_PORT, CODE_SERVER_PORT, BACKOFFICE_PORT = 8090, 3000, 8080, 4266, 8081
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
    stale_after_days: float = 7
    """KOMBO_STALE_AFTER_DAYS: data older than so many days is too old for applications; 7 by default."""
    customer_requests_an_hour: float = 60
    """KOMBO_CUSTOMER_REQUESTS_AN_HOUR: requests to Kombo an hour by pastes of one customer; 60 by default."""
    backoffice_secret: str | None = field(default=None, repr=False)
    """KOMBO_BACKOFFICE_SECRET: signs forms and customers' links, 32 characters or more. `up` makes one."""
    backoffice_proxy_header: str | None = None
    """KOMBO_BACKOFFICE_PROXY_HEADER: the header in which a trusted proxy names the user. Unset: passwords."""
    backoffice_url: str = "http://127.0.0.1:8081"
    """KOMBO_BACKOFFICE_URL: the back office's public address; with https its cookies are Secure."""
    dagster_webserver: str = "http://127.0.0.1:3000"
    """KOMBO_DAGSTER_WEBSERVER: where the back office starts runs and links to."""
    own_jobs_tokens: tuple[str, ...] = field(default=(), repr=False)
    """KOMBO_OWN_JOBS_TOKENS: comma-separated, of the own-jobs feed: customer=token, or a bare token for all."""
    notice_url: str | None = field(default=None, repr=False)
    """KOMBO_NOTICE_URL: where notices are delivered. Unset: they stay in marts.notices."""
    notice_secret: str | None = field(default=None, repr=False)
    """KOMBO_NOTICE_SECRET: signs the notices (Standard Webhooks): whsec_ and base64; several, with commas between."""


def load() -> Settings:
    """Read the environment, and a `.env` file of the working directory for what it does not set.

    Raises SettingsError for a value that cannot be used.
    """
    load_dotenv(Path.cwd() / ".env")
    return Settings(
        kombo_api_url=(_text("KOMBO_API_URL") or "https://api.kombo.dev/v1").rstrip("/"),
        kombo_api_key=_text("KOMBO_API_KEY"),
        webhook_secrets=tuple(filter(None, map(str.strip, (_text("KOMBO_WEBHOOK_SECRETS") or "").split(",")))),
        warehouse_url=_text("KOMBO_WAREHOUSE_URL"),
        dagster_url=_text("KOMBO_DAGSTER_URL"),
        data_dir=Path(_text("KOMBO_DATA_DIR") or ".local").absolute(),
        overlap_seconds=_number("KOMBO_OVERLAP_SECONDS", 300, unit="seconds", smallest=0, largest=86_400),
        stale_after_days=_number("KOMBO_STALE_AFTER_DAYS", 7, unit="days", smallest=1, largest=365),
        customer_requests_an_hour=_number(
            "KOMBO_CUSTOMER_REQUESTS_AN_HOUR", 60, unit="requests", smallest=0, largest=100_000
        ),
        backoffice_secret=_text("KOMBO_BACKOFFICE_SECRET"),
        backoffice_proxy_header=_text("KOMBO_BACKOFFICE_PROXY_HEADER"),
        backoffice_url=_address("KOMBO_BACKOFFICE_URL", f"http://127.0.0.1:{BACKOFFICE_PORT}"),
        dagster_webserver=_address("KOMBO_DAGSTER_WEBSERVER", f"http://127.0.0.1:{WEBSERVER_PORT}"),
        own_jobs_tokens=tuple(filter(None, map(str.strip, (_text("KOMBO_OWN_JOBS_TOKENS") or "").split(",")))),
        notice_url=_text("KOMBO_NOTICE_URL"),
        notice_secret=_text("KOMBO_NOTICE_SECRET"),
    )


def _address(name: str, default: str) -> str:
    address = _text(name) or default
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{name} is {address!r}; write an address such as https://jobs.example.com")
    return address.rstrip("/")


def _number(name: str, default: float, *, unit: str, smallest: int, largest: int) -> float:
    given = _text(name)
    try:
        number = default if given is None else float(given)
    except ValueError:
        number = smallest - 1
    if not smallest <= number <= largest:
        raise SettingsError(f"{name} is {given!r}; write a number of {unit} from {smallest} to {largest}")
    return number


def _text(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None
