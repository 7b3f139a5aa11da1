"""Any JSON in any field: the lifecycle is read all the same, and Postgres takes what is read of the rest."""

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kombo_pipeline import limits
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.rows import CHILD_TABLES, JOB_COLUMNS, RowWriter
from kombo_pipeline.ingest.statements import staged_jobs
from kombo_pipeline.kombo import nesting
from kombo_pipeline.kombo.record import NESTED, Job, Json, Location, UnreadableRecordError, read_job
from kombo_pipeline.kombo.responses import read_page
from kombo_pipeline.kombo.tolerance import read_tolerantly

FIELDS = [name for name in Job.__struct_fields__ if name != "id"]
JSON_FIELDS = [field.name for field in msgspec.structs.fields(Job) if field.type == Json]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    st.sampled_from(("\0", "a\0b", "\x1e\x1f\x1d\\\n\t", "\ufdd0", "OPEN", "OPEN\0", "PUBLIC", "", "\U0001f600")),
    st.dates().map(str),
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    st.sampled_from((
        "0000-12-31", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-05:00", "+010000-01-01", "2026-02-30",
        "2026-09-01T24:00:00Z", "2026-09-01T24:00:01Z", "2026-09-01T23:59:60.5Z", "2026-09-01 BC", "2026-09-01Z",
        "2026-09-01T08:00:00+15:59", "2026-09-01T08:00:00-16:00", "2026-09-01T08:00:00." + "1" * 40 + "Z", "now",
    )),
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(), st.integers(2**31 - 2, 2**31 + 2), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from((3_000_000_000, 10**400, 1.0, 1e308, 2**63, 2**64)),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def entries(struct: Any) -> st.SearchStrategy[Any]:
    keys = st.sampled_from([*struct.__struct_fields__, "new"])
    return st.lists(st.dictionaries(keys, VALUES, max_size=4) | VALUES, max_size=3)


FIELD_VALUES = st.one_of(
    st.tuples(st.sampled_from([*FIELDS, "parking"]), VALUES),
    *(st.tuples(st.just(name), entries(struct)) for name, struct in NESTED.items()),
    st.tuples(
        st.just("location"),
        st.dictionaries(st.sampled_from([*Location.__struct_fields__, "new"]), VALUES, max_size=3),
    ),
)
RECORDS = st.lists(FIELD_VALUES, max_size=4).map(lambda found: {"id": "job", **dict(found)})
ENDINGS = st.sampled_from([{"status": "CLOSED"}, {"remote_deleted_at": "2026-09-01T08:00:00Z"}])
quick = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


def read(record: dict[str, Any] | bytes) -> dict[str, str | None]:
    """The row of core.jobs by column."""
    raw = record if isinstance(record, bytes) else json.dumps(record).encode()
    line = RowWriter("greenhouse:acme", 1).rows(raw, "0" * 32).job
    values = [None if value == "\x1d" else value for value in line.removesuffix("\n").split("\x1f")]
    return dict(zip(JOB_COLUMNS, values, strict=True))


@settings(quick, max_examples=600)
@given(RECORDS, ENDINGS)
def test_a_record_that_says_closed_or_deleted_is_read_as_such_whatever_else_it_holds(
    record: dict[str, Any], ending: dict[str, str]
) -> None:
    row = read(record | ending)
    for column, value in ending.items():
        assert row[column] == value
    assert row["kombo_job_id"] == "job"


@settings(quick, max_examples=300)
@given(RECORDS)
@example({"id": "job", "status": "OPEN\0"})
@example({"id": "job", "status": "OPEN", "remote_deleted_at": {}})
@example({"id": "job", "status": ["OPEN"], "weekly_hours": "40"})
def test_only_a_record_that_certainly_says_so_is_open_or_public(record: dict[str, Any]) -> None:
    row = read(record)
    if row["status"] == "OPEN":
        assert record["status"] == "OPEN"
        assert record.get("remote_deleted_at") is None or row["remote_deleted_at"]
    if row["visibility"] in (None, "PUBLIC", "UNLISTED"):
        assert record.get("visibility") == row["visibility"]


@settings(quick, max_examples=300)
@given(RECORDS, st.sampled_from(FIELDS), VALUES)
def test_what_is_readable_does_not_depend_on_what_else_is_odd(record: dict[str, Any], field: str, value: Any) -> None:
    """A field reads the same beside an odd neighbour as it does alone."""
    together = json.dumps(record | {"weekly_hours": "40", field: value}).encode()
    alone = json.dumps({"id": "job", field: value}).encode()
    if field in ("weekly_hours", "status", "remote_deleted_at"):
        return
    one, other = read_tolerantly(alone), read_tolerantly(together)
    assert msgspec.json.encode(getattr(one.job, field)) == msgspec.json.encode(getattr(other.job, field))
    assert one.unreadable.get(field) == other.unreadable.get(field)


