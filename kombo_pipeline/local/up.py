"""`kombo-pipeline up`: everything on one machine, and the summary of what landed."""

import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from rich import box
from rich.console import Console
from rich.table import Table

from kombo_pipeline.db import embedded, urls
from kombo_pipeline.db.connection import Connection, connect, redacted
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.local import statements
from kombo_pipeline.local.first_user import backoffice_secret, first_sign_in
from kombo_pipeline.local.sandbox_feeds import SandboxFeeds
from kombo_pipeline.local.stack import Stack, StackError, answers, ask, free_port, listens, running_up, script
from kombo_pipeline.local.statements import SummaryRow
from kombo_pipeline.settings import (
    BACKOFFICE_PORT,
    CODE_SERVER_PORT,
    RECEIVER_PORT,
    SANDBOX_PORT,
    WEBSERVER_PORT,
    Settings,
)

_EVER = datetime.min.replace(tzinfo=UTC)
_PROJECT = Path(__file__).parents[2]
_SANDBOX_KEY, _SANDBOX_SECRET = "sandbox-key", "kombo-sandbox-webhook-secret"
ONCE_WITHIN_SECONDS = 600


@dataclass(frozen=True)
class SandboxSize:
    """How large the sandbox's world is, and which one."""

    integrations: int
    jobs: int
    seed: int


def up(settings: Settings, size: SandboxSize, *, once: bool, console: Console) -> int:
    """Start everything, show what lands, stop everything at Ctrl-C; return the exit code.

    With `once`, stop as soon as every integration's first incremental chain has finished. Raises StackError
    when something does not come up.
    """
    if pid := running_up(settings.data_dir):
        raise StackError(f"`kombo-pipeline up` runs already (process {pid}); stop it, or use another KOMBO_DATA_DIR")
    embedded.make_private(settings.data_dir)
    postgres_dir = settings.data_dir / "postgres"
    uses_embedded = settings.warehouse_url is None or settings.dagster_url is None
    was_running = uses_embedded and embedded.status(postgres_dir) is not None
    stack = Stack(settings.data_dir)
    try:
        with _terminated_like_interrupted():
            warehouse, sandbox = _start(stack, settings, size, console)
            feeds = SandboxFeeds(sandbox) if sandbox else None
            return _watch(stack, warehouse, settings, _FirstChains(sandbox), feeds, once=once, console=console)
    except KeyboardInterrupt:
        console.print("Stopping.")
        return 0
    finally:
        stack.stop()
        if uses_embedded and not was_running:
            embedded.stop(postgres_dir)


def _start(stack: Stack, settings: Settings, size: SandboxSize, console: Console) -> tuple[str, str | None]:
    warehouse, dagster = urls.warehouse_url(settings), urls.dagster_url(settings)
    console.print(f"Postgres      {redacted(warehouse)}", highlight=False, soft_wrap=True)
    migrate(warehouse)
    home = settings.data_dir / "dagster"
    home.mkdir(mode=0o700, exist_ok=True)
    home.chmod(0o700)
    shutil.copyfile(_PROJECT / "dagster.yaml", home / "dagster.yaml")
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "KOMBO_DATA_DIR": str(settings.data_dir),
        "KOMBO_WAREHOUSE_URL": warehouse,
        "KOMBO_DAGSTER_URL": dagster,
        "KOMBO_API_URL": settings.kombo_api_url,
    }
    receiver = f"http://127.0.0.1:{free_port(RECEIVER_PORT)}"
    sandbox = None
    if settings.kombo_api_key is None:
        sandbox = f"http://127.0.0.1:{free_port(SANDBOX_PORT)}"
        environment |= {
            "KOMBO_API_URL": f"{sandbox}/v1",
            "KOMBO_API_KEY": _SANDBOX_KEY,
            "KOMBO_WEBHOOK_SECRETS": ",".join(settings.webhook_secrets) or _SANDBOX_SECRET,
        }
    command = [sys.executable, "-m", "kombo_pipeline"]
    stack.start(
        "receiver",
        [*command, "receiver", "--port", _port(receiver)],
        environment=environment,
        is_ready=lambda: answers(f"{receiver}/healthz"),
    )
    console.print(f"Receiver      {receiver}/webhooks/kombo", highlight=False)
    if sandbox is not None:
        stack.start(
            "sandbox",
            [
                *(*command, "sandbox", "--port", _port(sandbox), "--webhook-url", f"{receiver}/webhooks/kombo"),
                *("--integrations", str(size.integrations), "--jobs", str(size.jobs), "--seed", str(size.seed)),
            ],
            environment=environment,
            is_ready=lambda: answers(f"{sandbox}/sandbox"),
        )
        console.print(f"Sandbox       {sandbox}/sandbox", highlight=False)
    webserver = _start_dagster(stack, home, environment)
    console.print(f"Dagster       {webserver}", highlight=False)
    _start_backoffice(stack, settings, warehouse, environment | {"KOMBO_DAGSTER_WEBSERVER": webserver}, console)
    return warehouse, sandbox


