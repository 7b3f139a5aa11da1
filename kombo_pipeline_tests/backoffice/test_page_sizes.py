"""No page is larger than 1 MB, whatever the tables hold."""

from collections import defaultdict
from contextlib import suppress

import psycopg
import pytest

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.db.connection import Connection
from kombo_pipeline_tests.backoffice.conftest import Backoffice
from kombo_pipeline_tests.backoffice.customers import Customer, add_customer
from kombo_pipeline_tests.backoffice.test_access import ROUTES, ask

HOSTILE = '&"<\U0001f4bc'
"""Each character takes four to five bytes on a page."""
LENGTHS = (5_000, 4_000, 1_000, 400, 100)
"""The longest one that a column takes is put into it."""
MANY = 1_000
# A download is as large as what it holds.
PAGES = [key for key in ROUTES if key[0] == "GET" and not key[1].endswith(("/export", "/description"))]
LOOKS = [(key, False) for key in PAGES] + [(key, True) for key in PAGES if ROUTES[key].customers]
# What leads from one row to another, and what has a closed set of values.
KEPT = {
    *("customer_id", "own_job_id", "integration_id", "kombo_job_id", "live_customer_id", "list", "source", "method"),
    *("state", "kind", "status", "lifecycle", "visibility", "decision", "reason", "outcome", "band", "channel"),
    *("user_name", "decided_by", "succeeded_by", "fetch_state", "setup_status", "verdict", "work", "type"),
    *("password_hash", "token_hash", "revision", "oldest_code", "migrated_by", "shortlist_floor"),
}


@pytest.fixture(scope="module")
def big(backoffice: Backoffice) -> Customer:
    """A customer whose every text is long, with very many jobs, connections, exposures and held jobs."""
    customer = add_customer(backoffice, "big")
    with backoffice.connect() as conn:
        multiply(conn, customer)
        lengthen_every_text(conn)
        conn.execute("update core.jobs set description = %s where kombo_job_id = %s", (HOSTILE * 15_000, customer.job))
        conn.commit()
        conn.autocommit = True
        conn.execute("vacuum analyze")
    return customer


def multiply(conn: Connection, customer: Customer) -> None:
    given = {"customer": customer.customer, "integration": customer.integration, "many": MANY}
    for statement in (
        """
        insert into core.integrations (integration_id, customer_id, organization_name, tool, fetch_state)
        select 'personio:' || number, 'customer ' || mod(number, 1500), 'Customer ' || number, 'personio', 'current'
        from generate_series(1, %(many)s) number
        """,
        """
        insert into core.integrations (integration_id, customer_id, organization_name, tool, fetch_state)
        select 'workday:' || number, %(customer)s, 'Connection ' || number, 'workday', 'current'
        from generate_series(1, 300) number
        """,
        """
        insert into core.jobs (integration_id, kombo_job_id, name, status, visibility, last_fetch_id, description)
        select %(integration)s, 'many-' || number, 'Engineer ' || number, 'OPEN', 'PUBLIC', 1, 'x'
        from generate_series(1, %(many)s) number
        """,
        """
        insert into core.own_jobs (customer_id, own_job_id, title)
        select %(customer)s, 'many-' || number, 'Engineer ' || number
        from generate_series(1, %(many)s) number
        """,
        """
        insert into core.job_links
            (customer_id, own_job_id, integration_id, kombo_job_id, method, confirmed_by, own_seen, ats_seen)
        select
            %(customer)s, 'many-' || number, %(integration)s, 'many-' || mod(number, 7), 'title', 'reviewer', '{}', '{}'
        from generate_series(1, %(many)s) number
        where mod(number, 7) > 0
        """,
        """
        insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel)
        select %(integration)s, 'many-' || number, 'reviewer', 'picker'
        from generate_series(1, %(many)s) number
        """,
        """
        update core.held_closures
        set kombo_job_ids = kombo_job_ids || array(select 'many-' || n from generate_series(1, %(many)s) n),
            gone_at = gone_at || array_fill(now(), array[%(many)s])
        """,
        """
        update core.held_withdrawals
        set own_job_ids = own_job_ids || array(select 'many-' || n from generate_series(1, %(many)s) n)
        """,
        """
        insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id)
        select %(integration)s, 'big-job-3', 'description', '"x"', '"x"', 1
        from generate_series(1, %(many)s) number
        """,
        """
        insert into raw.quarantined_records
            (integration_id, kombo_job_id, fetch_id, page_number, record_hash, record, reason)
        select %(integration)s, 'many-' || number, 1, 1, md5(number::text)::uuid, 'x', 'x'
        from generate_series(1, %(many)s) number
        """,
    ):
        conn.execute(statement, given)


