"""Own jobs that wait for a person, as matching leaves them, for the tests of the review page."""

import html
import re
from datetime import date
from typing import Any
from uuid import uuid4

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.decisions import Answer, answer
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, add_own_job, match

TITLES = (
    ("Senior Backend Engineer (m/w/d)", "Backend Engineer Senior", "Berlin"),
    ("Pflegefachkraft (m/w/d)", "Pflegefachkraft Intensivstation", "München"),
    ("Key Account Manager DACH", "Key Account Manager (all genders)", "Hamburg"),
    ("Warehouse Associate - Night Shift", "Warehouse Associate", "Leipzig"),
    ("Data Engineer", "Data Engineer II", "Wien"),
    ("Sales Development Representative", "Sales Development Rep", "Berlin"),
    ("Finanzbuchhalter/in", "Finanzbuchhalter (m/w/d) in Teilzeit", "Köln"),
    ("Store Manager", "Store Manager Nachwuchs", "Graz"),
)


def add_customer(conn: Connection, name: str, *, own_jobs: int = 8) -> str:
    """A customer with own jobs whose titles each have a like one in the ATS; return its integration."""
    integration = add_integration(conn, f"personio:{name}", name)
    for number in range(own_jobs):
        ours, theirs, place = TITLES[number % len(TITLES)]
        extra = f" {chr(65 + number // len(TITLES))}{number}" if number >= len(TITLES) else ""
        add_own_job(
            conn, name, f"{name}/{number}", title=ours + extra, location=place, posted_at=date(2026, 9, 1 + number % 28)
        )
        add_job(
            conn,
            integration,
            f"{name}-{number}",
            name=theirs + extra,
            location_city=place,
            job_code=f"REQ-{1000 + number}",
            remote_id=str(70_000 + number),
            department=("Engineering", "Care", "Sales")[number % 3],
            employment_type="FULL_TIME",
            post_url=f"https://{name}.jobs.personio.de/job/{70_000 + number}",
            description="<p>What you do:</p><ul><li>This</li><li>and that</li></ul>",
            opened_at=f"2026-09-{1 + number % 28:02d}",
        )
    match(conn, integration)
    return integration


def rematch(conn: Connection, integration: str) -> None:
    """Match everything again, as if another matcher had come."""
    conn.execute("update core.integrations set matched_with = null where integration_id = %s", (integration,))
    match(conn, integration)


def at(customer: str, own_job_id: str, integration: str | None = None, **more: str) -> dict[str, str]:
    """The parameters of an own job's card."""
    return {"of": customer, "in": integration or f"personio:{customer}", "own": own_job_id, **more}


def token(page: str) -> str:
    """The card that travels with an answer."""
    found = re.search(r'name="card" value="([^"]+)"', page)
    assert found, page[:2000]
    return html.unescape(found[1])


def candidates(page: str) -> list[str]:
    """The ATS jobs that a card offers, in order of their keys."""
    return [html.unescape(each) for each in re.findall(r'name="answer" value="link:([^"]+)"', page)]


def say(conn: Connection, customer: str, own_job_id: str, decision: Any, *jobs: str, **more: Any) -> None:
    """Somebody else's answer."""
    given = {"answer_id": uuid4(), "decided_by": "ben", "integration_id": f"personio:{customer}"} | more
    answer(
        conn,
        Answer(customer_id=customer, own_job_id=own_job_id, decision=decision, kombo_job_ids=jobs, **given),
    )
    conn.commit()


def decisions(conn: Connection, customer: str, own_job_id: str) -> list[tuple[str, str | None]]:
    """What was decided about an own job, in order."""
    conn.rollback()
    rows = conn.execute(
        "select decision, kombo_job_id from core.link_decisions where customer_id = %s and own_job_id = %s "
        "order by decision_id",
        (customer, own_job_id),
    ).fetchall()
    return [(row["decision"], row["kombo_job_id"]) for row in rows]


def link_of(conn: Connection, customer: str, own_job_id: str) -> tuple[str, str, str | None] | None:
    """ATS job, state and reason of the own job's link that is not retired."""
    conn.rollback()
    row = conn.execute(
        "select kombo_job_id, state, reason from core.job_links where customer_id = %s and own_job_id = %s "
        "and state <> 'retired'",
        (customer, own_job_id),
    ).fetchone()
    return (row["kombo_job_id"], row["state"], row["reason"]) if row else None
