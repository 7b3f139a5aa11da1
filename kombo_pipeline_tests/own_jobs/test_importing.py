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
    assert done.not_withdrawn == "no living job could be read, so no job was withdrawn for being missing"
    assert stored(conn) == [("1", "Nurse")]


def test_a_list_that_only_withdraws_jobs_withdraws_those_and_no_other(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n2,Cook\n")
    assert imported(conn, "id,title,withdrawn\n1,Nurse,1\n", replace=True).withdrawn == 1
    assert stored(conn) == [("2", "Cook")]


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
    texts = ["Ingénieur", "エンジニア", 'a "quoted"\ttab', "back\\slash \\N", "مهندس", "x" * 1_000]
    wanted = [OwnJob(f"{n:05}", texts[n % len(texts)]) for n in range(10_000)]
    assert import_own_jobs(conn, wanted, customer_id="acme", source="manual").new == 10_000
    assert stored(conn) == [(job.own_job_id, job.title) for job in wanted]


def test_lists_of_one_customer_do_not_withdraw_each_others_jobs(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n2,Cook\n", list_name="north", replace=True)
    imported(conn, "id,title\n3,Maid\n4,Chef\n", list_name="south", replace=True)
    imported(conn, "id,title\n5,Clerk\n", replace=True)
    assert imported(conn, "id,title\n1,Nurse\n", list_name="north", replace=True).withdrawn == 1
    assert stored(conn, "own_job_id, list, source") == [
        ("1", "north", "import"), ("3", "south", "import"), ("4", "south", "import"), ("5", "import", "import"),
    ]  # fmt: skip


def test_a_job_belongs_to_the_list_that_brought_it_last_and_only_that_one_withdraws_it(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n2,Cook\n", list_name="north")
    moved = imported(conn, "id,title\n2,Cook\n3,Maid\n", list_name="south")
    assert [(job.own_job_id, job.changed) for job in moved.examples["changed"]] == [("2", ["list"])]
    assert imported(conn, "id,title\n1,Nurse\n", list_name="north", replace=True).withdrawn == 0
    assert imported(conn, "id,title\n3,Maid\n", list_name="south", replace=True).withdrawn == 1
    assert imported(conn, "id,title\n1,Nurse\n2,Cook\n", list_name="north", replace=True).changed == 1
    assert stored(conn, "own_job_id, list") == [("1", "north"), ("2", "north"), ("3", "south")]


def test_a_list_without_a_name_has_the_name_of_its_source_also_where_sql_writes_it(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n", source="email")
    conn.execute("insert into core.own_jobs (customer_id, own_job_id, source) values ('acme', '2', 'multiposter')")
    conn.execute("insert into core.own_jobs (customer_id, own_job_id) values ('acme', '3')")
    assert stored(conn, "own_job_id, list") == [("1", "email"), ("2", "multiposter"), ("3", "manual")]
    assert imported(conn, "id,title\n4,Maid\n", source="import", list_name="multiposter", replace=True).withdrawn == 1


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "x" * 201])
def test_a_list_without_a_usable_name_is_refused(conn: Connection, name: str) -> None:
    with pytest.raises(ValueError, match="the name of a list has 1 to 200 characters"):
        imported(conn, "id,title\n1,Nurse\n", list_name=name)


NOBODY = "no job, so no job was withdrawn"


@pytest.mark.parametrize(
    ("unread", "reason", "left"),
    [
        # It names no job: it may be any.
        ([BadRow(3, "no CSV")], f"1 row could not be read and names {NOBODY}", ["1", "2", "3"]),
        ([BadRow(3, "no JSON"), BadRow(4, "no id")], f"2 rows could not be read and name {NOBODY}", ["1", "2", "3"]),
        ([BadRow(3, "broken", own_job_id="2"), BadRow(4, "no id")], f"1 row could not be read and names {NOBODY}",
         ["1", "2", "3"]),
        # It names a job, which is spared alone.
        ([BadRow(3, "broken", own_job_id="2")], "", ["1", "2"]),
        # The row was taken, or is a remark on the whole file.
        ([BadRow(3, "a date", kept=True, own_job_id="1")], "", ["1"]),
        ([BadRow(1, "not UTF-8", kept=True)], "", ["1"]),
    ],
)  # fmt: skip
def test_a_row_that_could_not_be_read_withdraws_nobody_or_spares_the_job_that_it_names(
    conn: Connection, unread: list[BadRow], reason: str, left: list[str]
) -> None:
    imported(conn, "id,title\n1,Nurse\n2,Cook\n3,Maid\n")
    done = import_own_jobs(conn, [OwnJob("1", "Nurse"), *unread], customer_id="acme", source="import", replace=True)
    assert done.not_withdrawn == reason
    assert [own_job_id for own_job_id, _ in stored(conn)] == left
    assert done.withdrawn == 3 - len(left)


def test_a_job_that_is_marked_withdrawn_is_withdrawn_whatever_list_it_is_in(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n2,Cook\n3,Maid\n", list_name="north")
    content = "id,title,withdrawn\n1,Changed,yes\n2,Cook,no\n9,Unknown,true\n3,Maid,\n4,Chef,0\n"
    done = imported(conn, content, list_name="south")
    assert (done.new, done.changed, done.unchanged, done.withdrawn) == (1, 2, 0, 1)
    assert done.bad == [BadRow(4, "there is no job 9 to withdraw", own_job_id="9")]
    assert stored(conn) == [("2", "Cook"), ("3", "Maid"), ("4", "Chef")]
    assert conn.execute("select title from core.own_jobs where own_job_id = '1'").fetchone() == {"title": "Nurse"}
    again = imported(conn, '[{"id": 1, "title": "Nurse", "withdrawn": true}]')
    assert (again.withdrawn, again.unchanged, again.bad) == (0, 1, [])
    assert imported(conn, "id,title\n1,Nurse\n").changed == 1


def test_a_word_that_says_neither_yes_nor_no_withdraws_nobody_and_is_named(conn: Connection) -> None:
    imported(conn, "id,title\n1,Nurse\n")
    done = imported(conn, "id,title,withdrawn\n1,Nurse,soon\n")
    assert [row.reason for row in done.bad] == ["withdrawn is left out: it is neither yes nor no"]
    assert stored(conn) == [("1", "Nurse")]


def test_the_result_names_the_first_jobs_of_each_kind_and_what_changed(conn: Connection) -> None:
    imported(conn, "id,title,city\n1,Nurse,Bonn\n2,Cook,Bonn\n3,Maid,Bonn\n4,Chef,Bonn\n")
    imported(conn, "id,title,withdrawn\n4,Chef,yes\n")
    content = "id,title,city\n1,Carer,Köln\n2,Cook,Bonn\n4,Chef,Bonn\n" + "".join(f"n{n},New,\n" for n in range(9))
    done = imported(conn, content, replace=True)
    assert (done.new, done.changed, done.unchanged, done.withdrawn) == (9, 2, 1, 1)
    assert [tuple(job) for job in done.examples["changed"]] == [
        ("1", "Carer", ["title", "location"]), ("4", "Chef", ["withdrawn"]),
    ]  # fmt: skip
    assert [tuple(job) for job in done.examples["withdrawn"]] == [("3", "Maid", ())]
    assert [job.own_job_id for job in done.examples["new"]] == ["n0", "n1", "n2", "n3", "n4"]
