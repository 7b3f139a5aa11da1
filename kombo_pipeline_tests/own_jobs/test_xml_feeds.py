"""Feeds in XML: a job's own elements at their own depth, and broken markup that costs one job, not the list."""

import time
from contextlib import suppress
from datetime import date
from itertools import count
from typing import Any

import pytest

from kombo_pipeline.own_jobs.files import BadRow, FeedError
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline_tests.own_jobs.lists import bad, jobs, rows, told

DAY = date(2026, 3, 14)


@pytest.mark.parametrize(
    "job",
    [
        "<company><id>9</id><name>Acme</name></company><id>7</id><title>Koch</title>",
        "<id>7</id><title>Koch</title><company><id>9</id><name>Acme</name></company>",
        "<contact><title>Dr.</title><id>9</id></contact><id>7</id><title>Koch</title>",
        "<description><name>Tasks</name><title>x</title></description><id>7</id><name>Koch</name>",
        "<a1><a2><a3><id>9</id><title>x</title></a3></a2></a1><id>7</id><title>Koch</title>",
        "<id>7</id><title>Koch</title><title>Cook</title>",
        "<id/><id>7</id><title/><title>Koch</title>",
        "<header><id>7</id><title>Koch</title></header><company><id>9</id></company>",
    ],
)
def test_the_own_elements_count_wherever_they_stand(job: str) -> None:
    assert told(f"<jobs><job>{job}</job></jobs>") == [{"own_job_id": "7", "title": "Koch"}]


