"""A customer that reconnected, as staff meet it: what the pages say of the takeover, and who decides."""

import time

import pytest

from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client
from kombo_pipeline_tests.backoffice.customers import Customer, add_customer


@pytest.fixture
def pair(backoffice: Backoffice) -> tuple[Customer, str]:
    """A customer with a linked job, and a newer connection of its own whose three jobs agree: a person is asked."""
    old = add_customer(backoffice, f"anew-{time.monotonic_ns()}")
    new = f"{old.integration}-again"
    with backoffice.connect() as conn:
        conn.execute("update core.integrations set state = 'INVALID' where integration_id = %s", (old.integration,))
        conn.execute(
            "update core.jobs set remote_id = right(kombo_job_id, 1) where integration_id = %s", (old.integration,)
        )
        conn.execute(
            "insert into core.integrations (integration_id, customer_id, organization_name, tool, state, fetch_state, "
            "full_fetched_at, fetched_at) select %s, customer_id, organization_name, tool, 'ACTIVE', 'current', now(), "
            "now() from core.integrations where integration_id = %s",
            (new, old.integration),
        )
        conn.execute(
            "insert into core.jobs (integration_id, kombo_job_id, name, job_code, status, visibility, location_city, "
            "remote_id, last_fetch_id) select %s, 'new-' || kombo_job_id, name, job_code, status, visibility, "
            "location_city, remote_id, 1 from core.jobs where integration_id = %s",
            (new, old.integration),
        )
        conn.execute(
            "insert into core.successions (integration_id, predecessor_id, state, agreeing_jobs, compared_jobs) "
            "values (%s, %s, 'proposed', 3, 3)",
            (new, old.integration),
        )
    return old, new


def linked(backoffice: Backoffice, customer: Customer) -> list[str]:
    """The connections in which the own job has an active link; only the new one works, so only it has targets."""
    with backoffice.connect() as conn:
        rows = conn.execute(
            "select integration_id, no_target_because from marts.job_links where customer_id = %s and state = 'active'",
            (customer.customer,),
        ).fetchall()
    for row in rows:
        assert row["no_target_because"] == (
            "connection_lost" if row["integration_id"] == customer.integration else None
        )
    return [row["integration_id"] for row in rows]


def text_of(client: Client, integration: str) -> str:
    return " ".join(client.get(f"/integrations/{integration}").text.split())


def decide(client: Client, new: str, old: Customer, decision: str) -> str:
    """Press a button; what the page says afterwards."""
    answer = client.submit(f"/integrations/{new}/takeover", predecessor=old.integration, decision=decision)
    assert answer.status_code == 303, answer.text
    return " ".join(client.get(answer.headers["location"]).text.split())


def test_a_proposal_is_shown_on_both_pages_and_an_admin_accepts_and_undoes_it(
    backoffice: Backoffice, admin: Client, pair: tuple[Customer, str]
) -> None:
    old, new = pair
    assert "takes over from another one?" in admin.get("/integrations", params={"q": new}).text
    for page in (old.integration, new):
        text = text_of(admin, page)
        assert "3 of 3 jobs agree in remote id and title" in text
        assert "Accept" in text
    assert "Does this connection take over from" in text_of(admin, new)
    assert linked(backoffice, old) == [old.integration]

    assert "links and answers have followed" in decide(admin, new, old, "accept")
    assert linked(backoffice, old) == [new]
    text = text_of(admin, new)
    assert "Takes over from" in text
    assert "decided by admin" in text
    assert "1 link followed" in text
    text = text_of(admin, old.integration)
    assert "Was taken over by" in text
    assert new in text
    assert "Deleted in Kombo" not in text
    assert "Fetch what changed" not in text
    assert "taken over already" in decide(admin, new, old, "accept")
    fetch = admin.submit(f"/integrations/{old.integration}/fetch", full="0")
    assert "undo that to fetch it again" in admin.get(fetch.headers["location"]).text
    assert "taken over by a newer connection" in admin.get("/picker").text
    assert "choose in the newer connection" in admin.get("/picker", params={"integration": old.integration}).text

    assert "has its jobs and links back" in decide(admin, new, old, "undo")
    assert linked(backoffice, old) == [old.integration]
    assert "Undone by admin" in text_of(admin, new)
    assert "Undone by admin" in text_of(admin, old.integration)


def test_a_refusal_leaves_both_as_they_are(backoffice: Backoffice, admin: Client, pair: tuple[Customer, str]) -> None:
    old, new = pair
    assert "both connections stay as they are" in decide(admin, new, old, "refuse")
    assert linked(backoffice, old) == [old.integration]
    assert "Refused by admin" in text_of(admin, old.integration)
    assert "decided meanwhile" in decide(admin, new, old, "refuse")
    assert "has not taken over" in decide(admin, new, old, "undo")


def test_only_an_admin_decides_and_only_about_pairs_that_are_known(
    backoffice: Backoffice, admin: Client, reviewer: Client, pair: tuple[Customer, str]
) -> None:
    old, new = pair
    at = f"/integrations/{new}/takeover"
    assert "An admin decides." in text_of(reviewer, new)
    assert "/takeover" not in text_of(reviewer, new)
    assert reviewer.submit(at, predecessor=old.integration, decision="accept").status_code == 403
    assert admin.submit(at, predecessor=old.integration, decision="perhaps").status_code == 400
    for integration, predecessor in ((old.integration, new), (new, "personio:nobody"), ("personio:nobody", new)):
        answer = admin.submit(f"/integrations/{integration}/takeover", predecessor=predecessor, decision="accept")
        assert answer.status_code == 404
    assert linked(backoffice, old) == [old.integration]
