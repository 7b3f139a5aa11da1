"""The command line. Each command says in one line what failed and exits with 1."""

import getpass
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from kombo_pipeline import settings
from kombo_pipeline.backoffice.commands import customer_link, user
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.urls import configured_warehouse
from kombo_pipeline.ingest.commands import events, release_owner
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import KomboError
from kombo_pipeline.kombo.responses import page_text
from kombo_pipeline.linking.commands import notices, targets
from kombo_pipeline.orchestration.commands import forget, webserver
from kombo_pipeline.own_jobs.commands import import_own_jobs
from kombo_pipeline.settings import BACKOFFICE_PORT, RECEIVER_PORT, SANDBOX_PORT, Settings, SettingsError

_EXPECTED = (SettingsError, KomboError, psycopg.Error, RuntimeError, ValueError, LookupError, OSError)
_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")


class _Command(click.Group):
    """Turns the failures a user can mend into one line on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own way out, a RuntimeError, and that of `kombo-pipeline page 1 1 | head`
        except _EXPECTED as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise click.ClickException(lines[0] if isinstance(error, psycopg.Error) else "\n".join(lines)) from error


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Keep a Postgres copy of every customer's ATS jobs, always current."""


@main.command()
@click.option("--once", is_flag=True, help="Exit as soon as every integration's first incremental chain has finished.")
@click.option("--integrations", default=5, show_default=True, help="Integrations of the sandbox.")
@click.option("--jobs", default=2000, show_default=True, help="Jobs of the sandbox, all integrations together.")
@click.option("--seed", default=1, show_default=True, help="Seed of the sandbox: the same seed, the same customers.")
def up(once: bool, integrations: int, jobs: int, seed: int) -> None:
    """Run everything on this machine: Postgres, sandbox, receiver, Dagster. Ctrl-C stops it all.

    KOMBO_WAREHOUSE_URL and KOMBO_DAGSTER_URL replace the embedded Postgres, KOMBO_API_KEY the sandbox.
    """
    from kombo_pipeline.local.up import SandboxSize
    from kombo_pipeline.local.up import up as start_everything

    console = Console()
    sys.exit(start_everything(settings.load(), SandboxSize(integrations, jobs, seed), once=once, console=console))


