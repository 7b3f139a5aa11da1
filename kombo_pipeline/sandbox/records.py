"""Job records as Kombo sends them, composed from word lists by a seeded generator.

A record is kept as two pieces of JSON, its own properties and its nested lists, because Kombo treats changes
of the two differently (`changed_at` moves with own properties only) and because ready JSON is cheap to hold,
compare and send.
"""

import hashlib
import random
import string
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from kombo_pipeline.sandbox import words
from kombo_pipeline.sandbox.clock import stamp

Record = dict[str, Any]

NESTED: Final = ("stages", "screening_questions", "job_postings", "hiring_team")

BASE58: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("0OIl")))
_TO_BASE58: Final = bytes(ord(BASE58[byte % 58]) for byte in range(256))

_EMPLOYMENT_TYPES: Final = {
    **{"FULL_TIME": 70, "PART_TIME": 12, "CONTRACT": 6, "INTERNSHIP": 5, "SEASONAL": 2},
    **{"Vollzeit, unbefristet": 3, "": 2},
}
"""How often a job has each, of a hundred; the empty one stands for null."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def kombo_id(*parts: object) -> str:
    """The 24 base58 characters Kombo derives from an integration id and a remote id.

    The model is no part of it: two models of one integration may share an id (Kombo docs).
    """
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=24).digest()
    return digest.translate(_TO_BASE58).decode()


class Content(NamedTuple):
    """A job without what Kombo adds: two JSON objects, own properties and nested lists."""

    own: bytes
    nested: bytes

    @classmethod
    def of(cls, record: Record) -> "Content":
        """Split a whole record."""
        nested = {name: record[name] for name in NESTED if name in record}
        own = {key: value for key, value in record.items() if key not in nested}
        return cls(_encode(own), _encode(nested))

    def record(self) -> Record:
        """The whole record as a dict of one's own."""
        own: Record = _decode(self.own)
        own.update(_decode(self.nested))
        return own

    def lists(self) -> dict[str, list[Record]]:
        """The nested lists alone."""
        nested: dict[str, list[Record]] = _decode(self.nested)
        return nested


def ids_below(integration_id: str, entries: Sequence[Record]) -> list[Record]:
    """Give every entry, and every option of a question, the Kombo id of its `remote_id`."""
    for entry in entries:
        entry["id"] = kombo_id(integration_id, entry["remote_id"])
        ids_below(integration_id, (entry.get("format") or {}).get("options", ()))
    return list(entries)


