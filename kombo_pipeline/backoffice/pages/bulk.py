"""The page that accepts many links at once: an identifier decides, and only a harmless reason kept it from linking.

It shows a preview to choose from, and records one answer for each chosen item. Titles never decide here. Two reasons
why an identifier was left to a person are harmless:

- *The link's job is open again.* The identifier that made the link still names that job and no other, no title, code
  or place has changed since, and nobody took a resumption back (`resumable_pairs`). The person would only confirm.
- *The identifier belongs to several ATS jobs, of which one is left.* Customers copy a requisition with its code, or
  close one and post it again under the same code. It is settled when exactly one of these jobs is open, or, where
  only the loosely read form of a code is shared ("REQ-12" and "req 0012"), exactly one has the same title. It is
  settled only when nothing else speaks against it: there is no objection by the rules of `matching.objections`, no
  identifier of the own job names a further ATS job, and no other own job names this ATS job or is linked to it.

In all other cases (identifiers name different jobs, titles differ, several own jobs name one ATS job, a person answered
otherwise before) identifiers contradict each other, and a person decides one by one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

from itsdangerous import BadSignature
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.widgets.view import card_url, customers_of
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import decisions
from kombo_pipeline.linking.decisions import Answer, AnsweredMeanwhileError
from kombo_pipeline.linking.statements import bulk_acceptance, link_decisions, review_cards
from kombo_pipeline.linking.statements.bulk_acceptance import CollidingPair, IdentifiedPair
from kombo_pipeline.matching.objections import Side, objections
from kombo_pipeline.matching.titles import read_title
from kombo_pipeline.vocabulary import METHODS

AT_ONCE: Final = 200
"""How many items one preview has at most."""
_SEVERAL: Final = re.compile(r"(?P<loose>, read loosely,)? belongs to \d+ ATS jobs$")


@dataclass(frozen=True)
class Item:
    """A pair that may be accepted in bulk, and why, in words."""

    pair: IdentifiedPair
    reason: str

    @property
    def name(self) -> str:
        """The name of the item in a form."""
        return urlencode(self.pair.key._asdict())


def harmless(conn: Connection, *, customer_id: str | None = None) -> list[Item]:
    """Return what may be accepted in bulk now."""
    resumed = [
        Item(pair, f"open again since {pair.look_again_since:%Y-%m-%d}; its {METHODS[pair.method]} still decides")
        for pair in bulk_acceptance.resumable_pairs(conn, customer_id=customer_id)
    ]
    found = bulk_acceptance.colliding_pairs(conn, customer_id=customer_id)
    by_own_job = groupby(found, key=lambda pair: pair.key)
    return resumed + [item for _, pairs in by_own_job if (item := settled(list(pairs)))]


def settled(pairs: Sequence[CollidingPair]) -> Item | None:
    """Return the pair that is settled among the ATS jobs that one identifier of an own job names; None without one."""
    first = pairs[0]
    collision = _SEVERAL.search(first.reason or "")
    if not collision or any(pair.others_named for pair in pairs):
        return None
    identifier = METHODS[first.method]
    is_open = [pair for pair in pairs if pair.lifecycle == "open"]
    reason = f"the only open one of {len(pairs)} ATS jobs with this {identifier}"
    if len(is_open) > 1 and collision["loose"]:
        core = read_title(first.title or "").core
        is_open = [pair for pair in is_open if core and read_title(pair.name or "").core == core]
        reason = f"the only one of {len(pairs)} ATS jobs with a similar {identifier} that has the same title"
    if len(is_open) != 1:
        return None
    [pair] = is_open
    own = Side(pair.title, pair.location, pair.employment_type, pair.department)
    ats = Side(pair.name, pair.place, pair.ats_employment_type, pair.ats_department)
    if pair.wanted_by or objections(own, ats):
        return None
    return Item(pair, reason)


@needs("viewer")
def preview(request: Request) -> Response:
    """Show what would be accepted, each item with its reason, to choose from."""
    customer_id = request.query_params.get("customer") or None
    with rendering.warehouse(request) as conn:
        items = harmless(conn, customer_id=customer_id)
        batch = _uuid(request.query_params.get("batch"))
        standing = link_decisions.batch_size(conn, batch) if batch else 0
        integrations = review_cards.integrations(conn)
    shown = items[:AT_ONCE]
    signed = {
        "batch_id": str(uuid4()),
        "customer": customer_id,
        "items": {item.name: _shown(item) for item in shown},
    }
    return rendering.render(
        request,
        "review_bulk.html",
        items=shown,
        more=len(items) - len(shown),
        batch=batch,
        standing=standing,
        customers=customers_of(integrations),
        customer_id=customer_id,
        token=request.app.state.access.signer("bulk").dumps(signed),
        card_url=card_url,
    )


@needs("reviewer")
def accept(request: Request) -> Response:
    """Accept the chosen items: one answer for each, all with the id of the batch.

    Items that changed meanwhile are left out.
    """
    try:
        signed = request.app.state.access.signer("bulk").loads(str(request.state.form.get("batch") or ""))
    except BadSignature:
        raise HTTPException(400, "This list was not made here. Go back, reload the page and choose again.") from None
    chosen = [str(name) for name in request.state.form.getlist("item") if str(name) in signed["items"]]
    here = f"/review/bulk?{urlencode({'customer': signed['customer']})}" if signed["customer"] else "/review/bulk"
    if not chosen:
        return rendering.redirect(request, here, message="Nothing was chosen, so nothing was accepted.", kind="warning")
    batch_id = UUID(signed["batch_id"])
    accepted = 0
    with rendering.warehouse(request) as conn:
        still = {item.name: _shown(item) for item in harmless(conn, customer_id=signed["customer"])}
        done = link_decisions.batch_size(conn, batch_id)
        for name in chosen:
            if not done and _same(still.get(name), signed["items"][name]):
                accepted += _accept(conn, request.state.viewer.name, signed["items"][name], batch_id)
    if done:
        message, kind = "This batch was accepted before.", "warning"
    else:
        left_out = len(chosen) - accepted
        message = f"Accepted {accepted}" + (f"; {left_out} changed meanwhile and were left out" if left_out else "")
        kind = "warning" if left_out else "done"
    joined = "&" if "?" in here else "?"
    return rendering.redirect(request, f"{here}{joined}batch={batch_id}", message=message, kind=kind)  # type: ignore[arg-type]


def _accept(conn: Connection, decided_by: str, item: Mapping[str, Any], batch_id: UUID) -> int:
    try:
        decisions.answer(
            conn,
            Answer(
                answer_id=uuid4(),
                batch_id=batch_id,
                customer_id=item["customer_id"],
                own_job_id=item["own_job_id"],
                integration_id=item["integration_id"],
                decision="accepted",
                kombo_job_ids=[item["kombo_job_id"]],
                decided_by=decided_by,
                method=item["method"],
                seen_decision_id=item["seen_decision_id"],
                matcher_version=item["matcher_version"],
                on_screen={"bulk": item["reason"], "own": item["own_seen"], "candidates": item["on_screen"]},
            ),
        )
    except AnsweredMeanwhileError:
        return 0
    return 1


def _shown(item: Item) -> dict[str, Any]:
    pair = item.pair
    match: dict[str, Any] = {}
    if isinstance(pair, CollidingPair):
        match = {"rank": pair.rank, "confidence": pair.confidence, "band": pair.band}
    on_screen = {"kombo_job_id": pair.kombo_job_id, "lifecycle": pair.lifecycle, "method": pair.method}
    return {
        **pair.key._asdict(),
        "kombo_job_id": pair.kombo_job_id,
        "method": pair.method,
        "matcher_version": pair.matcher_version,
        "own_seen": pair.own_seen,
        "seen_decision_id": pair.seen_decision_id,
        "reason": item.reason,
        "on_screen": [{**on_screen, **pair.seen, **match}],
    }


def _same(now: Mapping[str, Any] | None, then: Mapping[str, Any]) -> bool:
    return now is not None and all(now[name] == then[name] for name in ("kombo_job_id", "own_seen", "on_screen"))


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


routes: list[Route] = [
    Route("/review/bulk", preview, methods=["GET"]),
    Route("/review/bulk", accept, methods=["POST"]),
]
