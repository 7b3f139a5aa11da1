"""The review page: one own job at a time, its candidates, and a person's answer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import nh3
from itsdangerous import BadSignature
from markupsafe import Markup
from starlette.background import BackgroundTask
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.pages import search
from kombo_pipeline.backoffice.waiting import waiting_lists
from kombo_pipeline.backoffice.widgets import card as cards
from kombo_pipeline.backoffice.widgets.card import Card, SignedCard, say
from kombo_pipeline.backoffice.widgets.view import (
    AGES,
    ORDERS,
    View,
    card_url,
    customers_of,
    integrations_of,
)
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import decisions
from kombo_pipeline.linking.decisions import Answer, AnsweredMeanwhileError, Given
from kombo_pipeline.linking.own_job_key import OwnJobKey, own_job_key
from kombo_pipeline.linking.statements import answers, job_links, link_decisions, review_cards, review_queue
from kombo_pipeline.linking.statements.job_links import Seen
from kombo_pipeline.linking.statements.link_decisions import Decision
from kombo_pipeline.linking.statements.review_queue import Queue
from kombo_pipeline.vocabulary import BANDS, LINK_REASONS, REVIEW_REASONS, SOURCES, Band

STRIP: Final = 5
"""How many of the person's own answers stand above the card."""
MAX_NOTE: Final = 2000
DESCRIPTION_CHARACTERS: Final = 20_000
"""A longer description is cut on the card, with a link to the whole text."""
_PRECISION_SECONDS: Final = 60
_FRESH_SECONDS: Final = 5
_ANSWERS: Final[Mapping[str, Given]] = {
    "link": "accepted", "not": "rejected", "none": "rejected", "nowhere": "no_counterpart", "unsure": "unsure",
}  # fmt: skip


class ChangedMeanwhileError(RuntimeError):
    """A job has changed since the card was shown; the message says which one, and how."""


@needs("viewer")
def page(request: Request) -> Response:
    """Show the next own job of the queue, or the one that the address names."""
    query = request.query_params
    view = View.of(query)
    with rendering.warehouse(request) as conn:
        if query.get("own") is not None:
            pinned = OwnJobKey(query.get("of", ""), own_job_id=query["own"], integration_id=query.get("in", ""))
            card = cards.load(conn, pinned, found=query.get("found"))
            if card is None:
                raise HTTPException(404, "This own job is not known, or not among the jobs of that integration.")
            return _render(request, conn, view, card, is_pinned=True)
        waiting, skip, following = waiting_lists(request).next(conn, view.queue, skip=view.skip)
        view = replace(view, skip=skip)
        card = cards.load(conn, following, found=query.get("found")) if following else None
        response = _render(request, conn, view, card, waiting=waiting)
    if waiting_lists(request).is_old():
        response.background = BackgroundTask(_read_anew, request)
    return response


@needs("reviewer")
def answer(request: Request) -> Response:
    """Record the person's answer, and go on to the next own job."""
    form: FormData = request.state.form
    signed = _signed(request, form.get("card"))
    view = View.of(dict(parse_qsl(signed["query"])))
    said, _, kombo_job_id = str(form.get("answer", "")).partition(":")
    decision = _ANSWERS.get(said)
    if decision is None or (said in ("link", "not")) != bool(kombo_job_id):
        raise HTTPException(400, "The form has no answer. Go back and press a button of the card.")
    shown = [each["kombo_job_id"] for each in signed["on_screen"]["candidates"]]
    chosen = [kombo_job_id] if kombo_job_id else shown if said == "none" else []
    note = str(form.get("note", "")).strip()[:MAX_NOTE] or None
    if (said == "none" and not chosen) or any(job not in signed["ats_seen"] for job in chosen):
        raise HTTPException(400, "The card did not show this ATS job. Go back and reload the page.")
    needed = cards.why_a_note_is_needed(signed, decision, chosen)
    given = Answer(
        answer_id=UUID(signed["answer_id"]),
        **OwnJobKey(**signed["key"])._asdict(),
        decision=decision,
        kombo_job_ids=chosen,
        decided_by=request.state.viewer.name,
        method=signed["methods"][chosen[0]] if said == "link" else "title",
        seen_decision_id=signed["seen"],
        note=note,
        on_screen=signed["on_screen"],
        matcher_version=signed["matcher_version"],
    )
    pending = {"answer": str(form.get("answer")), "note": note or "", "label": _label(said)}
    try:
        with rendering.warehouse(request) as conn:
            if needed and note is None and not link_decisions.decisions_of_answer(conn, given.answer_id):
                return _again(request, conn, view, signed, pending, needed=needed)
            recorded = decisions.answer(conn, given)
            if recorded and recorded[0].answer_id == given.answer_id:
                _refuse_unseen(signed, recorded)
            warning = _warning(conn, recorded)
    except (AnsweredMeanwhileError, ChangedMeanwhileError) as error:
        with rendering.warehouse(request) as conn:
            return _again(request, conn, view, signed, pending, error=error)
    except LookupError as error:
        raise HTTPException(404, str(error)) from None
    return rendering.redirect(request, view.url(), message=warning, kind="warning")


