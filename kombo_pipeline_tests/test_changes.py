"""What must change together: each test fails where one place of a change was forgotten, and says which.

The eight changes that the house was measured with are a field of the job record, a webhook type, an identifier method,
a band, a reason that suspends a link, a polling interval, a format of own jobs, and a type of notice.
"""

import ast
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast, get_args

import psycopg
import pytest
from psycopg import sql

from kombo_pipeline import limits, vocabulary
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health
from kombo_pipeline.ingest.fetch import FULL_FETCH_FORCED_AFTER, land_fetch
from kombo_pipeline.ingest.polling import full_fetch_is_due, is_silent
from kombo_pipeline.ingest.rows import CHILD_TABLES, JOB_COLUMNS, RowWriter
from kombo_pipeline.ingest.statements import integrations, webhook_events
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import KomboUnavailable
from kombo_pipeline.kombo.record import NESTED, RECORD_RULE, Job, Location, UnreadableRecordError
from kombo_pipeline.linking import decisions, links
from kombo_pipeline.linking.candidates import match_integration
from kombo_pipeline.linking.decisions import UNSURE_DAYS
from kombo_pipeline.matching.identifiers import AtsIdentity, OwnIdentity, ats_keys, decide, own_keys
from kombo_pipeline.matching.scoring import JobText, band, default_matcher
from kombo_pipeline.matching.version import IDENTIFIERS, versions
from kombo_pipeline.orchestration import backlog
from kombo_pipeline.sandbox.mirror import TOMBSTONE_LIFETIME
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.ingest.oddities import ODDITIES, odd
from kombo_pipeline_tests.linking.test_candidates import Customer

PROJECT: Final = Path(__file__).parents[1]
PACKAGE: Final = PROJECT / "kombo_pipeline"
NULL: Final = "\x1d"


