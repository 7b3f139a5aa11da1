"""What speaks against two jobs being one although an identifier is the same. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from kombo_pipeline.matching.titles import fold, titles_agree


@dataclass(frozen=True, slots=True)
class Side:
    """One job of a pair, as far as the guard compares it. Unknown texts are None or empty."""

    title: str | None = None
    location: str | None = None
    employment_type: str | None = None
    department: str | None = None


class Doubt(NamedTuple):
    """One thing that speaks against a pair."""

    code: str
    own: str
    ats: str


def objections(own: Side, ats: Side) -> tuple[Doubt, ...]:
    """Return what speaks against the pair; empty where nothing does."""
    found = []
    one, other = (own.location or "").strip(), (ats.location or "").strip()
    if one and other and not set(fold(one).replace(",", " ").split()) & set(fold(other).replace(",", " ").split()):
        found.append(Doubt("place", one, other))
    if (one := (own.title or "").strip()) and (other := (ats.title or "").strip()) and not titles_agree(one, other):
        found.append(Doubt("title", one, other))
    return tuple(found)


def confirms(own: Side, ats: Side) -> bool:
    """Whether the titles of the two jobs can be compared, and agree."""
    return bool(own.title and ats.title and titles_agree(own.title, ats.title))


def in_words(doubts: Iterable[Doubt]) -> str:
    """The doubts as they stand behind "the job code is the same, ": "but Berlin and Hamburg"."""
    return f"but {', '.join(f'{doubt.own} and {doubt.ats}' for doubt in doubts)}"
