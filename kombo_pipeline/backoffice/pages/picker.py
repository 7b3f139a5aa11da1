"""The job picker: a table of a customer's ATS jobs, buttons that expose them, and the history of exposure."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from kombo_pipeline.linking.statements import ats_jobs, exposed_jobs, job_filter
from kombo_pipeline.linking.statements.ats_jobs import Integration
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
    """Show the jobs of an integration, or the integrations to choose from."""
    with rendering.warehouse(request) as conn:
        known = ats_jobs.integrations(conn, customer_id=request.state.viewer.customer_id)
        integration_id = request.query_params.get("integration")
        if not integration_id and len(known) != 1:
            return rendering.render(request, "picker_integrations.html", integrations=known, path_to="/picker")
        integration = visible_integration(request, conn, integration_id or known[0].integration_id)
        selection = read_selection(request.query_params, integration.integration_id)
        by_lifecycle, may_be_targets, exposed = ats_jobs.counts(conn, integration.integration_id)
        by_status = {
            status: sum(by_lifecycle.get(lifecycle, 0) for lifecycle in lifecycles)
            for status, lifecycles in job_filter.STATUSES.items()
        }
        ids, total, page = _page(conn, selection, by_status)
        rows = ats_jobs.jobs(conn, integration.integration_id, ids)
        suggested = ats_jobs.suggestions(conn, integration.integration_id)
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
        named_integrations=[(each.integration_id, f"{each.name} ({each.tool or 'ATS'})") for each in known],
        visibilities=VISIBILITY_WORDS,
        gone=GONE,
        may_choose=request.state.viewer.may("reviewer"),
    )


def _page(conn: Connection, selection: Selection, by_status: Mapping[str, int]) -> tuple[list[str], int, int]:
    """Return the ids on a page, how many jobs match, and the number of the page: 1 where the list ends before it."""
    wanted = selection.wanted
    for page in dict.fromkeys((selection.page, 1)):
        ids, total = job_filter.page(
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
        selection = read_selection(form, integration.integration_id)
        action, ids = _chosen(form)
        if not ids:
            back = selection.url(page=selection.page)
            return rendering.redirect(request, back, message="No job was ticked; nothing was changed.", kind="warning")
        message = act(
            conn, integration.integration_id, ids, action, by=request.state.viewer.name,
            channel=channel(request, "picker"),
        )  # fmt: skip
    return rendering.redirect(request, selection.url(page=selection.page), message=message)


@needs("viewer", customers=True)
def preview(request: Request) -> Response:
    """Show what would be done with all jobs that match, and ask for a confirmation."""
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, request.query_params.get("integration"))
        selection = read_selection(request.query_params, integration.integration_id)
        return _preview(request, conn, integration, selection, _action(request.query_params.get("action")))


@needs("reviewer", customers=True)
def choose_all(request: Request) -> Response:
    """Expose all jobs that match and may be application targets, or end the exposure of all that match.

    When other jobs match than those that were confirmed, the page asks again.
    """
    form = request.state.form
    action = _action(form.get("action"))
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        selection = read_selection(form, integration.integration_id)
        if exposed_jobs.preview(conn, selection.wanted, action).digest != form.get("digest"):
            return _preview(request, conn, integration, selection, action, has_changed=True)
        done = exposed_jobs.choose_all(
            conn, selection.wanted, action, by=request.state.viewer.name, channel=channel(request, "picker")
        )
    done_to_them = "exposed" if action == "expose" else "no longer exposed"
    return rendering.redirect(request, selection.url(), message=f"{jobs_in_words(done)} {done_to_them}.")


def _preview(
    request: Request,
    conn: Connection,
    integration: Integration,
    selection: Selection,
    action: Action,
    *,
    has_changed: bool = False,
) -> Response:
    seen = exposed_jobs.preview(conn, selection.wanted, action)
    return rendering.render(
        request,
        "picker_preview.html",
        status_code=409 if has_changed else 200,
        integration=integration,
        selection=selection,
        action=action,
        preview=seen,
        rows=ats_jobs.jobs(conn, integration.integration_id, seen.first),
        chips=chips,
        has_changed=has_changed,
        may_choose=request.state.viewer.may("reviewer"),
    )


@needs("viewer", customers=True)
def history(request: Request) -> Response:
    """Show who exposed jobs or ended that, when, and through which channel: of one job, or of the integration."""
    job_id = request.query_params.get("job", "").replace("\0", "") or None
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, request.query_params.get("integration"))
        integration_id = integration.integration_id
        job = next(iter(ats_jobs.jobs(conn, integration_id, [job_id])), None) if job_id else None
        if job_id and job is None:
            raise HTTPException(404)
        before = _moment(request.query_params.get("before"))
        events = exposed_jobs.history(conn, integration_id, kombo_job_id=job_id, before=before, limit=PAGE_SIZE)
        named = ats_jobs.jobs(conn, integration_id, sorted({job for event in events for job in event.ids}))
    return rendering.render(
        request,
        "picker_history.html",
        chosen_by=functools.partial(chosen_by, request),
        integration=integration,
        job=job,
        events=events,
        jobs={row.kombo_job_id: row for row in named},
        chips=chips,
        is_later_page=before is not None,
        older=address("/picker/history", integration=integration_id, job=job_id, before=events[-1].at.isoformat())
        if len(events) == PAGE_SIZE
        else None,
    )


@needs("viewer", customers=True)
def export(request: Request) -> Response:
    """Send the jobs that match as a CSV file."""
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, request.query_params.get("integration"))
        selection = read_selection(request.query_params, integration.integration_id)
        return csv_response([*_COLUMNS, "own_jobs"], _export_rows(request, conn, selection), file_name="ats-jobs.csv")


def _export_rows(request: Request, conn: Connection, selection: Selection) -> Iterator[list[Any]]:
    for listed in job_filter.every_job(conn, selection.wanted):
        for job in listed:
            shown = replace(job, exposed_by=chosen_by(request, job.exposed_by))
            linked = "; ".join(link.own_job_id for link in job.links)
            yield [*(_cell(getattr(shown, name)) for name in _COLUMNS), linked]


def _chosen(form: Any) -> tuple[Action, list[str]]:
    """Return what to do and with which jobs. The button of a row is for that row alone."""
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


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


routes: list[Route] = [
    Route("/picker", show, methods=["GET"]),
    Route("/picker/choose", choose, methods=["POST"]),
    Route("/picker/preview", preview, methods=["GET"]),
    Route("/picker/choose-all", choose_all, methods=["POST"]),
    Route("/picker/history", history, methods=["GET"]),
    Route("/picker/export", export, methods=["GET"]),
]