def fingerprint(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


# --------------------------------------------------------------------------------- a field of the job record

READ_BY_RULE: Final = {2: "09dbbb3b1e1e"}
"""RECORD_RULE -> what a record is read as by it."""
NOT_IN_MARTS_JOBS: Final = {"record_hash", "remote_data", "contact_id", "confidential"}
"""Bookkeeping, what Kombo has deprecated, and what `publishable` says already."""
VALUES: Final = (
    "null", "true", "false", "0", "7", "-1", "1.5", "3000000000", "1e999", '""', '"word"', '" OPEN "', '"OPEN"',
    '"PUBLIC"', '"2026-09-01"', '"2026-09-01T24:00:00Z"', '"2026-02-30"', '"0000-12-31"', '"a\\u0000b"',
    '"\\u001e\\u001f"', '"\\ud800"', "[]", '["a"]', "{}", '{"a": 1}', '[{"id": "x"}]', '[{"title": "x"}]', "[null]",
    *(f'"{"x" * length}"' for length in (100, 101, 200, 201, 500, 501, 1000, 1001, 4000, 4001, 10_000, 10_001)),
)  # fmt: skip


def places_of_a_record() -> Iterator[tuple[str, str, str]]:
    """Each place of a record that may hold a value: its table, its column, and the record with a gap for the value."""
    for name in Job.__struct_fields__:
        if name not in ("id", "location", *NESTED):
            yield "jobs", name, f'{{"id": "job", "{name}": %s}}'
    for name in Location.__struct_fields__:
        yield "jobs", f"location_{name}", f'{{"id": "job", "location": {{"{name}": %s}}}}'
    for field, struct in NESTED.items():
        for name in struct.__struct_fields__:
            if name != "id":
                yield CHILD_TABLES[field][0], name, f'{{"id": "job", "{field}": [{{"id": "x", "{name}": %s}}]}}'


def read(record: str | bytes) -> dict[str, list[dict[str, str | None]]] | None:
    """The rows of a record by table; None where it cannot be read. Why a field is odd is told in words: left out."""
    try:
        text = record if isinstance(record, bytes) else record.encode()
        rows = RowWriter("greenhouse:acme", 1).rows(text, "0" * 32)
    except UnreadableRecordError:
        return None
    found = {"jobs": _parsed(rows.job, JOB_COLUMNS)}
    for field, (table, columns) in CHILD_TABLES.items():
        found[table] = _parsed(rows.children[field] or "", columns)
    for row in found["jobs"]:
        row["unreadable_fields"] = " ".join(sorted(rows.unreadable or {}))
    return found


def _parsed(lines: str, columns: Any) -> list[dict[str, str | None]]:
    return [
        {column: None if value == NULL else value for column, value in zip(columns, line.split("\x1f"), strict=True)}
        for line in lines.split("\n")[:-1]
    ]


def test_what_is_read_of_a_record_changes_only_with_the_rule_that_has_old_records_read_again() -> None:
    places = [record for _, _, record in places_of_a_record()]
    whole = [(record, value, read(record % value)) for record in sorted(places) for value in VALUES]
    strange = {name: read(odd({"id": "x", "name": "n"}, key=key, text=text)) for name, (key, text) in ODDITIES.items()}
    most = {name: value for name, value in vars(limits).items() if isinstance(value, limits.Limit | int)}
    found = fingerprint([whole, strange, most])
    assert READ_BY_RULE.get(RECORD_RULE) == found, (
        "records are read differently, or with another field. Raise RECORD_RULE in kombo/record.py, so that stored "
        "jobs are read again, unless the same bytes still give the same values; then note here: "
        f"{{RECORD_RULE: {found!r}}}"
    )


@pytest.mark.parametrize(
    ("table", "column", "record"), [pytest.param(*place, id=".".join(place[:2])) for place in places_of_a_record()]
)
def test_every_field_of_a_record_is_written_to_its_own_column_and_to_no_other(
    table: str, column: str, record: str
) -> None:
    empty = read(record % "null")
    assert empty is not None
    changed = set()
    for value in ("true", "7", '"word"', '"2026-09-01"', '{"a": 1}'):
        rows = read(record % value)
        assert rows is not None
        if not rows["jobs"][0]["unreadable_fields"]:
            changed |= {
                (each, name)
                for each in rows
                for row, before in zip(rows[each], empty[each], strict=True)
                for name in row
                if row[name] != before[name]
            }
    assert changed == {(table, column)}


def test_the_sandbox_sends_every_field_of_a_record() -> None:
    world = World(seed=7)
    customer = world.add_integration(jobs=60)
    sent: set[str] = set().union(*world.kombo_jobs(customer).values())
    assert sent == set(Job.__struct_fields__)


@pytest.mark.parametrize(
    ("table", "view", "missing"),
    [
        ("core.jobs", "marts.jobs", NOT_IN_MARTS_JOBS),
        ("core.own_jobs", "marts.own_jobs", {"own_job_id", "content_hash"}),  # the id is called id there
    ],
)
def test_analysts_see_every_column_of_a_job(conn: Connection, table: str, view: str, missing: set[str]) -> None:
    columns = {
        name: {
            row["attname"]
            for row in conn.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped",
                (name,),
            )
        }
        for name in (table, view)
    }
    assert columns[table] - columns[view] == missing


# ------------------------------------------------------------------------ an identifier method, a further band

