"""A person's answers about own jobs: recorded, acted upon, taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import links
from kombo_pipeline.linking.links import NewLink
from kombo_pipeline.linking.statements import job_links, link_decisions

Given = Literal["accepted", "rejected", "no_counterpart", "unsure"]
"""The answers that are given; `undone` takes one back."""
UNSURE_DAYS = 3
"""After so many days an own job of which a person was unsure is asked for again (see marts.review_queue)."""


class AnsweredMeanwhileError(RuntimeError):
    """Somebody else answered while the card was on the screen; `decisions` says what."""

    def __init__(self, decisions: list[dict[str, Any]]) -> None:
        newest = decisions[-1]
        super().__init__(f"{newest['decided_by']} answered meanwhile: {newest['decision'].replace('_', ' ')}")
        self.decisions = decisions


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person says of an own job among the jobs of one integration."""

    answer_id: UUID
    """Made with the card: however often the same answer is sent, it is one."""
    customer_id: str
    own_job_id: str
    integration_id: str
    decision: Given
    decided_by: str
    kombo_job_ids: Sequence[str] = ()
    """accepted: exactly one; rejected: each of which it is said."""
    method: str = "title"
    """Of an accepted pair: title, search, or the identifier that proposed it."""
    seen_decision_id: int | None = None
    """The newest decision about the own job that the card showed, 0 for none; None answers whatever happened since."""
    note: str | None = None
    on_screen: Any = None
    """What was shown, as JSON: {"candidates": [{"kombo_job_id": ..., "confidence": ..., ...}]}."""
    matcher_version: str | None = None
    batch_id: UUID | None = None


def answer(conn: Connection, given: Answer) -> list[dict[str, Any]]:
    """Record an answer and do what follows from it, in the caller's transaction; return the decision rows.

    accepted links the pair, or resumes or confirms the link there is, and retires another one; rejected retires
    a link of that pair; no_counterpart retires an active link. A repeated answer changes nothing. Raises
    LookupError for jobs that are unknown or of another customer, ValueError for an answer that makes no sense,
    AnsweredMeanwhileError when the card was overtaken.
    """
    key = {
        "customer_id": given.customer_id,
        "own_job_id": given.own_job_id,
        "integration_id": given.integration_id,
    }
    own = job_links.lock_own_job(conn, given.customer_id, given.own_job_id)
    if own is None:
        raise LookupError(f"There is no own job {given.own_job_id} of customer {given.customer_id}")
    if earlier := link_decisions.decisions_of_answer(conn, given.answer_id):
        return earlier
    if given.seen_decision_id is not None and (
        newer := link_decisions.decisions_since(conn, given.seen_decision_id, **key)
    ):
        raise AnsweredMeanwhileError(newer)
    wanted = {"accepted": (1, 1), "rejected": (1, 1000)}.get(given.decision, (0, 0))
    if not wanted[0] <= len(given.kombo_job_ids) <= wanted[1]:
        raise ValueError(f"{given.decision} cannot be said of {len(given.kombo_job_ids)} ATS jobs")
    pairs = [_ats_job(conn, given, kombo_job_id) for kombo_job_id in given.kombo_job_ids]
    row = {
        **key,
        "answer_id": given.answer_id,
        "batch_id": given.batch_id,
        "decision": given.decision,
        "decided_by": given.decided_by,
        "note": given.note,
        "own_seen": own["seen"],
        "on_screen": given.on_screen,
        "matcher_version": given.matcher_version,
    }
    decisions = [
        link_decisions.insert_decision(
            conn,
            row
            | {"kombo_job_id": job["kombo_job_id"], "ats_seen": job["seen"]}
            | ({"method": given.method} if given.decision == "accepted" else {}),
        )
        for job in pairs
    ] or [link_decisions.insert_decision(conn, row)]
    link = job_links.live_link(conn, **key)
    if given.decision == "accepted":
        _link(conn, given, link)
    elif link and (
        link["kombo_job_id"] in given.kombo_job_ids
        or (given.decision == "no_counterpart" and link["state"] == "active")
    ):
        links.retire(conn, link["link_id"], "rejected")
    return decisions


def undo(
    conn: Connection, *, undone_by: str, answer_id: UUID | None = None, batch_id: UUID | None = None
) -> list[dict[str, Any]]:
    """Take an answer or a whole batch back, in the caller's transaction, and return the decisions undone.

    The rows stay; a new one says that they do not hold. A link that the answer made is retired, one that it
    ended lives again, candidates are untouched. What was undone already is left alone. What carries an answer on in a
    connection that has taken over is taken back with it.
    """
    decisions = link_decisions.standing_of(conn, answer_id=answer_id, batch_id=batch_id)
    taken_back: dict[str | None, list[UUID]] = {}
    new_answers = [uuid4() for _ in decisions]
    for decision in decisions:
        # One answer takes all back, but says a thing of an ATS job once.
        before = taken_back.setdefault(decision["kombo_job_id"], [])
        before.append(new_answers[len(before)])
        link_decisions.insert_decision(
            conn,
            {
                **{name: decision[name] for name in ("customer_id", "own_job_id", "integration_id", "kombo_job_id")},
                **{name: decision[name] for name in ("own_seen", "ats_seen", "batch_id")},
                "answer_id": before[-1],
                "decision": "undone",
                "undoes": decision["decision_id"],
                "decided_by": undone_by,
            },
        )
        _unlink(conn, decision)
    return decisions


def _ats_job(conn: Connection, given: Answer, kombo_job_id: str) -> dict[str, Any]:
    job = job_links.ats_job(
        conn, customer_id=given.customer_id, integration_id=given.integration_id, kombo_job_id=kombo_job_id
    )
    if job is None:
        raise LookupError(f"There is no ATS job {kombo_job_id} in {given.integration_id} of {given.customer_id}")
    return job


def _link(conn: Connection, given: Answer, link: dict[str, Any] | None) -> None:
    [kombo_job_id] = given.kombo_job_ids
    if link and link["kombo_job_id"] == kombo_job_id:
        links.confirm(conn, given.integration_id, link["link_id"], confirmed_by=given.decided_by)
        return
    if link:
        links.retire(conn, link["link_id"], "superseded")
    new = NewLink(
        customer_id=given.customer_id,
        own_job_id=given.own_job_id,
        kombo_job_id=kombo_job_id,
        method=given.method,
        confirmed_by=given.decided_by,
        matcher_version=given.matcher_version,
    )
    links.make(conn, given.integration_id, [new])


def _unlink(conn: Connection, decision: dict[str, Any]) -> None:
    """Undo what a decision did to links. Rows that it wrote carry the time of its transaction."""
    key = {name: decision[name] for name in ("customer_id", "own_job_id", "integration_id")}
    link = job_links.live_link(conn, **key)
    if decision["decision"] == "accepted" and link and link["kombo_job_id"] == decision["kombo_job_id"]:
        if link["created_at"] == decision["decided_at"]:
            links.retire(conn, link["link_id"], "undone")
            link = None
        elif link["state"] == "active" and link["state_since"] == decision["decided_at"]:
            job_links.set_state(conn, link["link_id"], "suspended", "undone")
        else:
            job_links.forget_look(conn, link["link_id"])
    if link is None and (ended := job_links.ended_with(conn, decision, ("superseded", "rejected"))):
        reason = ended["suspended_by"]
        job_links.set_state(conn, ended["link_id"], "suspended" if reason else "active", reason)
    if live := job_links.live_link(conn, **key):
        job_links.mark_for_another_look(conn, decision["integration_id"], job_links.which(link_ids=[live["link_id"]]))
