"""The jobs of a customer as a product that advertises them holds them, and what is true of each.

Decided by the seed and by the ATS's jobs as they were when they were opened: what is closed, edited or deleted
in the ATS afterwards leaves the product's jobs as they are, until somebody notices. New ATS jobs bring new ones.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, Literal, NamedTuple
from xml.etree import ElementTree as ET

from kombo_pipeline.sandbox import words
from kombo_pipeline.sandbox.ats import Opened
from kombo_pipeline.sandbox.rewriting import restyled, rewritten
from kombo_pipeline.sandbox.world import World

Part = Literal["identifier", "title", "collision", "contradiction", "none"]

_PARTS: Final[Mapping[Part | None, float]] = {
    "identifier": 0.29, "title": 0.45, "collision": 0.012, "contradiction": 0.02, None: 0.228,
}  # fmt: skip
"""What becomes of an ATS job that the public may see; None is advertised elsewhere, or not at all."""
_OTHERS: Final = 0.2
"""How many jobs without counterpart come with each such ATS job."""
_STALE: Final = 0.3
"""The share of ATS jobs that were closed already for which an advertisement was left behind."""

_LOOKED_AT: Final = {
    "name", "status", "visibility", "remote_id", "job_code", "post_url", "job_postings", "department", "category",
    "employment_type", "location", "opened_at", "remote_created_at",
}  # fmt: skip
_EXONYMS: Final = {
    "München": "Munich", "Köln": "Cologne", "Wien": "Vienna", "Zürich": "Zurich", "Nürnberg": "Nuremberg",
    "Frankfurt am Main": "Frankfurt", "Düsseldorf": "Duesseldorf", "New York": "NYC",
}  # fmt: skip
_EMPLOYMENT: Final = {
    "FULL_TIME": ("Full-time", "fulltime", "Vollzeit", "Full Time"),
    "PART_TIME": ("Part-time", "parttime", "Teilzeit", "Part Time"),
    "CONTRACT": ("Contract", "Befristet", "Freelance"),
    "INTERNSHIP": ("Internship", "Praktikum"),
    "SEASONAL": ("Seasonal", "Saisonarbeit"),
}
_TRACKED: Final = (
    "{}",
    "{}?utm_source=jobboard&utm_medium=cpc",
    "{}/?gh_src=5f3a1c",
    "{}?source=stepstone#apply",
    "{}?utm_campaign=autumn&ref=feed",
)
# XML has no way to write these.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Truth(NamedTuple):
    """What an own job is: how it was made, and the Kombo id of the ATS job that it is. Never imported.

    "identifier": it carries one that no other job has; "title": only what it says leads to its ATS job;
    "collision": its code names several jobs; "contradiction": the code of quite another job; "none": there is
    no such job in the ATS.
    """

    part: Part
    ats_id: str | None


@dataclass(frozen=True, slots=True)
class OwnJob:
    """An own job: the elements that it has in the job feed, and the truth about it."""

    fields: dict[str, str]
    truth: Truth

    @property
    def id(self) -> str:
        """The product's id of it."""
        return self.fields["referencenumber"]


def own_jobs(world: World, integration_id: str) -> list[OwnJob]:
    """The own jobs of a customer by now, oldest first; raises `KeyError` for an unknown integration."""
    integration = world.integration(integration_id)
    opened = world.opened_jobs(integration_id)
    maker = _Maker(f"{world.seed}/{integration_id}/own/", opened, integration.unsupported)
    return [job for number, job_id in enumerate(opened) for job in maker.make(number, job_id)]


def job_feed(jobs: Sequence[OwnJob], *, publisher: str) -> bytes:
    """The jobs in the XML form that Indeed made common."""
    source = ET.Element("source")
    ET.SubElement(source, "publisher").text = _UNWRITABLE.sub("", publisher)
    for job in jobs:
        element = ET.SubElement(source, "job")
        for name, text in job.fields.items():
            ET.SubElement(element, name).text = _UNWRITABLE.sub("", text)
    feed: bytes = ET.tostring(source, encoding="utf-8", xml_declaration=True)
    return feed


