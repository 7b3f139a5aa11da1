"""Forgets an integration: a typing error, or a customer that is gone."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import forgotten

WAIT_SECONDS = 60.0
"""How long a fetch that is running may take to end before the command gives up."""


class NotAllowedError(RuntimeError):
    """The database role may not delete what must go; the message says what to do."""


@dataclass(frozen=True)
class Receipt:
    """What was deleted, or would be: rows by table, without tables that had none."""

    rows: dict[str, int]
    links_ended: int = 0


def count(conn: Connection, integration_id: str) -> Receipt:
    """Count what forgetting an integration would delete."""
    counted = {place.name: forgotten.count(conn, place, integration_id) for place in forgotten.places(conn)}
    return Receipt({name: rows for name, rows in counted.items() if rows})


def forget(
    conn: Connection,
    integration_id: str,
    *,
    forgotten_by: str,
    reason: str | None = None,
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Receipt:
    """Keep an integration away from now on and delete all its rows; commits.

    Waits for a fetch that is running. It is kept away first, in a transaction of its own, so that nothing of it
    comes while the rows go; killed in between, the command can be repeated. Raises LeaseTakenError when the
    fetch does not end, NotAllowedError when people have answered about its jobs and the role is not the owner.
    """
    until = time.monotonic() + wait_seconds
    while True:
        try:
            with ExitStack() as work:
                for name in ("fetch", "apply", "rematch"):
                    work.enter_context(leases.hold(conn, integration_id, name))
                return _forget(conn, integration_id, forgotten_by=forgotten_by, reason=reason)
        except leases.LeaseTakenError:
            if time.monotonic() >= until:
                raise
            sleep(1)


def _forget(conn: Connection, integration_id: str, *, forgotten_by: str, reason: str | None) -> Receipt:
    places = forgotten.places(conn)
    _refuse_without_rights(conn, places, integration_id)
    forgotten.keep_away(conn, integration_id, forgotten_by=forgotten_by, reason=reason)
    conn.commit()
    try:
        forgotten.allow_deleting_answers(conn)
        ended = forgotten.end_links(conn, integration_id)
        forgotten.empty_events(conn, integration_id)
        # A table without rows of it is passed over: the loader may not even try to delete answers.
        rows = {
            place.name: forgotten.delete(conn, place, integration_id)
            for place in places
            if forgotten.count(conn, place, integration_id)
        }
        conn.commit()
    except BaseException:
        conn.rollback()
        raise
    return Receipt(rows, ended)


def _refuse_without_rights(conn: Connection, places: list[forgotten.Place], integration_id: str) -> None:
    for place in places:
        row = conn.execute("select has_table_privilege(%s, 'delete') as may", (place.name,)).fetchone()
        if not (row and row["may"]) and forgotten.count(conn, place, integration_id):
            conn.rollback()
            raise NotAllowedError(
                f"{place.name} has rows of {integration_id}, and this database role may not delete there. Answers of "
                "people can be deleted by the owner of the tables alone: set KOMBO_WAREHOUSE_URL to the URL that "
                "`kombo-pipeline migrate` is run with, and repeat the command"
            )
