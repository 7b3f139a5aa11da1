"""Own jobs come in from any file that people have: what can be read is kept, what cannot is named by its line."""

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombo_pipeline.own_jobs.files import BadRow, FeedError
from kombo_pipeline.own_jobs.reading import OwnJob, read, read_mapping
from kombo_pipeline_tests.own_jobs.lists import bad, jobs, rows

NURSE = OwnJob("1", "Nurse")


# ------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_of_any_delimiter_and_unicode_encoding_is_read(delimiter: str, encoding: str, newline: str) -> None:
    lines = ["Job ID,Titel,URL,Standort,Posted", "1,Köchin,https://x.com/1,Köln,2026-03-04", "2,Nurse,,,"]
    content = newline.join(line.replace(",", delimiter) for line in lines)
    assert rows(content.encode(encoding)) == [
        OwnJob("1", "Köchin", post_url="https://x.com/1", location="Köln", posted_at=date(2026, 3, 4)),
        OwnJob("2", "Nurse", post_url="", location=""),
    ]


def test_a_file_that_is_not_utf_8_is_read_as_windows_1252_with_a_note() -> None:
    note, cook, dash = rows("id,title\n1,Köchin\n2,Cook – Berlin\n".encode("cp1252"))
    assert note == BadRow(2, "not UTF-8; the file is read as Windows-1252", kept=True)
    assert (cook, dash) == (OwnJob("1", "Köchin"), OwnJob("2", "Cook – Berlin"))


def test_bad_rows_are_named_by_the_line_they_begin_in_and_the_rest_is_kept() -> None:
    content = (
        'id,title,city\n1,"two\nlines",Bonn\n\n,Nurse,Bonn\n3,a,b,c\n4,"Cook" x,Bonn\n5,"never closed,Bonn\n6,Cook\n'
    )
    assert [row.line for row in jobs(content)] == [2, 9]
    assert [job.title for job in jobs(content)] == ["two\nlines", "Cook"]
    assert [(row.line, row.own_job_id) for row in bad(content)] == [(5, None), (6, "3"), (7, None), (8, None)]
    assert "4 values for 3 columns" in bad(content)[1].reason


def test_a_missing_column_is_one_error_that_names_the_columns_found() -> None:
    with pytest.raises(FeedError, match="no column for own_job_id and title; the file has the columns Nummer, Text"):
        rows("Nummer;Text\n1;Nurse\n")


def test_further_columns_are_mapped_by_name() -> None:
    content = "Nummer;Text;Ref\n1;Nurse;r-9\n"
    columns = {"nummer": "own_job_id", "Text": "title", "Ref": "job_code"}
    assert rows(content, columns=columns) == [OwnJob("1", "Nurse", job_code="r-9")]
    with pytest.raises(FeedError, match="no column Nr, which is to be mapped"):
        rows(content, columns={**columns, "Nr": "remote_id"})
    assert read_mapping(["own_job_id=Nummer", "Ref=job_code", "title=name"]) == {
        "Nummer": "own_job_id", "Ref": "job_code", "name": "title",
    }  # fmt: skip
    for wrong in (["own_job_id"], ["a=b"], ["own_job_id="], ["title=A", "title=B"], ["title=A", "job_code=A"]):
        with pytest.raises(FeedError):
            read_mapping(wrong)
    with pytest.raises(FeedError, match="'salary', which is no column"):
        rows(content, columns={"Text": "salary"})


def test_the_delimiter_that_excel_states_is_believed() -> None:
    assert rows("sep=;\nid;title\n1;Nurse, Bonn\n") == [OwnJob("1", "Nurse, Bonn")]


def test_null_bytes_long_titles_and_missing_titles_lose_no_job() -> None:
    long = "x" * 1_000
    found = rows(f"id,title\n1,Nu\0rse\n2,{long}\n3,\n".encode())
    assert found == [
        BadRow(2, "null bytes were taken out", kept=True, own_job_id="1"),
        NURSE,
        OwnJob("2", long),
        BadRow(4, "no title; only its identifiers can match it", kept=True, own_job_id="3"),
        OwnJob("3", ""),
    ]


def test_an_id_too_long_for_the_key_is_a_bad_row() -> None:
    assert [row.kept for row in bad(f"id,title\n{'9' * 501},Nurse\n")] == [False]


# ------------------------------------------------------------------------------------------------ JSON


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": 1, "title": "Nurse"}]',
        '{"total": {"jobs": 1}, "note": "\\"jobs\\": [", "jobs": [{"id": 1, "title": "Nurse"}], "next": null}',
        '{"id": 1, "title": "Nurse"}',
        '\n{"id": 1, "title": "Nurse"}\n\n',
    ],
)
def test_json_comes_as_an_array_under_jobs_or_in_lines(content: str) -> None:
    assert rows(content) == [NURSE]


