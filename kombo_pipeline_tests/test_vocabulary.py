"""The closed sets of the code are those of the warehouse; each that a CHECK constraint names is found by itself."""

import re
from collections.abc import Collection
from typing import Final, get_args

import pytest

from kombo_pipeline import vocabulary
from kombo_pipeline.db.connection import Connection

CHECKED: Final = {
    "core.backoffice_users.role": vocabulary.ROLES,
    "core.exposed_jobs.channel": vocabulary.CHANNELS,
    "core.held_closures.decision": vocabulary.HOLD_DECISIONS,
    "core.held_withdrawals.decision": vocabulary.HOLD_DECISIONS,
    "core.integrations.details_error_by": vocabulary.ACTORS,
    "core.integrations.fetch_state": vocabulary.FETCH_STATES,
    "core.integrations.who_must_act": vocabulary.ACTORS,
    "core.job_links.method": vocabulary.METHODS,
    "core.job_links.state": vocabulary.LINK_STATES,
    "core.job_match_candidates.band": vocabulary.BANDS,
    "core.job_match_candidates.method": vocabulary.METHODS.keys() - {"search"},
    "core.leases.work": vocabulary.WORKS,
    "core.link_decisions.decision": vocabulary.DECISIONS,
    "core.own_job_matches.outcome": vocabulary.OUTCOMES,
    "core.own_jobs.source": vocabulary.SOURCES,
    "core.successions.state": vocabulary.SUCCESSION_STATES,
    "raw.fetches.kind": vocabulary.FETCH_KINDS,
    "raw.fetches.status": vocabulary.FETCH_STATUSES,
}
"""What a column may hold, by its CHECK constraint."""
CASES: Final = {
    "marts.integration_health.health": vocabulary.HEALTHS,
    "marts.review_queue.why": vocabulary.REVIEW_REASONS,
}
"""What a column of a view can be, by the CASE expression that makes it."""


def test_every_closed_set_of_the_warehouse_is_one_of_the_vocabulary(conn: Connection) -> None:
    found = {}
    for row in conn.execute(
        """
        select conrelid::regclass::text as relation, pg_get_constraintdef(oid) as definition
        from pg_constraint
        where contype = 'c' and connamespace::regnamespace::text in ('raw', 'core')
        """
    ):
        if one_of := re.fullmatch(r"CHECK \(\((\w+) = ANY \(ARRAY\[(.*)\]\)\)\)", row["definition"]):
            found[f"{row['relation']}.{one_of[1]}"] = set(re.findall(r"'([^']*)'", one_of[2]))
    assert found == {column: set(codes) for column, codes in CHECKED.items()}


@pytest.mark.parametrize(("column", "codes"), CASES.items(), ids=list(CASES))
def test_every_code_of_a_view_is_one_of_the_vocabulary(conn: Connection, column: str, codes: Collection[str]) -> None:
    view, _, name = column.rpartition(".")
    row = conn.execute("select pg_get_viewdef(%s::regclass) as definition", (view,)).fetchone()
    assert row is not None
    [case] = re.findall(rf"CASE((?:(?!CASE).)*)END AS {name}\b", row["definition"], re.DOTALL)
    assert set(re.findall(r"(?:THEN|ELSE) '([^']*)'", case)) == set(codes)


def test_every_lifecycle_is_one_of_the_vocabulary(conn: Connection) -> None:
    row = conn.execute(
        """
        select pg_get_expr(d.adbin, d.adrelid) as expression
        from pg_attrdef d
        join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        where a.attrelid = 'core.jobs'::regclass and a.attname = 'lifecycle'
        """
    ).fetchone()
    assert row is not None
    assert set(re.findall(r"(?:THEN|ELSE) '([^']*)'", row["expression"])) == set(vocabulary.LIFECYCLES)


def function(conn: Connection, name: str) -> set[str]:
    """The codes that a function of the warehouse, or one of the same name, can return."""
    schema, _, plain = name.partition(".")
    rows = conn.execute(
        """
        select pg_get_functiondef(oid) as definition
        from pg_proc
        where pronamespace = %s::regnamespace and proname = %s
        """,
        (schema, plain),
    ).fetchall()
    assert rows
    return {code for row in rows for code in re.findall(r"(?:then|else) '([^']*)'", row["definition"], re.IGNORECASE)}


def test_every_reason_of_a_function_is_one_of_the_vocabulary(conn: Connection) -> None:
    lifecycles = set(vocabulary.LIFECYCLES)
    assert function(conn, "core.suspended_by") | lifecycles - {"open"} <= vocabulary.LINK_REASONS.keys()
    assert function(conn, "core.no_target_because") | {"deleted", "vanished"} == vocabulary.NO_TARGET_REASONS.keys()


def test_every_code_has_its_words() -> None:
    worded = {
        vocabulary.Lifecycle: vocabulary.LIFECYCLES,
        vocabulary.IdentifierMethod: vocabulary.IDENTIFIER_METHODS,
        vocabulary.Method: vocabulary.METHODS,
        vocabulary.ReviewReason: vocabulary.REVIEW_REASONS,
        vocabulary.Decision: vocabulary.DECISIONS,
        vocabulary.LinkReason: vocabulary.LINK_REASONS,
        vocabulary.NoTargetReason: vocabulary.NO_TARGET_REASONS,
        vocabulary.Actor: vocabulary.ACTORS,
        vocabulary.HoldReason: vocabulary.HOLD_REASONS,
        vocabulary.RefusalReason: vocabulary.REFUSAL_REASONS,
    }
    for codes, words in worded.items():
        assert tuple(words) == get_args(codes)
        assert all(words.values())