@pytest.mark.parametrize("nested", ["company", "contact", "employer", "client", "recruiter", "a"])
def test_a_nested_id_is_never_the_jobs(nested: str) -> None:
    broken = f"<job><{nested}><id>9</id></{nested}><title>Koch</title></job>"
    content = f"<jobs>{broken}<job><id>7</id><title>Cook</title></job></jobs>"
    refused, job = rows(content)
    assert isinstance(refused, BadRow)
    assert (refused.kept, refused.own_job_id) == (False, None)
    assert job == OwnJob("7", "Cook")


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Koch <b>Köln</b> Süd", "Koch Köln Süd"),
        ("<b>Koch</b>", "Koch"),
        ("<b>Koch</b> <i>Süd</i>", "Koch Süd"),
        ("Koch<br/>Köln", "Koch Köln"),
        ("Koch <x:y>Köln</x:y>", "Koch Köln"),
        ("<![CDATA[Koch & <b>Köln</b>]]>", "Koch & Köln"),
        ("Koch &amp;amp; Kellner", "Koch & Kellner"),
    ],
)
def test_mixed_content_is_one_text(title: str, text: str) -> None:
    content = f'<jobs xmlns:x="urn:x"><job><id>7</id><title>{title}</title></job></jobs>'
    assert [job.title for job in jobs(content)] == [text]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<job_offers><job_offer><id>7</id><title>Koch</title><cities><city>Bonn</city>"
         "<city>Köln</city></cities></job_offer></job_offers>",
         {"location": "Bonn; Köln"}),
        ("<stellen><stelle><id>7</id><titel>Koch</titel><ort>Bonn</ort><land>DE</land></stelle></stellen>",
         {"location": "Bonn, DE"}),
        ("<JobPostings><JobPosting><JobID>7</JobID><JobTitle>Koch</JobTitle></JobPosting></JobPostings>", {}),
        ("<source><job><partnerJobId>7</partnerJobId><companyId>9</companyId><company>A</company><title>Koch</title>"
         "<applyUrl>https://x/7</applyUrl><location>Bonn</location><country>DE</country></job></source>",
         {"post_url": "https://x/7", "location": "Bonn, DE"}),
        ("<source><publisher>x</publisher><job><title>Koch</title><date>Sat, 14 Mar 2026 20:52:19 GMT</date>"
         "<referencenumber>7</referencenumber><requisitionid>R1</requisitionid><url>https://x/7</url><company>A</company>"
         "<city>Bonn</city><country>DE</country><category>Care</category><jobtype>FT</jobtype></job></source>",
         {"job_code": "R1", "post_url": "https://x/7", "location": "Bonn, DE", "department": "Care",
          "employment_type": "FT", "posted_at": DAY}),
        ("<workzag-jobs><position><id>7</id><office>Berlin</office><additionalOffices><office>Bonn</office><office>Köln</office>"
         "</additionalOffices><department>Care</department><name>Koch</name><jobDescriptions><jobDescription><name>Tasks</name>"
         "</jobDescription></jobDescriptions><employmentType>FT</employmentType><createdAt>2026-03-14T10:00:00+00:00</createdAt>"
         "</position></workzag-jobs>",
         {"location": "Berlin; Bonn; Köln", "department": "Care", "employment_type": "FT", "posted_at": DAY}),
        ('<rss xmlns:g="urn:g" xmlns:media="urn:m"><channel><title>Jobs</title><item><media:title>no</media:title>'
         "<title>Koch</title>"
         '<link>https://x/7</link><guid isPermaLink="false">7</guid><pubDate>Sat, 14 Mar 2026 20:52:19 GMT</pubDate>'
         "<g:location>Bonn</g:location></item></channel></rss>",
         {"post_url": "https://x/7", "location": "Bonn", "posted_at": DAY}),
        ('<feed xmlns="http://www.w3.org/2005/Atom"><title>Jobs</title><id>urn:f</id><entry><author><name>Eva</name></author>'
         '<title>Koch</title><link rel="self" href="https://x/self"/><link href="https://x/7"/><id>7</id>'
         "<published>2026-03-14T00:00:00Z</published></entry></feed>", {"post_url": "https://x/7", "posted_at": DAY}),
        ('<PositionOpening xmlns="http://ns.hr-xml.org/2007-04-15"><PositionRecordInfo><Id idOwner="Acme">'
         "<IdValue>7</IdValue></Id></PositionRecordInfo><PositionProfile><Organization><OrganizationName>Acme</OrganizationName></Organization>"
         "<PositionDetail><PhysicalLocation><PostalAddress><CountryCode>DE</CountryCode><Municipality>Bonn</Municipality>"
         "</PostalAddress></PhysicalLocation><PositionTitle>Koch</PositionTitle></PositionDetail></PositionProfile></PositionOpening>",
         {"location": "Bonn, DE"}),
        ("<Envelope><JobPositionPosting><JobPositionPostingId>7</JobPositionPostingId><HiringOrg><HiringOrgName>Acme</HiringOrgName>"
         "</HiringOrg><JobPositionInformation><JobPositionTitle>Koch</JobPositionTitle></JobPositionInformation>"
         "</JobPositionPosting></Envelope>", {}),
        ('<jobs><job id="7" title="Koch" city="Bonn"/></jobs>', {"location": "Bonn"}),
        ("<jobs><job><id>7</id><title>Koch</title><location>Bonn</location><location>Köln</location></job></jobs>",
         {"location": "Bonn; Köln"}),
        ("<jobs><job><id>7</id><title>Koch</title><location><city>Bonn</city><country>DE</country></location></job></jobs>",
         {"location": "Bonn, DE"}),
        ("<ROOT><ROW><ID>7</ID><NAME>Koch</NAME></ROW></ROOT>", {}),
    ],
)  # fmt: skip
def test_feeds_that_people_have_are_read_without_a_map(content: str, expected: dict[str, Any]) -> None:
    assert told(content) == [{"own_job_id": "7", "title": "Koch", **expected}]
    assert bad(content) == []


@pytest.mark.parametrize(
    "content",
    [
        "<data><ding><id>1</id><title>x</title></ding></data>",
        "<jobs><ding><id>1</id></ding></jobs>",
        "<jobs><ding id='1' titel='x'/></jobs>",
        "<jobs><ding>1</ding><ding>2</ding></jobs>",
        "<error><message>no access</message></error>",
        "<anything/>",
        "<html><body><p>Sign in</p></body></html>",
        "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><body/></html>",
        "<jobs><job><nummer>1</nummer><bezeichner>x</bezeichner></job></jobs>",
        "<wsdl:definitions xmlns:wsdl='urn:w'><wsdl:types/></wsdl:definitions>",
    ],
)
def test_nothing_understood_is_an_error(content: str) -> None:
    with pytest.raises(FeedError, match=r"no job understood|an HTML page"):
        rows(content)