@needs("reviewer")
def undo(request: Request) -> Response:
    """Take back an answer or a batch, and show the own job again."""
    form: FormData = request.state.form
    ids = {name: _uuid(form.get(name)) for name in ("answer_id", "batch_id")}
    if not any(ids.values()):
        raise HTTPException(400, "The form does not name the answer that is to be taken back.")
    with rendering.warehouse(request) as conn:
        undone = decisions.undo(conn, undone_by=request.state.viewer.name, **ids)
    back = rendering.local_path(str(form.get("back") or ""), default="")
    if not undone:
        return rendering.redirect(request, back or "/review", message="It was taken back before.", kind="warning")
    what = say([undone[-1]]) if len({each.own_job_id for each in undone}) == 1 else f"{len(undone)} answers"
    view = View.of(dict(parse_qsl(str(form.get("query", "")))))
    return rendering.redirect(request, back or card_url(undone[0], view), message=f"Taken back: {what}")


def description(html: str | None) -> Markup:
    """Reduce a job's description, HTML of others, to paragraphs, lists and emphasis: no links, images or styles."""
    kept = {"p", "br", "ul", "ol", "li", "b", "strong", "i", "em", "h3", "h4", "h5"}
    cut = (html or "")[:DESCRIPTION_CHARACTERS]
    return Markup(nh3.clean(cut, tags=kept, attributes={}))  # noqa: S704 -- what the library kept


@needs("viewer")
def whole_description(request: Request) -> Response:
    """Show a job's whole description as plain text, so that scripts and styles in it have no effect."""
    with rendering.warehouse(request) as conn:
        found = review_cards.description(
            conn, request.query_params.get("integration", ""), request.query_params.get("job", "")
        )
    if found is None:
        raise HTTPException(404)
    return PlainTextResponse(found)


def _render(
    request: Request,
    conn: Connection,
    view: View,
    card: Card | None,
    *,
    waiting: int | None = None,
    is_pinned: bool = False,
    status_code: int = 200,
    **more: Any,
) -> Response:
    viewer = request.state.viewer
    if waiting is None:
        waiting = waiting_lists(request).count(conn, view.queue)
    today, seconds = answers.progress(conn, viewer.name)
    query = urlencode(view.parameters)
    sought = request.query_params.get("q", "") if request.method == "GET" else ""
    integrations = review_cards.integrations(conn)
    context = {
        "view": view,
        "card": card,
        "waiting": waiting,
        "is_pinned": is_pinned,
        "today": today,
        "seconds": seconds,
        "precision": _precision(request, conn),
        "strip": answers.standing_of_person(
            conn, viewer.name, since=datetime.now(UTC) - timedelta(days=1), limit=STRIP
        ),
        "connections": integrations,
        "customers": customers_of(integrations),
        "integrations": integrations_of(integrations, view.queue.customer_id),
        "situation": None if card else _situation(request, conn, view),
        "sought": sought,
        "results": search.find(conn, card.key.integration_id, sought) if card and sought else [],
        "token": request.app.state.access.signer("card").dumps(card.to_sign(order=view.queue.order, query=query))
        if card
        else "",
        "query": query,
        "pending": None,
        "needed": None,
        "meanwhile": None,
        "changed": None,
        "choices": {"why": REVIEW_REASONS, "bands": BANDS, "sources": SOURCES, "ages": AGES, "orders": ORDERS},
        "card_url": card_url,
        "say": say,
        "is_fresh": is_fresh,
        "description": description,
        "DESCRIPTION_CHARACTERS": DESCRIPTION_CHARACTERS,
        "unsure_days": decisions.UNSURE_DAYS,
    }
    return rendering.render(request, "review.html", status_code=status_code, **(context | more))


