"""An own job beside an ATS job: what is the same, what differs, in which words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from kombo_pipeline.matching.addresses import canonical_url
from kombo_pipeline.matching.codes import canonical_code
from kombo_pipeline.matching.titles import plain_words, read_title, stem

SAME, DIFFERS, ONLY_OURS, ONLY_THEIRS = "same", "differs", "only ours", "only in the ATS"
MAX_COMPARED: Final = 4000


@dataclass(frozen=True)
class Word:
    """A word of a text; `only` when the other side has nothing like it."""

    text: str
    only: bool = False


@dataclass(frozen=True)
class Field:
    """One line of the comparison. `verdict` says in words how the two sides stand to each other."""

    label: str
    own: list[Word]
    ats: list[Word]
    verdict: str
    own_url: str | None = None
    ats_url: str | None = None


@dataclass(frozen=True)
class Chip:
    """A short remark on an ATS job. `own_job_id` names the own job to which it leads."""

    text: str
    kind: str = ""
    own_job_id: str | None = None


@dataclass(frozen=True)
class Pair:
    """An own job beside one ATS job, as a card shows them."""

    kind: str
    """candidate, linked (the link there is), or found (by search)."""
    job: Mapping[str, Any]
    proposal: Mapping[str, Any] | None
    own_title: list[Word]
    ats_title: list[Word]
    own_normal: str
    ats_normal: str
    place: list[Word]
    fields: list[Field]
    chips: list[Chip]
    why_note: str | None
    """Why linking it asks for a note; None where it does not."""

    @property
    def kombo_job_id(self) -> str:
        """The ATS job."""
        return str(self.job["kombo_job_id"])

    @property
    def band(self) -> str | None:
        """How far matching relies on it; None for what matching did not propose."""
        return self.proposal["band"] if self.proposal else None

    @property
    def titles_agree(self) -> bool:
        """Whether both titles, read without what says nothing, have the same words."""
        return sorted(self.own_normal.split()) == sorted(self.ats_normal.split())

    @property
    def contributions(self) -> list[Mapping[str, Any]]:
        """The reasons for and against it."""
        return list((self.proposal or {}).get("evidence", {}).get("contributions", ()))

    @property
    def weightiest(self) -> Mapping[str, Any] | None:
        """The reason that counts most; None without one."""
        return max(self.contributions, key=lambda each: abs(each["weight"]), default=None)

    @property
    def is_named(self) -> bool:
        """Whether an identifier of the own job names it."""
        return bool(self.proposal and self.proposal["method"] != "title")


def pair(
    own: Mapping[str, Any],
    job: Mapping[str, Any],
    proposal: Mapping[str, Any] | None,
    *,
    kind: str,
    changes: list[Chip],
    why_note: str | None,
) -> Pair:
    """Lay an own job beside an ATS job."""
    own_title, ats_title = compare_titles(own["title"] or "", job["name"] or "")
    return Pair(
        kind=kind,
        job=job,
        proposal=proposal,
        own_title=own_title,
        ats_title=ats_title,
        own_normal=read_title(own["title"] or "").core,
        ats_normal=read_title(job["name"] or "").core,
        place=compare_texts(own["location"] or "", job["place"] or "")[1],
        fields=fields(own, job),
        chips=[*state_chips(job), *changes],
        why_note=why_note,
    )


def compare_titles(own: str, ats: str) -> tuple[list[Word], list[Word]]:
    """Split two titles into words, and mark those that say something which the other title does not.

    Words that say nothing about the job ("(m/w/d)", "full time") are never marked, synonyms count as the same.
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
    """Split two texts into words, mark those that only one has, and say how the texts stand to each other.

    Longer texts than MAX_COMPARED are shown and compared as far as that.
    """
    own, ats = own[:MAX_COMPARED], ats[:MAX_COMPARED]
    ours, theirs = set(plain_words(own)), set(plain_words(ats))
    if not own.strip() or not ats.strip():
        verdict = ONLY_OURS if own.strip() else ONLY_THEIRS if ats.strip() else ""
        return [Word(text) for text in own.split()], [Word(text) for text in ats.split()], verdict
    mine = [Word(text, not set(plain_words(text)) <= theirs) for text in own.split()]
    others = [Word(text, not set(plain_words(text)) <= ours) for text in ats.split()]
    return mine, others, SAME if ours == theirs else DIFFERS


def fields(own: Mapping[str, Any], job: Mapping[str, Any]) -> list[Field]:
    """What both sides say, but for titles; lines on which neither says anything are left out."""
    found = [
        _field("Place", own["location"], job["place"]),
        _exact("Job code", own["job_code"], job["job_code"], canonical_code),
        _field("Department", own["department"], job["department"]),
        _field("Employment", _plain(own["employment_type"]), _plain(job["employment_type"])),
        _days(own["posted_at"], job["opened_at"] or job["remote_created_at"]),
        _exact("Id in the ATS", own["remote_id"], job["remote_id"], str.strip),
        _address(own["post_url"], job["post_url"]),
    ]
    if own["kombo_job_id"]:
        found.append(_exact("Kombo id", own["kombo_job_id"], job["kombo_job_id"], str.strip))
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


def state_chips(job: Mapping[str, Any]) -> list[Chip]:
    """What a person must know of an ATS job before linking it."""
    lifecycle = job["lifecycle"]
    since = {"closed": "closed_at", "deleted": "remote_deleted_at", "vanished": "vanished_at"}.get(lifecycle)
    at = job[since] if since else None
    words = lifecycle.replace("_", " ") + (f" since {at:%Y-%m-%d}" if at else "")
    chips = [Chip(words, "good" if lifecycle == "open" else "bad")]
    visibility = (job["visibility"] or "").upper()
    if job["confidential"] or visibility == "CONFIDENTIAL":
        chips.append(Chip("confidential", "warn"))
    elif visibility not in ("", "PUBLIC"):
        chips.append(Chip(visibility.lower().replace("_", " "), "info" if visibility == "UNLISTED" else "warn"))
    if odd := job["unreadable_fields"]:
        chips.append(Chip(f"not up to date, could not be read: {', '.join(sorted(odd)).replace('_', ' ')}", "warn"))
    for other in job["linked_to"]:
        state = "" if other["state"] == "active" else f" ({other['state']})"
        chips.append(Chip(f"already linked to “{_name(other)}”{state}", "bad", other["own_job_id"]))
    chips += [Chip(f"also the best match of “{_name(other)}”", "warn", other["own_job_id"]) for other in job["best_of"]]
    return chips


def change_chips(link: Mapping[str, Any], own: Mapping[str, Any], job: Mapping[str, Any]) -> list[Chip]:
    """What of a linked pair is not as it was when a person or an identifier last looked."""
    chips = []
    for whose, before, now in (("ATS", link["ats_seen"], job["seen"]), ("our", link["own_seen"], own["seen"])):
        if not before:
            chips.append(Chip("an earlier look was taken back", "warn"))
            continue
        for key, label in (("title", "title"), ("job_code", "job code"), ("place", "place")):
            if before.get(key) != now.get(key):
                was, is_now = before.get(key) or "none", now.get(key) or "none"
                chips.append(Chip(f"{whose} {label} changed: “{was}” → “{is_now}”", "warn"))
    return chips


def _name(own: Mapping[str, Any]) -> str:
    return str(own["title"] or own["own_job_id"])[:120]