def _start_backoffice(
    stack: Stack, settings: Settings, warehouse: str, environment: dict[str, str], console: Console
) -> None:
    backoffice = f"http://127.0.0.1:{free_port(BACKOFFICE_PORT)}"
    environment |= {
        "KOMBO_BACKOFFICE_SECRET": settings.backoffice_secret or backoffice_secret(settings.data_dir),
        "KOMBO_BACKOFFICE_URL": backoffice,
        # No proxy stands before it here.
        "KOMBO_BACKOFFICE_PROXY_HEADER": "",
    }
    stack.start(
        "backoffice",
        [sys.executable, "-m", "kombo_pipeline", "backoffice", "--port", _port(backoffice)],
        environment=environment,
        is_ready=lambda: answers(f"{backoffice}/healthz"),
    )
    with connect(warehouse) as conn:
        link, password_file = first_sign_in(conn, settings.data_dir, backoffice)
    console.print(f"Back office   {link}", highlight=False, soft_wrap=True)
    console.print(
        f"              opens once; later sign in as admin with the password in {password_file}", soft_wrap=True
    )


def _start_dagster(stack: Stack, home: Path, environment: dict[str, str]) -> str:
    code_server = free_port(CODE_SERVER_PORT)
    workspace = home / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {code_server}, location_name: kombo_pipeline}}\n"
    )
    # A code server of its own: the daemon would start one anew every minute, at 2 CPU-seconds each.
    stack.start(
        "code-server",
        [
            *(script("dagster"), "code-server", "start", "-h", "127.0.0.1", "-p", str(code_server)),
            *("-m", "kombo_pipeline.definitions", "--location-name", "kombo_pipeline"),
        ],
        environment=environment,
        is_ready=lambda: listens(code_server),
    )
    stack.start(
        "daemon",
        [script("dagster-daemon"), "run", "-w", str(workspace)],
        environment=environment,
        is_ready=lambda: True,
    )
    webserver = f"http://127.0.0.1:{free_port(WEBSERVER_PORT)}"
    stack.start(
        "webserver",
        [sys.executable, "-m", "kombo_pipeline", "webserver", "--port", _port(webserver), "-w", str(workspace)],
        environment=environment,
        is_ready=lambda: answers(f"{webserver}/server_info"),
    )
    return webserver


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _watch(
    stack: Stack,
    warehouse: str,
    settings: Settings,
    first: "_FirstChains",
    feeds: SandboxFeeds | None,
    *,
    once: bool,
    console: Console,
) -> int:
    """Show what lands until interrupted, or until every integration has had its first incremental chain."""
    deadline = time.monotonic() + ONCE_WITHIN_SECONDS
    shown: statements.Counts | None = None
    complete = False
    while True:
        for name in stack.revive():
            console.print(f"{name} had ended and was started again; see {settings.data_dir}/logs/{name}.log")
        try:
            with connect(warehouse) as conn:
                if feeds:
                    feeds.import_due(conn)
                counts: statements.Counts | None = statements.counts(conn)
                if not complete and first.are_complete(conn):
                    complete = True
                    console.print(_summary(statements.summary(conn)))
                    if once:
                        return 0
                    console.print("Changes go on arriving. Ctrl-C stops everything.")
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            console.print(f"Postgres does not answer: {str(error).splitlines()[0]}", highlight=False)
            counts = shown
            with suppress(embedded.EmbeddedPostgresError):  # tried again at the next look
                started_at = urls.warehouse_url(settings)  # starts the embedded server again
                if started_at != warehouse:
                    # All processes look for it where it was.
                    raise StackError(
                        "Postgres ended, and another program has taken its port meanwhile: it was started again on "
                        f"port {urlsplit(started_at).port}. Start `kombo-pipeline up` again"
                    ) from error
        except psycopg.Error as error:
            # A summary is no reason to stop everything: a lock or a migration may have been in its way.
            console.print(f"The summary failed and is tried again: {str(error).splitlines()[0]}", highlight=False)
            counts = shown
        if counts and counts != shown and counts.integrations:
            shown = counts
            text = "{} integrations, {:,} jobs, {:,} own jobs, {:,} changes, {:,} fetches".format(*counts)
            console.print(text, highlight=False)
        if once and time.monotonic() > deadline:
            raise StackError(
                f"Not every integration was fetched and matched within {ONCE_WITHIN_SECONDS} s; see "
                f"marts.integration_health and {settings.data_dir}/logs"
            )
        time.sleep(1 if once or not complete else 5)


