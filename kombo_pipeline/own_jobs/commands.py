"""The command that imports own jobs from a file."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from kombo_pipeline.db.urls import configured_warehouse
from kombo_pipeline.own_jobs.formats import FORMATS
from kombo_pipeline.vocabulary import SOURCES

REPORT_EVERY_SECONDS: Final = 5.0
"""How often a long import reports its progress on standard error, where that is no terminal."""
_REPORT_EVERY_ROWS: Final = 1000


@click.command("import-own-jobs")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--customer", required=True, help="Your id of the customer, the origin_id of its integrations.")
@click.option("--source", default="import", show_default=True, help=f"{', '.join(SOURCES[:-1])} or {SOURCES[-1]}.")
@click.option("--list", "list_name", default=None, help="The name of the customer's list; by default the source.")
@click.option("--format", "file_format", type=click.Choice(list(FORMATS)), help="Otherwise the suffix decides.")
@click.option("--sheet", help="The sheet of a workbook (.xlsx) that has several.")
@click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="COLUMN=NAME",
    help="Which NAME of the file is the COLUMN of core.own_jobs.",
)
@click.option("--replace", is_flag=True, help="Withdraw jobs of this list that are not in the file.")
@click.option("--dry-run", is_flag=True, help="Only say what the import would do.")
def import_own_jobs(
    file: Path,
    *,
    file_format: Any,
    sheet: str | None,
    columns: Sequence[str],
    customer: str,
    dry_run: bool,
    **options: Any,
) -> None:
    """Import jobs of your own database from a file: CSV, XLSX, JSON, JSON Lines or an XML job feed.

    Rows that cannot be read are named, all others are imported. If too many jobs of the list would be withdrawn at
    once, none is withdrawn until somebody has looked: kombo-pipeline release own-jobs.
    """
    from kombo_pipeline import settings
    from kombo_pipeline.own_jobs import importing, reading

    max_rows = settings.load().own_jobs_max_rows
    mapped = reading.read_mapping(columns)
    with _progress() as report, configured_warehouse() as conn:
        report(f"{file.name} is being read")
        read = reading.read(file, format=file_format, columns=mapped, sheet=sheet, max_rows=max_rows)
        rows = importing.collect(_watched(read, report))
        imported = importing.import_own_jobs(conn, rows, customer_id=customer, **options)
        if dry_run:
            conn.rollback()
    for bad in imported.bad:
        click.echo(f"line {bad.line}: {bad.reason}", err=True)
    if imported.more_bad:
        click.echo(f"and {imported.more_bad:,} further rows with a remark", err=True)
    if dry_run:
        click.echo("Dry run: nothing was written.")
    held = f"{imported.held} held, " if imported.held else ""
    click.echo(
        f"{imported.new} new, {imported.changed} changed, {imported.unchanged} unchanged, "
        f"{imported.withdrawn} withdrawn, {held}{len(imported.bad) + imported.more_bad} rows with a remark"
    )
    if why := importing.why_not_withdrawn(imported, dry_run=dry_run):
        click.echo(f"{why[0].upper()}{why[1:]}.")
    if dry_run:
        for kind, jobs in imported.examples.items():
            for job in jobs:
                changed = f" ({', '.join(job.changed)})" if job.changed else ""
                click.echo(f"  {kind}: {job.own_job_id} {job.title or 'without a title'}{changed}")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the progress of a long import on standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("") as status:
            yield status.update
        return
    reported_at = time.monotonic()

    def report(text: str) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= REPORT_EVERY_SECONDS:
            reported_at = time.monotonic()
            click.echo(text, err=True)

    yield report


def _watched(rows: Iterable[Any], report: Callable[[str], None]) -> Iterator[Any]:
    """Yield the rows, and report how many have been read."""
    read = 0
    for read, row in enumerate(rows, start=1):
        if read % _REPORT_EVERY_ROWS == 0:
            report(f"{read:,} rows are read")
        yield row
    report(f"{read:,} rows are read and are being compared with the warehouse")
