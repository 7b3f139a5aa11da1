"""A list of own jobs, and a form that makes one and links it to an ATS job of the customer."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final
from uuid import UUID, uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kombo_pipeline import limits
from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.pages import search
from kombo_pipeline.backoffice.widgets.exposure import chips, visible_integration
from kombo_pipeline.backoffice.widgets.selection import address
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import decisions, links
from kombo_pipeline.linking.decisions import Answer
from kombo_pipeline.linking.statements import ats_jobs, exposed_jobs
from kombo_pipeline.linking.statements.ats_jobs import Integration, Job
from kombo_pipeline.own_jobs import held_withdrawals, importing, listing, reading, statements
from kombo_pipeline.own_jobs.files import BadRow
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline.vocabulary import LIFECYCLES, NO_TARGET_REASONS, SOURCES

PAGE_SIZE: Final = 50
MAX_CHARACTERS: Final = 2000
STATES: Final[Mapping[str, str]] = {
    "": "Any link",
    "active": "Linked",
    "suspended": "Suspended",
    "none": "Not linked",
    "withdrawn": "Withdrawn",
}
_FIELDS: Final = ("title", "own_job_id", "job_code", "remote_id", "post_url", "location", "department")
_MORE_FIELDS: Final = ("employment_type", "posted_at")


class _RefusedError(ValueError):
    """The form cannot be saved. The message says what to change, `field` names the input to which that applies."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


