"""Tables come from spreadsheets: with titles above, in five languages, and with what spreadsheets do to numbers."""

import time
from contextlib import suppress
from datetime import date, datetime
from itertools import count
from typing import Any

import pytest

from kombo_pipeline.own_jobs.files import BadRow, FeedError
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline_tests.own_jobs.lists import bad, jobs, rows, told, workbook

NURSE = OwnJob("1", "Nurse")


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("Referenznummer;Stellentitel;Ort;Land", "7;Koch;Köln;Deutschland", {"location": "Köln, Deutschland"}),
        ("Stellen-ID;Stellenbezeichnung;Standort;Abteilung", "7;Koch;Köln;Küche",
         {"location": "Köln", "department": "Küche"}),
        ("Job-ID;Jobtitel;Kennziffer;Anstellungsart", "7;Koch;K-1;Vollzeit",
         {"job_code": "K-1", "employment_type": "Vollzeit"}),
        ("ID;Referenznummer;Titel", "7;R-9;Koch", {"job_code": "R-9"}),
        ("Référence;Intitulé du poste;Ville;Pays", "7;Koch;Lyon;France", {"location": "Lyon, France"}),
        ("Identifiant;N°;ID offre;Titre;Lieu", "x;y;7;Koch;Lyon", {"location": "Lyon"}),
        ("ID oferta;Puesto;Ciudad;País", "7;Koch;Madrid;España", {"location": "Madrid, España"}),
        ("Vacaturenummer;Functietitel;Plaats;Afdeling", "7;Koch;Utrecht;Zorg",
         {"location": "Utrecht", "department": "Zorg"}),
        ("Job ID;Job Title;City;State;Country", "7;Koch;Austin;TX;US", {"location": "Austin, TX, US"}),
        ("Job Requisition ID;Job Posting Title;Primary Location", "7;Koch;Köln", {"job_code": "7", "location": "Köln"}),
        ("Requisition Number;Title;Primary Location", "7;Koch;Köln", {"job_code": "7", "location": "Köln"}),
        ("Job ID;Job Name;Requisition ID;Office", "7;Koch;R1;Köln", {"job_code": "R1", "location": "Köln"}),
        ("Posting ID;Posting Title;Requisition Code;Commitment", "7;Koch;R1;FT",
         {"job_code": "R1", "employment_type": "FT"}),
        ("Shortcode;Job title;Department", "7;Koch;Care", {"department": "Care"}),
        ("Position ID;Position;Office;Department", "7;Koch;Köln;Care", {"location": "Köln", "department": "Care"}),
        ("identifier.value;title;location.city;location.country", "7;Koch;Köln;DE", {"location": "Köln, DE"}),
        ("job_id;job_title;job_link;date posted", "7;Koch;https://x/7;14.03.2026",
         {"post_url": "https://x/7", "posted_at": date(2026, 3, 14)}),
    ],
)  # fmt: skip
def test_headers_of_exports_are_understood_without_a_map(header: str, row: str, expected: dict[str, Any]) -> None:
    assert told(f"{header}\n{row}\n") == [{"own_job_id": "7", "title": "Koch", **expected}]


@pytest.mark.parametrize("header", ["Eintrittsdatum", "Startdatum", "Bereich", "Status", "Nummer", "Vergütung"])
def test_a_header_that_may_mean_something_else_is_not_guessed_but_named(header: str) -> None:
    note, job = rows(f"id;title;{header}\n1;Nurse;01.02.2026\n")
    assert isinstance(note, BadRow)
    assert (note.kept, header in note.reason, "id as own_job_id" in note.reason) == (True, True, True)
    assert job == NURSE


def test_a_missing_column_names_those_that_were_found_and_those_understood() -> None:
    with pytest.raises(
        FeedError, match="no column for own_job_id; the file has the columns Nummer, Titel; understood are Titel"
    ):
        rows("Nummer;Titel\n1;Koch\n")  # fmt: skip


@pytest.mark.parametrize(
    "above",
    ["Open jobs, 2026\n", "Jobs, all; of Acme\n\n", ";;\nReport;;\nFilter: open;;\n;;\n", '"A title\nin two lines"\n'],
)
def test_titles_above_the_header_are_passed_over(above: str) -> None:
    assert told(f"{above}id;title;city\n1;Nurse, Carer;Bonn\n") == [
        {"own_job_id": "1", "title": "Nurse, Carer", "location": "Bonn"}
    ]


@pytest.mark.parametrize("header", ["id,title,title", "id,title,Title", "id,title,TITLE ", "id,id,title"])
def test_of_equal_headers_the_first_counts(header: str) -> None:
    values = "1,2,Nurse" if header == "id,id,title" else "1,Nurse,Cook"
    assert jobs(f"{header}\n{values}\n") == [NURSE]