DECIDED_BY_RULE: Final = {"identifiers-2": "a093cff47c5a"}
"""IDENTIFIERS -> what identifiers decide by it."""
PROPOSED_BY_VERSION: Final = {"titles-1e8b840889": "1672dc9e1a35"}
"""Version of the weights -> what titles propose by it."""
SHARED: Final = {
    "kombo_id": ("kombo_job_id", {}),
    "remote_id": ("remote_id", {"remote_id": "77"}),
    "job_code": ("job_code", {"job_code": "REQ-4711"}),
    "post_url": ("post_url", {"post_url": "https://acme.example/jobs/4711"}),
}
"""Identifier method -> the column of the own job that bears it, and the ATS job's columns that do."""
TEXTS: Final = (
    "77", "REQ-12", "req 0012", "Ref.: REQ-12 (m/w/d)", "4712", "REQ-4712", "n/a", "0", "2026-0012", "A" * 200,
    "https://acme.example/jobs/12?utm_source=x", "http://www.acme.example:80/jobs/12/", "https://acme.example/jobs/13",
    "https://acme.example/careers", "https://boards.greenhouse.io/acme/jobs/4000012", "acme.example/jobs/14",
    "https://jobs.lever.co/acme/0a1b2c3d-1111-2222-3333-444455556666/apply", "mailto:jobs@acme.example",
)  # fmt: skip
TITLES: Final = (
    "Nurse (m/w/d)", "Registered Nurse", "Senior Nurse", "Intern Nursing", "Software Engineer", "Software Engineer II",
    "Senior Software Engineer Backend", "Werkstudent Marketing", "Ausbildung Kaufmann 2027", "Ausbildung Kaufmann 2026",
    "Head of Sales", "Sales Manager DACH", "Verkäufer Teilzeit", "Pflegefachkraft", "Chef de rang", "Data Scientist",
)  # fmt: skip
PLACES: Final = ("Berlin", "10115 Berlin", "Munich", "München", "Remote", "", "Vienna, Austria", "Hamburg; Bremen")
KINDS: Final = ("FULL_TIME", "PART_TIME", "INTERNSHIP", "")


def customers() -> Iterator[tuple[list[OwnIdentity], list[AtsIdentity]]]:
    """Own jobs and ATS jobs of made-up customers that share identifiers in many ways; the same ones each time."""
    for seed in range(40):
        made = random.Random(seed)
        some = made.sample(TEXTS, 6)
        yield (
            [
                OwnIdentity(
                    f"own {number}", title=made.choice(TITLES), location=made.choice(PLACES),
                    employment_type=made.choice(KINDS), kombo_job_id=made.choice([None, None, "ats 1", "ats 2"]),
                    remote_id=made.choice([None, *some]), job_code=made.choice([None, *some]),
                    post_url=made.choice([None, *some]),
                )
                for number in range(6)
            ],
            [
                AtsIdentity(
                    f"ats {number}", title=made.choice(TITLES), location=made.choice(PLACES),
                    employment_type=made.choice(KINDS), remote_id=made.choice([None, *some]),
                    job_code=made.choice([None, *some]), urls=tuple(made.sample(some, made.randrange(3))),
                    integration_id=made.choice(["a", "b"]), tool="greenhouse", posted_on=date(2026, 9, 1),
                )
                for number in range(8)
            ],
        )  # fmt: skip


def test_what_identifiers_decide_changes_only_with_the_name_that_has_stored_identifiers_made_again() -> None:
    decided = []
    for own, ats in customers():
        decisions = decide(own, ats)
        links = [(each.own_id, each.ats_id, each.method, each.integration_id) for each in decisions.links]
        reviews = [(each.own_id, each.ats_ids, each.method, each.integration_id) for each in decisions.reviews]
        decided.append((own_keys(own), ats_keys(ats), links, reviews))
    found = fingerprint([get_args(vocabulary.IdentifierMethod), decided])
    assert DECIDED_BY_RULE.get(IDENTIFIERS) == found, (
        "identifiers are read, or decide, differently. Give IDENTIFIERS in matching/version.py another name, so that "
        f"stored identifiers are made again and all own jobs decided again; then note here: {{IDENTIFIERS: {found!r}}}"
    )


