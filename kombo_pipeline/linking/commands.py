"""Commands about what your product is told: the notices that wait, and the application targets that it should know."""

from pathlib import Path
from typing import Final
from uuid import UUID

import click

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.urls import configured_warehouse
from kombo_pipeline.linking import targets as telling
from kombo_pipeline.linking.statements import notices as statements
from kombo_pipeline.linking.statements.notices import UndeliveredNotice
from kombo_pipeline.linking.statements.targets import Pair

_SHOWN: Final = 100


@click.command()
@click.option("--dead", is_flag=True, help="List the notices that were given up instead of those that wait.")
@click.option("--retry", "notice_id", type=click.UUID, metavar="NOTICE_ID", help="Send this notice again, at once.")
@click.option("--retry-dead", is_flag=True, help="Send again all notices that were given up.")
def notices(dead: bool, notice_id: UUID | None, retry_dead: bool) -> None:
    """List the notices that your product has not received yet, or have them sent again.

    The back office sends them to KOMBO_NOTICE_URL while it runs.
    """
    if dead + retry_dead + (notice_id is not None) > 1:
        raise click.UsageError("Choose only one of --dead, --retry and --retry-dead")
    with configured_warehouse() as conn:
        if notice_id is not None or retry_dead:
            retried = statements.retry(conn, notice_id)
            if notice_id is not None and not retried:
                raise LookupError(f"There is no notice {notice_id} that was not delivered; see marts.notices")
            click.echo(f"{retried} notices are due now.")
            return
        found = statements.undelivered(conn, dead=dead, limit=_SHOWN + 1)
    for row in found[:_SHOWN]:
        due = "given up" if dead else f"due {row.next_attempt_at:%Y-%m-%d %H:%M}"
        click.echo(
            f"{row.notice_id} {row.type} {_subject(row)} of {row.customer_id}, "
            f"{row.attempts} attempts, {due}" + (f": {row.last_error}" if row.last_error else "")
        )
    if len(found) > _SHOWN:
        click.echo(f"These are the oldest {_SHOWN}; all are in marts.notices.")
    if not found:
        click.echo("No notice was given up." if dead else "No notice waits.")


@click.command()
@click.option("--customer", "customer_id", help="Print the targets of this customer, one per line.")
@click.option(
    "--compare",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file with the targets that your product has for the customer, in the same form.",
)
@click.option("--tell", is_flag=True, help="Write a notice for each difference from the file.")
def targets(customer_id: str | None, compare: Path | None, tell: bool) -> None:
    """Print the application targets that your product was told: for each customer their number and SHA-256.

    With --customer, print one line per target: own_job_id, integration_id and kombo_job_id, separated by tabs and
    sorted by their bytes. The SHA-256 is that of these lines. With --compare, print the differences from a file of the
    same form: + is a target that your product does not have, - is one that it has and should not have.
    """
    if (compare is not None and customer_id is None) or (tell and compare is None):
        raise click.UsageError(
            "--compare needs --customer, and --tell needs --compare: "
            "kombo-pipeline targets --customer ID --compare FILE --tell"
        )
    with configured_warehouse() as conn:
        if customer_id is None:
            found = telling.snapshots(conn)
            for each in found:
                click.echo(f"{each.customer_id}\t{len(each.pairs)}\t{each.digest}")
            if not found:
                click.echo("There are no application targets.", err=True)
            return
        if compare is None:
            [snapshot] = telling.snapshots(conn, customer_id)
            for line in snapshot.lines:
                click.echo(line)
            click.echo(
                f"{len(snapshot.pairs)} targets, SHA-256 {snapshot.digest}, up to the notice with sequence "
                f"{snapshot.sequence}",
                err=True,
            )
            return
        with compare.open(encoding="utf-8-sig", newline="\n") as lines:
            _compare(conn, customer_id, telling.read_pairs(lines), tell=tell)


def _compare(conn: Connection, customer_id: str, held: list[Pair], *, tell: bool) -> None:
    if tell:
        found = telling.tell_differences(conn, customer_id, held)
    else:
        [snapshot] = telling.snapshots(conn, customer_id)
        found = telling.differences(snapshot, held)
    for sign, pairs in (("+", found.lacking), ("-", found.wrong)):
        for pair in pairs:
            click.echo("\t".join((sign, *pair)))
    queued = f"; {len(found.lacking) + len(found.wrong)} notices are queued" if tell else ""
    click.echo(f"{len(found.lacking)} targets are lacking, {len(found.wrong)} are held wrongly{queued}.", err=True)


def _subject(notice: UndeliveredNotice) -> str:
    if notice.link_id is not None:
        return f"link {notice.link_id}"
    if notice.own_job_id is not None:
        return f"own job {notice.own_job_id}"
    if notice.kombo_job_id is not None:
        return f"job {notice.kombo_job_id}"
    return f"integration {notice.integration_id}"