@needs("viewer")
def show(request: Request) -> Response:
    """A customer's own jobs with their source and link."""
    given = {name: _text(request.query_params.get(name)) for name in ("customer", "q", "source", "state", "page")}
    page = int(given["page"]) if given["page"].isdecimal() and len(given["page"]) < 8 else 1
    state = given["state"] if given["state"] in STATES else ""
    source = given["source"] if given["source"] in SOURCES else ""
    with rendering.warehouse(request) as conn:
        known = ats_jobs.integrations(conn, customer_id=None)
        rows, total = listing.page(
            conn,
            customer_id=given["customer"] or None,
            words=given["q"].split()[:12],
            source=source or None,
            state=state or None,
            offset=(max(page, 1) - 1) * PAGE_SIZE,
            limit=PAGE_SIZE,
        )
        holds = held_withdrawals.waiting(conn, customer_id=given["customer"] or None)
    params = {"customer": given["customer"], "q": given["q"], "source": source, "state": state}
    customers = {each.customer_id: each.name for each in known}
    return rendering.render(
        request,
        "own_jobs.html",
        rows=rows,
        total=total,
        holds=holds,
        page=max(page, 1),
        pages=max(1, -(-total // PAGE_SIZE)),
        params=params,
        url=lambda **changes: address("/own-jobs", **(params | changes)),
        customers=customers | ({given["customer"]: given["customer"]} if given["customer"] not in customers else {}),
        sources=SOURCES,
        states=STATES,
        no_target=NO_TARGET_REASONS,
        integrations=[each for each in known if each.customer_id == given["customer"]],
        may_change=request.state.viewer.may("reviewer"),
    )


@needs("reviewer")
def new(request: Request) -> Response:
    """The form of a new own job; without JavaScript it also searches the ATS jobs."""
    with rendering.warehouse(request) as conn:
        known = ats_jobs.integrations(conn, customer_id=None)
        integration_id = request.query_params.get("integration")
        if not integration_id and len(known) != 1:
            return rendering.render(request, "picker_integrations.html", integrations=known, path_to="/own-jobs/new")
        integration = visible_integration(request, conn, integration_id or known[0].integration_id)
        given = {"kombo_job_id": request.query_params.get("job", "").replace("\0", "")}
        return _form(request, conn, integration, given)


@needs("reviewer")
def create(request: Request) -> Response:
    """Search for the ATS job, or make the own job and link it. When it fails, the form keeps what was written."""
    form = request.state.form
    given = {name: _text(form.get(name)) for name in (*_FIELDS, *_MORE_FIELDS, "kombo_job_id", "q", "answer", "new_id")}
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        if form.get("do") == "search":
            return _form(request, conn, integration, given)
        try:
            message = _create(conn, integration, given, by=request.state.viewer.name)
        except _RefusedError as error:
            conn.rollback()
            return _form(request, conn, integration, given, error=error)
    return rendering.redirect(request, address("/own-jobs", customer=integration.customer_id), message=message)


@needs("reviewer")
def find_ats_jobs(request: Request) -> Response:
    """Return the ATS jobs that the search list shows while somebody types, as JSON."""
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, request.query_params.get("integration"))
        found = search.find(conn, integration.integration_id, request.query_params.get("q", ""))
        rows = ats_jobs.jobs(conn, integration.integration_id, [job.kombo_job_id for job in found])
    return JSONResponse(
        [
            {
                "id": row.kombo_job_id,
                "name": row.name or "Without a title",
                "more": " · ".join(filter(None, (row.place, row.department, row.job_code))),
                "chips": [text for _, text in chips(row)],
            }
            for row in rows
        ]
    )


@needs("reviewer")
def withdraw(request: Request) -> Response:
    """Withdraw an own job, or bring it back. Its links are suspended or resumed in the same transaction."""
    form = request.state.form
    customer_id = rendering.visible_customer(request, form.get("customer"))
    own_job_id = form.get("own_job_id", "").replace("\0", "")
    is_back = form.get("do") == "bring_back"
    with rendering.warehouse(request) as conn:
        if not statements.set_withdrawn(conn, customer_id=customer_id, own_job_id=own_job_id, withdrawn=not is_back):
            raise HTTPException(404)
        links.follow_own_jobs(conn, customer_id)
    state = "is back" if is_back else "is withdrawn; no application goes to its ATS job any more"
    back = rendering.local_path(form.get("back"), default=address("/own-jobs", customer=customer_id))
    return rendering.redirect(request, back, message=f"Own job {own_job_id} {state}.")


def _form(
    request: Request,
    conn: Connection,
    integration: Integration,
    given: Mapping[str, str],
    *,
    error: _RefusedError | None = None,
) -> Response:
    integration_id = integration.integration_id
    found = search.find(conn, integration_id, given.get("q", ""))
    ids = [job.kombo_job_id for job in found]
    chosen = given.get("kombo_job_id")
    listed = [chosen, *(job for job in ids if job != chosen)] if chosen else ids
    return rendering.render(
        request,
        "own_job_new.html",
        status_code=422 if error else 200,
        integration=integration,
        given={**dict.fromkeys((*_FIELDS, *_MORE_FIELDS, "kombo_job_id", "q"), ""), **given},
        rows=ats_jobs.jobs(conn, integration_id, listed),
        has_searched=bool(given.get("q")),
        error=error,
        chips=chips,
        answer=given.get("answer") or str(uuid4()),
        new_id=given.get("new_id") or f"manual-{uuid4().hex[:12]}",
        max_id=limits.CODE.most,
    )


def _create(conn: Connection, integration: Integration, given: Mapping[str, str], *, by: str) -> str:
    """Make the own job and its link; return a message that says what was done. Raises _RefusedError."""
    customer_id, integration_id = integration.customer_id, integration.integration_id
    job = _own_job(given)
    if statements.exists(conn, customer_id=customer_id, own_job_id=job.own_job_id):
        if not given["own_job_id"]:
            return f"Own job {job.own_job_id} was made already."
        raise _RefusedError(f"There is an own job {job.own_job_id} already; give another id.", "own_job_id")
    importing.import_own_jobs(conn, [job], customer_id=customer_id, source="manual")
    kombo_job_id = given["kombo_job_id"]
    if not kombo_job_id:
        return f"Own job {job.own_job_id} is made. It is not linked; the next matching proposes ATS jobs for it."
    row = next(iter(ats_jobs.jobs(conn, integration_id, [kombo_job_id])), None)
    if row is None:
        raise _RefusedError("The ATS job that was chosen is not there any more; choose another.", "q")
    if row.publishable and not row.was_ever_exposed:
        exposed_jobs.expose(conn, integration_id, [kombo_job_id], by=by, channel="manual")
    decisions.answer(
        conn,
        Answer(
            answer_id=UUID(given["answer"]),
            customer_id=customer_id,
            own_job_id=job.own_job_id,
            integration_id=integration_id,
            decision="accepted",
            decided_by=by,
            kombo_job_ids=[kombo_job_id],
            method="search",
            note="made by hand",
            on_screen={"candidates": [{"kombo_job_id": kombo_job_id}]},
        ),
    )
    return f"Own job {job.own_job_id} is made and linked to {row.name or kombo_job_id}. {_what_follows(row)}"


def _what_follows(job: Job) -> str:
    if job.lifecycle != "open":
        return f"The link is suspended: the ATS job is {LIFECYCLES[job.lifecycle]}."
    if not job.publishable:
        return "It is internal, confidential or of unknown visibility: no applications while that is so."
    if job.was_ever_exposed and not job.exposed_from:
        return "Its exposure was ended before, so there are no applications until it is exposed again in the picker."
    return "Applications can be created now."


def _own_job(given: Mapping[str, str]) -> OwnJob:
    """The job of the form, read as an import would read it."""
    try:
        UUID(given["answer"])
    except ValueError:
        raise HTTPException(400) from None
    if not given["title"]:
        raise _RefusedError("A title is needed.", "title")
    record = {name: given[name] for name in (*_FIELDS, *_MORE_FIELDS)}
    record["own_job_id"] = given["own_job_id"] or given["new_id"]
    jobs = []
    for row in reading.read(BytesIO(json.dumps([record]).encode()), format="json"):
        if isinstance(row, BadRow):
            raise _RefusedError(row.reason.capitalize() + ".", "posted_at" if "date" in row.reason else "own_job_id")
        jobs.append(row)
    [job] = jobs
    return job


def _text(value: Any) -> str:
    return value.replace("\0", "").strip()[:MAX_CHARACTERS] if isinstance(value, str) else ""


routes: list[Route] = [
    Route("/own-jobs", show, methods=["GET"]),
    Route("/own-jobs/new", new, methods=["GET"]),
    Route("/own-jobs/new", create, methods=["POST"]),
    Route("/own-jobs/ats-jobs", find_ats_jobs, methods=["GET"]),
    Route("/own-jobs/withdraw", withdraw, methods=["POST"]),
]
