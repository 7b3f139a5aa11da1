"""A person's answers about own jobs: recorded, acted upon, taken back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import links
from kombo_pipeline.linking.own_job_key import own_job_key
from kombo_pipeline.linking.statements import job_links, link_decisions
from kombo_pipeline.linking.statements.job_links import Link, NewLink, Seen
from kombo_pipeline.linking.statements.link_decisions import Decision, NewDecision
from kombo_pipeline.vocabulary import Method

Given = Literal["accepted", "rejected", "no_counterpart", "unsure"]
"""The answers that a person can give; `undone` takes one back."""
UNSURE_DAYS: Final = 3
"""An own job about which a person was unsure waits again after this many days (see marts.review_queue)."""


class AnsweredMeanwhileError(RuntimeError):
    """Somebody else answered while the card was on the screen; `decisions` has what they said."""

    def __init__(self, decisions: list[Decision]) -> None:
        newest = decisions[-1]
        super().__init__(f"{newest.decided_by} answered meanwhile: {newest.decision.replace('_', ' ')}")
        self.decisions = decisions


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person says about an own job among the ATS jobs of one integration."""

    answer_id: UUID
    """Made together with the card: the same answer counts once, however often it is sent."""
    customer_id: str
    own_job_id: str
    integration_id: str
    decision: Given
    decided_by: str
    kombo_job_ids: Sequence[str] = ()
    """accepted: exactly one; rejected: every id that is rejected; otherwise none."""
    method: Method = "title"
    """How an accepted pair was found."""
    seen_decision_id: int | None = None
    """The newest decision about the own job that the card showed, 0 for none; None answers whatever happened since."""
    note: str | None = None
    on_screen: Any = None
    """What was shown, as JSON: {"candidates": [{"kombo_job_id": ..., "confidence": ..., ...}]}."""
    matcher_version: str | None = None
    batch_id: UUID | None = None


def answer(conn: Connection, given: Answer) -> list[Decision]:
    """Record an answer and change the link accordingly, in the caller's transaction; return the decisions.

    accepted links the pair, or confirms the link that is there, and retires a link to another ATS job; rejected
    retires a link of that pair; no_counterpart retires an active link. A repeated answer changes nothing.

    Raises LookupError for jobs that are unknown or of another customer, ValueError for an answer with a wrong number
    of ATS jobs, AnsweredMeanwhileError when somebody else answered after the card was read.
    """
    key = own_job_key(given)
    own_seen = job_links.lock_own_job(conn, given.customer_id, given.own_job_id)
    if own_seen is None:
        raise LookupError(f"There is no own job {given.own_job_id} of customer {given.customer_id}")
    if earlier := link_decisions.decisions_of_answer(conn, given.answer_id):
        return earlier
    if given.seen_decision_id is not None and (
        newer := link_decisions.decisions_since(conn, key, given.seen_decision_id)
    ):
        raise AnsweredMeanwhileError(newer)
    fewest, most = {"accepted": (1, 1), "rejected": (1, 1000)}.get(given.decision, (0, 0))
    if not fewest <= len(given.kombo_job_ids) <= most:
        raise ValueError(f"{given.decision} cannot be said of {len(given.kombo_job_ids)} ATS jobs")
    about_own_job = NewDecision(
        **key._asdict(),
        answer_id=given.answer_id,
        batch_id=given.batch_id,
        decision=given.decision,
        method=given.method if given.decision == "accepted" else None,
        decided_by=given.decided_by,
        note=given.note,
        own_seen=own_seen,
        on_screen=given.on_screen,
        matcher_version=given.matcher_version,
    )
    about_pairs = [
        replace(about_own_job, kombo_job_id=kombo_job_id, ats_seen=_lock_ats_job(conn, given, kombo_job_id))
        for kombo_job_id in given.kombo_job_ids
    ]
    decisions = [link_decisions.insert_decision(conn, new) for new in about_pairs or [about_own_job]]
    link = job_links.live_link(conn, key)
    if given.decision == "accepted":
        _link(conn, given, link)
    elif link and (
        link.kombo_job_id in given.kombo_job_ids or (given.decision == "no_counterpart" and link.state == "active")
    ):
        links.retire(conn, link.link_id, "rejected")
    return decisions


def undo(
    conn: Connection, *, undone_by: str, answer_id: UUID | None = None, batch_id: UUID | None = None
) -> list[Decision]:
    """Take an answer or a whole batch back, in the caller's transaction, and return the decisions undone.

    The decisions stay; a new one says that each does not hold. A link that the answer made is retired, a link that it
    ended lives again, candidates do not change. What was undone before is left alone. Decisions that were carried over
    from these to a connection that has taken over are taken back with them.
    """
    decisions = link_decisions.standing_of(conn, answer_id=answer_id, batch_id=batch_id)
    taken_back: dict[str | None, list[UUID]] = {}
    new_answers = [uuid4() for _ in decisions]
    for decision in decisions:
        # One answer takes all back. It has at most one row for an ATS job: a second row for the same one belongs to
        # the next answer.
        before = taken_back.setdefault(decision.kombo_job_id, [])
        before.append(new_answers[len(before)])
        link_decisions.insert_decision(
            conn,
            NewDecision(
                **own_job_key(decision)._asdict(),
                kombo_job_id=decision.kombo_job_id,
                own_seen=decision.own_seen,
                ats_seen=decision.ats_seen,
                batch_id=decision.batch_id,
                answer_id=before[-1],
                decision="undone",
                undoes=decision.decision_id,
                decided_by=undone_by,
            ),
        )
        _undo_link(conn, decision)
    return decisions


def _lock_ats_job(conn: Connection, given: Answer, kombo_job_id: str) -> Seen:
    seen = job_links.lock_ats_job(
        conn, customer_id=given.customer_id, integration_id=given.integration_id, kombo_job_id=kombo_job_id
    )
    if seen is None:
        raise LookupError(f"There is no ATS job {kombo_job_id} in {given.integration_id} of {given.customer_id}")
    return seen


def _link(conn: Connection, given: Answer, link: Link | None) -> None:
    [kombo_job_id] = given.kombo_job_ids
    if link and link.kombo_job_id == kombo_job_id:
        links.confirm(conn, given.integration_id, link.link_id, confirmed_by=given.decided_by)
        return
    if link:
        links.retire(conn, link.link_id, "superseded")
    new = NewLink(
        customer_id=given.customer_id,
        own_job_id=given.own_job_id,
        kombo_job_id=kombo_job_id,
        method=given.method,
        confirmed_by=given.decided_by,
        matcher_version=given.matcher_version,
    )
    links.make(conn, given.integration_id, [new])


def _undo_link(conn: Connection, decision: Decision) -> None:
    """Undo what a decision did to links: the rows that it wrote have the time of its transaction, `decided_at`."""
    key = own_job_key(decision)
    link = job_links.live_link(conn, key)
    if decision.decision == "accepted" and link and link.kombo_job_id == decision.kombo_job_id:
        if link.created_at == decision.decided_at:
            links.retire(conn, link.link_id, "undone")
            link = None
        elif link.state == "active" and link.state_since == decision.decided_at:
            links.suspend(conn, link.link_id, "undone")
        else:
            job_links.ask_again(conn, link.link_id)
    if link is None:
        ended = job_links.link_ended_at(conn, key, moment=decision.decided_at, reasons=("superseded", "rejected"))
        if ended is not None:
            links.revive(conn, ended)
    if live := job_links.live_link(conn, key):
        job_links.mark_questions(conn, decision.integration_id, job_links.which(link_ids=[live.link_id]))