def test_a_repeated_header_is_reported() -> None:
    assert [note.reason for note in bad("id,title,title\n1,Nurse,Cook\n")] == [
        "the column title comes more than once; the first one counts"
    ]


def test_an_id_is_one_column_in_every_row() -> None:
    refused, job = rows("id,reference,title\n,R-1,Cook\n1,R-2,Nurse\n")
    assert isinstance(refused, BadRow)
    assert (refused.kept, refused.own_job_id) == (False, None)
    assert job == OwnJob("1", "Nurse", job_code="R-2")
    [short] = rows("reference,title,id\nR-1,Cook\n")
    assert isinstance(short, BadRow)
    assert (short.kept, short.own_job_id) == (False, None)


@pytest.mark.parametrize(
    "damaged",
    [
        "7,44E+14", "7.44E+14", "7.44e+14", "7E+14", "-7,4E+05",
        "#N/A", "#REF!", "#WERT!", "#NAME?", "#BEZUG!", "########",
        "=A2", "=SUM(A1:A2)", '=VLOOKUP("x";A:B;2)', "2026-12-03 00:00:00",
    ],
)  # fmt: skip
def test_a_damaged_id_is_refused_and_a_damaged_code_left_out(damaged: str) -> None:
    quoted = damaged.replace('"', '""')
    [refused] = rows(f'id,title\n"{quoted}",Nurse\n')
    assert isinstance(refused, BadRow)
    assert (refused.kept, refused.own_job_id) == (False, None)
    note, job = rows(f'id,title,code\n1,Nurse,"{quoted}"\n')
    assert isinstance(note, BadRow)
    assert (note.kept, note.own_job_id, damaged in note.reason) == (True, "1", True)
    assert job == NURSE


@pytest.mark.parametrize("written", ['="007"', "'007", '"=""007"""', " 007 "])
def test_what_keeps_a_number_a_text_is_taken_off(written: str) -> None:
    assert rows(f"id;title;code\n{written};Nurse;{written}\n") == [OwnJob("007", "Nurse", job_code="007")]


@pytest.mark.parametrize("exact", ["00123", "4000003014", "7E14", "1e5", "A'7", "1,5", "1" * 20, "#12", "a=b"])
def test_an_id_stays_exactly_as_it_is_otherwise(exact: str) -> None:
    assert [job.own_job_id for job in jobs(f"id;title\n{exact};Nurse\n")] == [exact]


@pytest.mark.parametrize("nothing", ["nan", "NaN", "None", "null", "N/A", ""])
def test_what_programs_write_for_nothing_is_no_id(nothing: str) -> None:
    [refused] = rows(f"id,title\n{nothing},Nurse\n")
    assert isinstance(refused, BadRow)
    assert not refused.kept


@pytest.mark.parametrize("end", [".0", ",0"])
def test_a_column_of_whole_numbers_with_decimals_is_mended_and_said(end: str) -> None:
    note, *found = rows(f"id;title\n1{end};a\n2{end};b\n3{end};c\n")
    assert isinstance(note, BadRow)
    assert (note.kept, "ends in .0" in note.reason) == (True, True)
    assert found == [OwnJob("1", "a"), OwnJob("2", "b"), OwnJob("3", "c")]


def test_codes_with_gaps_are_mended_like_ids() -> None:
    assert jobs("id,title,code\n1,a,4711.0\n2,b,\n") == [
        OwnJob("1", "a", job_code="4711"),
        OwnJob("2", "b", job_code=""),
    ]


def test_a_list_whose_ids_end_in_0_by_themselves_stays() -> None:
    assert [job.own_job_id for job in jobs("id,title\n1.0,a\n1.1,b\n2.0,c\n")] == ["1.0", "1.1", "2.0"]


def test_beside_other_ids_a_whole_number_with_decimals_is_refused_and_its_job_is_not_known() -> None:
    found = rows("id,title\n1.0,a\nA7,b\n3.0,c,d\n")
    assert [row.own_job_id for row in found] == [None, "A7", None]
    assert [isinstance(row, BadRow) and not row.kept for row in found] == [True, False, True]


def test_numbers_of_json_are_numbers() -> None:
    found = jobs([{"id": 1.0, "title": "a"}, {"id": 7.44e14, "title": "b"}, {"id": 4000003014, "title": "c"}])
    assert [job.own_job_id for job in found] == ["1", "744000000000000", "4000003014"]


def test_a_long_description_costs_nothing() -> None:
    long = "x,\n" * 100_000
    assert jobs(f'id,title,description\n1,Nurse,"{long}"\n2,Cook,short\n') == [NURSE, OwnJob("2", "Cook")]


@pytest.mark.parametrize("line", ["ipsum", "dolor sit amet", "2"])
def test_a_line_of_a_description_is_no_job(line: str) -> None:
    found = rows(f"id,title,city\n1,Nurse\n{line}\n")
    assert [isinstance(row, OwnJob) for row in found] == [True, False]
    assert found[1].own_job_id is None or found[1].own_job_id == line