def lengthen_every_text(conn: Connection) -> None:
    """Fill the text columns of core and raw, each as long as it takes; JSON of changes too."""
    columns = conn.execute(
        """
        select c.table_schema, c.table_name, c.column_name
        from information_schema.columns c
        join information_schema.tables t using (table_schema, table_name)
        where c.table_schema in ('core', 'raw')
            and t.table_type = 'BASE TABLE'
            and c.data_type = 'text'
            and c.is_generated = 'NEVER'
        """
    ).fetchall()
    conn.execute("set local session_replication_role = replica")
    longest: dict[str, dict[str, str]] = defaultdict(dict)
    for row in columns:
        table, column = f"{row['table_schema']}.{row['table_name']}", row["column_name"]
        for length in LENGTHS if column not in KEPT else ():
            text = HOSTILE * (length // len(HOSTILE))
            with suppress(psycopg.Error), conn.transaction():
                conn.execute(
                    f"update {table} set {column} = %s where ctid = (select ctid from {table} limit 1)", (text,)
                )
                longest[table][column] = text
                break
    for table, texts in longest.items():
        conn.execute(f"update {table} set {', '.join(f'{column} = %s' for column in texts)}", list(texts.values()))
    conn.execute("update core.job_changes set new_value = to_jsonb(%s::text)", (HOSTILE * 1000,))


@pytest.mark.parametrize(
    ("key", "as_customer"), LOOKS, ids=[f"{key[1]} {'customer' if by else 'staff'}" for key, by in LOOKS]
)
def test_a_page_stays_small(backoffice: Backoffice, big: Customer, key: tuple[str, str], as_customer: bool) -> None:
    client = backoffice.customer(big.customer) if as_customer else backoffice.client("admin")
    answer = ask(client, key, big)
    assert answer.status_code == (303 if key[1] == "/" else 200), answer.text[:300]
    assert len(answer.content) <= rendering.MAX_PAGE_BYTES


def test_what_was_pasted_comes_back_as_a_small_page(backoffice: Backoffice, big: Customer) -> None:
    customer = backoffice.customer(big.customer)
    for line in (HOSTILE * 150, "Engineer 3 " + HOSTILE * 150, "many-1 " + '"' * 600):
        text = "\n".join(f"{line}{number}" for number in range(330))
        answer = customer.submit("/picker/paste", integration=big.integration, text=text)
        assert answer.status_code in (200, 413)
        assert len(answer.content) <= rendering.MAX_PAGE_BYTES


def test_a_long_description_is_cut_on_the_card_and_given_whole_as_plain_text(
    backoffice: Backoffice, big: Customer
) -> None:
    client = backoffice.client("viewer")
    whole = client.get("/review/description", params={"integration": big.integration, "job": big.job})
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.text == HOSTILE * 15_000
    card = ask(client, ("GET", "/review"), big).text
    assert "The whole text" in card
    assert client.get("/review/description", params={"integration": big.integration, "job": "none"}).status_code == 404


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 4_000, "x" * 4_000),
        ("x" * 4_001, "x" * 4_000 + "… (4,001 characters)"),
        ("é" * 3_000, "é" * 2_000 + "… (3,000 characters)"),
        ("&" * 1_000, "&" * 800 + "… (1,000 characters)"),
        ("", ""),
    ],
)
def test_a_value_is_cut_by_the_bytes_that_it_takes_and_says_how_long_it_is(text: str, shown: str) -> None:
    assert rendering.shortened(text) == shown


def test_what_is_no_foreign_text_is_left_as_it_is() -> None:
    for value in (12, None, rendering.Whole("x" * 100_000), rendering.when(None)):
        assert rendering.shortened(value) is value
