"""The review card of an own job: what it shows, and what travels with it so that an answer knows what was shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from kombo_pipeline.backoffice.widgets import comparison
from kombo_pipeline.backoffice.widgets.comparison import Pair
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.decisions import UNSURE_DAYS
from kombo_pipeline.linking.statements import job_links, link_decisions, review_queue
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS, LIFECYCLES, LIKELY, LINK_REASONS

CANDIDATES: Final = 5
HISTORY: Final = 20
"""Answers about the own job that its card lists."""
NOTE_FOR_WEAK: Final = "The match is weak"
NOTE_AGAINST_IDENTIFIER: Final = "It goes against what an identifier says"

Row = dict[str, Any]


@dataclass(frozen=True)
class Card:
    """All that is shown of an own job among the jobs of one integration."""

    own: Row
    link: Row | None
    pairs: list[Pair]
    """What can be chosen, in the order of the keys 1 to 5."""
    linked: Pair | None
    """The linked job where it cannot be chosen: it is not open."""
    found: Pair | None
    """What was found by search."""
    seen_decision_id: int
    history: list[list[Row]]

    @property
    def key(self) -> dict[str, str]:
        """What names the card."""
        return {name: self.own[name] for name in ("customer_id", "own_job_id", "integration_id")}

    @property
    def why(self) -> str | None:
        """Why it waits, as in marts.review_queue; None when it does not."""
        return self.own["why"]  # type: ignore[no-any-return]

    @property
    def why_in_words(self) -> str:
        """Why it waits, for the reader."""
        linked = self.link or {}
        state = str(linked.get("reason") or "").replace("_", " ")
        since = linked.get("state_since")
        day = f" since {since:%Y-%m-%d}" if since else ""
        match self.why:
            case "identifiers":
                return f"Identifiers do not settle it: {self.own['match_reason']}."
            case "candidates":
                return "No identifier names an ATS job; these have a like title."
            case "unlikely":
                return "Nothing likely was found; these are the least unlike."
            case "reopened" if state == "undone":
                return "Its link was resumed, and that was taken back. Resume it?"
            case "reopened" if linked.get("reason") in LIFECYCLES:
                return f"The linked job was {state}{day} and is open again. Resume the link?"
            case "reopened":
                return f"The link is suspended{day}: {LINK_REASONS[linked['reason']]}. Resume it?"
            case "successor":
                return f"The linked job is {state}{day}. Was it posted again as one of these?"
            case "changed":
                return "A linked job is not what it was when it was last looked at. Is the link still right?"
        if linked.get("state") == "active":
            return "Linked; it does not wait for an answer."
        if linked:
            return f"Linked to a job that is {state}{day}; it does not wait for an answer."
        return "It does not wait for an answer now."

    @property
    def none_in_words(self) -> str | None:
        """How likely matching thinks it that the ATS has no counterpart."""
        probability = self.own["none_probability"]
        return None if probability is None else f"{probability:.0%}"

    def to_sign(self, *, order: str, query: str) -> dict[str, Any]:
        """What comes back with an answer, signed: which card it was, what it showed, and in which queue it stood."""
        shown = [*self.pairs, *([self.found] if self.found else [])]
        return {
            "answer_id": str(uuid4()),
            "key": self.key,
            "seen": self.seen_decision_id,
            "matcher_version": self.own["matcher_version"],
            "query": query,
            "ats_seen": {each.kombo_job_id: each.job["seen"] for each in shown},
            "methods": {each.kombo_job_id: _method(each, self.link) for each in shown},
            "notes": {each.kombo_job_id: each.why_note for each in shown if each.why_note},
            "named": [each.kombo_job_id for each in self.pairs if each.is_named or _is_link(each, self.link)],
            "on_screen": {
                "why": self.why,
                "reason": self.own["match_reason"],
                "order": order,
                "filter": query,
                "own": self.own["seen"],
                "candidates": [_on_screen(each) for each in self.pairs],
                "linked": _on_screen(self.linked) if self.linked else None,
                "found": _on_screen(self.found) if self.found else None,
            },
        }


def load(conn: Connection, key: dict[str, str], *, found: str | None = None) -> Card | None:
    """Return the card as of now; None for an own job or integration that is unknown. `found` adds an ATS job to it."""
    own = review_queue.own_job(conn, **key)
    if own is None:
        return None
    seen_decision_id, _ = link_decisions.newest_decision(conn, **key)
    link = job_links.live_link(conn, **key)
    linked_id = link["kombo_job_id"] if link else None
    may_choose_linked = own["why"] in ("reopened", "changed")
    proposed = review_queue.candidates(conn, **key, limit=CANDIDATES + 1)
    of_link = next((row for row in proposed if row["kombo_job_id"] == linked_id), None)
    proposals = [row for row in proposed if row is not of_link][: CANDIDATES - may_choose_linked]
    named = [row["kombo_job_id"] for row in proposals]
    wanted = [*named, *filter(None, (linked_id, found))]
    jobs = review_queue.ats_jobs(
        conn, integration_id=own["integration_id"], kombo_job_ids=wanted, own_job_id=own["own_job_id"]
    )
    against = any(row["method"] != "title" for row in proposals) or (may_choose_linked and _by_identifier(link))

    def lay(kombo_job_id: str, kind: str, proposal: Row | None = None) -> Pair | None:
        job = jobs.get(kombo_job_id)
        if job is None:
            return None
        is_link = link is not None and kombo_job_id == linked_id
        why_note = None
        if not is_link and against and (proposal is None or proposal["method"] == "title"):
            why_note = NOTE_AGAINST_IDENTIFIER
        elif not is_link and proposal is not None and proposal["band"] not in LIKELY and proposal["method"] == "title":
            why_note = NOTE_FOR_WEAK
        changes = comparison.change_chips(link, own, job) if is_link and link else []
        return comparison.pair(own, job, proposal, kind=kind, changes=changes, why_note=why_note)

    linked = lay(linked_id, "linked", of_link) if linked_id else None
    pairs = [linked] if linked and may_choose_linked else []
    pairs += filter(None, (lay(row["kombo_job_id"], "candidate", row) for row in proposals))
    shown = {each.kombo_job_id for each in pairs}
    return Card(
        own=own,
        link=link,
        pairs=pairs,
        linked=None if may_choose_linked else linked,
        found=lay(found, "found") if found and found not in shown else None,
        seen_decision_id=seen_decision_id,
        history=link_decisions.of_own_job(conn, **key, limit=HISTORY),
    )


def why_a_note_is_needed(signed: Mapping[str, Any], decision: str, kombo_job_ids: Sequence[str]) -> str | None:
    """Say why an answer must be explained: it links a weak candidate, or goes against an identifier; None if not."""
    if decision == "accepted":
        return next((signed["notes"][job] for job in kombo_job_ids if job in signed["notes"]), None)
    named = set(signed["named"])
    is_against = named and (decision == "no_counterpart" or (decision == "rejected" and named <= set(kombo_job_ids)))
    return NOTE_AGAINST_IDENTIFIER if is_against else None


def say(rows: list[dict[str, Any]]) -> str:
    """An answer in words, from its rows."""
    row = rows[0]
    own = f"“{row['own_seen'].get('title') or row['own_job_id']}”"
    ats = f"“{(row['ats_seen'] or {}).get('title') or row['kombo_job_id']}”"
    match row["decision"]:
        case "accepted":
            return f"{own} is {ats}"
        case "rejected":
            others = f"{len(rows) - 1} other job{'s' if len(rows) > 2 else ''}"
            more = f", nor {others}" if len(rows) > 1 else ""
            return f"{own} is not {ats}{more}"
        case "no_counterpart":
            return f"{own} has no counterpart in the ATS"
        case "unsure":
            return f"unsure of {own}, which comes back after {UNSURE_DAYS} days"
    taken = {"accepted": "linked to", "rejected": "not", "no_counterpart": "no counterpart", "unsure": "unsure"}
    word = taken.get(row.get("took_back") or "", "answered")
    return f"took back: {own} {word}{f' {ats}' if row['kombo_job_id'] else ''}"


def _by_identifier(link: Row | None) -> bool:
    return link is not None and link["method"] in IDENTIFIER_METHODS


def _is_link(pair: Pair, link: Row | None) -> bool:
    return pair.kind == "linked" and _by_identifier(link)


def _method(pair: Pair, link: Row | None) -> str:
    if pair.kind == "linked" and link:
        return str(link["method"])
    return pair.proposal["method"] if pair.proposal else "search"


def _on_screen(pair: Pair) -> dict[str, Any]:
    job = pair.job
    shown = {"kombo_job_id": pair.kombo_job_id, "kind": pair.kind, "lifecycle": job["lifecycle"], **job["seen"]}
    if pair.proposal:
        shown |= {name: pair.proposal[name] for name in ("rank", "confidence", "band", "method", "evidence")}
    return shown
