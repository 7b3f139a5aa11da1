"""Every environment variable, declared once: name, default, type, meaning. Nothing else reads the environment."""

import functools
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import load_dotenv

SANDBOX_PORT, WEBSERVER_PORT, RECEIVER_PORT, CODE_SERVER_PORT, BACKOFFICE_PORT = 8090, 3000, 8080, 4266, 8081
MINIMUM_SECRET_LENGTH = 16
OWN_JOBS_MAX_ROWS = 1_000_000
log = logging.getLogger(__name__)

Network = IPv4Network | IPv6Network


class SettingsError(ValueError):
    """An environment variable is missing or wrong; the message names it and says what to write."""


Read = Callable[[str, str], Any]
"""Makes a value of the name of a variable and its text; raises SettingsError."""


def _text(_name: str, given: str) -> str:
    return given


def _list(_name: str, given: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, given.split(","))))


def _folder(_name: str, given: str) -> Path:
    return Path(given).absolute()


def _url(_name: str, given: str) -> str:
    return given.rstrip("/")


def _address(name: str, given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{name} is {given!r}; write an address such as https://jobs.example.com")
    return given.rstrip("/")


def _networks(name: str, given: str) -> tuple[Network, ...]:
    networks = []
    for each in _list(name, given):
        try:
            network = ip_network(each)
        except ValueError:
            network = None
        # Visitors by IPv4 are compared as such, so that a mapped network would match nobody.
        if network is None or network.prefixlen == 0 or getattr(network.network_address, "ipv4_mapped", None):
            raise SettingsError(
                f"{name} has {each!r}; write the networks of your proxies with commas between, such as "
                "10.0.0.0/8,127.0.0.1/32 (no host names, no bits behind the prefix, not all addresses)"
            )
        networks.append(network)
    return tuple(networks)


def _number(unit: str, smallest: int, largest: int, kind: type = float) -> Read:
    def read(name: str, given: str) -> Any:
        try:
            number = float(given)
        except ValueError:
            number = smallest - 1
        if not smallest <= number <= largest:
            raise SettingsError(f"{name} is {given!r}; write a number of {unit} from {smallest} to {largest}")
        return kind(number)

    return read


def _variable(name: str, read: Read = _text, default: str | None = None, *, secret: bool = False) -> Any:
    """Declare a field: its environment variable, how its text is read, and the text that stands in for it if unset.

    Without a default, a variable that is unset is None, or an empty tuple if it is a list. A secret is not in the repr.
    """
    metadata = {"name": name, "read": read}
    if default is None:
        unset = () if read in (_list, _networks) else None
        return field(default=unset, repr=not secret, metadata=metadata)
    return field(default_factory=lambda: read(name, default), repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The environment as the project understands it. A new variable is declared here, and nowhere else."""

    kombo_api_url: str = _variable("KOMBO_API_URL", _url, "https://api.kombo.dev/v1")
    """Kombo's API: https://api.kombo.dev/v1 (EU), https://api.us.kombo.dev/v1 or https://api.ca.kombo.dev/v1."""
    kombo_api_key: str | None = _variable("KOMBO_API_KEY", secret=True)
    """The bearer key of your Kombo environment. Unset: `up` starts the sandbox."""
    webhook_secrets: tuple[str, ...] = _variable("KOMBO_WEBHOOK_SECRETS", _list, secret=True)
    """Comma-separated, newest first; all are accepted, so that no delivery is lost while a secret is replaced."""
    warehouse_url: str | None = _variable("KOMBO_WAREHOUSE_URL", secret=True)
    """The warehouse. Unset: a database of the embedded Postgres."""
    dagster_url: str | None = _variable("KOMBO_DAGSTER_URL", secret=True)
    """Dagster's own database. Unset: another database of the embedded Postgres."""
    data_dir: Path = _variable("KOMBO_DATA_DIR", _folder, ".local")  # noqa: RUF009 -- a field, not a value
    """Where the embedded Postgres and the logs are; a relative path starts at the working directory."""
    overlap_seconds: float = _variable("KOMBO_OVERLAP_SECONDS", _number("seconds", 0, 86_400), "300")
    """How far before the watermark an incremental fetch asks."""
    stale_after_days: float = _variable("KOMBO_STALE_AFTER_DAYS", _number("days", 1, 365), "7")
    """Data that is older is too old for applications."""
    customer_requests_an_hour: float = _variable(
        "KOMBO_CUSTOMER_REQUESTS_AN_HOUR", _number("requests", 0, 100_000), "60"
    )
    """How many requests to Kombo the pastes of one customer may cause in an hour."""
    backoffice_secret: str | None = _variable("KOMBO_BACKOFFICE_SECRET", secret=True)
    """Signs forms and customers' links; 32 characters or more. `up` makes one."""
    backoffice_proxy_header: str | None = _variable("KOMBO_BACKOFFICE_PROXY_HEADER")
    """The header in which a trusted proxy names the user. Unset: users sign in with passwords."""
    trusted_proxies: tuple[Network, ...] = _variable("KOMBO_TRUSTED_PROXIES", _networks)
    """Comma-separated networks of proxies whose X-Forwarded-For and user header are believed."""
    backoffice_url: str = _variable("KOMBO_BACKOFFICE_URL", _address, f"http://127.0.0.1:{BACKOFFICE_PORT}")
    """The back office's public address; with https its cookies are Secure."""
    dagster_webserver: str = _variable("KOMBO_DAGSTER_WEBSERVER", _address, f"http://127.0.0.1:{WEBSERVER_PORT}")
    """Where the back office starts runs and links to."""
    dagster_hosts: tuple[str, ...] = _variable("KOMBO_DAGSTER_HOSTS", _list)
    """Comma-separated: more host names under which browsers may reach Dagster's webserver."""
    own_jobs_tokens: tuple[str, ...] = _variable("KOMBO_OWN_JOBS_TOKENS", _list, secret=True)
    """Comma-separated tokens of the own-jobs feed: customer=token, or a bare token for all customers."""
    own_jobs_max_rows: int = _variable(
        "KOMBO_OWN_JOBS_MAX_ROWS", _number("rows", 1, 100_000_000, int), str(OWN_JOBS_MAX_ROWS)
    )
    """A list of own jobs with more rows is refused as a whole."""
    notice_url: str | None = _variable("KOMBO_NOTICE_URL", secret=True)
    """Where notices are delivered. Unset: they stay in marts.notices."""
    notice_secret: str | None = _variable("KOMBO_NOTICE_SECRET", secret=True)
    """Signs the notices (Standard Webhooks): whsec_ and base64; several, with commas between."""


def load() -> Settings:
    """Read the environment, and a `.env` file of the working directory for what it does not set.

    A file that another account may have written is passed over: it could send the API key to another host.

    Raises SettingsError for a value that cannot be used.
    """
    if _is_our_own(file := Path.cwd() / ".env"):
        load_dotenv(file)
    given = {each: os.environ.get(each.metadata["name"], "").strip() for each in fields(Settings)}
    return Settings(
        **{each.name: each.metadata["read"](each.metadata["name"], text) for each, text in given.items() if text}
    )


def _is_our_own(file: Path) -> bool:
    """Whether only this account and root may have written the file; if not, a warning is logged once."""
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
    """Whether other accounts may write. A group with the number of the file's owner has no other member."""
    is_private_group = found.st_gid == found.st_uid
    return bool(found.st_mode & (stat.S_IWOTH if is_private_group else stat.S_IWGRP | stat.S_IWOTH))