def test_what_titles_propose_changes_only_with_the_version_that_has_own_jobs_matched_again() -> None:
    matcher = default_matcher()
    made = random.Random(7)
    own, ats = (
        [
            JobText(f"{side} {number}", made.choice(TITLES), made.choice(PLACES), employment_type=made.choice(KINDS))
            for number in range(60)
        ]
        for side in ("own", "ats")
    )
    proposed = [
        [(candidate.ats.id, candidate.band) for candidate in match.candidates]
        for match in matcher.candidates(own, matcher.index(ats))
    ]
    found = fingerprint([vocabulary.BANDS, [band(number / 1000) for number in range(1001)], proposed])
    assert PROPOSED_BY_VERSION.get(versions()[0]) == found, (
        "titles propose other ATS jobs, or in other bands. Name what has changed in scoring.version_of and run "
        "benchmarks.train_matcher --write, so that stored candidates are made again; then note here: "
        f"{{{versions()[0]!r}: {found!r}}}"
    )


@pytest.mark.parametrize("method", get_args(vocabulary.IdentifierMethod))
def test_jobs_that_share_one_identifier_alone_are_linked_by_it(conn: Connection, method: str) -> None:
    column, ats = SHARED[method]
    conn.execute(
        "insert into core.integrations (integration_id, customer_id, full_fetched_at) values ('a:1', 'acme', now())"
    )
    conn.execute(
        "insert into core.jobs (integration_id, kombo_job_id, name, status, last_fetch_id, remote_id, job_code, "
        "post_url) values ('a:1', 'ats', 'Nurse', 'OPEN', 1, %(remote_id)s, %(job_code)s, %(post_url)s)",
        {"remote_id": None, "job_code": None, "post_url": None} | ats,
    )
    conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title, kombo_job_id, remote_id, job_code, post_url) "
        "values ('acme', 'own', 'Nurse', %(kombo_job_id)s, %(remote_id)s, %(job_code)s, %(post_url)s)",
        dict.fromkeys(("kombo_job_id", "remote_id", "job_code", "post_url")) | {column: ats.get(column, "ats")},
    )
    match_integration(conn, "a:1")
    assert conn.execute("select kombo_job_id, method from core.job_links").fetchall() == [
        {"kombo_job_id": "ats", "method": method}
    ]


def test_an_own_job_is_matched_again_when_anything_changes_that_matching_looks_at(conn: Connection) -> None:
    row = conn.execute(
        """
        select
            pg_get_expr(d.adbin, d.adrelid) as expression,
            (
                select array_agg(a.attname::text)
                from pg_attribute a
                where a.attrelid = d.adrelid and a.attnum > 0 and not a.attisdropped
            ) as columns
        from pg_attrdef d
        join pg_attribute c on c.attrelid = d.adrelid and c.attnum = d.adnum
        where c.attrelid = 'core.own_jobs'::regclass and c.attname = 'content_hash'
        """
    ).fetchone()
    assert row is not None
    hashed = set(re.findall(r"\w+", row["expression"])) & set(row["columns"])
    not_looked_at = {"customer_id", "own_job_id", "source", "list", "created_at", "imported_at", "content_hash"}
    assert set(row["columns"]) - hashed == not_looked_at
    assert set(OwnIdentity.__dataclass_fields__) - {"own_id"} <= hashed


LISTED: Final = re.compile(r"\bin \(((?:'[^']*'(?:, )?)+)\)", re.IGNORECASE)


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".sql", ".html") and "migrations" not in path.parts:
            yield path, path.read_text()


def test_bands_are_listed_in_statements_only_as_the_likely_ones_or_the_others() -> None:
    others = set(vocabulary.BANDS) - set(vocabulary.LIKELY)
    for path, text in sources():
        for listed in LISTED.findall(text):
            named = set(re.findall(r"'([^']*)'", listed))
            if named & set(vocabulary.BANDS) - {"none"}:
                assert named in (set(vocabulary.LIKELY), others), f"{path.name} lists {named}"


