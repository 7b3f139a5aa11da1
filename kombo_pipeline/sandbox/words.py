"""The words of words.toml that generated jobs are made of, English (`en`) and German (`de`)."""

import tomllib
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

Words = tuple[str, ...]
ByLanguage = dict[str, Words]


class Department(msgspec.Struct, frozen=True):
    """A department with the titles it hires for, by language."""

    code: str
    category: str
    names: dict[str, str]
    titles: ByLanguage


class Level(NamedTuple):
    """What stands before a title, and the level that the ATS shows with it."""

    prefix: str
    label: str | None = None


class Place(NamedTuple):
    """An address without its house number; the country as its two letters (ISO 3166)."""

    town: str
    state: str
    country: str
    zip_code: str
    street: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; msgspec refuses one that has anything else."""

    first_names: Words
    last_names: Words
    organizations: Words
    tools: dict[str, str]
    countries: dict[str, str]
    currencies: dict[str, str]
    departments: tuple[Department, ...]
    levels: dict[str, tuple[Level, ...]]
    suffixes: ByLanguage
    other_titles: ByLanguage
    places: dict[str, tuple[Place, ...]]
    headings: ByLanguage
    intros: ByLanguage
    tasks: ByLanguage
    requirements: ByLanguage
    benefits: ByLanguage
    stages: ByLanguage


_FILE: Final = msgspec.convert(tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8")), _File)

DEPARTMENTS: Final = _FILE.departments
LEVELS: Final = _FILE.levels
SUFFIXES: Final = _FILE.suffixes
"""What stands behind a title."""
OTHER_TITLES: Final = _FILE.other_titles
"""Titles that no department here hires for."""
PLACES: Final = _FILE.places
COUNTRIES: Final = _FILE.countries
"""Names by the two letters of a country."""
CURRENCIES: Final = _FILE.currencies
"""Codes (ISO 4217) by the two letters of a country; the euro elsewhere."""
HEADINGS: Final = _FILE.headings
INTROS: Final = _FILE.intros
"""First paragraphs, with {org}, {team}, {city} and {title} to be filled in."""
TASKS: Final = _FILE.tasks
REQUIREMENTS: Final = _FILE.requirements
BENEFITS: Final = _FILE.benefits
STAGES: Final = _FILE.stages
FIRST_NAMES: Final = _FILE.first_names
LAST_NAMES: Final = _FILE.last_names
ORGANIZATIONS: Final = _FILE.organizations
TOOLS: Final = _FILE.tools
"""Labels of ATSs by Kombo's names of them."""
