import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombo_pipeline.matching.places import read_place
from kombo_pipeline.matching.titles import MAX_CHARACTERS, fold, read_title, stem

ANY_TEXT = st.text(max_size=300) | st.lists(
    st.sampled_from(
        ["Senior", "sr.", "(m/w/d)", "M/F", ":in", "/-frau", "Kaufmann", "full", "time", "JR", "12345", "#12", "&amp;",
         "wir suchen", "II", "2025", "new", "grad", "R-", "-", ",", "(", ")", "ab sofort", "C++", "ß", "İ", "\0", "🚀"]
    ),
    max_size=12,
).map(" ".join)  # fmt: skip


@given(ANY_TEXT)
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_and_the_core_of_a_core_is_itself(text):
    title = read_title(text)
    assert read_title(title.core).core == title.core
    assert " ".join(title.words) == title.core


@given(ANY_TEXT)
@settings(deadline=None)
def test_any_place_is_read(text):
    place = read_place(text)
    assert all(place.cities)
    assert place.words == {word for city in place.cities for word in city.split()}


@given(st.text())
def test_folding_and_stemming_are_idempotent(text):
    assert fold(fold(text)) == fold(text)
    assert stem(stem(text)) == stem(text)


@pytest.mark.parametrize(
    "title",
    [
        "Softwareentwickler (m/w/d)", "Softwareentwickler m/w/d", "Softwareentwickler (w|m|d)", "Softwareentwickler*in",
        "Softwareentwickler:innen (all genders)", "SoftwareentwicklerInnen", "Softwareentwickler (gn)",
        "Softwareentwickler_in (m/f/div.)", "Softwareentwickler/-in (männlich/weiblich/divers)",
        "Wir suchen: Softwareentwickler (m/w/x) ab sofort!", "🚀 Softwareentwickler gesucht",
        "Softwareentwickler - JR101277", "Softwareentwickler (R-59303)", "Softwareentwickler #2569",
        "Softwareentwickler (Vollzeit)", "SOFTWAREENTWICKLER &amp;", "Softwareentwickler (mwd) - Job-ID: 4711",
    ],
)  # fmt: skip
def test_what_does_not_tell_the_job_leaves_the_title(title):
    assert read_title(title).core == "softwareentwickler"


@pytest.mark.parametrize(
    ("title", "core"),
    [
        ("Kaufmann/-frau Einzelhandel", "kaufmann einzelhandel"),
        ("Développeur(se) H/F", "developpeur"),
        ("Vendeur/euse (f/h)", "vendeur"),
        ("Impiegato/a (m/f)", "impiegato"),
        ("Inżynier (K/M)", "inzynier"),
        ("Sales Manager (m/f/x)", "sales manager"),
        ("Angestellte/r", "angestellte"),
    ],
)
def test_german_french_italian_polish_and_english_gender_markers_go(title, core):
    assert read_title(title).core == core


def test_a_slash_between_other_things_is_no_gender_marker():
    assert read_title("HW/SW Engineer, A/B Testing").core == "hardware software engineer a b testing"


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("Sr. SW Eng.", "Senior Software Engineer"),
        ("Jr Dev", "Junior Developer"),
        ("Account Mgr", "Account Manager"),
        ("VP Ops", "Vice President Operations"),
        ("Internship Data", "Praktikum Data"),
        ("Engineer III", "Engineer 3"),
        ("New Grad Engineer", "University Graduate Engineer"),
    ],
)
def test_abbreviations_meet_what_they_stand_for(short, full):
    assert read_title(short).core == read_title(full).core


def test_marks_are_taken_out_of_the_title():
    title = read_title("Senior Data Engineer II, Summer 2025 (Part Time) - JR00123456")
    assert title.levels == {"senior"}
    assert title.numbers == {"2"}
    assert title.years == {"2025"}
    assert title.seasons == {"summer"}
    assert title.employment == {"part"}
    assert title.codes == {"123456"}


def test_languages_that_end_in_signs_keep_them():
    assert len({read_title(f"{name} Developer").core for name in ("C", "C++", "C#", ".NET")}) == 4


def test_a_title_of_markers_alone_keeps_them():
    assert read_title("Full Time").core == "full time"
    assert read_title("(m/w/d)").core == ""


def test_a_very_long_title_is_read_as_far_as_the_limit():
    assert read_title("a " * 5000).core == read_title(("a " * 5000)[:MAX_CHARACTERS]).core


@pytest.mark.parametrize(
    ("left", "right"),
    [("München", "80331 Munich, Germany"), ("NYC", "New York City, New York"), ("NY - Plainview", "Plainview, NY"),
     ("Remote in USA; Santa Clara, CA", "Santa Clara"), ("Frankfurt am Main", "Frankfurt (Main), Hessen")],
)  # fmt: skip
def test_spellings_of_a_place_meet(left, right):
    assert read_place(left).cities & read_place(right).cities


def test_a_list_of_places_that_lost_its_line_breaks_is_split():
    assert read_place("Des Moines, IA Denver, CO").cities == {"des moines", "denver"}
