"""What your product was told of application targets, and what it is told again after an outage.

core.targets holds the pairs that were told as open. Triggers note every change of what marts.application_targets reads,
whoever makes it, and the commit of that transaction compares both and writes the notices of the difference (migration
0012). So nothing here has to be called for a notice to be written.
"""

import hashlib
from collections.abc import Collection, Iterable
from typing import NamedTuple

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import targets as statements
from kombo_pipeline.linking.statements.targets import Pair


class Snapshot(NamedTuple):
    """The targets of a customer as your product was told them, and the notice up to which that is so."""

    customer_id: str
    sequence: int
    """Of the newest notice to anybody; 0 before the first one. Notices with a higher one come on top."""
    pairs: list[Pair]

    @property
    def digest(self) -> str:
        """SHA-256 of the lines, each with its line feed; two sides with the same one hold the same targets."""
        return hashlib.sha256("".join(f"{line}\n" for line in self.lines).encode()).hexdigest()

    @property
    def lines(self) -> list[str]:
        """own_job_id, integration_id and kombo_job_id with tabs between, in the order of their bytes in UTF-8."""
        return sorted(("\t".join(pair) for pair in self.pairs), key=str.encode)


class Differences(NamedTuple):
    """How what your product holds differs from its targets."""

    lacking: list[Pair]
    """Targets that it does not hold."""
    wrong: list[Pair]
    """What it holds and is no target."""


def tell(conn: Connection, integration_id: str) -> None:
    """Compare all targets of an integration with what was told, when the caller's transaction commits.

    Changes are told without it. It mends what was changed past the triggers, by a restored table for example.
    """
    statements.compare(conn, integration_id)


def snapshots(conn: Connection, customer_id: str | None = None) -> list[Snapshot]:
    """Return what your product was told of one customer's targets, or of those of every customer that has some."""
    found = statements.told(conn, customer_id)
    by_customer: dict[str, list[Pair]] = {customer_id: []} if customer_id is not None else {}
    for row in found:
        by_customer.setdefault(row.customer_id, []).append(row.pair)
    sequence = found[0].sequence if found else statements.newest_sequence(conn)
    return [Snapshot(customer, sequence, pairs) for customer, pairs in by_customer.items()]


def read_pairs(lines: Iterable[str]) -> list[Pair]:
    """Return the pairs of a list in the form of Snapshot.lines. Raises ValueError that names the first odd line."""
    pairs = []
    for number, line in enumerate(lines, start=1):
        parts = line.rstrip("\r\n").split("\t")
        if parts == [""]:
            continue
        if len(parts) != len(Pair._fields) or not all(parts):
            raise ValueError(f"line {number} is not {', '.join(Pair._fields)} with tabs between: {line.strip()[:80]!r}")
        pairs.append(Pair(*parts))
    return pairs


def differences(snapshot: Snapshot, held: Collection[Pair]) -> Differences:
    """Compare a snapshot with the targets that your product holds of the same customer."""
    lacking, wrong = set(snapshot.pairs) - set(held), set(held) - set(snapshot.pairs)
    return Differences(sorted(lacking), sorted(wrong))


def tell_differences(conn: Connection, customer_id: str, held: Collection[Pair]) -> Differences:
    """Queue a notice for each difference from what your product holds, in the caller's transaction; return them.

    Nobody else tells anything until it is committed, so that a notice that is queued here is not overtaken by its own
    cause.
    """
    statements.wait_for_turn(conn)
    [snapshot] = snapshots(conn, customer_id)
    found = differences(snapshot, held)
    statements.tell_pairs(conn, customer_id, opened=found.lacking, closed=found.wrong)
    return found