@settings(quick, max_examples=30)
@given(st.lists(RECORDS, min_size=20, max_size=20))
def test_postgres_refuses_nothing_that_the_tolerant_way_has_read(conn: Connection, records: list[Any]) -> None:
    conn.rollback()
    conn.execute("insert into core.integrations (integration_id) values ('greenhouse:acme')")
    writer = RowWriter("greenhouse:acme", 1)
    texts = [json.dumps(record | {"id": f"job {number}"}).encode() for number, record in enumerate(records)]
    rows = [writer.tolerant_rows(text, "0" * 32) for text in texts]
    staged_jobs.copy_rows(conn, "jobs", JOB_COLUMNS, [row.job for row in rows], incoming=False)
    for field, (table, columns) in CHILD_TABLES.items():
        staged_jobs.copy_rows(conn, table, columns, [row.children[field] or "" for row in rows], incoming=False)
    conn.rollback()


DEEP = b"[" * 5000 + b"]" * 5000


@pytest.mark.parametrize(
    "deep",
    [
        b'{"id": "deep", "custom_fields": %s, "name": "a"}' % DEEP,
        b'{"a": {"b": %s}, "id": "deep"}' % DEEP,
        b'{"id": "deep", "description": "]}\\"[{", "x": %s}' % (b'{"a":' * 5000 + b"1" + b"}" * 5000),
        b'{"id": "deep", "name": "\\ud83d", "x": %s}' % DEEP,
    ],
)
def test_a_record_that_is_nested_thousands_deep_is_odd_alone(deep: bytes) -> None:
    others = [b'{"id": "a", "n": [1, {"b": []}]}', b'"text ]}"', b"7", b"null", b"[[1], {}]", b'{"id": "z"}']
    text = b'{"status": "success", "data": {"next": null, "results": [%s]}}' % b" , ".join([*others, deep, *others])
    from isal import igzip

    found = [bytes(record) for record in read_page(igzip.compress(text))]
    assert [record for number, record in enumerate(found) if number != len(others)] == others * 2
    assert found[len(others)] == deep.replace(b"\\ud83d", b"\\ufffd")
    read = read_tolerantly(found[len(others)])
    assert (read.job.id, len(read.unreadable)) == ("deep", 1)


@pytest.mark.parametrize("text", [b"{", b'{"id": "a"', b"[" * 5000, b'{"id": "a", "x": ' + b"[" * 5000 + b"}", b"{]"])
def test_a_text_that_is_no_json_object_is_refused_in_words(text: bytes) -> None:
    with pytest.raises(UnreadableRecordError):
        read_tolerantly(text)
    with pytest.raises(ValueError, match=r"."):
        nesting.entries(text)


@settings(quick, max_examples=200)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_an_object_taken_apart_is_the_object(content: dict[str, Any]) -> None:
    text = json.dumps(content).encode()
    shallow, parts = nesting.cut(text, depth=1)
    by_cutting = {key: nesting.restored(value, parts) for key, value in nesting.entries(shallow).items()}
    assert by_cutting == nesting.entries(text)
    assert {key: json.loads(value) for key, value in by_cutting.items()} == content


POSTGRES_DATES = {
    "timestamptz": ["-infinity", "4713-01-01 00:00:00+00 BC", "infinity", "294276-01-01 00:00:00+00"],
    "timestamp": ["-infinity", "0001-12-31 23:00:00 BC", "infinity", "10000-01-01"],
    "date": ["-infinity", "0044-03-15 BC", "infinity", "10000-01-01"],
}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("kind", list(POSTGRES_DATES))
def test_dates_that_python_cannot_hold_come_as_the_nearest_that_it_can(
    conn: Connection, kind: str, binary: bool
) -> None:
    query = "select " + ", ".join(f"'{text}'::{kind} as d{number}" for number, text in enumerate(POSTGRES_DATES[kind]))
    found = conn.execute(query, binary=binary).fetchone()  # type: ignore[call-overload]
    assert found is not None
    years = [value.year for value in found.values()]
    assert years == [date.min.year, date.min.year, date.max.year, date.max.year]
    same = conn.execute(f"select '2026-09-01 08:00'::{kind} as d", binary=binary).fetchone()  # type: ignore[call-overload]
    assert same is not None
    assert str(same["d"]).startswith("2026-09-01")


# ---------------------------------------------------------------------------------------------- limits

