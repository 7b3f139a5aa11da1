"""Commands for the people of the back office: its users, and customers that come by a link."""

import sys

import click

from kombo_pipeline import settings
from kombo_pipeline.db.urls import configured_warehouse
from kombo_pipeline.vocabulary import ROLES, Role


@click.group()
def user() -> None:
    """Add, disable and list the people who may sign in to the back office."""


@user.command("add")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(ROLES))
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
@click.option("--generate-password", is_flag=True, help="Make a password and print it.")
@click.option("--no-password", is_flag=True, help="For a user who signs in through a trusted proxy.")
def add_user(name: str, role: Role, password_stdin: bool, generate_password: bool, no_password: bool) -> None:
    """Add a user, or change the role and the password of one. A disabled user may sign in again; all sessions end."""
    from kombo_pipeline.backoffice import passwords
    from kombo_pipeline.backoffice.statements import users

    if password_stdin + generate_password + no_password > 1:
        raise click.UsageError("Choose one of --password-stdin, --generate-password and --no-password")
    password = None
    if generate_password:
        password = passwords.generated()
    elif password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not no_password:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    password_hash = None if password is None else passwords.hashed(password)
    with configured_warehouse() as conn:
        users.put_user(conn, name, role=role, password_hash=password_hash)
    click.echo(f"{name} is {role}." + (f" Password: {password}" if generate_password else ""))


@user.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Sign a user out and keep it from signing in. Its answers stay."""
    from kombo_pipeline.backoffice.statements import users

    with configured_warehouse() as conn:
        if not users.disable_user(conn, name):
            raise LookupError(f"There is no user {name}; `kombo-pipeline user list` shows all")
    click.echo(f"{name} is disabled and signed out.")


@user.command("list")
def list_users() -> None:
    """List the users."""
    from kombo_pipeline.backoffice.statements import users

    with configured_warehouse() as conn:
        found = users.users(conn)
    for each in found:
        remarks = ["disabled"] if each.disabled_at else []
        remarks += [] if each.has_password else ["no password"]
        remarks += [f"signed in {each.signed_in_at:%Y-%m-%d %H:%M} UTC"] if each.signed_in_at else []
        click.echo(": ".join(filter(None, [f"{each.user_name} {each.role}", ", ".join(remarks)])))
    if not found:
        click.echo("No user yet; add one with `kombo-pipeline user add NAME --role admin`.")


@click.command("customer-link")
@click.argument("customer")
@click.option(
    "--days", default=7, show_default=True, type=click.IntRange(1, 90), help="The link expires after so many days."
)
def customer_link(customer: str, days: int) -> None:
    """Print a link to the job picker of one customer, and to nothing else.

    Whoever has the link may expose jobs for the customer: send it only to the person who should.
    """
    from kombo_pipeline.backoffice.access import Access
    from kombo_pipeline.own_jobs import statements

    access = Access(settings.load())
    with configured_warehouse() as conn:
        if not statements.is_customer(conn, customer):
            raise LookupError(f"There is no integration and no own job of a customer {customer}")
    click.echo(access.customer_link(customer, days=days))