@pytest.mark.parametrize(
    "content",
    [
        "<jobs/>", "<jobs></jobs>", "<source><publisher>x</publisher><lastBuildDate>y</lastBuildDate></source>",
        "<rss version='2.0'><channel><title>Jobs</title><link>x</link><image><url>u</url></image></channel></rss>",
        "<feed xmlns='http://www.w3.org/2005/Atom'><title>Jobs</title><author><name>x</name></author><link href='a'/>"
        "<link href='b'/></feed>",
        "<workzag-jobs></workzag-jobs>",
    ],
)  # fmt: skip
def test_an_empty_feed_is_a_list_of_no_jobs(content: str) -> None:
    assert rows(content) == []


@pytest.mark.parametrize(
    ("title", "text", "remark"),
    [
        ("Koch & Kellner", "Koch & Kellner", "a bare & was read as &amp;"),
        ("Koch&nbsp;Köln", "Koch Köln", "&nbsp; was read as in HTML"),
        ("K&ouml;ch", "Köch", "&ouml; was read as in HTML"),
        ("Koch &bogus; x", "Koch &bogus; x", "a bare & was read as &amp;"),
        ("Ko\x02ch", "Koch", "a control character was left out"),
        ("Ko\x0bch", "Ko ch", "a control character was left out"),
        ("Ko&#2;ch", "Koch", "the number of a control character was left out"),
        ("Alter < 50", "Alter < 50", "a bare < was read as &lt;"),
        ("Koch<br>Köln", "Koch Köln", "an element of HTML without an end was ended"),
    ],
)
def test_what_is_certain_is_mended_and_named_by_its_line(title: str, text: str, remark: str) -> None:
    whole = "<job><id>6</id><title>A &amp; B<![CDATA[ & <br>C]]></title></job>"
    content = f"<jobs>\n{whole}\n<job>\n<id>7</id><title>{title}</title></job></jobs>"
    assert [(job.own_job_id, job.title, job.line) for job in jobs(content)] == [("6", "A & B & C", 2), ("7", text, 3)]
    assert bad(content) == [BadRow(4, f"1 times {remark}, first in this line", kept=True)]


def test_an_address_keeps_every_parameter() -> None:
    content = "<jobs><job><id>7</id><title>Koch</title><url>https://x/?a=1&b=2&copy=3&reg;=4</url></job></jobs>"
    assert [job.post_url for job in jobs(content)] == ["https://x/?a=1&b=2&copy=3®=4"]


@pytest.mark.parametrize("before", ["\n", "  ", "\n\n\t", "\ufeff\n"])
def test_a_blank_line_before_the_declaration_is_passed_over(before: str) -> None:
    content = f'{before}<?xml version="1.0" encoding="utf-8"?>\n<jobs><job><id>7</id><title>Köch</title></job></jobs>'
    assert jobs(content) == [OwnJob("7", "Köch")]
    assert [note.kept for note in bad(content)] == [True]


def test_one_odd_byte_names_its_line() -> None:
    lines = [f"<job><id>{n}</id><title>Verkäufer</title></job>".encode() for n in range(3)]
    content = b"\n".join(
        [b"<jobs>", *lines, lines[0].replace(b">0<", b">9<").replace("ä".encode(), b"\xe4"), b"</jobs>"]
    )
    assert [job.title for job in jobs(content)] == ["Verkäufer"] * 4
    assert bad(content) == [BadRow(5, "not UTF-8; the line is read as Windows-1252", kept=True)]


