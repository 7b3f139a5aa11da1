"""The application targets that your product was told, and how it is told again after an outage.

core.targets has the targets that your product knows as open. Triggers note every change of what
marts.application_targets reads, whoever makes it. When the transaction commits, both are compared and a notice is
written for each difference (migration 0012). So no caller has to remember to write a notice.
"""

import hashlib
from collections.abc import Collection, Iterable
from typing import NamedTuple

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import targets as statements
from kombo_pipeline.linking.statements.targets import Pair


class Snapshot(NamedTuple):
    """The targets of a customer that your product was told, up to a certain notice."""

    customer_id: str
    sequence: int
    """Of the newest notice, of any customer, that is included; 0 before the first one."""
    pairs: list[Pair]

    @property
    def digest(self) -> str:
        """SHA-256 of the lines, each with its line feed: the same digest means the same targets."""
        return hashlib.sha256("".join(f"{line}\n" for line in self.lines).encode()).hexdigest()

    @property
    def lines(self) -> list[str]:
        """A line per target: own_job_id, integration_id and kombo_job_id, separated by tabs, sorted by their bytes."""
        return sorted(("\t".join(pair) for pair in self.pairs), key=str.encode)


class Differences(NamedTuple):
    """How the targets that your product has differ from the true ones."""

    lacking: list[Pair]
    """Targets that your product does not have."""
    wrong: list[Pair]
    """What your product has although it is no target."""


def tell(conn: Connection, integration_id: str) -> None:
    """Have all targets of an integration compared with what was told, when the caller's transaction commits.

    Notices of changes need no call. This repairs what was changed without the triggers, for example by restoring a
    table.
    """
    statements.compare(conn, integration_id)


def snapshots(conn: Connection, customer_id: str | None = None) -> list[Snapshot]:
    """Return the targets that your product was told of one customer, or of every customer that has some."""
    found = statements.told(conn, customer_id)
    by_customer: dict[str, list[Pair]] = {customer_id: []} if customer_id is not None else {}
    for row in found:
        by_customer.setdefault(row.customer_id, []).append(row.pair)
    sequence = found[0].sequence if found else statements.newest_sequence(conn)
    return [Snapshot(customer, sequence, pairs) for customer, pairs in by_customer.items()]


def read_pairs(lines: Iterable[str]) -> list[Pair]:
    """Return the pairs of lines as in Snapshot.lines. Raises ValueError with the first line of another form."""
    pairs = []
    for number, line in enumerate(lines, start=1):
        parts = line.rstrip("\r\n").split("\t")
        if parts == [""]:
            continue
        if len(parts) != len(Pair._fields) or not all(parts):
            raise ValueError(
                f"line {number} is not {', '.join(Pair._fields)}, separated by tabs: {line.strip()[:80]!r}"
            )
        pairs.append(Pair(*parts))
    return pairs


def differences(snapshot: Snapshot, held: Collection[Pair]) -> Differences:
    """Compare a snapshot with the targets that your product has for the same customer."""
    lacking, wrong = set(snapshot.pairs) - set(held), set(held) - set(snapshot.pairs)
    return Differences(sorted(lacking), sorted(wrong))


def tell_differences(conn: Connection, customer_id: str, held: Collection[Pair]) -> Differences:
    """Write a notice for each difference from what your product has, in the caller's transaction; return them.

    No other transaction writes notices until the commit, so that the newest notice about a target is always true.
    """
    statements.wait_for_turn(conn)
    [snapshot] = snapshots(conn, customer_id)
    found = differences(snapshot, held)
    statements.tell_pairs(conn, customer_id, opened=found.lacking, closed=found.wrong)
    return found
