"""Integrations made of real postings from a CSV file."""

import csv
import gzip
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kombo_pipeline.sandbox import words
from kombo_pipeline.sandbox.clock import stamp
from kombo_pipeline.sandbox.world import World

REQUIRED: Final = {"customer", "title"}

_EMPLOYMENT_TYPES: Final = {
    "full": "FULL_TIME", "vollzeit": "FULL_TIME", "part": "PART_TIME", "teilzeit": "PART_TIME",
    "contract": "CONTRACT", "temporary": "CONTRACT", "intern": "INTERNSHIP", "praktikum": "INTERNSHIP",
    "season": "SEASONAL",
}  # fmt: skip


def from_postings(world: World, path: Path | str) -> list[str]:
    """One synced integration a customer of the file (CSV or CSV.gz, UTF-8, with a header); returns their ids.

    Columns: customer, title, location, department, employment_type, posted (a date); others are ignored, the
    last four may be missing or empty. What the file does not say is generated. Raises `ValueError` naming a
    missing column.
    """
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if missing := REQUIRED - set(reader.fieldnames or ()):
            raise ValueError(f"{path} has no column {', '.join(sorted(missing))}")
        rows = sorted(reader, key=lambda row: row["customer"])
    created = []
    tools = itertools.cycle(words.TOOLS)
    for customer, postings in itertools.groupby(rows, key=lambda row: row["customer"]):
        integration_id = world.add_integration(
            tool=next(tools), organization=customer, origin_id=customer, synced=False
        )
        for posting in postings:
            world.open_job(integration_id, **_fields(posting))
        world.sync(integration_id)
        created.append(integration_id)
    return created


def _fields(posting: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": posting["title"],
        "status": "OPEN",
        "visibility": "PUBLIC",
        "closed_at": None,
    }
    fields["department"] = posting.get("department") or None
    fields["employment_type"] = _employment_type(posting.get("employment_type") or "")
    place = posting.get("location") or None
    keys = ("city", "country", "raw", "state", "street_1", "street_2", "zip_code")
    fields["location"] = dict.fromkeys(keys) | {
        "raw": place,
        "city": place.split(",")[0].strip() if place else None,
    }
    posted = _posted(posting.get("posted") or "")
    if posted is not None:
        fields |= dict.fromkeys(("opened_at", "remote_created_at", "remote_updated_at"), stamp(posted))
    return fields


def _employment_type(text: str) -> str | None:
    """Kombo's value if the text names one, else the text itself, as Kombo passes on what it cannot map."""
    known = (value for word, value in _EMPLOYMENT_TYPES.items() if word in text.casefold())
    return next(known, text or None)


def _posted(text: str) -> datetime | None:
    try:
        posted = datetime.fromisoformat(text)
    except ValueError:
        return None
    return posted if posted.tzinfo else posted.replace(tzinfo=UTC)
