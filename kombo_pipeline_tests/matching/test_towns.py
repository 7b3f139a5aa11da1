"""Which towns and areas texts name, and whether two jobs may be at one place."""

import pytest

from kombo_pipeline.matching.towns import can_be_one, read_location, read_title_towns


@pytest.mark.parametrize(
    ("text", "areas"),
    [
        ("Paris", {"fr"}),
        ("Paris, TX", {"us-tx"}),
        ("US-TX-Austin", {"us-tx"}),
        ("TX - Bay City", {"us-tx"}),
        ("67750 E Palm Canyon Dr, Cathedral City,CA 92234-5441", {"us-ca"}),
        ("Frankfurt (Oder)", {"de-11"}),
        ("Frankfurt am Main", {"de-05"}),
        ("Bahnhofstr. 5, Bonn", {"de-07"}),
        ("Berlin Mitte", {"de-16"}),
        ("Des Moines, IA Denver, CO", {"us-ia", "us-co"}),
        ("Wien / Graz", {"at"}),
        ("Werk 3", set()),
        ("5001 Madison Ave", set()),
        ("", set()),
    ],
)
def test_a_location_names_towns(text: str, areas: set[str]) -> None:
    assert {town.area for spot in read_location(text).spots for town in spot.towns} == areas


@pytest.mark.parametrize(
    "text", ["Multiple Locations", "13 Locations", "Berlin + 27 more", "verschiedene Standorte", "Berlin; Nowhereville"]
)
def test_a_location_that_leaves_a_place_open_contradicts_none(text: str) -> None:
    assert read_location(text).is_open
    assert can_be_one(read_location(text), read_location("Hamburg"))


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Verkäufer (m/w/d) in Garching", {"garching"}),
        ("Customer Service Rep (TX - Bay City)", {"bay city"}),
        ("Driver, Hudson, NC", set()),
        ("Account Executive New York", {"new york"}),
        ("Reading Specialist, Enterprise Mobile", set()),
        ("Barista, 5001 Madison Ave", set()),
        ("Sales Manager Germany", set()),
    ],
)
def test_a_title_names_a_town_only_where_it_is_no_other_word(title: str, names: set[str]) -> None:
    assert {spot.name for spot in read_title_towns(title)} == names
