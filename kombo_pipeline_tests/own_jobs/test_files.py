"""A file is unpacked within a limit, told by its content, and decoded byte by byte as what it is."""

import gzip
import io
import tracemalloc
import zipfile
from itertools import count
from typing import Any

import pytest

from kombo_pipeline.own_jobs import files
from kombo_pipeline.own_jobs.files import BadRow, FeedError
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline_tests.own_jobs.lists import bad, jobs, rows, workbook

LIST = b"id,title\n1,Nurse\n"
NURSE = OwnJob("1", "Nurse")


def zipped(content: dict[str, bytes]) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return stored.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(LIST),
        zipped({"list.csv": LIST}),
        zipped({"list.xml": b"<jobs><job><id>1</id><title>Nurse</title></job></jobs>"}),
        zipped({"a/list.csv": LIST, "a/.DS_Store": b"x", "__MACOSX/a/list.csv": b"x"}),
        gzip.compress(zipped({"list.csv": LIST})),
        zipped({"list.xlsx": workbook(("Jobs", [["id", "title"], ["1", "Nurse"]]))}),
    ],
    ids=count(),
)
def test_a_list_is_read_packed_by_gzip_or_zip(content: bytes) -> None:
    assert rows(content) == [NURSE]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"a.csv": LIST, "b.csv": LIST}), "this one has 2 files: a.csv, b.csv"),
        (zipped({}), "this one has 0 files"),
        (zipped({"list.csv": LIST})[:-30], "the ZIP file cannot be unpacked"),
        (gzip.compress(LIST * 100)[:-20], "the gzip file is damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"Excel 97 \(.xls\)"),
        (b"%PDF-1.7\n", "A PDF file"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), "not XLSX"),
        (b"  \n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page, not a list of jobs"),
        (b"\xef\xbb\xbf<HTML><title>Jobs</title><ul><li id='1'>", "an HTML page"),
        (b"", "the file is empty"),
        (b" \n\t", "the file is empty"),
    ],
    ids=count(),
)
@pytest.mark.parametrize("stated", [None, "csv", "json", "xml"])
def test_what_is_no_list_is_refused_with_what_to_do(content: bytes, message: str, stated: Any) -> None:
    with pytest.raises(FeedError, match=message):
        rows(content, format=stated)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped({"list.csv": data})])
def test_a_bomb_ends_at_the_limit_before_it_takes_memory(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)
    bomb = pack(bytes(2**25))
    tracemalloc.start()
    try:
        with pytest.raises(FeedError, match="larger than"):
            rows(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_WORKBOOK_BYTES", 2**10)
    with pytest.raises(FeedError, match="larger than"):
        rows(workbook(("Jobs", [["id", "title"], ["1", "x" * 30_000]])))


def test_a_list_packed_again_and_again_is_refused() -> None:
    content = LIST
    for _ in range(files.MAX_LAYERS + 1):
        content = gzip.compress(content)
    with pytest.raises(FeedError, match="packed more than"):
        rows(content)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("id,title\n1,Köchin\n2,Bäcker\n3,Verk".encode() + b"\xe4ufer\n", "Verkäufer"),
        (
            'id,title\n1,Köchin\n2,Bäcker\n3,"Käse, Verk'.encode() + b'\xe4ufer"\n',
            "Käse, Verkäufer",
        ),
    ],
)
def test_one_odd_byte_names_its_line_and_changes_no_other(content: bytes, title: str) -> None:
    assert [job.title for job in jobs(content)] == ["Köchin", "Bäcker", title]
    assert bad(content) == [BadRow(4, "not UTF-8; the line is read as Windows-1252", kept=True)]


def test_a_file_in_windows_1252_is_read_as_a_whole_with_one_note() -> None:
    content = "id,title\n1,Köchin\n2,Bäcker – Köln\n3,Café\n".encode("cp1252")
    assert [job.title for job in jobs(content)] == ["Köchin", "Bäcker – Köln", "Café"]
    assert bad(content) == [BadRow(2, "not UTF-8; the file is read as Windows-1252", kept=True)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_is_told_with_a_byte_order_mark_or_without(encoding: str) -> None:
    assert rows("id,title\n1,Köchin\n".encode(encoding)) == [OwnJob("1", "Köchin")]
