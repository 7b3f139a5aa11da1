"""Compares an own job with an ATS job for a review card: what is the same and what differs. It reads no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from kombo_pipeline.linking.statements.job_links import Link
from kombo_pipeline.linking.statements.review_cards import AtsJob, Candidate, LinkedOwnJob, OwnJob, RivalOwnJob
from kombo_pipeline.matching.addresses import canonical_url
from kombo_pipeline.matching.codes import canonical_code
from kombo_pipeline.matching.titles import plain_words, read_title, stem
from kombo_pipeline.vocabulary import LIFECYCLES, Band

SAME, DIFFERS, ONLY_OURS, ONLY_THEIRS = "same", "differs", "only ours", "only in the ATS"
MAX_COMPARED: Final = 4000
"""Longer texts are shown and compared up to this many characters."""


@dataclass(frozen=True)
class Word:
    """A word of a text; `only` says that the other side has no such word."""

    text: str
    only: bool = False


@dataclass(frozen=True)
class Field:
    """One line of the comparison. `verdict` says in words whether the two sides agree."""

    label: str
    own: list[Word]
    ats: list[Word]
    verdict: str
    own_url: str | None = None
    ats_url: str | None = None


@dataclass(frozen=True)
class Chip:
    """A short remark on an ATS job. `own_job_id` is the own job to whose card it leads."""

    text: str
    kind: str = ""
    own_job_id: str | None = None


PairKind = Literal["candidate", "linked", "found"]
"""Why a card shows an ATS job: matching proposes it, it is linked, or a search found it."""


@dataclass(frozen=True)
class Pair:
    """An own job beside one ATS job, as a card shows them."""

    kind: PairKind
    job: AtsJob
    proposal: Candidate | None
    """None where matching does not propose the ATS job."""
    own_title: list[Word]
    ats_title: list[Word]
    own_normal: str
    ats_normal: str
    place: list[Word]
    fields: list[Field]
    chips: list[Chip]
    why_note: str | None
    """Why a note is needed to link it; None where none is needed."""

    @property
    def kombo_job_id(self) -> str:
        """The id of the ATS job."""
        return self.job.kombo_job_id

    @property
    def band(self) -> Band | None:
        """How likely matching thinks it; None where matching does not propose it."""
        return self.proposal.band if self.proposal else None

    @property
    def titles_agree(self) -> bool:
        """Whether both titles have the same words, without those that say nothing about the job."""
        return sorted(self.own_normal.split()) == sorted(self.ats_normal.split())

    @property
    def contributions(self) -> list[Mapping[str, Any]]:
        """The evidence for and against it: {"text": ..., "weight": ...}, the weight in log-odds."""
        return list(self.proposal.evidence.get("contributions", ())) if self.proposal else []

    @property
    def weightiest(self) -> Mapping[str, Any] | None:
        """The evidence with the largest weight; None without evidence."""
        return max(self.contributions, key=lambda each: abs(each["weight"]), default=None)

    @property
    def is_named(self) -> bool:
        """Whether an identifier of the own job names it."""
        return self.proposal is not None and self.proposal.method != "title"


def pair(
    own: OwnJob,
    job: AtsJob,
    proposal: Candidate | None,
    *,
    kind: PairKind,
    changes: list[Chip],
    why_note: str | None,
) -> Pair:
    """Return an own job beside an ATS job."""
    own_title, ats_title = compare_titles(own.title or "", job.name or "")
    return Pair(
        kind=kind,
        job=job,
        proposal=proposal,
        own_title=own_title,
        ats_title=ats_title,
        own_normal=read_title(own.title or "").core,
        ats_normal=read_title(job.name or "").core,
        place=compare_texts(own.location or "", job.place or "")[1],
        fields=fields(own, job),
        chips=[*state_chips(job), *changes],
        why_note=why_note,
    )


def compare_titles(own: str, ats: str) -> tuple[list[Word], list[Word]]:
    """Split two titles into words, and mark the words whose meaning the other title does not have.

    Words that say nothing about the job ("(m/w/d)", "full time") are never marked; synonyms count as the same word.
    """
    ours, theirs = _stems(own), _stems(ats)
    return _marked(own, ours, theirs), _marked(ats, theirs, ours)


def _stems(title: str) -> set[str]:
    return {stem(word) for word in read_title(title).words}


def _marked(title: str, mine: set[str], others: set[str]) -> list[Word]:
    words = []
    for text in title[:500].split():
        meant = _stems(text) & mine
        words.append(Word(text, bool(meant) and not meant <= others))
    return words


def compare_texts(own: str, ats: str) -> tuple[list[Word], list[Word], str]:
    """Split two texts into words, mark those that only one text has, and say in words whether the texts agree."""
    own, ats = own[:MAX_COMPARED], ats[:MAX_COMPARED]
    ours, theirs = set(plain_words(own)), set(plain_words(ats))
    if not own.strip() or not ats.strip():
        verdict = ONLY_OURS if own.strip() else ONLY_THEIRS if ats.strip() else ""
        return [Word(text) for text in own.split()], [Word(text) for text in ats.split()], verdict
    mine = [Word(text, not set(plain_words(text)) <= theirs) for text in own.split()]
    others = [Word(text, not set(plain_words(text)) <= ours) for text in ats.split()]
    return mine, others, SAME if ours == theirs else DIFFERS


def fields(own: OwnJob, job: AtsJob) -> list[Field]:
    """Return the lines of the comparison, except for the titles; lines that are empty on both sides are left out."""
    found = [
        _field("Place", own.location, job.place),
        _exact("Job code", own.job_code, job.job_code, canonical_code),
        _field("Department", own.department, job.department),
        _field("Employment", _plain(own.employment_type), _plain(job.employment_type)),
        _days(own.posted_at, job.opened_at or job.remote_created_at),
        _exact("Id in the ATS", own.remote_id, job.remote_id, str.strip),
        _address(own.post_url, job.post_url),
    ]
    if own.kombo_job_id:
        found.append(_exact("Kombo id", own.kombo_job_id, job.kombo_job_id, str.strip))
    return [field for field in found if field.verdict]


def _field(label: str, own: str | None, ats: str | None) -> Field:
    return Field(label, *compare_texts(own or "", ats or ""))


def _exact(label: str, own: str | None, ats: str | None, form: Any) -> Field:
    words, others, verdict = compare_texts(own or "", ats or "")
    if verdict in (SAME, DIFFERS):
        is_same = form(own) == form(ats) and form(own) is not None
        verdict = SAME if is_same else DIFFERS
        words, others = [Word(own or "", not is_same)], [Word(ats or "", not is_same)]
    return Field(label, words, others, verdict)


def _address(own: str | None, ats: str | None) -> Field:
    field = _exact("Address", own, ats, canonical_url)
    return Field(field.label, field.own, field.ats, field.verdict, own_url=own, ats_url=ats)


def _days(own: date | None, ats: datetime | None) -> Field:
    ours, theirs = own.isoformat() if own else "", ats.date().isoformat() if ats else ""
    verdict = ONLY_OURS if ours and not theirs else ONLY_THEIRS if theirs and not ours else ""
    if own and ats:
        apart = (ats.date() - own).days
        verdict = SAME if not apart else f"{abs(apart)} days {'later' if apart > 0 else 'earlier'} in the ATS"
    return Field("Posted", [Word(ours)] if ours else [], [Word(theirs)] if theirs else [], verdict)


def _plain(text: str | None) -> str:
    return (text or "").replace("_", " ").capitalize()


def state_chips(job: AtsJob) -> list[Chip]:
    """Return what a person must know about an ATS job before linking it."""
    times = {"closed": job.closed_at, "deleted": job.remote_deleted_at, "vanished": job.vanished_at}
    since = times.get(job.lifecycle)
    words = LIFECYCLES[job.lifecycle] + (f" since {since:%Y-%m-%d}" if since else "")
    chips = [Chip(words, "good" if job.lifecycle == "open" else "bad")]
    visibility = (job.visibility or "").upper()
    if job.confidential or visibility == "CONFIDENTIAL":
        chips.append(Chip("confidential", "warn"))
    elif visibility not in ("", "PUBLIC"):
        chips.append(Chip(visibility.lower().replace("_", " "), "info" if visibility == "UNLISTED" else "warn"))
    if odd := job.unreadable_fields:
        chips.append(Chip(f"not up to date, could not be read: {', '.join(sorted(odd)).replace('_', ' ')}", "warn"))
    for other in job.linked_to:
        state = "" if other.state == "active" else f" ({other.state})"
        chips.append(Chip(f"already linked to “{_name(other)}”{state}", "bad", other.own_job_id))
    chips += [Chip(f"also the best match of “{_name(rival)}”", "warn", rival.own_job_id) for rival in job.best_of]
    return chips


def change_chips(link: Link, own: OwnJob, job: AtsJob) -> list[Chip]:
    """Return what has changed in a linked pair since the link was made or last confirmed."""
    chips = []
    for whose, before, now in (("ATS", link.ats_seen, job.seen), ("our", link.own_seen, own.seen)):
        if not before:
            chips.append(Chip("an earlier confirmation was taken back", "warn"))
            continue
        for key, label in (("title", "title"), ("job_code", "job code"), ("place", "place")):
            if before.get(key) != now.get(key):
                was, is_now = before.get(key) or "none", now.get(key) or "none"
                chips.append(Chip(f"{whose} {label} changed: “{was}” → “{is_now}”", "warn"))
    return chips


def _name(own: LinkedOwnJob | RivalOwnJob) -> str:
    return (own.title or own.own_job_id)[:120]
