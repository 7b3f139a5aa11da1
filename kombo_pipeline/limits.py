"""How long may be what others write: the one table of limits, for own jobs, ATS jobs and connections."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Limit(NamedTuple):
    """The most that a text may have, in characters or in bytes of UTF-8."""

    most: int
    unit: str = "characters"

    def fault(self, text: str) -> str:
        """Say how much too long a text is; empty where it is not."""
        size = len(text) if self.unit == "characters" else _bytes(text, self.most)
        return f"{size:,} {self.unit}; {self.most:,} are possible" if size > self.most else ""


def _bytes(text: str, most: int) -> int:
    # A character has four bytes at most, so that most texts need not be encoded to be measured.
    return len(text) if 4 * len(text) <= most else len(text.encode("utf-8", "replace"))


TITLE: Final = Limit(1_000)
CODE: Final = Limit(500)
"""Ids and codes of others. A longer id does not fit into an index entry of Postgres (2,704 bytes) in every script."""
KOMBO_ID: Final = Limit(200)
"""Kombo's have 24 characters; three of these must fit an index entry of Postgres."""
ADDRESS: Final = Limit(4_000)
NAME: Final = Limit(1_000)
"""Of people, departments, cities, categories; e-mail addresses; an ATS's own words."""
PLACES: Final = Limit(4_000)
"""The places of a job, or an address, as one text."""
WORD: Final = Limit(200)
"""States, tools, currencies, names of lists."""
DATE: Final = Limit(100)
QUESTION: Final = Limit(10_000)
DESCRIPTION: Final = Limit(2**20, "bytes")
JSON: Final = Limit(2**20, "bytes")
"""A value that is kept as JSON, and all that a job has under unknown keys."""
ENTRIES: Final = 10_000
"""Entries of a list inside a job: stages, questions, options of a question, postings, people."""

OWN_JOB: Final[Mapping[str, Limit]] = {
    "own_job_id": CODE,
    "title": TITLE,
    "kombo_job_id": CODE,
    "remote_id": CODE,
    "job_code": CODE,
    "post_url": ADDRESS,
    "location": PLACES,
    "department": NAME,
    "employment_type": NAME,
}
"""Column of core.own_jobs -> its limit. Migration 0013 holds them in the database too, for who writes by SQL."""