@main.command()
def down() -> None:
    """Stop what a killed `up` left running, the embedded Postgres included."""
    from kombo_pipeline.db import embedded
    from kombo_pipeline.local.stack import stop_leftovers

    data_dir = settings.load().data_dir
    stopped = stop_leftovers(data_dir)
    if embedded.stop(data_dir / "postgres"):
        stopped.append("postgres")
    click.echo(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


@main.command()
@click.option("--drop-dependents", is_flag=True, help="Drop views of others that do not fit the new views of marts.")
def migrate(drop_dependents: bool) -> None:
    """Bring the warehouse to the newest schema. It may be in use meanwhile.

    Grants stay, and so do views that you built on those of marts. Where one of them does not fit any more, it is named
    and nothing is changed.
    """
    from kombo_pipeline.db.migrate import migrate as bring_up_to_date
    from kombo_pipeline.db.urls import warehouse_url

    revision = bring_up_to_date(warehouse_url(settings.load()), drop_dependents=drop_dependents)
    click.echo(f"The warehouse has schema revision {revision}.")


@main.command()
@_host
@click.option("--port", default=RECEIVER_PORT, show_default=True)
def receiver(host: str, port: int) -> None:
    """Serve the webhook receiver (POST /webhooks/kombo, GET /healthz)."""
    from kombo_pipeline.db.urls import warehouse_url
    from kombo_pipeline.ingest.receiver import serve

    environment = settings.load()
    serve(warehouse_url=warehouse_url(environment), secrets=environment.webhook_secrets, host=host, port=port)


@main.command()
@_host
@click.option("--port", default=BACKOFFICE_PORT, show_default=True)
def backoffice(host: str, port: int) -> None:
    """Serve the back office: review, job picker, links, integrations."""
    from kombo_pipeline.backoffice.app import serve
    from kombo_pipeline.db.urls import warehouse_url

    environment = settings.load()
    serve(warehouse_url=warehouse_url(environment), settings=environment, host=host, port=port)


@main.command()
@_host
@click.option("--port", default=SANDBOX_PORT, show_default=True)
@click.option("--integrations", default=5, show_default=True)
@click.option("--jobs", default=2000, show_default=True, help="All integrations together.")
@click.option("--seed", default=1, show_default=True)
@click.option("--latency-ms", default=0.0, show_default=True, help="Added to each answer.")
@click.option("--faults", default=0.0, show_default=True, help="Rate of random faults, 0 to 1.")
@click.option("--webhook-url", default=None, help="Where webhooks are delivered.")
@click.option("--postings", type=click.Path(dir_okay=False, path_type=Path), help="CSV of real postings to serve.")
@click.option("--allow-host", multiple=True, help="Another host name under which it is reached.")
@click.option("--live/--still", default=True, show_default=True, help="Whether jobs change by themselves.")
def sandbox(host: str, port: int, live: bool, **world: Any) -> None:
    """Serve a Kombo stand-in (base URL http://HOST:PORT/v1, key `sandbox-key`)."""
    from kombo_pipeline.sandbox.api import API_KEY
    from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET
    from kombo_pipeline.sandbox.server import serve_sandbox

    secrets = settings.load().webhook_secrets
    secret = secrets[0] if secrets else WEBHOOK_SECRET
    click.echo(f"Sandbox on http://{host}:{port}/v1, control on http://{host}:{port}/sandbox")
    serve_sandbox(host=host, port=port, live=live, webhook_secret=secret, api_key=API_KEY, **world)


@main.command()
@click.argument("integration_id")
@click.option("--full", is_flag=True, help="Fetch every job, not only what changed.")
def sync(integration_id: str, full: bool) -> None:
    """Run the assets of one integration in this process."""
    from kombo_pipeline.orchestration.runs import run_in_this_process

    with configured_warehouse() as conn, _fetch_progress(conn, integration_id):
        outcome = run_in_this_process(integration_id, full=full)
    for line in outcome.lines:
        click.echo(line)
    if outcome.failure:
        raise click.ClickException(f"{integration_id} was not synced. {outcome.failure}")


@main.command()
@click.argument("integration_id")
@click.option("--ids", default="", help="Kombo ids, comma-separated; likewise the next two.")
@click.option("--remote-ids", default="")
@click.option("--job-codes", default="")
@click.option("--post-url", "post_urls", multiple=True, help="May be repeated.")
@click.option("--name-contains", default=None)
def lookup(integration_id: str, post_urls: Sequence[str], name_contains: str | None, **identifiers: str) -> None:
    """Ask Kombo for particular jobs, with as few calls as possible; prints one JSON record a line."""
    wanted = {name: [part.strip() for part in text.split(",") if part.strip()] for name, text in identifiers.items()}
    if not any(wanted.values()) and not post_urls and not name_contains:
        raise click.UsageError("Name at least one identifier, for example --job-codes ENG-2026-041")
    with _kombo(settings.load()) as kombo:
        records = kombo.find_jobs(integration_id, post_urls=post_urls, name_contains=name_contains, **wanted)
    for record in records:
        click.echo(bytes(record))
    click.echo(
        f"{len(records)} jobs. A tool that does not provide the field answers with none: that is no proof of absence.",
        err=True,
    )


@main.command()
@click.option("--ats", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--own", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", default=None, type=click.Path(dir_okay=False, path_type=Path), help="One line a candidate, CSV.")
def evaluate(ats: Path, own: Path, out: Path | None) -> None:
    """Run the title matcher on a labelled set, customer by customer, and print how good it is."""
    from kombo_pipeline.matching.evaluate import evaluate as measure

    click.echo(str(measure(ats, own, out)))


@main.command()
@click.argument("fetch_id", type=int)
@click.argument("page", type=int)
@click.option("--job", default=None, help="Only the record of this Kombo job id.")
def page(fetch_id: int, page: int, job: str | None) -> None:
    """Print a page as Kombo sent it."""
    from kombo_pipeline.ingest.statements import job_pages

    with configured_warehouse() as conn:
        found = job_pages.read(conn, fetch_id, [page])
    if not found:
        raise LookupError(f"There is no page {page} of fetch {fetch_id}; see raw.job_pages")
    text = page_text(found[0].body)
    if job is None:
        click.echo(text)
        return
    records = [record for record in json.loads(text)["data"]["results"] if record.get("id") == job]
    if not records:
        raise LookupError(f"Job {job} is not on page {page} of fetch {fetch_id}")
    click.echo(json.dumps(records[0], indent=2, ensure_ascii=False))


@main.command()
@click.argument("event_ids", nargs=-1)
def replay(event_ids: Sequence[str]) -> None:
    """Handle landed webhook events again: those named, or all that no fetch has covered and all that are dead."""
    from kombo_pipeline.ingest.statements import webhook_events

    with configured_warehouse() as conn:
        replayed = webhook_events.replay(conn, event_ids or None)
    for event in replayed:
        click.echo(f"{event.event_id} {event.event_type} {event.integration_id or '-'}")
    if unknown := set(event_ids) - {event.event_id for event in replayed}:
        raise LookupError(f"No such event: {', '.join(sorted(unknown))}")
    click.echo(f"{len(replayed)} events wait for the webhook sensor.")


@main.group()
def release() -> None:
    """Release quarantined records, a held closure or a held withdrawal, or say whose an integration is."""


@release.command("records")
@click.argument("quarantine_ids", nargs=-1, type=int)
def release_records(quarantine_ids: Sequence[int]) -> None:
    """Read quarantined records again with today's code: those named, or all."""
    from kombo_pipeline.ingest.apply import release_records as apply_them

    with configured_warehouse() as conn:
        applied, staying = apply_them(conn, quarantine_ids or None)
    for record in staying:
        click.echo(f"{record.quarantine_id} stays: {record.reason}")
    click.echo(f"{applied} records applied, {len(staying)} stay in quarantine.")


@release.command("closure")
@click.argument("hold_id", type=int, required=False)
@click.option("--refuse", is_flag=True, help="Leave the jobs as they are.")
@click.option("--by", default=None, help="Who decides; your login name by default.")
def release_closure(hold_id: int | None, refuse: bool, by: str | None) -> None:
    """Close exactly the jobs that a hold names; without a number, list what is held."""
    from kombo_pipeline.ingest import lifecycle
    from kombo_pipeline.ingest.statements import held_closures

    with configured_warehouse() as conn:
        if hold_id is None:
            holds = held_closures.waiting(conn)
            if not holds:
                click.echo("No closure is held.")
            for hold in holds:
                click.echo(
                    f"{hold.hold_id}: {hold.integration_id}, {len(hold.kombo_job_ids)} of {hold.open_jobs} "
                    f"open jobs, {hold.reason}, held {hold.held_at:%Y-%m-%d %H:%M}"
                )
            return
        closed = lifecycle.release_closure(conn, hold_id, decided_by=by or getpass.getuser(), refuse=refuse)
    if closed is None:
        raise LookupError(f"No closure {hold_id} waits for a decision")
    click.echo("Refused; the jobs stay as they are." if refuse else f"{closed} jobs closed.")


@release.command("own-jobs")
@click.argument("hold_id", type=int, required=False)
@click.option("--refuse", is_flag=True, help="Leave the own jobs as they are.")
@click.option("--by", default=None, help="Who decides; your login name by default.")
def release_own_jobs(hold_id: int | None, refuse: bool, by: str | None) -> None:
    """Withdraw exactly the own jobs that a hold names; without a number, list what is held."""
    from kombo_pipeline.linking import links
    from kombo_pipeline.own_jobs import held_withdrawals
    from kombo_pipeline.own_jobs.importing import release_withdrawal

    with configured_warehouse() as conn:
        if hold_id is None:
            holds = held_withdrawals.waiting(conn)
            if not holds:
                click.echo("No withdrawal is held.")
            for hold in holds:
                click.echo(
                    f"{hold.hold_id}: list {hold.list_name} of {hold.customer_id}, {len(hold.own_job_ids)} of "
                    f"{hold.living_jobs} own jobs, held {hold.held_at:%Y-%m-%d %H:%M}"
                )
            return
        released = release_withdrawal(conn, hold_id, decided_by=by or getpass.getuser(), refuse=refuse)
        if released is None:
            raise LookupError(f"No withdrawal {hold_id} waits for a decision")
        links.follow_own_jobs(conn, released.customer_id)
    told = f"{len(released.withdrawn)} own jobs withdrawn."
    click.echo("Refused; the own jobs stay as they are." if refuse else told)


main.add_command(import_own_jobs)
main.add_command(webserver)
main.add_command(forget)
main.add_command(events)
main.add_command(notices)
main.add_command(targets)
main.add_command(user)
main.add_command(customer_link)
release.add_command(release_owner)


def _kombo(environment: Settings) -> Kombo:
    if environment.kombo_api_key is None:
        raise SettingsError("KOMBO_API_KEY is not set; create a key in the Kombo dashboard")
    return Kombo(api_url=environment.kombo_api_url, api_key=environment.kombo_api_key)


@contextmanager
def _fetch_progress(conn: Connection, integration_id: str) -> Iterator[None]:
    """Show on a terminal how many pages have landed; they are committed one by one, so any connection sees them."""
    from kombo_pipeline.ingest.statements import job_pages

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    conn.autocommit = True
    done = threading.Event()

    def follow(progress: Progress) -> None:
        task = progress.add_task(f"{integration_id}: asking Kombo", total=None)
        while not done.wait(0.5):
            landed = job_pages.progress(conn, integration_id)
            text = f"{integration_id}: {landed.pages} pages, {landed.records:,} records"
            progress.update(task, description=text)

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        thread = threading.Thread(target=follow, args=(progress,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
