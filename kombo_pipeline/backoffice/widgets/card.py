"""The review card of an own job: what it shows, and the signed record of it that comes back with an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict
from uuid import uuid4

from kombo_pipeline import vocabulary
from kombo_pipeline.backoffice.widgets import comparison
from kombo_pipeline.backoffice.widgets.comparison import Pair, PairKind
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.decisions import UNSURE_DAYS, Given
from kombo_pipeline.linking.own_job_key import OwnJobKey
from kombo_pipeline.linking.statements import answers, job_links, link_decisions, review_cards
from kombo_pipeline.linking.statements.answers import AnsweredRow
from kombo_pipeline.linking.statements.job_links import Link
from kombo_pipeline.linking.statements.link_decisions import Decision
from kombo_pipeline.linking.statements.review_cards import Candidate, OwnJob
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS, LIFECYCLES, LIKELY, LINK_REASONS, Method, ReviewReason

CANDIDATES: Final = 5
HISTORY: Final = 20
"""How many answers about the own job its card lists."""
NOTE_FOR_WEAK: Final = "The match is weak"
NOTE_AGAINST_IDENTIFIER: Final = "It goes against what an identifier says"


class SignedCard(TypedDict):
    """What the form of a card sends back, signed: which card it was, what it showed, and in which queue it stood."""

    answer_id: str
    key: dict[str, str]
    """customer_id, own_job_id and integration_id."""
    seen: int
    """The newest decision about the own job, 0 for none."""
    matcher_version: str | None
    query: str
    """The parameters of the queue in the address."""
    ats_seen: dict[str, dict[str, Any]]
    """Title, code and place of every ATS job that can be chosen, by its id."""
    methods: dict[str, Method]
    """How each of these was found."""
    notes: dict[str, str]
    """Why a note is needed to link it, for those where one is."""
    named: list[str]
    """Those that an identifier names: an answer against them needs a note."""
    on_screen: dict[str, Any]
    """What is stored as core.link_decisions.on_screen."""


@dataclass(frozen=True)
class Card:
    """What is shown of an own job among the jobs of one integration."""

    own: OwnJob
    link: Link | None
    pairs: list[Pair]
    """The ATS jobs that can be chosen, in the order of the keys 1 to 5."""
    linked: Pair | None
    """The linked job where it cannot be chosen, because it is not open."""
    found: Pair | None
    """The ATS job that a search found."""
    seen_decision_id: int
    """The newest decision about the own job, 0 for none."""
    history: list[list[AnsweredRow]]

    @property
    def key(self) -> OwnJobKey:
        """The own job and the integration."""
        return self.own.key

    @property
    def why(self) -> ReviewReason | None:
        """Why the own job waits for a person; None when it does not."""
        return self.own.why

    @property
    def why_in_words(self) -> str:
        """Why the own job waits, as a sentence for the reader."""
        match self.why:
            case "identifiers":
                return f"Identifiers do not decide: {self.own.match_reason}."
            case "candidates":
                return "No identifier names an ATS job; these have a similar title."
            case "unlikely":
                return "Nothing likely was found; these are the most similar ones."
            case "changed":
                return "A linked job has changed since the link was confirmed. Is the link still right?"
        if self.link is None:
            return "It does not wait for an answer now."
        if self.link.reason is None:
            return "Linked; it does not wait for an answer."
        reason, day = self.link.reason, f"{self.link.state_since:%Y-%m-%d}"
        is_lifecycle = reason in LIFECYCLES
        match self.why:
            case "reopened" if reason == "undone":
                return "Its link was resumed, and that was taken back. Resume it?"
            case "reopened" if is_lifecycle:
                return f"The linked job was {reason.replace('_', ' ')} since {day} and is open again. Resume the link?"
            case "successor":
                return (
                    f"The link is suspended since {day}: {LINK_REASONS[reason]}. Was it posted again as one of these?"
                )
            case "reopened":
                return f"The link is suspended since {day}: {LINK_REASONS[reason]}. Resume it?"
        return f"The link is suspended since {day}: {LINK_REASONS[reason]}. It does not wait for an answer."

    @property
    def none_in_words(self) -> str | None:
        """How likely matching thinks it that the ATS has no counterpart, as a percentage."""
        probability = self.own.none_probability
        return None if probability is None else f"{probability:.0%}"

    def to_sign(self, *, order: str, query: str) -> SignedCard:
        """Return what the form of the card sends back with an answer."""
        shown = [*self.pairs, *([self.found] if self.found else [])]
        return {
            "answer_id": str(uuid4()),
            "key": self.key._asdict(),
            "seen": self.seen_decision_id,
            "matcher_version": self.own.matcher_version,
            "query": query,
            "ats_seen": {each.kombo_job_id: dict(each.job.seen) for each in shown},
            "methods": {each.kombo_job_id: _method(each, self.link) for each in shown},
            "notes": {each.kombo_job_id: each.why_note for each in shown if each.why_note},
            "named": [each.kombo_job_id for each in self.pairs if each.is_named or _is_link(each, self.link)],
            "on_screen": {
                "why": self.why,
                "reason": self.own.match_reason,
                "order": order,
                "filter": query,
                "own": self.own.seen,
                "candidates": [_on_screen(each) for each in self.pairs],
                "linked": _on_screen(self.linked) if self.linked else None,
                "found": _on_screen(self.found) if self.found else None,
            },
        }


def load(conn: Connection, key: OwnJobKey, *, found: str | None = None) -> Card | None:
    """Return the card as of now; None for an own job or integration that is unknown. `found` adds an ATS job to it."""
    own = review_cards.own_job(conn, key)
    if own is None:
        return None
    seen_decision_id = link_decisions.newest_decision(conn, key)
    link = job_links.live_link(conn, key)
    may_choose_linked = own.why in ("reopened", "changed")
    proposed = review_cards.candidates(conn, key, limit=CANDIDATES + 1)
    of_link = next((each for each in proposed if link and each.kombo_job_id == link.kombo_job_id), None)
    proposals = [each for each in proposed if each is not of_link][: CANDIDATES - may_choose_linked]
    wanted = [each.kombo_job_id for each in proposals]
    wanted += [link.kombo_job_id] if link else []
    wanted += [found] if found else []
    jobs = review_cards.ats_jobs(
        conn, integration_id=own.integration_id, kombo_job_ids=wanted, own_job_id=own.own_job_id
    )
    is_named = any(each.method != "title" for each in proposals) or (may_choose_linked and _by_identifier(link))

    def beside(kombo_job_id: str, kind: PairKind, proposal: Candidate | None = None) -> Pair | None:
        job = jobs.get(kombo_job_id)
        if job is None:
            return None
        is_link = link is not None and kombo_job_id == link.kombo_job_id
        why_note = None
        if not is_link and (proposal is None or proposal.method == "title"):
            if is_named:
                why_note = NOTE_AGAINST_IDENTIFIER
            elif proposal is not None and proposal.band not in LIKELY:
                why_note = NOTE_FOR_WEAK
        changes = comparison.change_chips(link, own, job) if is_link and link else []
        return comparison.pair(own, job, proposal, kind=kind, changes=changes, why_note=why_note)

    linked = beside(link.kombo_job_id, "linked", of_link) if link else None
    pairs = [linked] if linked and may_choose_linked else []
    pairs += filter(None, (beside(each.kombo_job_id, "candidate", each) for each in proposals))
    shown = {each.kombo_job_id for each in pairs}
    return Card(
        own=own,
        link=link,
        pairs=pairs,
        linked=None if may_choose_linked else linked,
        found=beside(found, "found") if found and found not in shown else None,
        seen_decision_id=seen_decision_id,
        history=answers.of_own_job(conn, key, limit=HISTORY),
    )


def why_a_note_is_needed(signed: SignedCard, decision: Given, kombo_job_ids: Sequence[str]) -> str | None:
    """Return why an answer needs a note (it links a weak candidate or contradicts an identifier); None without need."""
    if decision == "accepted":
        return next((signed["notes"][job] for job in kombo_job_ids if job in signed["notes"]), None)
    named = set(signed["named"])
    is_against = named and (decision == "no_counterpart" or (decision == "rejected" and named <= set(kombo_job_ids)))
    return NOTE_AGAINST_IDENTIFIER if is_against else None


def say(rows: Sequence[Decision]) -> str:
    """Return an answer in words, from its decisions."""
    row = rows[0]
    own = f"“{row.own_seen.get('title') or row.own_job_id}”"
    ats = f"“{(row.ats_seen or {}).get('title') or row.kombo_job_id}”"
    match row.decision:
        case "accepted":
            return f"{own} is {ats}"
        case "rejected":
            others = f"{len(rows) - 1} other job{'s' if len(rows) > 2 else ''}"
            more = f", nor {others}" if len(rows) > 1 else ""
            return f"{own} is not {ats}{more}"
        case "no_counterpart":
            return f"{own} has no counterpart in the ATS"
        case "unsure":
            return f"unsure about {own}, which comes back after {UNSURE_DAYS} days"
    word = _TAKEN_BACK[row.took_back] if isinstance(row, AnsweredRow) and row.took_back else "answered"
    return f"took back: {own} {word}{f' {ats}' if row.kombo_job_id else ''}"


_TAKEN_BACK: Final[Mapping[vocabulary.Decision, str]] = {
    "accepted": "linked to",
    "rejected": "not",
    "no_counterpart": "no counterpart",
    "unsure": "unsure",
    "undone": "taken back",
}


def _by_identifier(link: Link | None) -> bool:
    return link is not None and link.method in IDENTIFIER_METHODS


def _is_link(pair: Pair, link: Link | None) -> bool:
    return pair.kind == "linked" and _by_identifier(link)


def _method(pair: Pair, link: Link | None) -> Method:
    if pair.kind == "linked" and link:
        return link.method
    return pair.proposal.method if pair.proposal else "search"


def _on_screen(pair: Pair) -> dict[str, Any]:
    job = pair.job
    shown = {"kombo_job_id": pair.kombo_job_id, "kind": pair.kind, "lifecycle": job.lifecycle, **job.seen}
    if pair.proposal:
        shown |= {name: getattr(pair.proposal, name) for name in ("rank", "confidence", "band", "method", "evidence")}
    return shown
