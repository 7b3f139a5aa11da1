"""The job picker: a customer's ATS jobs as a table, which of them to expose, and the history of every choice."""

import functools
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.widgets.csv_export import csv_response
from kombo_pipeline.backoffice.widgets.exposure import (
    act,
    channel,
    chips,
    chosen_by,
    jobs_in_words,
    visible_integration,
)
from kombo_pipeline.backoffice.widgets.selection import Selection, address, read_selection
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import exposed_jobs as statements
from kombo_pipeline.linking.statements.exposed_jobs import Action
from kombo_pipeline.vocabulary import GONE

PAGE_SIZE: Final = 50
MAX_CHOSEN: Final = 10_000
STATUS_WORDS: Final[Mapping[str, str]] = {
    "open": "Open",
    "closed": "Closed",
    "draft": "Draft",
    "archived": "Archived",
    "unknown": "Unknown status",
    "gone": "Gone from the ATS",
    "all": "Any status",
}
VISIBILITY_WORDS: Final[Mapping[str, str]] = {
    "": "Any visibility",
    "visible": "For everybody",
    "internal": "Internal",
    "confidential": "Confidential",
    "other": "Unknown visibility",
}
_ACTIONS: Final[tuple[Action, ...]] = ("expose", "end")
_COLUMNS: Final = (
    *("integration_id", "kombo_job_id", "name", "job_code", "remote_id", "place", "department", "employment_type"),
    *("lifecycle", "status", "visibility", "publishable", "opened_at", "closed_at", "post_url"),
    *("exposed_from", "exposed_by", "channel"),
)


@needs("viewer", customers=True)
def show(request: Request) -> Response:
    """The table of an integration's jobs, or the integrations to choose from."""
    with rendering.warehouse(request) as conn:
        known = statements.integrations(conn, customer_id=request.state.viewer.customer_id)
        integration_id = request.query_params.get("integration")
        if not integration_id and len(known) != 1:
            return rendering.render(request, "picker_integrations.html", integrations=known, path_to="/picker")
        integration = visible_integration(request, conn, integration_id or known[0]["integration_id"])
        selection = read_selection(request.query_params, integration["integration_id"])
        by_lifecycle, may_be_targets, exposed = statements.counts(conn, integration["integration_id"])
        by_status = {
            status: sum(by_lifecycle.get(lifecycle, 0) for lifecycle in lifecycles)
            for status, lifecycles in statements.STATUSES.items()
        }
        ids, total, page = _page(conn, selection, by_status)
        rows = statements.jobs(conn, integration["integration_id"], ids)
        suggested = statements.suggestions(conn, integration["integration_id"])
    return rendering.render(
        request,
        "picker.html",
        chosen_by=functools.partial(chosen_by, request),
        integration=integration,
        integrations=known,
        selection=selection,
        rows=rows,
        chips=chips,
        total=total,
        page=page,
        pages=max(1, -(-total // PAGE_SIZE)),
        first=(page - 1) * PAGE_SIZE + 1,
        by_status=by_status,
        may_be_targets=may_be_targets,
        exposed=exposed,
        suggested=suggested,
        statuses=STATUS_WORDS,
        statuses_with_counts=[(name, f"{words} ({by_status[name]:,})") for name, words in STATUS_WORDS.items()],
        named_integrations=[(row["integration_id"], f"{row['name']} ({row['tool'] or 'ATS'})") for row in known],
        visibilities=VISIBILITY_WORDS,
        gone=GONE,
        may_choose=request.state.viewer.may("reviewer"),
    )


def _page(conn: Connection, selection: Selection, by_status: Mapping[str, int]) -> tuple[list[str], int, int]:
    """The ids on the page, how many match, and the page: the first where the one asked for is beyond the end."""
    wanted = selection.wanted
    for page in dict.fromkeys((selection.page, 1)):
        ids, total = statements.page(
            conn,
            wanted,
            sort=selection.sort,
            descending=selection.descending,
            offset=(page - 1) * PAGE_SIZE,
            limit=PAGE_SIZE,
        )
        if ids:
            counted = by_status[wanted.status] if wanted.is_status_alone else len(ids)
            return ids, counted if total is None else total, page
    return [], 0, 1


@needs("reviewer", customers=True)
def choose(request: Request) -> Response:
    """Expose the jobs that were ticked, or end their exposure."""
    form = request.state.form
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        selection = read_selection(form, integration["integration_id"])
        action, ids = _chosen(form)
        if not ids:
            back = selection.url(page=selection.page)
            return rendering.redirect(request, back, notice="No job was ticked; nothing was changed.", kind="warning")
        notice = act(
            conn, integration["integration_id"], ids, action, by=request.state.viewer.name,
            channel=channel(request, "picker"),
        )  # fmt: skip
    return rendering.redirect(request, selection.url(page=selection.page), notice=notice)


@needs("viewer", customers=True)
def preview(request: Request) -> Response:
    """What choosing all that match would do, to be confirmed."""
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, request.query_params.get("integration"))
        selection = read_selection(request.query_params, integration["integration_id"])
        return _preview(request, conn, integration, selection, _action(request.query_params.get("action")))


@needs("reviewer", customers=True)
def choose_all(request: Request) -> Response:
    """Expose all jobs that match and may be application targets, or end all; asks anew when the set has changed."""
    form = request.state.form
    action = _action(form.get("action"))
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        selection = read_selection(form, integration["integration_id"])
        if statements.preview(conn, selection.wanted, action).digest != form.get("digest"):
            return _preview(request, conn, integration, selection, action, has_changed=True)
        done = statements.choose_all(
            conn, selection.wanted, action, by=request.state.viewer.name, channel=channel(request, "picker")
        )
    told = "exposed" if action == "expose" else "no longer exposed"
    return rendering.redirect(request, selection.url(), notice=f"{jobs_in_words(done)} {told}.")


def _preview(
    request: Request,
    conn: Connection,
    integration: Mapping[str, Any],
    selection: Selection,
    action: Action,
    *,
    has_changed: bool = False,
) -> Response:
    seen = statements.preview(conn, selection.wanted, action)
    return rendering.render(
        request,
        "picker_preview.html",
        status_code=409 if has_changed else 200,
        integration=integration,
        selection=selection,
        action=action,
        preview=seen,
        rows=statements.jobs(conn, integration["integration_id"], seen.first),
        chips=chips,
        has_changed=has_changed,
        may_choose=request.state.viewer.may("reviewer"),
    )


@needs("viewer", customers=True)
def history(request: Request) -> Response:
    """Who chose what, when and through what: of one job, or of the whole integration."""
    job_id = request.query_params.get("job", "").replace("\0", "") or None
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, request.query_params.get("integration"))
        integration_id = integration["integration_id"]
        job = next(iter(statements.jobs(conn, integration_id, [job_id])), None) if job_id else None
        if job_id and job is None:
            raise HTTPException(404)
        before = _moment(request.query_params.get("before"))
        events = statements.history(conn, integration_id, kombo_job_id=job_id, before=before, limit=PAGE_SIZE)
        named = statements.jobs(conn, integration_id, sorted({job for event in events for job in event["ids"]}))
    return rendering.render(
        request,
        "picker_history.html",
        chosen_by=functools.partial(chosen_by, request),
        integration=integration,
        job=job,
        events=events,
        jobs={row["kombo_job_id"]: row for row in named},
        chips=chips,
        is_later_page=before is not None,
        older=address("/picker/history", integration=integration_id, job=job_id, before=events[-1]["at"].isoformat())
        if len(events) == PAGE_SIZE
        else None,
    )


