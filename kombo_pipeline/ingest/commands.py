"""Commands about events and about whose an integration is."""

import getpass

import click

from kombo_pipeline.db.urls import configured_warehouse

_SHOWN = 100


@click.command()
@click.option("--dead", is_flag=True, help="List those that could not be interpreted instead of counting what waits.")
def events(dead: bool) -> None:
    """Count the webhook events that wait, or list the dead ones: id, type, integration, time of arrival, reason.

    `kombo-pipeline replay EVENT_ID` interprets a dead one again.
    """
    from kombo_pipeline.ingest.statements import webhook_events

    with configured_warehouse() as conn:
        if not dead:
            counts = webhook_events.counts(conn)
            click.echo(
                f"{counts.unseen} events wait for the webhook sensor, {counts.waiting} for a fetch, {counts.dead} are "
                "dead." + (" List them with `kombo-pipeline events --dead`." if counts.dead else "")
            )
            return
        found = webhook_events.dead(conn, _SHOWN + 1)
    for event in found[:_SHOWN]:
        click.echo(
            f"{event.event_id} {event.event_type or '-'} {event.integration_id or '-'} "
            f"received {event.received_at:%Y-%m-%d %H:%M}: {event.reason}"
        )
    if len(found) > _SHOWN:
        click.echo(f"The newest {_SHOWN}; all are in marts.dead_events.")
    if not found:
        click.echo("No event is dead.")


@click.command("owner")
@click.argument("integration_id", required=False)
@click.option("--customer", help="Whose it is: your id of the known customer, or of the one that Kombo names now.")
@click.option("--by", default=None, help="Who decides; your login name by default.")
def release_owner(integration_id: str | None, customer: str | None, by: str | None) -> None:
    """Say whose an integration is, when Kombo names another customer; without arguments, list what is in doubt.

    Its links are suspended meanwhile. If it is still the known customer's they stand again; if not, they end.
    """
    from kombo_pipeline.ingest import health
    from kombo_pipeline.ingest.statements import integration_owners

    if (integration_id is None) != (customer is None):
        raise click.UsageError("Name both: kombo-pipeline release owner INTEGRATION_ID --customer ID")
    with configured_warehouse() as conn:
        if integration_id is None or customer is None:
            questions = integration_owners.owner_questions(conn)
            for question in questions:
                click.echo(
                    f"{question.integration_id}: {question.customer_id}, or {question.claimed_customer_id} as Kombo "
                    f"says since {question.claimed_at:%Y-%m-%d %H:%M}"
                )
            if not questions:
                click.echo("No owner is in doubt.")
            return
        moved = health.answer_owner(conn, integration_id, customer_id=customer, answered_by=by or getpass.getuser())
    if moved:
        click.echo(f"{integration_id} belongs to {customer} now; the links of the former customer have ended.")
    else:
        click.echo(f"{integration_id} is still {customer}'s; its links stand again.")