def test_bad_json_lines_are_reported_with_their_line_and_the_rest_is_kept() -> None:
    content = '{"id": 1, "title": "Nurse"}\n{"id": 2,\n\n[1]\n{"title": "Cook"}\n{"id": 6, "title": "Cook"}\n'
    assert jobs(content) == [NURSE, OwnJob("6", "Cook")]
    assert [row.line for row in bad(content)] == [2, 4, 5]


def test_elements_of_an_array_are_reported_with_the_line_they_begin_in() -> None:
    content = '[\n  {"id": 1,\n   "title": "Nurse"},\n  7,\n  {"title": "Cook"}\n]'
    assert jobs(content)[0].line == 2
    assert [row.line for row in bad(content)] == [4, 5]


def test_nested_values_become_text_and_null_is_told_to_be_empty() -> None:
    place = {"city": "Bonn", "country": "DE"}
    content = json.dumps([{"id": "1", "title": "Nurse", "location": place, "url": None, "department": {"name": "ICU"}}])
    assert rows(content) == [OwnJob("1", "Nurse", location="Bonn, DE", post_url="", department="ICU")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"id": 1, "title": "Nurse"},\n {"id": 2', "no JSON: line 2"),
        ('{"jobs": [{"id": 1}', "no JSON: line 1"),
        ('{\n"departments": []\n}', "no list of jobs"),
        ("[" * 100_000, "nested too deep"),
        (" \n", "the file is empty"),
        ("", "the file is empty"),
    ],
)
def test_half_a_document_is_refused_as_a_whole(content: str, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        rows(content)


# ------------------------------------------------------------------------------------------------- XML

FEED = """<?xml version="1.0" encoding="utf-8"?>
<source{namespace}>
  <publisher>Multiposter</publisher><title>All jobs</title>
  <job>
    <title><![CDATA[Nurse & <b>Carer</b>]]></title>
    <date><![CDATA[Mon, 05 Mar 2026 20:52:19 GMT]]></date>
    <referencenumber><![CDATA[ref1]]></referencenumber>
    <requisitionid>R-12</requisitionid>
    <url>
      <![CDATA[https://x.com/1?a=1&b=2]]>
    </url>
    <company>Acme</company><city>Bonn</city><state>NW</state><country>DE</country>
    <jobtype>fulltime</jobtype><category>Care</category>
    <description><![CDATA[<title>no title</title>]]></description>
  </job>
  <job><title>Cook</title><city/></job>
  <job id="2"><title>Cook</title></job>
</source>
"""


@pytest.mark.parametrize("namespace", ["", ' xmlns="https://example.com/jobs" xmlns:x="https://example.com/x"'])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_xml_job_feed_is_read_packed_or_namespaced(namespace: str, pack: Any) -> None:
    content = pack(FEED.format(namespace=namespace).encode())
    nurse, cook = jobs(content)
    assert nurse == OwnJob(
        "ref1",
        "Nurse & Carer",
        job_code="R-12",
        post_url="https://x.com/1?a=1&b=2",
        location="Bonn, NW, DE",
        department="Care",
        employment_type="fulltime",
        posted_at=date(2026, 3, 5),
    )
    assert cook == OwnJob("2", "Cook")
    assert bad(content) == [BadRow(16, "no id; the row has title, city")]


def test_a_feed_longer_than_one_reading_is_complete() -> None:
    filler = f"<description>{'x' * 30_000}</description>"
    content = f"<source>{''.join(f'<job><id>{n}</id><title>Nurse</title>{filler}</job>' for n in range(20))}</source>"
    assert [job.own_job_id for job in jobs(content)] == [str(n) for n in range(20)]


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><source><job><id>&b;</id></job></source>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><source/>',
    ],
)
def test_entity_bombs_and_foreign_files_are_refused(content: str) -> None:
    with pytest.raises(FeedError, match="DOCTYPE"):
        rows(content)


@pytest.mark.parametrize("content", ["<source><job><id>1</id>", "<source>\0</source>", "<source>&nbsp;</source>"])
def test_broken_xml_is_refused_with_its_line(content: str) -> None:
    with pytest.raises(FeedError, match=r"no XML: .*line 1"):
        rows(content)


def test_a_damaged_gzip_file_is_refused() -> None:
    with pytest.raises(FeedError, match="damaged"):
        rows(gzip.compress(b"id,title\n1,Nurse\n" * 100)[:-20])


def test_the_suffix_tells_the_format_of_a_file(tmp_path: Path) -> None:
    for name, content in {"a.CSV": "id,title\n1,Nurse", "a.ndjson": '{"id":1,"title":"Nurse"}'}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        assert list(read(tmp_path / name)) == list(read(str(tmp_path / f"{name}.gz"))) == [NURSE]


@settings(max_examples=200, deadline=None)
@given(
    st.binary() | st.text('id,title\n"1;{}[]<job>/').map(str.encode),
    st.sampled_from([None, "csv", "json", "jsonl", "xml"]),
)
def test_no_content_at_all_ends_in_anything_but_rows_or_a_feed_error(content: bytes, kind: Any) -> None:
    try:
        rows(content, format=kind)
    except FeedError as error:
        assert str(error)
