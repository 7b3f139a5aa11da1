"""Every environment variable: its name, its default, its meaning. Nothing else reads the environment."""

import functools
import logging
import os
import stat
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import load_dotenv

SANDBOX_PORT, WEBSERVER_PORT, RECEIVER_PORT, CODE_SERVER_PORT, BACKOFFICE_PORT = 8090, 3000, 8080, 4266, 8081
MINIMUM_SECRET_LENGTH = 16
OWN_JOBS_MAX_ROWS = 1_000_000
log = logging.getLogger(__name__)

Network = IPv4Network | IPv6Network


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
    trusted_proxies: tuple[Network, ...] = ()
    """KOMBO_TRUSTED_PROXIES: comma-separated networks of proxies whose X-Forwarded-For and user header are believed."""
    backoffice_url: str = "http://127.0.0.1:8081"
    """KOMBO_BACKOFFICE_URL: the back office's public address; with https its cookies are Secure."""
    dagster_webserver: str = "http://127.0.0.1:3000"
    """KOMBO_DAGSTER_WEBSERVER: where the back office starts runs and links to."""
    dagster_hosts: tuple[str, ...] = ()
    """KOMBO_DAGSTER_HOSTS: comma-separated, more host names under which browsers may reach Dagster's webserver."""
    own_jobs_tokens: tuple[str, ...] = field(default=(), repr=False)
    """KOMBO_OWN_JOBS_TOKENS: comma-separated, of the own-jobs feed: customer=token, or a bare token for all."""
    own_jobs_max_rows: int = OWN_JOBS_MAX_ROWS
    """KOMBO_OWN_JOBS_MAX_ROWS: a list of own jobs with more rows is refused as a whole; 1,000,000 by default."""
    notice_url: str | None = field(default=None, repr=False)
    """KOMBO_NOTICE_URL: where notices are delivered. Unset: they stay in marts.notices."""
    notice_secret: str | None = field(default=None, repr=False)
    """KOMBO_NOTICE_SECRET: signs the notices (Standard Webhooks): whsec_ and base64; several, with commas between."""


def load() -> Settings:
    """Read the environment, and a `.env` file of the working directory for what it does not set.

    A file that another account may have written is passed over: it could send the API key to another host.

    Raises SettingsError for a value that cannot be used.
    """
    if _is_our_own(file := Path.cwd() / ".env"):
        load_dotenv(file)
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
        trusted_proxies=_networks("KOMBO_TRUSTED_PROXIES"),
        backoffice_url=_address("KOMBO_BACKOFFICE_URL", f"http://127.0.0.1:{BACKOFFICE_PORT}"),
        dagster_webserver=_address("KOMBO_DAGSTER_WEBSERVER", f"http://127.0.0.1:{WEBSERVER_PORT}"),
        dagster_hosts=tuple(filter(None, map(str.strip, (_text("KOMBO_DAGSTER_HOSTS") or "").split(",")))),
        own_jobs_tokens=tuple(filter(None, map(str.strip, (_text("KOMBO_OWN_JOBS_TOKENS") or "").split(",")))),
        own_jobs_max_rows=int(
            _number("KOMBO_OWN_JOBS_MAX_ROWS", OWN_JOBS_MAX_ROWS, unit="rows", smallest=1, largest=100_000_000)
        ),
        notice_url=_text("KOMBO_NOTICE_URL"),
        notice_secret=_text("KOMBO_NOTICE_SECRET"),
    )


def _is_our_own(file: Path) -> bool:
    """Whether no account but this one and root may have written the file; where another may have, that is said."""
    try:
        found, folder = file.stat(), file.parent.stat()
    except OSError:
        return False
    ours = (0, os.geteuid())
    if found.st_uid not in ours or folder.st_uid not in ours:
        _tell_once(file, "the file or its folder belongs to another account")
        return False
    # Of a folder with the sticky bit, such as /tmp, nobody else can replace the file.
    if _others_may_write(found) or (_others_may_write(folder) and not folder.st_mode & stat.S_ISVTX):
        _tell_once(file, "other accounts may write the file or its folder")
        return False
    return True


@functools.cache
def _tell_once(file: Path, why: str) -> None:
    log.warning(
        "%s was not read: %s, and could send your API key to another host. Make both your own (chown, then "
        "chmod go-w), or set the variables in the environment.", file, why,
    )  # fmt: skip


def _others_may_write(found: os.stat_result) -> bool:
    """Whether other accounts may write; a group that has the number of its only member is no other account."""
    is_private_group = found.st_gid == found.st_uid
    return bool(found.st_mode & (stat.S_IWOTH if is_private_group else stat.S_IWGRP | stat.S_IWOTH))


def _address(name: str, default: str) -> str:
    address = _text(name) or default
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{name} is {address!r}; write an address such as https://jobs.example.com")
    return address.rstrip("/")


def _networks(name: str) -> tuple[Network, ...]:
    networks = []
    for given in filter(None, map(str.strip, (_text(name) or "").split(","))):
        try:
            network = ip_network(given)
        except ValueError:
            network = None
        # Visitors by IPv4 are compared as such, so that a mapped network would match nobody.
        if network is None or network.prefixlen == 0 or getattr(network.network_address, "ipv4_mapped", None):
            raise SettingsError(
                f"{name} has {given!r}; write the networks of your proxies with commas between, such as "
                "10.0.0.0/8,127.0.0.1/32 (no host names, no bits behind the prefix, not all addresses)"
            )
        networks.append(network)
    return tuple(networks)


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