LONGEST: list[tuple[str, str, int]] = []
"""Every text of a record that has a limit in characters, found in its types: list or location, field, limit."""
for _where, _struct in {"": Job, "location": Location, **NESTED}.items():
    for _field in msgspec.structs.fields(_struct):
        _type = msgspec.inspect.type_info(_field.type)
        for _kind in _type.types if isinstance(_type, msgspec.inspect.UnionType) else (_type,):
            if isinstance(_kind, msgspec.inspect.StrType) and _kind.pattern is None:
                assert _kind.max_length is not None, f"{_where}.{_field.name} has no limit"
                LONGEST.append((_where, _field.name, _kind.max_length))


def holding(where: str, field: str, value: Any) -> dict[str, Any]:
    """A record that has a value at a place."""
    inner = {field: value} if where in ("", "location") else {"id": "entry", field: value}
    return {"id": "job"} | (inner if where == "" else {where: inner if where == "location" else [inner]})


def found(where: str, field: str, job: Job) -> Any:
    inner = getattr(job, where) if where else job
    return getattr(inner[0] if isinstance(inner, list) and inner else inner, field, None)


@pytest.mark.parametrize(("where", "field", "limit"), LONGEST)
def test_a_text_as_long_as_its_limit_is_read_and_a_longer_one_is_named_and_costs_nothing_else(
    where: str, field: str, limit: int
) -> None:
    for letter in ("x", "é", "\U0001f600"):
        longest = letter * limit if limit < limits.DESCRIPTION.most else letter * (limit // len(letter.encode()))
        record = {"department": "Kitchen"} | holding(where, field, longest)
        job = read_tolerantly(json.dumps(record).encode())
        assert (found(where, field, job.job), job.unreadable) == (longest, {})
        if where == "" and field == "id":
            return  # a longer one is no usable id: see below
        longer = holding(where, field, longest + letter)
        for raw in (json.dumps(longer).encode(), json.dumps(longer, ensure_ascii=False).encode()):
            with pytest.raises(UnreadableRecordError):
                read_job(raw)
            job = read_tolerantly(raw)
            assert list(job.unreadable) == [where or field]
            assert len(job.unreadable[where or field]) <= 300
            if field in ("status", "visibility") and not where:
                assert len(found(where, field, job.job)) <= limits.WORD.most
                assert "unknown" in job.unreadable[field]
            else:
                assert found(where, field, job.job) is None


@pytest.mark.parametrize("field", [*JSON_FIELDS, "nobody_knows"])
@pytest.mark.parametrize(
    "value",
    [
        "x" * limits.JSON.most, {"é": "é" * (limits.JSON.most // 2)}, list(range(limits.ENTRIES + 1)),
        {"options": [{"deep": [""] * (limits.ENTRIES + 1)}]}, {str(n): n for n in range(limits.ENTRIES + 1)},
    ],
    ids=("text", "bytes", "list", "list inside", "keys"),
)  # fmt: skip
def test_free_json_beyond_its_limit_is_left_out_whatever_makes_it_large(field: str, value: Any) -> None:
    raw = json.dumps({"id": "job", "name": "Cook", field: value}, ensure_ascii=False).encode()
    with pytest.raises(UnreadableRecordError):
        read_job(raw)
    job = read_tolerantly(raw)
    assert list(job.unreadable) == [field if field in FIELDS else "unknown_fields"]
    assert (job.job.name, job.unknown) == ("Cook", None)


def test_many_unknown_keys_together_stay_within_the_limit_of_one() -> None:
    raw = json.dumps({"id": "job"} | {f"key {n}": "x" * 100_000 for n in range(30)}).encode()
    job = read_tolerantly(raw)
    assert job.unknown is not None
    assert len(msgspec.json.encode(job.unknown)) <= limits.JSON.most + 1000
    assert "under unknown keys" in job.unreadable["unknown_fields"]


@pytest.mark.parametrize("field", list(NESTED))
def test_a_list_of_as_many_entries_as_its_limit_is_read_and_a_longer_one_is_left_out(field: str) -> None:
    entries = [{"id": f"{n},[{{"} for n in range(limits.ENTRIES + 1)]
    job = read_tolerantly(json.dumps({"id": "job", field: entries[1:]}).encode())
    assert (len(getattr(job.job, field)), job.unreadable) == (limits.ENTRIES, {})
    raw = json.dumps({"id": "job", "name": "Cook", field: entries}).encode()
    with pytest.raises(UnreadableRecordError):
        read_job(raw)
    job = read_tolerantly(raw)
    assert (job.job.name, getattr(job.job, field)) == ("Cook", None)
    assert (job.left_out, job.unreadable) == ({field}, {field: "more than 10,000 entries"})


def test_a_record_whose_id_is_too_long_has_no_usable_one() -> None:
    for letter in ("x", "é", "\U0001f600"):
        raw = json.dumps({"id": letter * (limits.KOMBO_ID.most + 1), "name": "Cook"}).encode()
        with pytest.raises(UnreadableRecordError, match="no readable id"):
            read_tolerantly(raw)
