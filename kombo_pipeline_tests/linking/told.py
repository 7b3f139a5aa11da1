"""What a product knows that heard every notice in order, and what is true, for tests to compare."""

from typing import Any

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import NO_TARGET_REASONS

Pair = tuple[str, str, str, str]
PAIR = ("customer_id", "own_job_id", "integration_id", "kombo_job_id")
FIELDS = {*PAIR, "title", "remote_id", "post_url", "data_as_of", "reason", "sequence"}


class Product:
    """Takes notices as a receiver does, in the order of their sequence."""

    def __init__(self) -> None:
        self.targets: set[Pair] = set()
        self.exposed: set[tuple[str, str]] = set()
        self.connections: dict[str, str] = {}
        self.closed: list[tuple[Pair, str]] = []
        """Each target that has closed, with the reason, the newest last."""
        self.sequence = 0

    def hear(self, conn: Connection) -> list[str]:
        """Take what was committed since the last time; return the types, those of links left out."""
        rows = conn.execute(
            "select sequence, type, payload from core.notices where sequence > %s order by sequence", (self.sequence,)
        ).fetchall()
        conn.commit()
        for row in rows:
            assert row["payload"]["type"] == row["type"]
            self.sequence = row["sequence"]
            if not row["type"].startswith("link."):
                self.take(row["type"], row["payload"]["data"], row["sequence"])
        return [row["type"] for row in rows if not row["type"].startswith("link.")]

    def take(self, told: str, data: dict[str, Any], sequence: int) -> None:
        """Act on one notice; a repetition or a contradiction would show."""
        assert data.keys() == FIELDS
        assert data["sequence"] == sequence
        pair = tuple(data[name] for name in PAIR)
        if told == "target.opened":
            assert pair not in self.targets
            assert data["reason"] is None
            assert data["data_as_of"]
            self.targets.add(pair)
        elif told == "target.closed":
            self.targets.remove(pair)
            assert data["reason"] in NO_TARGET_REASONS
            self.closed.append((pair, data["reason"]))
        elif told == "exposure.started":
            assert (data["integration_id"], data["kombo_job_id"]) not in self.exposed
            self.exposed.add((data["integration_id"], data["kombo_job_id"]))
        elif told == "exposure.ended":
            self.exposed.remove((data["integration_id"], data["kombo_job_id"]))
        else:
            self.connections[data["integration_id"]] = told.removeprefix("integration.")


def targets_by(conn: Connection, relation: str) -> set[Pair]:
    """The pairs of marts.application_targets or of core.targets."""
    rows = conn.execute(f"select {', '.join(PAIR)} from {relation}").fetchall()
    conn.commit()
    return {tuple(row[name] for name in PAIR) for row in rows}


def true_reasons(conn: Connection, pair: Pair) -> set[str]:
    """Every reason for which a pair is no target, read from the tables one by one."""
    customer, own_job, integration, job = pair
    row = conn.execute(
        "select (select to_jsonb(i) from core.integrations i where integration_id = %(integration)s) as connection, "
        "(select to_jsonb(o) from core.own_jobs o where customer_id = %(customer)s and own_job_id = %(own)s) as own, "
        "(select jsonb_build_object('lifecycle', lifecycle, 'publishable', publishable) from core.jobs "
        "where integration_id = %(integration)s and kombo_job_id = %(job)s) as job, "
        "exists (select from core.exposed_jobs where integration_id = %(integration)s and kombo_job_id = %(job)s "
        "and exposed_until is null) as exposed, "
        "(select state from core.job_links where customer_id = %(customer)s and own_job_id = %(own)s "
        "and integration_id = %(integration)s and kombo_job_id = %(job)s order by link_id desc limit 1) as link",
        {"customer": customer, "own": own_job, "integration": integration, "job": job},
    ).fetchone()
    conn.commit()
    assert row
    connection, own, ats = row["connection"], row["own"], row["job"] or {"lifecycle": "gone", "publishable": False}
    broken = connection is None or connection["state"] in ("INVALID", "INACTIVE")
    found = {
        "connection_lost": broken or connection["deleted_at"] or connection["succeeded_by"],
        "own_job_withdrawn": own is None or own["withdrawn_at"],
        "link_ended": row["link"] in (None, "retired"),
        "link_suspended": row["link"] == "suspended" or (connection and connection["claimed_customer_id"]),
        "deleted": ats["lifecycle"] == "deleted",
        "vanished": ats["lifecycle"] == "vanished",
        "closed": ats["lifecycle"] in ("closed", "draft", "archived", "unknown"),
        "not_publishable": ats["lifecycle"] == "open" and not ats["publishable"],
        "exposure_ended": not row["exposed"],
        "stale": connection and connection["stale_since"],
    }
    return {reason for reason, holds in found.items() if holds}


def assert_told(conn: Connection, product: Product) -> list[str]:
    """What the product heard, what we noted as told, and the definition are the same; return the new notices."""
    seen = len(product.closed)
    told = product.hear(conn)
    assert product.targets == targets_by(conn, "core.targets") == targets_by(conn, "marts.application_targets")
    for pair, reason in product.closed[seen:]:
        assert pair in product.targets or reason in true_reasons(conn, pair)
    assert conn.execute("select from core.targets_due").fetchall() == []
    conn.commit()
    return told
