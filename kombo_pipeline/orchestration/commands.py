"""Commands that need Dagster: its webserver, and to forget an integration in the warehouse and in Dagster."""

import getpass
import os
from collections.abc import Sequence
from pathlib import Path

import click

from kombo_pipeline import settings
from kombo_pipeline.db.urls import configured_warehouse
from kombo_pipeline.ingest import forget as forgetting
from kombo_pipeline.ingest.statements import forgotten


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=settings.WEBSERVER_PORT, show_default=True)
@click.option(
    "--workspace",
    "-w",
    multiple=True,
    default=["workspace.yaml"],
    show_default=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Dagster's list of code locations.",
)
@click.option("--path-prefix", default="", help="Where the UI starts behind a proxy, such as /dagster.")
@click.option("--read-only", is_flag=True, help="Nobody starts, stops or changes anything in it.")
def webserver(host: str, port: int, workspace: tuple[Path, ...], path_prefix: str, *, read_only: bool) -> None:
    """Serve Dagster's UI to this machine's browsers, and refuse what pages of other sites send to it.

    It asks nobody for a password. KOMBO_DAGSTER_HOSTS names the hosts under which a proxy with a sign-in passes it on.
    """
    environment = settings.load()
    if "DAGSTER_HOME" not in os.environ:
        raise settings.SettingsError("DAGSTER_HOME is not set; set it to the folder that holds dagster.yaml")
    if path_prefix and (not path_prefix.startswith("/") or path_prefix.endswith("/")):
        raise click.UsageError("--path-prefix begins with / and does not end with it")
    from kombo_pipeline.orchestration.webserver import serve  # noqa: PLC0415 -- Dagster, seconds

    click.echo(f"Dagster on http://{host}:{port}{path_prefix}")
    hosts = (environment.dagster_webserver, *environment.dagster_hosts)
    serve(host=host, port=port, workspace=workspace, path_prefix=path_prefix, read_only=read_only, hosts=hosts)


@click.command()
@click.argument("integration_id", required=False)
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@click.option("--undo", is_flag=True, help="Let it come back: with its next webhook, or with `sync`.")
@click.option("--reason", default=None, help="Why, for those who wonder later.")
@click.option("--by", default=None, help="Who wants it; your login name by default.")
def forget(integration_id: str | None, *, dry_run: bool, undo: bool, reason: str | None, by: str | None) -> None:
    """Forget an integration: a typing error, or a customer that is gone. Without an id, list what was forgotten.

    All its rows are deleted, answers of people too, and it does not come back: webhooks that name it are landed
    and ignored. A fetch that is running is waited for. Links end, and your product is told.
    """
    if (dry_run or undo) and integration_id is None:
        raise click.UsageError("Name the integration")
    with configured_warehouse() as conn:
        if integration_id is None:
            _show(forgotten.forgotten(conn))
            return
        if undo:
            if not forgotten.bring_back(conn, integration_id):
                raise LookupError(f"{integration_id} was not forgotten; `kombo-pipeline forget` lists what was")
            click.echo(f"{integration_id} may come back: with its next webhook, or now with `sync {integration_id}`.")
            return
        if dry_run:
            receipt = forgetting.count(conn, integration_id)
        else:
            receipt = forgetting.forget(conn, integration_id, forgotten_by=by or getpass.getuser(), reason=reason)
    for table, rows in sorted(receipt.rows.items()):
        click.echo(f"{table}: {rows} rows")
    if dry_run:
        click.echo(f"{sum(receipt.rows.values())} rows would be deleted. Nothing was changed.")
        return
    _drop_partition(integration_id)
    click.echo(
        f"{integration_id} is forgotten: {sum(receipt.rows.values())} rows deleted, {receipt.links_ended} links ended. "
        f"`kombo-pipeline forget --undo {integration_id}` lets it come back."
    )


def _show(rows: Sequence[forgotten.Forgotten]) -> None:
    for row in rows:
        why = f": {row.reason}" if row.reason else ""
        click.echo(f"{row.integration_id}, {row.forgotten_at:%Y-%m-%d %H:%M} by {row.forgotten_by}{why}")
    if not rows:
        click.echo("No integration was forgotten.")


def _drop_partition(integration_id: str) -> None:
    """Drop the partition now where Dagster is at hand; elsewhere the webhook sensor drops it with its next tick."""
    if "DAGSTER_HOME" not in os.environ:
        click.echo("Dagster drops the partition with the next tick of webhook_sensor.")
        return
    import dagster as dg  # noqa: PLC0415 -- a second that other commands do without

    from kombo_pipeline.orchestration.runs import drop_partition  # noqa: PLC0415

    with dg.DagsterInstance.get() as instance:
        drop_partition(instance, integration_id)