class RecordMaker:
    """Makes the jobs of one customer; the n-th is decided by seed, integration and n alone."""

    def __init__(self, *, seed: int, integration_id: str, organization: str) -> None:
        self._seed = f"{seed}/{integration_id}/"
        self._integration_id = integration_id
        self._organization = organization
        self._slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in organization.lower()).strip("-")
        self._staff = self._make_staff(random.Random(f"{self._seed}staff"))

    def make(self, number: int, now: datetime, *, title: str | None = None, city: str | None = None) -> Record:
        """The n-th job (from 1) as its ATS holds it at `now`, without what Kombo adds.

        A given `title` or `city` is what its texts speak of.
        """
        rng = random.Random(f"{self._seed}{number}")
        language = "de" if rng.random() < 0.4 else "en"
        department = rng.choice(words.DEPARTMENTS)
        level = rng.choice(words.LEVELS[language])
        generated = level.prefix + rng.choice(department.titles[language]) + rng.choice(words.SUFFIXES[language])
        title = title or generated
        team = department.names[language]
        place = rng.choice(words.PLACES[language])
        city = city or place.town
        street = f"{place.street} {rng.randint(1, 120)}"
        remote_id = str(4_000_000_000 + 137 * number)
        created = now - timedelta(minutes=rng.randint(60, 400 * 24 * 60), milliseconds=rng.randint(0, 999))
        opened = created + timedelta(days=rng.randint(0, 5))
        updated = min(now, created + timedelta(minutes=rng.randint(0, 60 * 24 * 60)))
        status = _weighted(rng, OPEN=78, CLOSED=10, DRAFT=4, ARCHIVED=4, **{"On Hold": 2, "": 1})
        closed = _closing(rng, status=status, updated=updated, now=now)
        visibility = _weighted(rng, PUBLIC=86, INTERNAL=6, UNLISTED=3, CONFIDENTIAL=3, **{"Talent Pool": 1, "": 1})
        public = visibility == "PUBLIC"
        # Requisition codes are not unique in any ATS: some jobs carry the code of the one before.
        code_number = number - 1 if rng.random() < 0.02 else number
        team_members = rng.sample(self._staff, rng.randint(1, 3)) if rng.random() < 0.95 else []
        # Each value draws from the generator in the order of the keys: another order makes other jobs.
        record: Record = {
            "id": kombo_id(self._integration_id, remote_id),
            "remote_id": remote_id,
            "name": title,
            "job_code": None if rng.random() < 0.06 else f"{department.code}-{created.year}-{code_number:04d}",
            "description": self._description(rng, language=language, title=title, team=team, city=city),
            "confidential": visibility == "CONFIDENTIAL",
            "weekly_hours": rng.choice((40.0, 40.0, 38.5, 37.5, 20.0, None)),
            "employment_type": _weighted(rng, **_EMPLOYMENT_TYPES),
            "status": status,
            "visibility": visibility,
            "category": department.category,
            "department": rng.choice((team, team, f"{team} - {city}", None)),
            "post_url": f"https://boards.example.com/{self._slug}/jobs/{remote_id}" if public else None,
            "experience_level": level.label,
            "remote_work_status": _weighted(rng, ON_SITE=40, HYBRID=35, REMOTE=15, TEMPORARY=2, **{"": 8}),
            **_salary(rng, place.country),
            "location": _location(place, city=city, street=street),
            "custom_fields": _custom_fields(rng, place.country),
            "integration_fields": [],
            "remote_url": f"https://app.example-ats.com/{self._slug}/sdash/{remote_id}",
            "opened_at": stamp(opened) if status != "DRAFT" else None,
            "closed_at": closed,
            "remote_created_at": stamp(created),
            "remote_updated_at": stamp(updated),
            "contact_id": team_members[0]["id"] if team_members else None,
            "remote_data": None,
            "stages": self._stages(rng, language=language, remote_id=remote_id),
            "screening_questions": self._questions(rng, remote_id=remote_id),
            "job_postings": self._postings(rng, record_title=title, remote_id=remote_id, city=city, public=public),
            "hiring_team": team_members,
        }
        return _without_some_keys(rng, record)

    def _make_staff(self, rng: random.Random) -> list[Record]:
        roles = (
            ("RECRUITER", "Recruiter"),
            ("HIRING_MANAGER", "Hiring Manager"),
            ("COORDINATOR", "Coordinator"),
        )
        staff = []
        for number in range(1, 13):
            first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
            role, label = rng.choice(roles)
            known = {
                "remote_id": f"r-{role[:2]}",
                "remote_label": label,
                "unified_type": role,
                "scope": "JOB",
            }
            custom = {
                "remote_id": None,
                "remote_label": "Hiring Wizard",
                "unified_type": None,
                "scope": "JOB",
            }
            staff.append(
                {
                    "id": "",
                    "remote_id": f"u-{number}",
                    "first_name": first,
                    "last_name": last,
                    "email": f"u{number}@{self._slug}.example.com" if rng.random() < 0.85 else None,
                    "hiring_team_roles": [role],
                    "job_roles": [known, custom] if rng.random() < 0.1 else [known],
                }
            )
        return ids_below(self._integration_id, staff)

    def _description(self, rng: random.Random, *, language: str, title: str, team: str, city: str) -> str:
        def bullets(phrases: tuple[str, ...], least: int) -> str:
            return "".join(f"<li>{phrase}.</li>" for phrase in rng.sample(phrases, rng.randint(least, least + 4)))

        about, tasks, profile, offer = words.HEADINGS[language]
        intro = rng.choice(words.INTROS[language]).format(org=self._organization, team=team, city=city, title=title)
        if rng.random() < 0.04:
            return intro
        return (
            f"<h2>{about}</h2><p>{intro}</p><h3>{tasks}</h3><ul>{bullets(words.TASKS[language], 4)}</ul>"
            f"<h3>{profile}</h3><ul>{bullets(words.REQUIREMENTS[language], 3)}</ul>"
            f"<h3>{offer}</h3><ul>{bullets(words.BENEFITS[language], 2)}</ul>"
        )

    def _stages(self, rng: random.Random, *, language: str, remote_id: str) -> list[Record]:
        return [
            {
                "id": kombo_id(self._integration_id, f"{remote_id}-s{index}"),
                "remote_id": f"{remote_id}-s{index}",
                "name": name,
                "status": "ACTIVE",
                "custom_fields": {},
                "remote_data": None,
                "index": index,
            }
            for index, name in enumerate(words.STAGES[language][: rng.randint(3, 7)])
        ]

    def _questions(self, rng: random.Random, *, remote_id: str) -> list[Record]:
        picked = sorted(rng.sample(range(len(_QUESTIONS)), rng.randint(0, 9)))
        questions: list[Record] = [
            {
                "id": "",
                "remote_id": f"{remote_id}-q{number}",
                "title": title,
                "description": description,
                "format": _options_of(remote_id, number, form),
                "category": category,
                "index": index,
                "required": rng.random() < 0.6,
                "precondition_question_id": None,
                "precondition_options": None,
            }
            for index, number in enumerate(picked)
            for title, description, form, category in (_QUESTIONS[number],)
        ]
        ids_below(self._integration_id, questions)
        by_type = {question["format"]["type"]: question for question in questions}
        if {"BOOLEAN", "DATE"} <= by_type.keys():
            by_type["DATE"]["precondition_question_id"] = by_type["BOOLEAN"]["id"]
            by_type["DATE"]["precondition_options"] = [True]
        return questions

    def _postings(
        self, rng: random.Random, *, record_title: str, remote_id: str, city: str, public: bool
    ) -> list[Record]:
        postings = [
            {
                "id": "",
                "remote_id": f"{remote_id}-p{index}",
                "title": f"{record_title} - {place}",
                "description_html": f"<p>{record_title}, {place}. {self._organization}</p>",
                "status": "ACTIVE" if public else "DRAFT",
                "visibility": "PUBLIC" if public else "INTERNAL",
                "url": f"https://boards.example.com/{self._slug}/postings/{remote_id}-{index}" if public else None,
                "remote_data": None,
            }
            for index, place in enumerate((city, "intern")[: rng.randint(0, 2)])
        ]
        return ids_below(self._integration_id, postings)


