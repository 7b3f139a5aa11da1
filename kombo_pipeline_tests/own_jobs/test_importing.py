"""Own jobs are written once, changed where they differ, and withdrawn only where the caller asks for it."""

import io
import json
from datetime import date
from typing import Any

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.own_jobs.files import BadRow
from kombo_pipeline.own_jobs.importing import Imported, import_own_jobs
from kombo_pipeline.own_jobs.reading import OwnJob, read


def imported(
    conn: Connection, content: str, *, customer_id: str = "acme", source: str = "import", **options: Any
) -> Imported:
    return import_own_jobs(conn, read(io.BytesIO(content.encode())), customer_id=customer_id, source=source, **options)


def stored(conn: Connection, columns: str = "own_job_id, title") -> list[tuple[Any, ...]]:
    found = conn.execute(
        f"select {columns} from core.own_jobs where withdrawn_at is null order by customer_id, own_job_id"
    )
    return [tuple(row.values()) for row in found]


def test_a_lone_surrogate_does_no_harm(conn: Connection) -> None:
    assert imported(conn, '{"id": "1", "title": "Nurse \\ud83d"}').new == 1


def test_an_import_inserts_updates_and_leaves_what_is_equal_unwritten(conn: Connection) -> None:
    assert imported(conn, "id,title\n1,Nurse\n2,Cook\n") == Imported(2, 0, 0, 0, [])
    conn.commit()
    before = dict(stored(conn, "own_job_id, xmin::text"))
    assert imported(conn, "id,title\n1,Nurse\n2,Chef\n3,Maid\n") == Imported(1, 1, 1, 0, [])
    assert stored(conn) == [("1", "Nurse"), ("2", "Chef"), ("3", "Maid")]
    after = dict(stored(conn, "own_job_id, xmin::text"))
    assert after["1"] == before["1"]
    assert after["2"] != before["2"]


def test_every_column_arrives(conn: Connection) -> None:
    line = {
        "own_job_id": "1", "title": "Nurse", "kombo_job_id": "k", "remote_id": "r", "job_code": "c", "post_url": "u",
        "location": "l", "department": "d", "employment_type": "e", "posted_at": "2026-03-14",
    }  # fmt: skip
    imported(conn, json.dumps(line), source="multiposter")
    expected = (*list(line.values())[:-1], date(2026, 3, 14), "acme", "multiposter")
    assert stored(conn, f"{', '.join(line)}, customer_id, source") == [expected]


def test_what_a_file_does_not_tell_stays_and_what_it_tells_to_be_empty_goes(conn: Connection) -> None:
    imported(conn, "id,title,code,city\n1,Nurse,c-1,Bonn\n")
    imported(conn, "id,title,city\n1,Nurse,\n")
    assert stored(conn, "job_code, location") == [("c-1", None)]


def test_replace_withdraws_what_is_missing_and_what_comes_back_is_alive_again(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n2,Cook\n")
    assert imported(conn, "id,title\n2,Cook\n", replace=True) == Imported(0, 0, 1, 1, [])
    assert stored(conn) == [("2", "Cook")]
    assert imported(conn, "id,title\n2,Cook\n", replace=True).withdrawn == 0
    assert imported(conn, "id,title\n1,Nurse\n") == Imported(0, 1, 0, 0, [])
    assert stored(conn) == [("1", "Nurse"), ("2", "Cook")]


def test_replace_touches_neither_other_sources_nor_other_customers(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n", source="manual")
    imported(conn, "id,title\n1,Cook\n", customer_id="other")
    assert imported(conn, "id,title\n2,Chef\n", replace=True).withdrawn == 0
    assert stored(conn, "customer_id, title") == [("acme", "Nurse"), ("acme", "Chef"), ("other", "Cook")]


def test_a_file_without_a_readable_job_withdraws_nothing(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n")
    done = imported(conn, "id,title\n,Nurse\n", replace=True)
    assert (done.withdrawn, len(done.bad)) == (0, 1)
    assert done.not_withdrawn == "no job could be read, so no job was withdrawn"
    assert stored(conn) == [("1", "Nurse")]


def test_a_job_whose_row_is_bad_is_not_withdrawn(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n2,Cook\n3,Maid\n")
    assert imported(conn, "id,title\n1,Nurse, Bonn\n2,Cook\n", replace=True).withdrawn == 1
    assert stored(conn) == [("1", "Nurse"), ("2", "Cook")]


def test_of_two_rows_with_one_id_the_last_counts_and_the_first_is_reported(conn: Connection) -> None:
    done = imported(conn, "id,title\n1,Nurse\n2,Cook\n1,Carer\n")
    assert (done.new, done.bad) == (2, [BadRow(2, "job 1 comes again in line 4, which counts", own_job_id="1")])
    assert stored(conn) == [("1", "Carer"), ("2", "Cook")]


def test_two_imports_fit_into_one_transaction_and_nothing_of_them_outlives_its_rollback(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n")
    imported(conn, "id,title\n2,Cook\n")
    assert len(stored(conn)) == 2
    conn.rollback()
    assert stored(conn) == []


def test_an_unknown_source_and_a_blank_customer_are_refused(conn: Connection) -> None:
    with pytest.raises(ValueError, match="'excel' is no source; known are manual, email, import, multiposter"):
        imported(conn, "id,title\n1,Nurse\n", source="excel")
    with pytest.raises(ValueError, match="customer"):
        imported(conn, "id,title\n1,Nurse\n", customer_id=" ")


def test_ten_thousand_jobs_with_every_kind_of_text_arrive(conn: Connection) -> None:
    texts = ["Ingénieur", "エンジニア", 'a "quoted"\ttab', "back\\slash \\N", "مهندس", "x" * 10_000]
    wanted = [OwnJob(f"{n:05}", texts[n % len(texts)]) for n in range(10_000)]
    assert import_own_jobs(conn, wanted, customer_id="acme", source="manual").new == 10_000
    assert stored(conn) == [(job.own_job_id, job.title) for job in wanted]
