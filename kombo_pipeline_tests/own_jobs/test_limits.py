"""What is too long, too much or no number costs its row, or the list; the door stays open and the memory small."""

import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from kombo_pipeline import limits
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.own_jobs import feed, files, json_lists
from kombo_pipeline.own_jobs.files import MAX_NAMED, MAX_ROW_BYTES, TooLargeError
from kombo_pipeline.own_jobs.importing import import_own_jobs
from kombo_pipeline.own_jobs.reading import COLUMNS, read
from kombo_pipeline_tests.backoffice.conftest import running_backoffice
from kombo_pipeline_tests.own_jobs.lists import jobs, rows, workbook
from kombo_pipeline_tests.test_cli import kombo_pipeline

TOKEN = "acme-token-of-32-characters-12345"
TEXTS = [column for column in COLUMNS if column != "posted_at"]
CONTENT_TYPES = {
    "json": "application/json",
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "xml": "application/xml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def written(form: str, *records: dict[str, Any]) -> bytes:
    """A list in a format; all records have the same names."""
    names = list(records[0])
    match form:
        case "json":
            return json.dumps(records).encode()
        case "jsonl":
            return "\n".join(map(json.dumps, records)).encode()
        case "csv":
            table = [names, *([str(value) for value in record.values()] for record in records)]
            return "\n".join(";".join(row) for row in table).encode()
        case "xml":
            each = ("".join(f"<{name}>{value}</{name}>" for name, value in record.items()) for record in records)
            return f"<jobs>{''.join(f'<job>{job}</job>' for job in each)}</jobs>".encode()
    return workbook(("Jobs", [names, *(list(record.values()) for record in records)]))


@pytest.fixture(scope="module")
def front_door(module_warehouse_url: str) -> Iterator[str]:
    with running_backoffice(module_warehouse_url, own_jobs_tokens=(f"acme={TOKEN}",), own_jobs_max_rows=5000) as url:
        yield url


def post(front_door: str, content: bytes, form: str, **query: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": CONTENT_TYPES[form]}
    url = f"{front_door}/api/own-jobs/acme"
    return httpx.post(url, content=content, params=query, headers=headers, timeout=120)


def test_every_text_of_an_own_job_has_a_limit() -> None:
    assert list(limits.OWN_JOB) == TEXTS


@pytest.mark.parametrize("form", CONTENT_TYPES)
@pytest.mark.parametrize("column", TEXTS)
def test_a_text_as_long_as_its_limit_is_stored_and_a_longer_one_names_row_column_length_and_limit(
    column: str, form: str, conn: Connection
) -> None:
    limit = limits.OWN_JOB[column].most
    for letter in "xé":
        good = {"own_job_id": f"good {letter}", "title": "Cook"} | {column: letter * limit}
        long = {"own_job_id": "long", "title": "Cook"} | {column: letter * (limit + 1)}
        done = import_own_jobs(conn, read(io.BytesIO(written(form, good, long))), customer_id="acme", source="import")
        assert (done.new, done.more_bad) == (1, 0)
        [row] = [row for row in done.bad if not row.kept]
        assert row.reason == f"{column} is too long: {limit + 1:,} characters; {limit:,} are possible"
        assert row.own_job_id == (None if column == "own_job_id" else "long")
        assert row.line == {"json": 1, "jsonl": 2, "csv": 3, "xml": 1, "xlsx": 3}[form]
        found = conn.execute("select * from core.own_jobs where own_job_id = %s", (good["own_job_id"],)).fetchone()
        assert found is not None
        assert found[column] == good[column]


def test_a_job_whose_row_is_too_long_is_neither_changed_nor_withdrawn(front_door: str, conn: Connection) -> None:
    post(front_door, written("json", {"id": "1", "title": "Cook"}, {"id": "2", "title": "Nurse"}), "json")
    long = written("json", {"id": "1", "title": "x" * 1001}, {"id": "3", "title": "Clerk"})
    told = post(front_door, long, "json", replace="1").json()
    assert (told["new"], told["withdrawn"], told["not_withdrawn"]) == (1, 1, None)
    assert [(row["own_job_id"], row["kept"]) for row in told["bad"]] == [("1", False)]
    living = conn.execute(
        "select own_job_id, title from core.own_jobs where withdrawn_at is null order by 1"
    ).fetchall()
    assert [tuple(row.values()) for row in living] == [("1", "Cook"), ("3", "Clerk")]


def test_a_row_that_withdraws_its_job_does_so_however_long_its_texts_are(conn: Connection) -> None:
    import_own_jobs(conn, jobs([{"id": "1", "title": "Cook"}]), customer_id="acme", source="import")
    content = [{"id": "1", "title": "x" * 5000, "withdrawn": True}, {"id": "2", "title": "Nurse"}]
    done = import_own_jobs(conn, rows(content), customer_id="acme", source="import")
    assert (done.withdrawn, done.new, done.bad) == (1, 1, [])


@pytest.mark.parametrize("column", [*TEXTS[1:], "list"])
def test_who_writes_by_sql_meets_the_same_limits(column: str, conn: Connection) -> None:
    limit = limits.OWN_JOB.get(column, limits.WORD).most
    statement = f"insert into core.own_jobs (customer_id, own_job_id, {column}) values ('acme', '1', %s)"
    with pytest.raises(psycopg.errors.CheckViolation, match=f"{column}_is_not_too_long"), conn.transaction():
        conn.execute(statement, ("é" * (limit + 1),))
    conn.execute(statement, ("é" * limit,))


def test_what_was_too_long_before_the_limits_came_can_still_be_changed_and_withdrawn(conn: Connection) -> None:
    """The migration shortens words, and takes out what names a job: a part of it could be another job's."""
    text = (Path(files.__file__).parents[1] / "db/migrations/versions/0013_limits.sql").read_text()
    for column in [*TEXTS[1:], "list"]:
        conn.execute(f"alter table core.own_jobs drop constraint {column}_is_not_too_long")
    columns = [*TEXTS[1:], "list"]
    values = ["x" * (limits.OWN_JOB.get(column, limits.WORD).most + 1) for column in columns]
    conn.execute(
        f"insert into core.own_jobs (customer_id, own_job_id, {', '.join(columns)}) "
        f"values ('acme', 'long', {', '.join(['%s'] * len(columns))})",
        values,
    )
    conn.execute("insert into core.own_jobs (customer_id, own_job_id, title) values ('acme', 'short', 'Cook')")
    conn.execute(text)
    done = import_own_jobs(conn, rows([{"id": "long", "withdrawn": 1}]), customer_id="acme", source="import")
    assert (done.withdrawn, done.bad) == (1, [])
    found = conn.execute("select * from core.own_jobs where own_job_id = 'long'").fetchone()
    assert found is not None
    kept = {"title": 1000, "location": 4000, "department": 1000, "employment_type": 1000, "list": 200}
    assert {column: len(found[column]) for column in columns if found[column] is not None} == kept


# ------------------------------------------------------------------------------------------- no numbers, no ids

DIGITS = "9" * 5000
NO_IDS: dict[str, list[str]] = {
    "json": [
        DIGITS, f"-{DIGITS}", f"{DIGITS}.5", f"1e{DIGITS}", "NaN", "Infinity", "-Infinity", "-0", "-0.0", "1e400",
        "-1e400", "1E22", "true", "false", "null", "{}", "[]", "[1]", '["a", "b"]', '{"a": 1}', "[[]]",
        f"0.{DIGITS}", '""', '" "', "[null]", "[{}]", f'"{DIGITS}"', '"NaN"', '"inf"', '"-Infinity"', '"-0"',
        '{"value": {}}', "[true]",
    ],
    "csv": [DIGITS, f"-{DIGITS}", "NaN", "nan", "inf", "-inf", "Infinity", "-0", "-0.0", "", "1E+400"],
}  # fmt: skip
NO_IDS["jsonl"], NO_IDS["xml"] = NO_IDS["json"], NO_IDS["csv"]


def holding(form: str, literal: str, *, column: str = "id") -> bytes:
    """A list of a good job and one whose value in a column is written as it stands."""
    good, odd = {"id": "good", "title": "Cook"}, {"id": "odd", "title": "Nurse", column: "HERE"}
    good = {column: "", **good} if column not in good else good
    return written(form, good, odd).replace(b'"HERE"' if form.startswith("json") else b"HERE", literal.encode())


@pytest.mark.parametrize(("form", "literal"), [(f, each) for f, all_of in NO_IDS.items() for each in all_of])
def test_what_can_be_no_id_is_a_bad_row_and_the_others_are_taken(form: str, literal: str, front_door: str) -> None:
    answer = post(front_door, holding(form, literal), form, dry_run="1")
    assert answer.status_code == 200, answer.text[:500]
    assert answer.json()["new"] == 1, literal[:20]
    assert [job["own_job_id"] for job in answer.json()["examples"]["new"]] == ["good"]
    [row] = [row for row in answer.json()["bad"] if not row["kept"]]
    assert row["own_job_id"] is None
    assert len(answer.content) < 3000


@pytest.mark.parametrize("value", [DIGITS, "1e400", "-1e400", "inf", True, None, "1e5000", "0." + DIGITS])
def test_a_number_of_a_workbook_that_can_be_no_id_is_a_bad_row(value: Any, front_door: str) -> None:
    """As Excel would write it, if it could."""
    book = workbook(("Jobs", [["id", "title"], ["good", "Cook"], [424242, "Nurse"]]))
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.startswith("xl/worksheets"):
                assert b"<v>424242</v>" in content
                cell = b"" if value is None else b"<v>1</v>" if value is True else b"<v>%s</v>" % value.encode()
                content = content.replace(b"<v>424242</v>", cell)
                if value is True:
                    content = content.replace(b'r="A3" t="n"', b'r="A3" t="b"')
            new.writestr(name, content)
    answer = post(front_door, packed.getvalue(), "xlsx", dry_run="1")
    if value in ("1e5000", "1e400", "-1e400", "inf", DIGITS, "0." + DIGITS) and answer.status_code == 422:
        pytest.fail(answer.text)
    assert answer.json()["new"] == 1
    assert [row["line"] for row in answer.json()["bad"] if not row["kept"]] == [3]


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize(
    "literal", [DIGITS, "NaN", "-Infinity", "1e400", "{}", "[]", "true", f'"{DIGITS}-01-01"', "-0"]
)
@pytest.mark.parametrize("column", ["title", "posted_at", "location", "job_code", "post_url", "withdrawn", "benefits"])
def test_an_absurd_number_elsewhere_is_never_an_error_of_ours_nor_stored(
    column: str, literal: str, form: str, front_door: str
) -> None:
    answer = post(front_door, holding(form, literal, column=column), form, dry_run="1")
    assert answer.status_code == 200, answer.text[:500]
    told = answer.json()
    assert told["new"] in (1, 2)
    titles = {job["own_job_id"]: job["title"] for job in told["examples"]["new"]}
    assert titles.get("odd") in ("Nurse", None, "true", "-0")


# ------------------------------------------------------------------------------------------- too many rows


MANY: dict[str, Callable[[int], bytes]] = {
    "json": lambda count: b"[" + b",".join([b"{}"] * count) + b"]",
    "jsonl": lambda count: b"{}\n" * count,
    "csv": lambda count: b"id;title\n" + b";x\n" * count,
    "xml": lambda count: b"<jobs>" + b"<job/>" * count + b"</jobs>",
    "xlsx": lambda count: workbook(("Jobs", [["id", "title"], *([None, "x"] for _ in range(count))])),
}


@pytest.mark.parametrize("form", MANY)
def test_a_list_of_more_rows_than_are_possible_is_refused_as_a_whole(form: str, front_door: str) -> None:
    answer = post(front_door, gzip.compress(MANY[form](5001)), form)
    assert answer.status_code == 413
    assert "more than 5,000 rows" in answer.json()["error"]
    good = b',{"id":"1","title":"Cook"}]'
    content = MANY[form](5000) if form != "json" else MANY[form](4999)[:-1] + good
    answer = post(front_door, content, form)
    assert "rows" not in answer.json().get("error", ""), answer.text[:300]


def test_bad_rows_beyond_the_first_thousand_are_counted(front_door: str, conn: Connection) -> None:
    content = MANY["json"](4000)[:-1] + b',{"id":"1","title":"Cook"}]'
    told = post(front_door, content, "json", dry_run="1").json()
    assert (told["new"], len(told["bad"]), told["bad_not_shown"]) == (1, MAX_NAMED, 3000)


def test_a_bad_row_that_is_only_counted_spares_its_job_all_the_same(conn: Connection) -> None:
    content = [{"id": str(number), "title": "Cook"} for number in range(MAX_NAMED + 20)]
    import_own_jobs(conn, rows(content), customer_id="acme", source="import")
    for record in content[:-1]:
        record["title"] = "x" * 1001
    done = import_own_jobs(conn, rows(content), customer_id="acme", source="import", replace=True)
    assert (done.unchanged, done.withdrawn, done.held, done.more_bad) == (1, 0, 0, 19)
    done = import_own_jobs(conn, rows([*content, *[{}] * 9]), customer_id="acme", source="import", replace=True)
    assert done.not_withdrawn.startswith("9 rows could not be read and name no job")


def test_the_command_names_the_first_bad_rows_and_counts_the_others(
    tmp_path: Path, conn: Connection, module_warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", module_warehouse_url)
    file = tmp_path / "list.json"
    file.write_bytes(MANY["json"](1500)[:-1] + b',{"id":"1","title":"Cook"}]')
    done = kombo_pipeline("import-own-jobs", str(file), "--customer", "acme")
    assert done.output.splitlines()[-2:] == [
        "and 500 further rows with a remark",
        "1 new, 0 changed, 0 unchanged, 0 withdrawn, 1500 rows with a remark",
    ]
    monkeypatch.setenv("KOMBO_OWN_JOBS_MAX_ROWS", "1500")
    done = kombo_pipeline("import-own-jobs", str(file), "--customer", "acme")
    assert done.exit_code == 1
    assert "more than 1,500 rows" in done.output


# ------------------------------------------------------------------------------------------- too long rows

LONG = b"x" * (MAX_ROW_BYTES + 1000)
LONG_ROWS: dict[str, tuple[str, bytes]] = {
    "json": ("json", b'[{"id":"1","title":"Cook"},\n{"id":"2","a":"%s"},\n{"id":"3","title":"N"}]' % LONG),
    "json within": (
        "json", b'{"jobs":[{"id":"1","title":"Cook"},\n{"id":"2","a":"%s"},{"id":"3","title":"N"}]}' % LONG
    ),
    "json of quotes": (
        "json", b'[{"id":"1","title":"Cook"},\n{"id":"2","a":"%s"},{"id":"3","title":"N"}]' % (b'\\"[{' * 1_100_000)
    ),
    "json of lists": (
        "json", b'[{"id":"1","title":"Cook"},\n{"id":"2","a":[%s1]},{"id":"3","title":"N"}]' % (b"[],1," * 1_000_000)
    ),
    "jsonl": ("jsonl", b'{"id":"1","title":"Cook"}\n{"id":"2","a":"%s"}\n{"id":"3","title":"N"}' % LONG),
    "csv": ("csv", b"id;title\n1;Cook\n2;%s\n3;N\n" % LONG),
    "csv of lines": (
        "csv", b'id;title\n1;Cook\n2;"%s"\n3;N\n' % (b"x;y;z-------------------\n" * 200_000)
    ),
    "xml": ("xml", b"<jobs><job><id>1</id><title>Cook</title></job>\n<job><id>2</id><a>%s</a></job>"
                   b"<job><id>3</id><title>N</title></job></jobs>" % LONG),
    "xml of elements": ("xml", b"<jobs><job><id>1</id><title>Cook</title></job>\n<job><id>2</id>%s</job>"
                               b"<job><id>3</id><title>N</title></job></jobs>" % (b"<a/>" * 100_000)),
}  # fmt: skip


@pytest.mark.parametrize("case", LONG_ROWS)
def test_a_row_that_is_too_long_is_named_and_the_others_are_taken(case: str) -> None:
    form, content = LONG_ROWS[case]
    found = rows(content, format=form, max_rows=10_000_000)
    assert [row.own_job_id for row in found if not hasattr(row, "kept")] == ["1", "3"]
    unread = [row for row in found if hasattr(row, "kept") and not row.kept]
    assert f"{MAX_ROW_BYTES:,}" in unread[0].reason
    assert unread[0].line == (3 if form == "csv" else 2)


@pytest.mark.parametrize("decoded_up_to", [0, json_lists.MAX_DECODED_BYTES])
def test_rows_of_many_scripts_are_read_alike_on_both_sides_of_the_length_at_which_they_are_measured(
    decoded_up_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lists, "MAX_DECODED_BYTES", decoded_up_to)
    names = ["Köchin", "厨师", "\U0001f600 Clown", 'Quote "[{]}" \\', "line\nbreak"]
    content = [{"id": str(n), "title": names[n % 5], "a": {"b": ["x" * 300]}} for n in range(MAX_ROW_BYTES // 300)]
    for wrapped in (content, {"total": len(content), "jobs": content}):
        raw = json.dumps(wrapped, ensure_ascii=False).encode()
        assert len(raw) > MAX_ROW_BYTES
        assert [job.title for job in jobs(raw)] == [each["title"] for each in content]


def member(book: bytes, name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            if each != name:
                new.writestr(each, old.read(each))
        new.writestr(name, content)
    return packed.getvalue()


BOOK = workbook(("Jobs", [["id", "title"], ["1", "Cook"]]))
NAMESPACE = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHEET = b'<worksheet xmlns="' + NAMESPACE + b'"><sheetData>%s</sheetData></worksheet>'
HOSTILE_BOOKS = {
    "cells": member(BOOK, "xl/worksheets/sheet1.xml", SHEET % (b"<row>" + b"<c/>" * 1_000_000 + b"</row>")),
    "texts": member(BOOK, "xl/sharedStrings.xml", b"<sst>" + b"<si/>" * 4_000_000 + b"</sst>"),
    "a text": member(BOOK, "xl/sharedStrings.xml", b"<sst><si><t>" + b"x" * 20_000_000 + b"</t></si></sst>"),
    "styles": member(
        BOOK, "xl/styles.xml", b"<styleSheet><cellXfs>" + b"<xf/>" * 1_000_000 + b"</cellXfs></styleSheet>"
    ),
}


@pytest.mark.parametrize("case", HOSTILE_BOOKS)
def test_a_workbook_that_would_take_far_more_memory_than_it_is_long_is_refused(case: str) -> None:
    with pytest.raises(TooLargeError, match="too many elements, rows or letters"):
        rows(HOSTILE_BOOKS[case])


def test_a_row_far_below_all_others_of_a_sheet_is_no_endless_loop() -> None:
    texts = (b'<c t="inlineStr"><is><t>%s</t></is></c>' % name for name in (b"id", b"title"))
    far = b'<row r="1">%s</row><row r="999999999"><c r="A999999999"/></row>' % b"".join(texts)
    with pytest.raises(TooLargeError, match="rows"):
        rows(member(BOOK, "xl/worksheets/sheet1.xml", SHEET % far))


# ------------------------------------------------------------------------------------------- memory

MEASURED = """
import gzip, io, resource, sys
from kombo_pipeline.own_jobs.files import FeedError
from kombo_pipeline.own_jobs.importing import collect
from kombo_pipeline.own_jobs.reading import read
packed = open(sys.argv[1], "rb")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    found = collect(read(packed, format=sys.argv[2], max_rows=100_000))
    told = [len(found.jobs), len(found.bad.named) + found.bad.more]
except FeedError as error:
    told = str(error)
print(told)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
MB = 2**20
BOMBS: dict[str, tuple[str, tuple[bytes, bytes, int, bytes], str, int]] = {
    # What it is -> format; its beginning, its middle so many times, its end; what is told; MB that it may take
    "a title of 500 MB": ("json", (b'[{"id":1,"title":"', b"x" * MB, 500, b'"}]'), "larger than 256 MB", 60),
    "a title of 200 MB": ("json", (b'[{"id":1,"title":"', b"x" * MB, 200, b'"}]'), "line 1: a row of 209,715,", 450),
    "an emoji in 200 MB": ("json", (b'[{"a":"\xf0\x9f\x98\x80', b"x" * MB, 200, b'"},{"id":1}]'), "[1, 2]", 450),
    "a title of 200 MB in a line": ("jsonl", (b'{"id":1,"title":"', b"x" * MB, 200, b'"}'), "line 1: a row of", 250),
    "a title of 200 MB in a CSV": ("csv", (b"id;title\n1;", b"x" * MB, 200, b"\n"), "[0, 1]", 250),
    "a title of 200 MB in XML": (
        "xml", (b"<jobs><job><id>1</id><title>", b"x" * MB, 200, b"</title></job></jobs>"), "[0, 1]", 250
    ),
    "empty rows": ("json", (b"[", b"{}," * 100_000, 20, b"{}]"), "more than 100,000 rows", 60),
    "blank lines": ("csv", (b"id;title\n", b"\n" * MB, 200, b"1;Cook\n"), "more than 10,000,000 lines", 250),
    "lines not in UTF-8": (
        "jsonl", (b"\xff\n", b"\xff\n\xc3\xa4\n" * 100_000, 10, b""), "more than 100,000 rows", 60
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_a_small_body_that_unpacks_to_much_takes_little_memory(case: str, tmp_path: Path) -> None:
    form, (start, middle, times, end), told, megabytes = BOMBS[case]
    packed = tmp_path / "packed.gz"
    with gzip.open(packed, "wb", compresslevel=1) as file:
        for part in (start, *[middle] * times, end):
            file.write(part)
    assert packed.stat().st_size < 5 * MB
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(packed), form], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answer, taken = done.stdout.splitlines()
    assert told in answer
    assert int(taken) < megabytes


# ------------------------------------------------------------------------------------------- the door

HOSTILE: list[bytes] = [
    b"", b"\0", b"[", b"{", b"<", b"]", b"[" * 100_000, b'{"a":' * 100_000, b"<a>" * 100_000, b"[{}", b"\xff\xfe",
    b"\xff" * 1000,
    b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" * 5, b"[1e400]", b"[NaN]", b"[" + b"9" * 5000 + b"]",
    b'[{"id":"\\ud800","title":"\\udfff"}]', b'[{"id":"a\\u0000b","title":"\\u0000"}]', b'[{"id":1,"title":"x"}',
    b'{"jobs": ' + b"9" * 5000 + b"}", b'{"total": ' + b"9" * 5000 + b', "jobs": [{"id":1,"title":"x"}]}',
    b'[{"id":1,"title":"x","@graph":[' + b"9" * 5000 + b"]}]", b'"' * 1001, b"id,title\n1," + b'"' * 1001, b"\r" * 1000,
    b'<?xml version="1.0" encoding="x-nonsense"?><jobs><job><id>1</id></job></jobs>',
    b"<jobs " + b"a='1' " * 1000 + b"/>",
    b"sep=\n\n", b"sep=\xff\nid\xfftitle\n", b"id;title\n" + b";" * 100_000, b"id;id;title;title\n1;2;3;4;5\n",
    '[{"id":"\U0001f600","title":"\u202e"}]'.encode("utf-16"), b"\xef\xbb\xbf", b"\xef\xbb\xbf[]", b"-0",
    b"1e999999999",
]  # fmt: skip


@pytest.mark.parametrize("form", CONTENT_TYPES)
def test_the_feed_answers_json_with_a_reason_whatever_is_sent(form: str, front_door: str) -> None:
    for content in HOSTILE:
        for sent in (content, gzip.compress(content)):
            answer = post(front_door, sent, form, dry_run="1")
            assert answer.status_code in (200, 413, 422), (content[:40], answer.text[:200])
            assert answer.headers["content-type"] == "application/json"
            assert len(answer.content) < 20_000
            if answer.status_code != 200:
                assert set(answer.json()) == {"error"}
                assert "Traceback" not in answer.text


@pytest.mark.parametrize("encoding", ["deflate", "zlib", "br", "gzip, gzip", "x" * 5000])
def test_another_content_encoding_is_refused_in_json(encoding: str, front_door: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Content-Encoding": encoding}
    answer = httpx.post(f"{front_door}/api/own-jobs/acme", content=b"[]", headers=headers)
    assert (answer.status_code, list(answer.json())) == (415, ["error"])


def test_a_method_that_the_feed_does_not_know_is_refused_in_json(front_door: str) -> None:
    for method in ("GET", "PUT", "PATCH", "OPTIONS"):
        answer = httpx.request(method, f"{front_door}/api/own-jobs/acme")
        assert (answer.status_code, list(answer.json())) == (405, ["error"])
    assert list(httpx.get(f"{front_door}/api/nothing").json()) == ["error"]


def test_a_fault_of_ours_is_answered_in_json(front_door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(feed.reading, "read", fails)
    answer = post(front_door, b"[]", "json")
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    assert "not foreseen" not in answer.text


def test_a_title_of_half_a_gigabyte_is_refused_at_the_door(front_door: str) -> None:
    packed = io.BytesIO()
    with gzip.open(packed, "wb", compresslevel=6) as file:
        for part in (b'[{"id":1,"title":"', *[b"x" * MB] * 500, b'"}]'):
            file.write(part)
    answer = post(front_door, packed.getvalue(), "json")
    assert (answer.status_code, "larger than 256 MB" in answer.json()["error"]) == (413, True)


def test_a_customer_id_or_a_job_id_that_is_too_long_is_refused_in_json(front_door: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.delete(f"{front_door}/api/own-jobs/acme", params={"own_job_id": "x" * 5000}, headers=headers)
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
