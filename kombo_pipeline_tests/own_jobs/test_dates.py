"""A day is read in the forms that people write; what may mean two days is none."""

import time
from datetime import date
from itertools import count

import pytest

from kombo_pipeline.own_jobs.dates import read_date
from kombo_pipeline.own_jobs.files import BadRow
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline_tests.own_jobs.lists import rows


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-14", "2026-3-14",
        "2026-03-14T23:59:59Z", "2026-03-14 08:00:00+02:00", "2026-03-14T08:00:00.123456+01:00",
        "2026-03-14Z", "2026-03-14+01:00", "2026-03-14 08:00:00 UTC", "20260314", "20260314T101500Z", "2026-W11-6",
        "2026/03/14", "2026.03.14", "14.03.2026", "14.3.26", "14. 3. 2026", "14.03.2026 10:00", "14.03.2026, 10:00 Uhr",
        "14/03/2026", "3/14/2026", "14-03-2026",
        "3/14/2026 10:00 AM", "14/03/2026 10:00", "14 March 2026", "14 MAR 2026",
        "Mar 14, 2026", "March 14,  2026", "Mar 14 2026", "March 14th, 2026", "the 14th of March 2026", "14-Mar-2026",
        "14-Mar-26", "14/Mar/2026",
        "Sat, 14 Mar 2026 20:52:19 EST", "14 Mar 2026 08:00 +0100", "Sat Mar 14 20:52:19 2026",
        "Sat Mar 14 2026 20:52:19 GMT+0000 (Coordinated Universal Time)", "Saturday, March 14, 2026 at 5:00 PM",
        "14. März 2026", "14. Mrz. 2026", "Samstag, 14. März 2026", "14. März 2026 um 10:15 Uhr", "14 mars 2026",
        "le 14 mars 2026", "sam. 14 mars 2026", "14 de marzo de 2026", "sábado, 14 de marzo de 2026", "14 maart 2026",
        "zaterdag 14 maart 2026", "14 mrt 2026", "14 marzo 2026", "14 março 2026", "1773446400", "1773446400000",
        "1773446400.0", "/Date(1773446400000)/", "46095", "46095.5",
    ],
)  # fmt: skip
def test_common_dates_are_read(text: str) -> None:
    assert read_date(text) == date(2026, 3, 14)


@pytest.mark.parametrize(
    "text",
    [
        "03/04/2026", "03-04-2026", "10/11/12", "14/03/26", "14 March",
        "March 2026", "03.2026", "2026", "2026-03", "202603",
        "yesterday", "3 days ago", "ab sofort", "Q1 2026", "2026-13-01", "2026-14-03", "2026-02-30", "30 Feb 2026",
        "0001-01-01", "31.02.2026", "99999999", "12", "36000", "70000", "-46095", "20261", "20991231x", "1e10",
        "2026-03-14/2026-04-01", "01.02.2026 - 03.04.2026",
        "14 March 2026 - 20 March 2026", "5 of 12 May", "March 14 26",
        "14 Foo 2026", "",
    ],
)  # fmt: skip
def test_what_names_no_day_or_may_mean_two_is_none(text: str) -> None:
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("04/04/2026", date(2026, 4, 4)),
        ("1er mai 2026", date(2026, 5, 1)),
        ("mar. 5 mai 2026", date(2026, 5, 5)),  # a Tuesday, not a day in March
        ("5. Mai 2026", date(2026, 5, 5)),
        ("1 août 2026", date(2026, 8, 1)),
        ("31 oktober 2026", date(2026, 10, 31)),
        ("24 déc. 2026", date(2026, 12, 24)),
    ],
)
def test_days_of_other_months_and_languages_are_read(text: str, day: date) -> None:
    assert read_date(text) == day


@pytest.mark.parametrize("text", ["03/04/2026", "yesterday", "31.02.2026"])
def test_a_date_that_cannot_be_told_is_left_out_and_reported_with_its_line(text: str) -> None:
    note, job = rows(f"id,title,date\n1,Nurse,{text}\n")
    assert isinstance(note, BadRow)
    assert (note.line, note.kept, text in note.reason) == (2, True, True)
    assert job == OwnJob("1", "Nurse")


@pytest.mark.parametrize(
    "text",
    ["1" * 100_000, "1 " * 50_000, "mar " * 25_000, "(" * 100_000, " 10:00" * 16_000],
    ids=count(),
)
def test_long_texts_take_no_time(text: str) -> None:
    begun = time.perf_counter()
    assert read_date(text) is None
    assert time.perf_counter() - begun < 1