def _weighted(rng: random.Random, **weights: int) -> str | None:
    """One of the names by weight; the empty name stands for null."""
    return rng.choices(list(weights), list(weights.values()))[0] or None


def _closing(rng: random.Random, *, status: str | None, updated: datetime, now: datetime) -> str | None:
    """When a job closed; an open one may have its closing day set in the future."""
    if status == "CLOSED":
        return stamp(updated)
    return stamp(now + timedelta(days=rng.randint(5, 90))) if rng.random() < 0.3 else None


def _location(place: words.Place, *, city: str, street: str) -> Record:
    return {
        "city": city,
        "country": place.country,
        "raw": f"{street}, {place.zip_code} {city}, {words.COUNTRIES[place.country]}",
        "state": place.state,
        "street_1": street,
        "street_2": None,
        "zip_code": place.zip_code,
    }


def _custom_fields(rng: random.Random, country: str) -> Record:
    return {
        "cost_center": f"CC-{rng.randint(1000, 9999)}",
        "requires_visa_sponsorship": rng.random() < 0.2,
        "hiring_regions": sorted({country, rng.choice(("DE", "AT", "US", "GB"))}),
    }


def _without_some_keys(rng: random.Random, record: Record) -> Record:
    """The record, in a few jobs without a key that Kombo's SDK allows to be missing."""
    if rng.random() < 0.03:
        del record[rng.choice(("location", "salary_period", "remote_work_status", "visibility", "employment_type"))]
    return record


def _salary(rng: random.Random, country: str) -> Record:
    yearly = rng.random() < 0.8
    low = float(rng.randint(30, 95) * 1000 if yearly else rng.randint(14, 45))
    kind = rng.random()
    return {
        "salary_amount": low if kind < 0.15 else None,
        "salary_amount_from": low if 0.15 <= kind < 0.6 else None,
        "salary_amount_to": round(low * 1.25, 2) if 0.15 <= kind < 0.6 else None,
        "salary_currency": words.CURRENCIES.get(country, "EUR") if kind < 0.6 else None,
        "salary_period": ("YEAR" if yearly else "HOUR") if kind < 0.6 else None,
    }


def _options_of(remote_id: str, question: int, form: Record) -> Record:
    if "options" not in form:
        return form
    options = [
        {"id": "", "name": name, "remote_id": f"{remote_id}-q{question}-o{index}"}
        for index, name in enumerate(form["options"])
    ]
    return {**form, "options": options}


_QUESTIONS: Final[tuple[tuple[str, str | None, Record, str | None], ...]] = (
    (
        "Why do you want to work with us?",
        "A few sentences are enough.",
        {"type": "TEXT", "display_type": "MULTI_LINE", "max_length": 2000},
        None,
    ),
    ("Link to your profile", None, {"type": "TEXT", "display_type": "URL", "max_length": 250}, None),
    ("Do you already have a work permit for this country?", None, {"type": "BOOLEAN"}, None),
    ("When does your permit expire?", None, {"type": "DATE"}, None),
    (
        "Preferred office?",
        None,
        {"type": "SINGLE_SELECT", "display_type": "RADIO", "options": ["Berlin", "Vienna", "London"]},
        None,
    ),
    (
        "Which shifts can you work?",
        "<p>Select all that apply.</p>",
        {"type": "MULTI_SELECT", "options": ["Early", "Late", "Night"]},
        None,
    ),
    (
        "Years of professional experience",
        None,
        {"type": "NUMBER", "display_type": "FIELD", "min": 0.0, "max": 60.0},
        None,
    ),
    (
        "Upload a work sample",
        None,
        {
            "type": "FILE",
            "accepted_mime_types": ["application/pdf", "application/zip"],
            "max_file_size_bytes": 10_485_760,
        },
        None,
    ),
    ("How we use your data", "<p>Answers are deleted after six months.</p>", {"type": "INFORMATION"}, None),
    (
        "Veteran status",
        "Voluntary self-identification.",
        {"type": "UNKNOWN", "raw_question": {"kind": "compliance_matrix", "rows": ["A", "B"]}},
        "EEO",
    ),
    (
        "Gender",
        "Voluntary.",
        {"type": "SINGLE_SELECT", "options": ["Female", "Male", "Non-binary"]},
        "DEMOGRAPHIC",
    ),
)