class _Maker:
    """Makes what comes of each ATS job; those opened later change nothing of it, unless they have its other title."""

    def __init__(self, seed: str, opened: Mapping[str, Opened], unsupported: frozenset[str]) -> None:
        self._seed = seed
        self._opened = opened
        self._records: dict[str, dict[str, Any]] = {
            job_id: {key: value for key, value in each.content.record().items() if key in _LOOKED_AT}
            for job_id, each in opened.items()
        }
        self._hidden = unsupported
        self._codes = Counter(record.get("job_code") for record in self._records.values())
        titles = "\n".join(str(record.get("name") or "") for record in self._records.values()).casefold()
        self._others = {
            language: [None if title.casefold() in titles else title for title in others]
            for language, others in words.OTHER_TITLES.items()
        }

    def make(self, number: int, job_id: str) -> Iterator[OwnJob]:
        """The own jobs that the ATS job, opened as the `number`-th, brings along."""
        record = self._records[job_id]
        rng = random.Random(f"{self._seed}{job_id}")
        public = record.get("status") != "DRAFT" and record.get("visibility") in ("PUBLIC", "UNLISTED", None)
        stale = record.get("status") in ("CLOSED", "ARCHIVED") and rng.random() >= _STALE
        if not public or stale or not str(record.get("name") or "").strip():
            return
        ids = (f"board-{100_000 + 3 * number + offset}" for offset in range(3))
        part = rng.choices(list(_PARTS), list(_PARTS.values()))[0]
        identifier = self._identifier(rng, record) if part == "identifier" else {}
        if identifier:
            shared = "requisitionid" in identifier and self._codes[record["job_code"]] > 1
            truth = Truth("collision" if shared else "identifier", job_id)
            yield OwnJob(self._fields(next(ids), job_id, rng, restyle=True) | identifier, truth)
        elif part in ("title", "identifier"):
            yield OwnJob(self._fields(next(ids), job_id, rng), Truth("title", job_id))
        elif part == "collision" and self._code(record):
            # Advertised once more for another place, with the code copied along.
            for truth in (Truth("collision", job_id), Truth("collision", None)):
                fields = self._fields(next(ids), job_id, rng, restyle=True)
                if truth.ats_id is None:
                    fields["city"], fields["state"], fields["country"], *_ = rng.choice(words.PLACES["en"])
                yield OwnJob(fields | {"requisitionid": self._code(record)}, truth)
        elif (
            part == "contradiction" and self._code(record) and (title := self._other_title(rng, unlike=record["name"]))
        ):
            fields = self._fields(next(ids), job_id, rng) | {"requisitionid": self._code(record), "title": title}
            yield OwnJob(fields, Truth("contradiction", None))
        if rng.random() < _OTHERS and (title := self._other_title(rng)):
            yield OwnJob(self._fields(next(ids), job_id, rng) | {"title": title}, Truth("none", None))

    def _fields(self, own_id: str, job_id: str, rng: random.Random, *, restyle: bool = False) -> dict[str, str]:
        """The elements of the job feed for an ATS job, with the gaps and the small differences of every feed."""
        record = self._records[job_id]
        place = record.get("location") or {}
        city = str(place.get("city") or place.get("raw") or "")
        german = place.get("country") in ("DE", "AT", "CH") or bool(re.search(r"\b[mw]/[mw]/", record["name"]))
        write = restyled if restyle else rewritten
        fields = {"referencenumber": own_id, "title": write(record["name"], rng, city=city, german=german)}
        if rng.random() < 0.88:
            fields["date"] = _posted(record, rng, until=self._opened[job_id].at)
        if city and rng.random() < 0.92:
            fields["city"] = _EXONYMS.get(city, city) if rng.random() < 0.25 else city
            country, state = str(place.get("country") or ""), str(place.get("state") or "")
            fields["state"] = state if rng.random() < 0.3 else ""
            fields["country"] = rng.choice((country, words.COUNTRIES.get(country, country), ""))
        if record.get("department") and rng.random() < 0.6:
            team = str(record["department"])
            fields["category"] = team.partition(" - ")[0] if rng.random() < 0.7 else str(record.get("category") or team)
        if (kind := record.get("employment_type")) and rng.random() < 0.75:
            fields["jobtype"] = rng.choice(_EMPLOYMENT.get(kind, (kind,)))
        return {name: text for name, text in fields.items() if text}

    def _identifier(self, rng: random.Random, record: dict[str, Any]) -> dict[str, str]:
        """One identifier of the ATS job, exact or as it looks after some handling; none where it shows none."""
        ways = {
            "code": 30 if self._code(record) else 0,
            "spelling": 25 if self._code(record) else 0,
            "posting": 12 if self._posting_url(record) else 0,
            "url": 15 if self._visible(record, "post_url") else 0,
            "remote id": 18 if self._visible(record, "remote_id") else 0,
        }
        if not any(ways.values()):
            return {}
        match rng.choices(list(ways), list(ways.values()))[0]:
            case "code":
                return {"requisitionid": self._code(record)}
            case "spelling":
                return {"requisitionid": _respelled(self._code(record), rng)}
            case "posting":
                return {"url": rng.choice(_TRACKED).format(self._posting_url(record))}
            case "url":
                return {"url": rng.choice(_TRACKED).format(record["post_url"])}
            case _:
                return {"atsjobid": str(record["remote_id"])}

    def _visible(self, record: dict[str, Any], field: str) -> Any:
        """What the tool provides to Kombo: the rest cannot be matched by."""
        return None if field in self._hidden else record.get(field)

    def _code(self, record: dict[str, Any]) -> str:
        return str(self._visible(record, "job_code") or "")

    def _posting_url(self, record: dict[str, Any]) -> str:
        return next((each["url"] for each in self._visible(record, "job_postings") or () if each.get("url")), "")

    def _other_title(self, rng: random.Random, *, unlike: str = "") -> str | None:
        """A title that no ATS job has, and without a word of `unlike`; None where chance hits one that it has."""
        language = rng.choice(("de", "en"))
        title = rng.choice(self._others[language])
        known = set(re.findall(r"\w{3,}", unlike.casefold()))
        if title is None or known.intersection(re.findall(r"\w{3,}", title.casefold())):
            return None
        level = "" if unlike else rng.choice(words.LEVELS[language][:5])[0]
        return level + title + rng.choice(words.SUFFIXES[language])


def _posted(record: dict[str, Any], rng: random.Random, *, until: datetime) -> str:
    """Advertised about when the job was opened, some again weeks later; "" where that is unknown."""
    began = record.get("opened_at") or record.get("remote_created_at")
    if not began:
        return ""
    days = rng.choices((0, 1, 2, 4, rng.randint(20, 60)), (40, 25, 15, 12, 8))[0]
    return format_datetime(min(datetime.fromisoformat(began) + timedelta(days=days), until), usegmt=True)


def _respelled(code: str, rng: random.Random) -> str:
    """The code with other separators, in another case or without leading zeros; never as it was."""
    short = re.sub(r"(?<![^\W_])0+(?=\d)", "", code)
    ways = {code.lower(), short, short.lower(), *(re.sub(r"[\W_]+", sign, code) for sign in (" ", "/", "_", " - "))}
    return rng.choice(sorted(ways - {code})) if ways - {code} else code
