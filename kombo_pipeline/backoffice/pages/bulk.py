"""Accepting in bulk what identifiers decide but for a harmless reason: a preview, a choice, one answer an item.

Titles never decide here. Two reasons why an identifier went to a person are harmless:

- *The link's job is open again.* The identifier that made the link still names that job and no other, no title, code
  or place changed since, and nobody took a resumption back (`review.resumable`). The person would only confirm.
- *The identifier belongs to several ATS jobs, of which one is left.* Customers copy a requisition with its code, or
  close one and post it again under the same code. It is settled when exactly one of these jobs is open, or, where
  only the loosely read form of a code is shared ("REQ-12" and "req 0012"), exactly one has the same title. And only
  when nothing else speaks against it: the titles may be those of one job by the rule that identifiers themselves are
  held to, no further ATS job is named by any identifier of the own job, and no other own job names or has this one.

Everything else that identifiers leave open (they name different jobs, titles differ, several own jobs claim one ATS
job, a person said otherwise before) is a contradiction, and is looked at one by one.
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
from kombo_pipeline.linking.statements import link_decisions, review_queue
from kombo_pipeline.matching.objections import Side, objections
from kombo_pipeline.matching.titles import read_title
from kombo_pipeline.vocabulary import METHODS

AT_ONCE: Final = 200
"""Items of one preview; more come after these."""
_SEVERAL: Final = re.compile(r"(?P<loose>, read loosely,)? belongs to \d+ ATS jobs$")

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """An own job that may be accepted in bulk, with the ATS job and the reason in words."""

    row: Row
    reason: str

    @property
    def name(self) -> str:
        """Names the item in a form."""
        return urlencode([(name, self.row[name]) for name in ("customer_id", "own_job_id", "integration_id")])


def harmless(conn: Connection, *, customer_id: str | None = None) -> list[Item]:
    """Return what may be accepted in bulk now."""
    resumed = [
        Item(row, f"open again since {row['look_again_since']:%Y-%m-%d}; its {_word(row)} still decides")
        for row in review_queue.resumable(conn, customer_id=customer_id)
    ]
    found = review_queue.collisions(conn, customer_id=customer_id)
    by_own_job = groupby(found, key=lambda row: (row["customer_id"], row["own_job_id"], row["integration_id"]))
    return resumed + [item for _, rows in by_own_job if (item := settled(list(rows)))]


def settled(rows: Sequence[Row]) -> Item | None:
    """Return which of the ATS jobs that one identifier names the own job is; None where a person must look."""

    collision = _SEVERAL.search(rows[0]["reason"] or "")
    if not collision or any(row["others_named"] for row in rows):
        return None
    is_open = [row for row in rows if row["lifecycle"] == "open"]
    reason = f"the only open one of {len(rows)} ATS jobs with this {_word(rows[0])}"
    if len(is_open) > 1 and collision["loose"]:
        core = read_title(rows[0]["title"] or "").core
        is_open = [row for row in is_open if core and read_title(row["name"] or "").core == core]
        reason = f"the only one of {len(rows)} ATS jobs with a like {_word(rows[0])} that has the same title"
    if len(is_open) != 1:
        return None
    [row] = is_open
    own = Side(row["title"], row["location"], row["employment_type"], row["department"])
    ats = Side(row["name"], row["place"], row["ats_employment_type"], row["ats_department"])
    if row["wanted_by"] or objections(own, ats):
        return None
    return Item(row, reason)


@needs("viewer")
def preview(request: Request) -> Response:
    """What would be accepted, each with its reason, to choose from."""
    customer_id = request.query_params.get("customer") or None
    with rendering.warehouse(request) as conn:
        items = harmless(conn, customer_id=customer_id)
        batch = _uuid(request.query_params.get("batch"))
        standing = link_decisions.batch_size(conn, batch) if batch else 0
        connections = review_queue.connections(conn)
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
        customers=customers_of(connections),
        customer_id=customer_id,
        token=request.app.state.access.signer("bulk").dumps(signed),
        card_url=card_url,
    )


@needs("reviewer")
def accept(request: Request) -> Response:
    """Accept the chosen items: one answer each, all with the batch's id. What changed meanwhile is left out."""
    try:
        signed = request.app.state.access.signer("bulk").loads(str(request.state.form.get("batch") or ""))
    except BadSignature:
        raise HTTPException(400, "This list is not one of ours. Go back, reload the page and choose again.") from None
    chosen = [str(name) for name in request.state.form.getlist("item") if str(name) in signed["items"]]
    here = f"/review/bulk?{urlencode({'customer': signed['customer']})}" if signed["customer"] else "/review/bulk"
    if not chosen:
        return rendering.redirect(request, here, message="Nothing was chosen, nothing was accepted.", kind="warning")
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
    row = item.row
    kept = ("customer_id", "own_job_id", "integration_id", "kombo_job_id", "method", "matcher_version", "own_seen")
    match = {name: row[name] for name in ("rank", "confidence", "band") if name in row}
    on_screen = {"kombo_job_id": row["kombo_job_id"], "lifecycle": row["lifecycle"], "method": row["method"]}
    return {
        **{name: row[name] for name in kept},
        "seen_decision_id": row["seen_decision_id"],
        "reason": item.reason,
        "on_screen": [on_screen | row["seen"] | match],
    }


def _same(now: Mapping[str, Any] | None, then: Mapping[str, Any]) -> bool:
    return now is not None and all(now[name] == then[name] for name in ("kombo_job_id", "own_seen", "on_screen"))


def _word(row: Mapping[str, Any]) -> str:
    return METHODS[row["method"]]


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


routes: list[Route] = [
    Route("/review/bulk", preview, methods=["GET"]),
    Route("/review/bulk", accept, methods=["POST"]),
]