def test_only_an_id_before_every_slip_is_believed_of_a_row_with_too_many_values() -> None:
    assert [row.own_job_id for row in bad("id,title\n1,Nurse, Bonn\n")] == ["1"]
    assert [row.own_job_id for row in bad("title,id\nNurse, Bonn,1\n")] == [None]


def test_what_a_short_row_leaves_out_is_not_told() -> None:
    assert jobs("id,title,city\n1,Nurse\n") == [OwnJob("1", "Nurse", location=None)]


@pytest.mark.parametrize(
    "content",
    ['"' * 100_000, "id,title\n" + '"a\n' * 50_000, "id,title\n" + ',"' * 50_000, "id,title\n" + '1,"x"y\n' * 14_000],
    ids=count(),
)
def test_quotes_without_end_take_no_time(content: str) -> None:
    begun = time.perf_counter()
    with suppress(FeedError):
        rows(content)
    assert time.perf_counter() - begun < 5


# ------------------------------------------------------------------------------------------------- XLSX


def test_a_workbook_keeps_ids_exact_and_dates_days() -> None:
    content = workbook(
        (
            "Jobs",
            [
                ["Jobs of Acme"],
                [],
                ["Referenznummer", "Stellentitel", "Ort", "Code", "Datum"],
                ["00123", "Koch", "Köln", 4000003014, datetime(2026, 3, 14, 8)],
                [4000003014, "Bäcker", None, "0042", date(2026, 3, 14)],
                [7.0, "Maler", "", None, "14.03.2026"],
                [],
            ],
        )
    )
    day = date(2026, 3, 14)
    assert told(content) == [
        {"own_job_id": "00123", "title": "Koch", "location": "Köln", "job_code": "4000003014", "posted_at": day},
        {"own_job_id": "4000003014", "title": "Bäcker", "job_code": "0042", "posted_at": day},
        {"own_job_id": "7", "title": "Maler", "posted_at": day},
    ]
    assert [job.line for job in jobs(content)] == [4, 5, 6]


def test_a_number_shown_with_zeros_in_front_has_them() -> None:
    content = workbook(("Jobs", [["id", "title"], [123, "Koch"]]), formats={"A2": "00000"})
    assert [job.own_job_id for job in jobs(content)] == ["00123"]


@pytest.mark.parametrize(
    "value", ["=A1&B1", "=7*6", "=ROW()", 1.5e17, 1.23456789012346e18, "#N/A", datetime(2026, 3, 12), 1e300]
)
def test_an_id_that_excel_made_of_something_else_is_refused(value: Any) -> None:
    [refused] = rows(workbook(("Jobs", [["id", "title"], [value, "Koch"]])))
    assert isinstance(refused, BadRow)
    assert (refused.line, refused.kept, refused.own_job_id) == (2, False, None)


def test_a_formula_costs_its_own_field_and_a_text_formula_nothing() -> None:
    content = workbook(("Jobs", [["id", "title", "code"], ['="007"', "Koch", "=A1"]]))
    note, job = rows(content)
    assert isinstance(note, BadRow)
    assert (note.kept, "a formula" in note.reason) == (True, True)
    assert job == OwnJob("007", "Koch")


def test_of_several_sheets_the_one_with_jobs_is_read_or_the_one_named() -> None:
    sheet, notes = [["id", "title"], ["1", "Nurse"]], [["Read me"], ["nothing here"]]
    assert rows(workbook(("Notes", notes), ("Jobs", sheet))) == [NURSE]
    two = workbook(("Open", sheet), ("Closed", [["id", "title"], ["2", "Cook"]]))
    with pytest.raises(FeedError, match=r"2 of the sheets Open, Closed .*--sheet"):
        rows(two)
    assert rows(two, sheet="Closed") == [OwnJob("2", "Cook")]
    with pytest.raises(FeedError, match="no sheet 'Jobs'; the workbook has Open, Closed"):
        rows(two, sheet="Jobs")
    with pytest.raises(FeedError, match="only a workbook"):
        rows("id,title\n1,Nurse\n", sheet="Jobs")


def test_a_workbook_under_another_format_is_refused_by_its_name() -> None:
    content = workbook(("Jobs", [["id", "title"], ["1", "Nurse"]]))
    assert rows(content, format="xlsx") == [NURSE]
    with pytest.raises(FeedError, match="an XLSX file, not csv"):
        rows(content, format="csv")
    with pytest.raises(FeedError, match="no XLSX file"):
        rows("id,title\n1,Nurse\n", format="xlsx")
    with pytest.raises(FeedError, match="no column for own_job_id and title"):
        rows(workbook(("Jobs", [["Nummer", "Text"], ["1", "Nurse"]])))
    with pytest.raises(FeedError, match="no header"):
        rows(workbook(("Empty", [])))