@pytest.mark.parametrize("codes", [vocabulary.METHODS, vocabulary.BANDS], ids=["methods", "bands"])
def test_methods_and_bands_are_listed_in_the_vocabulary_alone(codes: Any) -> None:
    for path, text in sources():
        if path.suffix != ".py" or path == PACKAGE / "vocabulary.py":
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set):
                entries = node.keys if isinstance(node, ast.Dict) else node.elts
                listed = {entry.value if isinstance(entry, ast.Constant) else None for entry in entries}
                assert len(listed) < 2 or not listed <= set(codes), f"{path.name}, line {node.lineno}"


# ----------------------------------------------------------------------------------- tables by closed sets


def test_a_table_by_the_codes_of_a_closed_set_has_an_entry_for_each_code() -> None:
    """Where an entry is missing, a page that meets the code fails, or shows nothing."""
    sets = {name: get_args(value) for name, value in vars(vocabulary).items() if get_args(value) and name[0].isupper()}
    of_some = {"LINK_QUESTIONS"}
    found = 0
    for path, text in sources():
        if path.suffix != ".py":
            continue
        for node in ast.parse(text).body:
            if not (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)):
                continue
            keyed = re.search(r"(?:Mapping|dict)\[(?:vocabulary\.)?(\w+),", ast.unparse(node.annotation))
            if keyed and keyed[1] in sets and ast.unparse(node.target) not in of_some:
                keys = {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
                assert keys == set(sets[keyed[1]]), f"{path.name}, line {node.lineno}"
                found += 1
    assert found > 10
    for path, text in sources():
        for table in re.findall(r"{% set \w+ = {(.*?)} %}", text) if path.suffix == ".html" else ():
            keys = set(re.findall(r'"([^"]*)":', table))
            assert not keys & set(vocabulary.LIKELY) or keys == set(vocabulary.BANDS), path.name


# ------------------------------------------------------------------------------ a reason that suspends a link


def withdraw_and_bring_back(customer: Customer) -> None:
    for withdrawn_at in ("now()", "null"):
        customer.conn.execute(f"update core.own_jobs set withdrawn_at = {withdrawn_at}".encode())
        links.follow_own_jobs(customer.conn, "acme")


def close_and_open(customer: Customer) -> None:
    for status in ("CLOSED", "OPEN"):
        customer.ats("one", remote_id="1", status=status)
        customer.ats("two", status=status)


def answer_and_undo(customer: Customer, decision: str, *kombo_job_ids: str) -> None:
    answer_id = customer.say(decision, "by title", *kombo_job_ids)
    customer.conn.commit()
    decisions.undo(customer.conn, undone_by="ana", answer_id=answer_id)


def match_anew(customer: Customer) -> None:
    customer.ats("three", remote_id="3")
    customer.own("new", remote_id="3")
    customer.own("by identifier", "Engineer in Berlin", remote_id="1")
    customer.match()


def doubt_and_answer(customer: Customer) -> None:
    customer.conn.execute("update core.integrations set claimed_customer_id = 'other', claimed_at = now()")
    links.follow_jobs(customer.conn, customer.integration_id)
    health.answer_owner(customer.conn, customer.integration_id, customer_id="acme", answered_by="ana")


WAYS_IN: Final[Mapping[str, Callable[[Customer], object]]] = {
    "jobs change": lambda customer: links.follow_jobs(customer.conn, customer.integration_id),
    "the ATS job is closed and opened": close_and_open,
    "the own job is withdrawn and brought back": withdraw_and_bring_back,
    "matching": match_anew,
    "a person links the pair": lambda customer: customer.say("accepted", "by title", "two"),
    "a person links another pair": lambda customer: customer.say("accepted", "by title", "one"),
    "linking another is undone": lambda customer: answer_and_undo(customer, "accepted", "one"),
    "a rejection is undone": lambda customer: answer_and_undo(customer, "rejected", "two"),
    "no counterpart is undone": lambda customer: answer_and_undo(customer, "no_counterpart"),
    "the owner is in doubt no more": doubt_and_answer,
}
"""What may make a link active."""


@pytest.mark.parametrize("way", WAYS_IN)
def test_nothing_makes_a_link_active_for_which_there_is_a_reason_to_be_suspended(conn: Connection, way: str) -> None:
    customer = Customer(conn)
    customer.ats("one", remote_id="1")
    customer.ats("two")
    customer.own("by identifier", remote_id="1")
    customer.own("by title")
    customer.match()
    customer.say("accepted", "by title", "two")
    conn.commit()
    assert {state for _, _, state, _ in customer.links()} == {"active"}
    before = conn.execute(
        "select pg_get_functiondef('core.suspended_by(core.jobs,core.integrations,core.own_jobs)'::regprocedure) as it"
    ).fetchone()
    assert before is not None
    conn.execute(
        """
        create or replace function core.suspended_by(j core.jobs, i core.integrations, o core.own_jobs)
        returns text language sql stable
        return 'a further reason'
        """
    )
    links.follow_jobs(conn, customer.integration_id)
    conn.commit()
    assert {state for _, _, state, _ in customer.links()} == {"suspended"}
    WAYS_IN[way](customer)
    conn.commit()
    assert {state for _, _, state, _ in customer.links()} <= {"suspended", "retired"}
    conn.execute(before["it"])
    for _ in range(2):
        links.follow_jobs(conn, customer.integration_id)
    assert {state for _, _, state, _ in customer.links()} <= {"suspended", "retired"}, "a person must be asked first"


# -------------------------------------------------------------------- numbers that views and the code both have


def days_in_view(conn: Connection, view: str, beside: str) -> set[int]:
    row = conn.execute("select pg_get_viewdef(%s::regclass) as definition", (f"marts.{view}",)).fetchone()
    assert row is not None
    return {int(days) for days in re.findall(beside + r"\W{1,8}'(\d+) days'", row["definition"])}


def test_the_days_that_views_count_are_those_of_the_code(conn: Connection) -> None:
    assert days_in_view(conn, "review_queue", r"now\(\)") == {UNSURE_DAYS}
    [deadline] = days_in_view(conn, "integration_health", "full_fetched_at")
    assert timedelta(days=deadline) == TOMBSTONE_LIFETIME
    assert timedelta(days=deadline) > FULL_FETCH_FORCED_AFTER


# --------------------------------------------------------------------------------------- a type of notice


def test_a_notice_of_every_type_is_seen_and_keeps_its_order(conn: Connection) -> None:
    for own_job, job in (("own", "ats"), (None, "ats"), (None, None)):
        for kind in vocabulary.NOTICE_TYPES:
            conn.execute("select core.tell(%s, 'acme', 'a:1', %s, %s)", (kind, own_job, job))
    seen = conn.execute("select type, own_job_id, kombo_job_id from marts.notices order by sequence").fetchall()
    assert [row["type"] for row in seen] == [*vocabulary.NOTICE_TYPES] * 3
    keys = conn.execute(
        "select count(distinct ordering_key) as n from core.notices group by payload #> '{data,own_job_id}', "
        "payload #> '{data,kombo_job_id}'"
    ).fetchall()
    assert keys == [{"n": 1}] * 3


def test_every_type_of_notice_is_one_of_the_vocabulary_and_explained_to_who_receives_it(conn: Connection) -> None:
    subjects = "|".join(sorted({kind.partition(".")[0] for kind in vocabulary.NOTICE_TYPES}))
    written: set[str] = set()
    for row in conn.execute(
        "select pg_get_functiondef(oid) as definition from pg_proc where pronamespace = 'core'::regnamespace "
        "and prorettype = 'trigger'::regtype"
    ):
        written.update(re.findall(rf"'((?:{subjects})\.\w+)'", row["definition"]))
        if "'integration.' || after" in row["definition"]:
            [states] = re.findall(r"after in \(([^)]*)\)", row["definition"])
            written.update(f"integration.{state}" for state in re.findall(r"'(\w+)'", states))
    assert written == set(vocabulary.NOTICE_TYPES)
    page = (PROJECT / "docs" / "operations.md").read_text()
    assert [kind for kind in vocabulary.NOTICE_TYPES if f"`{kind}`" not in page] == []


# ----------------------------------------------------------------------- a state in which nothing is fetched


class Unavailable:
    """A Kombo that does not answer: who asks it for jobs gets KomboUnavailable."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def asked(*_: object, **__: object) -> Any:
            raise KomboUnavailable("no answer")

        return asked


def doors(conn: Connection) -> dict[str, bool]:
    """Each way in that leads to a fetch of the integration a:1, and whether it asks for one now."""
    now = datetime.now(UTC)
    known = integrations.rhythms(conn)
    asks = {
        "the poll": any(is_silent(each, now=now) for each in known),
        "the weekly fetch": any(full_fetch_is_due(each, now=now) for each in known),
        "events": bool(webhook_events.waiting_for_fetch(conn)),
        "work that was cut off": bool(backlog.interrupted_fetches(conn)),
    }
    try:
        land_fetch(conn, cast(Kombo, Unavailable()), "a:1", overlap=timedelta(0))
    except KomboUnavailable:
        return asks | {"the fetch itself": True}
    return asks | {"the fetch itself": False}


def states(conn: Connection) -> Iterator[tuple[str, object]]:
    """Every column of an integration that may be empty, with each value that may matter to a fetch."""
    words = {word for path, text in sources() if {"ingest", "marts"} & set(path.parts) for word in WORD.findall(text)}
    for row in conn.execute(
        """
        select attname as name, format_type(atttypid, null) as type
        from pg_attribute
        where attrelid = 'core.integrations'::regclass and attnum > 0 and not attisdropped and not attnotnull
        """
    ).fetchall():
        values: dict[str, list[object]] = {"text": ["b:1"], "boolean": [True, False]}
        if row["name"].endswith(("state", "status")):
            values["text"] += sorted(words)
        if row["type"] in values or "time" in row["type"]:
            yield from ((row["name"], value) for value in values.get(row["type"], ["2026-01-01"]))


WORD: Final = re.compile(r"""['"]([A-Z_]{4,})['"]""")


def test_all_ways_to_a_fetch_agree_on_when_nothing_is_fetched(conn: Connection) -> None:
    for column, value in states(conn):
        for table in ("core.leases", "raw.webhook_events", "raw.fetches", "core.integrations"):
            conn.execute(f"delete from {table}".encode())
        conn.execute(
            """
            insert into core.integrations (
                integration_id, customer_id, full_fetched_at, fetched_at, fetch_attempted_at,
                kombo_last_sync_started_at, deleted_at
            )
            select
                id, 'acme', '2026-01-01', '2026-01-01', '2026-01-01', '2026-01-01',
                case when id <> 'a:1' then now() end
            from unnest('{a:1,b:1}'::text[]) id
            """
        )
        conn.execute(
            "insert into raw.webhook_events (event_id, event_type, integration_id, body, starts_fetch, received_at) "
            "values ('e', 'data-changed', 'a:1', '', true, '2026-01-01')"
        )
        conn.execute(
            "insert into raw.fetches (integration_id, kind, covers_event_seq, status, requested_at) "
            "values ('a:1', 'full', 0, 'landed', '2026-01-01')"
        )
        conn.commit()
        try:
            conn.execute(
                sql.SQL("update core.integrations set {} = %s where integration_id = 'a:1'").format(
                    sql.Identifier(column)
                ),
                (value,),
            )
        except psycopg.IntegrityError:
            conn.rollback()
            continue
        found = doors(conn)
        conn.rollback()
        if column == "organization_name":
            assert all(found.values())
        if not found["the fetch itself"]:
            assert not any(found.values()), f"{column} = {value}: {found}"
        else:
            assert found["events"], f"{column} = {value}: {found}"
            assert found["work that was cut off"], f"{column} = {value}: {found}"