class _FirstChains:
    """Whether the integrations there were at the start have been fetched, in full and again, and matched."""

    def __init__(self, sandbox: str | None) -> None:
        self._sandbox = sandbox
        self._started_at = datetime.now(UTC)
        self._awaited: list[str] | None = None

    def are_complete(self, conn: Connection) -> bool:
        """Look once. When all have been fetched in full, the sandbox is asked to sync them, so that webhooks come."""
        if self._awaited is None:
            known = self._in_sandbox() if self._sandbox else integrations.registered(conn)
            if not known or not statements.have_applied(conn, known, kind="full", since=_EVER):
                return False
            self._awaited = known
            for integration_id in known if self._sandbox else ():
                ask(f"{self._sandbox}/sandbox/integrations/{integration_id}/sync", method="POST")
        again = statements.have_applied(conn, self._awaited, kind="incremental", since=self._started_at)
        return again and self._are_matched(conn)

    def _are_matched(self, conn: Connection) -> bool:
        rows = statements.matched(conn, self._awaited or [])
        return all(row.matched == row.own_jobs and (row.own_jobs or not self._sandbox) for row in rows)

    def _in_sandbox(self) -> list[str]:
        with urllib.request.urlopen(f"{self._sandbox}/sandbox", timeout=5) as answer:  # noqa: S310 -- ours
            return [integration["id"] for integration in json.load(answer)["integrations"]]


def _summary(rows: list[SummaryRow]) -> Table:
    table = Table(title="What landed", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("Organization", max_width=24)
    for column in ("Jobs", "Open", "Changes", "Own jobs", "Linked", "To review", "Fresh as of"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Health")
    for row in rows:
        table.add_row(
            row.organization_name,
            f"{row.jobs:,}",
            f"{row.open_jobs:,}",
            f"{row.changes:,}",
            f"{row.own_jobs:,}",
            f"{row.linked:,}",
            f"{row.waiting_for_review:,}",
            f"{row.fresh_as_of:%H:%M:%S}" if row.fresh_as_of else "-",
            row.health + (f" ({row.who_must_act} must act)" if row.who_must_act else ""),
        )
    return table


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    # A closed terminal hangs up; under nohup it is ignored and stays so.
    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