def _again(
    request: Request,
    conn: Connection,
    view: View,
    signed: SignedCard,
    pending: dict[str, str],
    *,
    needed: str | None = None,
    error: Exception | None = None,
) -> Response:
    """Show the card as it is now, with the reason why the answer was not taken and with what was typed."""
    kombo_job_id = pending["answer"].partition(":")[2]
    card = cards.load(conn, OwnJobKey(**signed["key"]), found=kombo_job_id or None)
    if card is None:
        raise HTTPException(404)
    problem: dict[str, Any] = {"pending": pending, "needed": needed}
    if isinstance(error, AnsweredMeanwhileError):
        problem["meanwhile"] = error.decisions
    elif error is not None:
        problem["changed"] = str(error)
    response = _render(request, conn, view, card, is_pinned=True, status_code=422 if needed else 409, **problem)
    # Only a GET has an address to which a browser can go back.
    response.headers["HX-Push-Url"] = "false"
    return response


def _refuse_unseen(signed: SignedCard, recorded: Sequence[Decision]) -> None:
    """Raise ChangedMeanwhileError when an answer would hold for titles, codes or places that the card did not show."""
    own, own_then = recorded[0].own_seen, signed["on_screen"]["own"]
    if own != own_then:
        raise ChangedMeanwhileError(f"Our job changed while the card was open: {_difference(own_then, own)}")
    for decision in recorded:
        then = signed["ats_seen"].get(decision.kombo_job_id or "")
        if decision.ats_seen is not None and then is not None and decision.ats_seen != then:
            raise ChangedMeanwhileError(
                f"The ATS job changed while the card was open: {_difference(then, decision.ats_seen)}"
            )


def _difference(then: Seen, now: Seen) -> str:
    changed = [f"“{then.get(name) or 'none'}” → “{now[name] or 'none'}”" for name in now if then.get(name) != now[name]]
    return ", ".join(changed)


def _warning(conn: Connection, recorded: Sequence[Decision]) -> str | None:
    """Return the warning about a new link that is suspended; None where the link is active or none was made."""
    if recorded[0].decision != "accepted":
        return None
    link = job_links.live_link(conn, own_job_key(recorded[0]))
    if link is None or link.reason is None:
        return None
    until = {
        "withdrawn": "until our job is back",
        "owner_in_doubt": "until an admin says whose it is",
    }.get(link.reason, "until the job opens again and somebody resumes the link")
    return (
        f"Linked: {say(recorded)}. But the link is suspended, because {LINK_REASONS[link.reason]}. "
        f"No applications are created {until}."
    )


def is_fresh(rows: Sequence[Decision]) -> bool:
    """Whether an answer was given just now, so that a screen reader should read it out."""
    return datetime.now(UTC) - rows[0].decided_at < timedelta(seconds=_FRESH_SECONDS)


def _precision(request: Request, conn: Connection) -> dict[Band, tuple[int, int]]:
    """Return the precision by band, at most a minute old: it changes slowly, and computing it reads many answers."""
    state = request.app.state
    read_at, kept = getattr(state, "band_precision", (0.0, {}))
    if not kept or time.monotonic() - read_at > _PRECISION_SECONDS:
        kept = answers.band_precision(conn)
        state.band_precision = time.monotonic(), kept
    return cast("dict[Band, tuple[int, int]]", kept)


def _read_anew(request: Request) -> None:
    with rendering.warehouse(request) as conn:
        waiting_lists(request).read(conn)


def _situation(request: Request, conn: Connection, view: View) -> dict[str, Any]:
    """Return why nothing waits, for the page that says so."""
    everything = waiting_lists(request).count(conn, Queue())
    unlikely = waiting_lists(request).count(conn, replace(view.queue, why="unlikely"))
    return {
        "everything": everything,
        "unlikely": unlikely if view.queue.why != "unlikely" else 0,
        "own_jobs": sum(review_queue.own_jobs_by_source(conn).values()),
        "matched": review_queue.matched_own_jobs(conn),
        "is_narrowed": view.is_narrowed,
    }


def _signed(request: Request, token: Any) -> SignedCard:
    try:
        return cast(SignedCard, request.app.state.access.signer("card").loads(str(token or "")))
    except BadSignature:
        raise HTTPException(400, "This card was not made here. Go back, reload the page and answer again.") from None


def _label(said: str) -> str:
    words = {"link": "Link", "not": "Not this one", "none": "None of these", "nowhere": "No counterpart"}
    return words.get(said, "Unsure")


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text)) if text else None
    except ValueError:
        raise HTTPException(400) from None


routes: list[Route] = [
    Route("/review", page, methods=["GET"]),
    Route("/review/answer", answer, methods=["POST"]),
    Route("/review/undo", undo, methods=["POST"]),
    Route("/review/description", whole_description, methods=["GET"]),
    Route("/review/search", search.options, methods=["GET"]),
]