@needs("viewer", customers=True)
def export(request: Request) -> Response:
    """The jobs that match as CSV."""
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, request.query_params.get("integration"))
        selection = read_selection(request.query_params, integration["integration_id"])
        return csv_response([*_COLUMNS, "own_jobs"], _export_rows(request, conn, selection), file_name="ats-jobs.csv")


def _export_rows(request: Request, conn: Connection, selection: Selection) -> Iterator[list[Any]]:
    for listed in statements.every_job(conn, selection.wanted):
        for row in listed:
            linked = "; ".join(link["own_job_id"] for link in row["links"])
            row["exposed_by"] = chosen_by(request, row["exposed_by"])
            yield [*(_told(row[name]) for name in _COLUMNS), linked]


def _chosen(form: Any) -> tuple[Action, list[str]]:
    """What to do and with which jobs: the button of one row speaks of that row alone."""
    for action in _ACTIONS:
        if only := form.get(f"only_{action}"):
            return action, [only.replace("\0", "")]
    ticked = [*form.getlist("job"), *form.getlist("job_one_by_one")]
    ids = list(dict.fromkeys(value.replace("\0", "") for value in ticked))
    if len(ids) > MAX_CHOSEN:
        raise HTTPException(400, f"{len(ids)} jobs were ticked; {MAX_CHOSEN} at once are possible")
    return _action(form.get("action")), ids


def _action(text: Any) -> Action:
    for action in _ACTIONS:
        if text == action:
            return action
    raise HTTPException(400, "Say whether to expose the jobs or to end that")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


routes: list[Route] = [
    Route("/picker", show, methods=["GET"]),
    Route("/picker/choose", choose, methods=["POST"]),
    Route("/picker/preview", preview, methods=["GET"]),
    Route("/picker/choose-all", choose_all, methods=["POST"]),
    Route("/picker/history", history, methods=["GET"]),
    Route("/picker/export", export, methods=["GET"]),
]
