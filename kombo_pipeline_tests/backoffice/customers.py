"""Customers to look at, put into the warehouse of a running back office."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from kombo_pipeline.linking import decisions
from kombo_pipeline_tests.backoffice.conftest import Backoffice


@dataclass(frozen=True)
class Customer:
    """A customer with an integration, ATS jobs, an own job with a candidate, one that is linked, and two holds."""

    customer: str
    integration: str
    job: str
    own_job: str
    hold: int
    """Of a closure."""
    withdrawal: int
    """The hold of a withdrawal."""
    link: int
    answer: UUID
    """By which the link was made."""

    def fill(self, values: dict[str, str]) -> dict[str, str]:
        """Put this customer's names in the place of {customer}, {integration}, ..."""
        return {name: value.format(**self.__dict__) for name, value in values.items()}


def add_customer(backoffice: Backoffice, name: str) -> Customer:
    """Put a customer into the warehouse; its name stands in every text of its jobs."""
    integration, job, own_job = f"personio:{name}", f"{name}-job-1", f"{name}/own?1"
    with backoffice.connect() as conn:
        conn.execute(
            "insert into core.integrations (integration_id, customer_id, organization_name, tool, state, setup_status, "
            "fetch_state, full_fetched_at, fetched_at) values (%s, %s, %s, 'personio', 'ACTIVE', 'COMPLETED', "
            "'current', now(), now())",
            (integration, name, name.title()),
        )
        fetch = conn.execute(
            "insert into raw.fetches (integration_id, kind, covers_event_seq, status, applied_at) "
            "values (%s, 'full', 0, 'applied', now()) returning fetch_id",
            (integration,),
        ).fetchone()
        assert fetch is not None
        for number in (1, 2, 3):
            conn.execute(
                "insert into core.jobs (integration_id, kombo_job_id, name, job_code, status, visibility, "
                "location_city, last_fetch_id) values (%s, %s, %s, %s, 'OPEN', 'PUBLIC', 'Berlin', %s)",
                (integration, f"{name}-job-{number}", f"Engineer {number} at {name}", f"E-{number}", fetch["fetch_id"]),
            )
        own = {"customer_id": name, "own_job_id": own_job, "integration_id": integration}
        conn.execute(
            "insert into core.own_jobs (customer_id, own_job_id, title, location) values (%s, %s, %s, 'Berlin')",
            (name, own_job, f"Engineer at {name}"),
        )
        conn.execute(
            "insert into core.own_job_matches (customer_id, own_job_id, integration_id, outcome, confidence, band, "
            "own_hash, matcher_version, identifiers, vector, shortlist_floor, shortlist) values (%(customer_id)s, "
            "%(own_job_id)s, %(integration_id)s, 'candidates', 0.9, 'strong', '', 'test', '{}', '', 0, '{}')",
            own,
        )
        conn.execute(
            "insert into core.job_match_candidates (customer_id, own_job_id, integration_id, kombo_job_id, rank, "
            "score, confidence, band, method, evidence, matcher_version) values (%(customer_id)s, %(own_job_id)s, "
            "%(integration_id)s, %(job)s, 1, 1, 0.9, 'strong', 'title', %(evidence)s, 'test')",
            own | {"job": job, "evidence": Jsonb({})},
        )
        answer_id = uuid4()
        conn.execute(
            "insert into core.own_jobs (customer_id, own_job_id, title) values (%s, 'linked', %s)",
            (name, f"Engineer 3 at {name}"),
        )
        decisions.answer(
            conn,
            decisions.Answer(
                answer_id=answer_id,
                customer_id=name,
                own_job_id="linked",
                integration_id=integration,
                decision="accepted",
                decided_by="reviewer",
                kombo_job_ids=[f"{name}-job-3"],
            ),
        )
        link = conn.execute("select max(link_id) as link_id from core.job_links").fetchone()
        hold = conn.execute(
            "insert into core.held_closures (integration_id, fetch_id, reason, kombo_job_ids, gone_at, open_jobs) "
            "values (%s, %s, 'vanished', %s, %s, 2) returning hold_id",
            (integration, fetch["fetch_id"], [f"{name}-job-2"], ["2026-01-01T00:00:00Z"]),
        ).fetchone()
        withdrawal = conn.execute(
            "insert into core.held_withdrawals (customer_id, list, own_job_ids, living_jobs) "
            "values (%s, 'manual', %s, 2) returning hold_id",
            (name, [own_job]),
        ).fetchone()
        assert hold is not None
        assert withdrawal is not None
        assert link is not None
    return Customer(name, integration, job, own_job, hold["hold_id"], withdrawal["hold_id"], link["link_id"], answer_id)