def test_declared_encodings_are_believed_in_both_readings() -> None:
    for ampersand in ("&amp;", "&"):
        job = f"<job><id>7</id><title>Köch {ampersand} Co</title></job>"
        content = f'<?xml version="1.0" encoding="iso-8859-1"?><jobs>{job}</jobs>'
        assert [job.title for job in jobs(content.encode("latin-1"))] == ["Köch & Co"]


WHOLE = "<job><id>{}</id><title>Cook</title></job>"


@pytest.mark.parametrize(
    "broken",
    [
        "<job><title>Koch <b>Süd</title><id>7</id></job>",
        "<job><title>Koch</b></title><id>7</id></job>",
        "<job><title>Koch<id>7</id></job>",
        "<job a=1><title>Koch</title><id>7</id></job>",
        "<job><company><id>9</company><id>7</id></job>",
        "<job></id>7</id></job>",
        "<job><referencenumber>R-7</referencenumber><p>x</q><id>7</id></job>",
    ],
)
@pytest.mark.parametrize("ancestors", ["<jobs>{}</jobs>", "<a><jobs>{}</jobs></a>"])
def test_broken_markup_costs_its_own_job_alone_and_nobody_is_withdrawn_for_it(broken: str, ancestors: str) -> None:
    content = ancestors.format("\n".join([WHOLE.format(1), broken, WHOLE.format(2), broken, WHOLE.format(3)]))
    assert [(job.own_job_id, job.line) for job in jobs(content)] == [("1", 1), ("2", 3), ("3", 5)]
    assert [(row.line, row.kept, row.own_job_id) for row in bad(content)] == [(2, False, None), (4, False, None)]


def test_of_a_broken_job_what_stands_before_the_break_is_taken_and_the_rest_not_told() -> None:
    broken = "<job><id>7</id><title>Koch</title><description><p>a<ul></description><city>Bonn</city></job>"
    note, job, whole = rows(f"<jobs>{broken}{WHOLE.format(8)}</jobs>")
    assert isinstance(note, BadRow)
    assert (note.kept, note.own_job_id) == (True, "7")
    assert (job, whole) == (OwnJob("7", "Koch", location=None), OwnJob("8", "Cook"))


@pytest.mark.parametrize(
    "cut", ["<jobs><job><id>7</id><title>Koch</title></job>", "<jobs><job><id>7</id><title>Koch", "<jobs><job"]
)
@pytest.mark.parametrize("before", ["", "<jobs><job><id>1</id><title>A & B</title></job>"])
def test_half_a_feed_is_refused(cut: str, before: str) -> None:
    with pytest.raises(FeedError, match="no XML"):
        rows(f"<jobs>{before}{cut}")


@pytest.mark.parametrize("mark", ["&", "<b>"])
def test_a_doctype_is_refused_in_the_second_reading_as_well(mark: str) -> None:
    with pytest.raises(FeedError, match="DOCTYPE"):
        rows(f'<!DOCTYPE x [<!ENTITY b "aaa">]><jobs><job><id>7</id><title>{mark} &b;</title></job></jobs>')


@pytest.mark.parametrize(
    "content",
    [
        "<a>" * 33_000, "<jobs><job>" + "<a>" * 30_000, "<jobs>" + "<job><b></job>" * 7_000 + "</jobs>",
        "<jobs>" + "<![CDATA[" * 11_000, "<jobs>&" + "<!--" * 25_000, "<jobs>" + "&" * 100_000 + "</jobs>",
        "<jobs>" + "<job a=1>" * 11_000 + "</jobs>", "<jobs>" + "<br " * 25_000,
        "<jobs><job>" + "<a>x</a>" * 12_000 + "</job></jobs>",
        "<jobs><job><t>" + "<a>" * 8_000 + "x" * 40_000 + "</a>" * 8_000 + "</t></job></jobs>", "<?xml " * 16_000,
    ],
    ids=count(),
)  # fmt: skip
def test_odd_documents_take_no_time(content: str) -> None:
    begun = time.perf_counter()
    with suppress(FeedError):
        rows(content)
    assert time.perf_counter() - begun < 5
