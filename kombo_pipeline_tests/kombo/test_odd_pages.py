"""Pages that are too large, end in a blank cursor, or come in another wrapping than their headers say."""

import codecs
import gzip
import json
import logging

import pytest

from kombo_pipeline.kombo import client as client_module
from kombo_pipeline.kombo import responses
from kombo_pipeline.kombo.errors import KomboProtocolError, KomboRefused, KomboTooLargeError
from kombo_pipeline.kombo.responses import page_text, read_page
from kombo_pipeline_tests.kombo.test_client import ACME, Reply, ScriptedKombo, decoded, failure, page

LIMIT = 10_000


class Shelf(ScriptedKombo):
    """Serves a list of records in pages of the size that is asked for, with a cursor that hangs on that size."""

    def __init__(self, records, *, packed=False):
        super().__init__()
        self.records, self.packed = records, packed

    def next_reply(self):
        query = dict(self.received[-1].query)
        size = int(query["page_size"])
        start = 0
        if "cursor" in query:
            asked_size, start = map(int, query["cursor"].split("-"))
            if asked_size != size:
                return failure(400, "PLATFORM.INPUT_INVALID")
        following = f"{size}-{start + size}" if start + size < len(self.records) else None
        reply = page(*self.records[start : start + size], following=following)
        if self.packed:
            return Reply(gzip.compress(reply.body), headers={"Content-Encoding": "gzip"})
        return reply


def job(number, size):
    return {"id": f"j{number}", "description": "x" * size}


@pytest.fixture
def shelf(server, monkeypatch):
    """Puts records on the server; an answer above LIMIT bytes is too large."""
    monkeypatch.setattr(responses, "MAX_BYTES", LIMIT)
    monkeypatch.setattr(client_module, "MAX_BYTES", LIMIT)

    def put(*records, packed=False):
        server.__class__ = Shelf
        server.records, server.packed = list(records), packed
        return server

    return put


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "sizes",
    [
        [60] * 300,
        [2_000] * 20,
        [9_000] * 5,
        [10] * 260 + [9_500] + [10] * 20,
        [10] * 251 + [4_000] * 4,
    ],
    ids=["all", "some", "each alone", "one on the second page", "the second page"],
)
def test_an_answer_that_is_too_large_is_asked_for_again_in_smaller_pages(shelf, kombo, sizes, packed):
    server = shelf(*(job(number, size) for number, size in enumerate(sizes)), packed=packed)
    pages = list(kombo.job_pages(ACME))
    assert {record["id"] for records in decoded(pages) for record in records} == {f"j{n}" for n in range(len(sizes))}
    assert [p.number for p in pages] == list(range(1, len(pages) + 1))
    asked = [int(dict(request.query)["page_size"]) for request in server.received]
    assert asked == sorted(asked, reverse=True)
    assert 250 > asked[-1] >= 1
    # The last run through the pages is a whole one.
    begins = max(p.number for p in pages if p.cursor is None)
    last = decoded(p for p in pages if p.number >= begins)
    assert {record["id"] for records in last for record in records} == {f"j{n}" for n in range(len(sizes))}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_job_that_alone_is_too_large_is_named_with_what_to_do(shelf, kombo, waits, packed):
    shelf(job(1, 10), job(2, LIMIT), job(3, 10), packed=packed)
    with pytest.raises(KomboTooLargeError, match=r"job j2 alone .*10000 bytes.* shortened in the ATS") as caught:
        list(kombo.job_pages(ACME))
    assert (caught.value.retryable, caught.value.integration_id, waits) == (False, ACME, [])


def test_particular_jobs_come_in_smaller_pages_too(shelf, kombo):
    shelf(*(job(number, 3_000) for number in range(10)))
    assert len(kombo.find_jobs(ACME, ids=[f"j{number}" for number in range(10)])) == 10


def test_pages_of_one_job_may_be_as_many_as_there_are_jobs(shelf, kombo, monkeypatch):
    monkeypatch.setattr(client_module, "MAX_PAGES", 2)
    shelf(*(job(number, 9_000) for number in range(30)))
    assert len({bytes(p.records[0]) for p in kombo.job_pages(ACME)}) == 30


# -- a blank cursor ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_cursor_is_asked_for_again_and_then_the_end_as_it_is_for_kombos_own_sdk(server, kombo, caplog, blank):
    server.script = [page({"id": "a"}, following="c2"), *[page({"id": "b"}, following=blank)] * 2]
    pages = list(kombo.job_pages(ACME))
    assert decoded(pages) == [[{"id": "a"}], [{"id": "b"}]]
    assert pages[-1].next_cursor is None
    assert [dict(request.query).get("cursor") for request in server.received] == [None, "c2", "c2"]
    assert any("blank" in message for message in caplog.messages)


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_cursor_that_was_a_slip_loses_no_page(server, kombo, caplog, blank):
    caplog.set_level(logging.WARNING)
    server.script = [page({"id": "a"}, following=blank), page({"id": "a"}, following="c2"), page({"id": "b"})]
    assert decoded(kombo.job_pages(ACME)) == [[{"id": "a"}], [{"id": "b"}]]
    assert caplog.messages == []


# -- wrappings ---------------------------------------------------------------------------------------------

TEXT = page({"id": "ä"}, {"id": "b"}).body
MARKED = codecs.BOM_UTF8 + TEXT
WRAPPED = {
    "a byte order mark": (MARKED, {}),
    "a byte order mark in gzip": (gzip.compress(MARKED), {"Content-Encoding": "gzip"}),
    "gzip without its header": (gzip.compress(TEXT), {}),
    "gzip called identity": (gzip.compress(TEXT), {"Content-Encoding": "identity"}),
    "gzip called deflate": (gzip.compress(TEXT), {"Content-Encoding": "deflate"}),
    "gzip in capitals": (gzip.compress(TEXT), {"Content-Encoding": "GZIP"}),
    "gzip without its header, with a byte order mark": (gzip.compress(MARKED), {}),
    "gzip twice": (gzip.compress(gzip.compress(TEXT)), {"Content-Encoding": "gzip"}),
    "plain text called gzip": (TEXT, {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize(("wire", "headers"), WRAPPED.values(), ids=WRAPPED)
def test_a_page_is_read_whatever_it_is_wrapped_in(server, kombo, waits, wire, headers):
    server.script = [Reply(wire, headers=headers)]
    [only] = kombo.job_pages(ACME)
    assert decoded([only]) == [[{"id": "ä"}, {"id": "b"}]]
    assert waits == []
    assert [bytes(r) for r in read_page(only.body)] == [bytes(r) for r in only.records]
    assert json.loads(page_text(only.body)) == json.loads(TEXT)


@pytest.mark.parametrize("wrap", [codecs.BOM_UTF8.__add__, gzip.compress], ids=["byte order mark", "gzip"])
def test_an_error_keeps_its_code_whatever_it_is_wrapped_in(server, kombo, wrap):
    reply = failure(401, "PLATFORM.AUTHENTICATION_INVALID")
    server.script = [Reply(wrap(reply.body), status=401)]
    with pytest.raises(KomboRefused) as caught:
        list(kombo.job_pages(ACME))
    assert caught.value.code == "PLATFORM.AUTHENTICATION_INVALID"


def test_three_layers_of_gzip_are_too_many(server, kombo, waits):
    server.script, server.forever = [Reply(gzip.compress(gzip.compress(gzip.compress(TEXT))))], True
    with pytest.raises(KomboProtocolError):
        list(kombo.job_pages(ACME))
