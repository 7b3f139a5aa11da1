"""Which codes are the same, what a code looks like, and when it is believed."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombo_pipeline.matching.codes import MANY_JOBS, Kind, canonical_code, habits, kind_of, why_not_believed
from kombo_pipeline.matching.identifiers import AtsIdentity, OwnIdentity, decide

SAME = [
    ("4711", "4711.0"), ("4711", "4711,0"), ("4711", "04711"), ("4711", " 4711 "), ("4711", "４７１１"),
    ("4711", "#4711"), ("4711", "Stellennummer 4711"), ("4711", "Stellen-Nr. 4711"), ("4711", "Stellen-ID: 4711"),
    ("4711", "Vakanz 4711"), ("4711", "Vakanznummer: 4711"), ("4711", "VAC-4711"), ("4711", "REQ-4711"),
    ("4711", "Req 4711"), ("4711", "Req. ID 4711"), ("4711", "Ref 4711"), ("4711", "Ref. 4711"),
    ("4711", "Ref.-Nr.: 4711"), ("4711", "Referenznummer 4711"), ("4711", "Job ID 4711"), ("4711", "Job-ID: 4711"),
    ("4711", "JobID4711"), ("4711", "Job Code 4711"), ("4711", "JR4711"), ("4711", "R-4711"),
    ("4711", "Kennziffer 4711"), ("4711", "Kennziffer: 4711"), ("4711", "n° 4711"), ("4711", "Nº 4711"),
    ("4711", "No. 4711"), ("4711", "Référence 4711"), ("4711", "réf. n° 4711"), ("4711", "Código 4711"),
    ("4711", "Requisition 4711"), ("4711", "vacature 4711"), ("4711", "Vacaturenummer 4711"),
    ("4711", "codice 4711"), ("4711", "Position ID 4711"), ("R-12345", "r-12345"), ("R-12345", "R_12345"),
    ("R-12345", "R12345"), ("R-12345", "r 12345"), ("REQ-0012", "req 12"), ("ENG-2026-041", "eng/2026/41"),
    ("ENG-2026-041", "ENG 2026 041"), ("2024/4711", "2024-4711"), ("R25_173", "r25 173"), ("REF4711K", "ref4711k"),
    ("Stellennummer REQ 4711", "REQ-4711"), ("Stellennummer 4711", "VAC-4711"), ("a7f3k9d2", "A7F3K9D2"),
]  # fmt: skip
DIFFERENT = [
    ("R25_173", "R26_173"), ("R25_173", "173"), ("R25_173", "R-173"), ("R-2026-13", "R-2026-12"),
    ("R-2026-13", "13"), ("2024/1712", "2025/1712"), ("2024/1712", "1712"), ("4711", "4711.1"), ("4711", "4711-1"),
    ("4711-1", "4711-2"), ("4711", "47110"), ("4711", "14711"), ("4711", "47 11"), ("12-034", "12034"),
    ("1-2345", "12-345"), ("REQ-4711", "VAC-4711"), ("REQ-4711", "JR-4711"), ("R-4711", "J-4711"),
    ("ENG-4711", "HR-4711"), ("ENG-4711", "4711"), ("DE-4711", "FR-4711"), ("4711A", "4711B"), ("4711", "4711A"),
    ("REF4711K", "REF4711L"), ("REF4711K", "4711"), ("ENG-2026-041", "ENG-2025-041"), ("ENG-2026-041", "ENG-041"),
    ("7,44E+14", "7,44E+14"), ("7.44E+14", "744"), ("1E+05", "100000"), ("4711.0", "47110"), ("4711,50", "4711"),
    ("Stelle 4711 Bonn", "4711"), ("Kennziffer 4711", "Kennziffer 4712"), ("a7f3k9d2", "a7f3k9d3"),
    ("#REF!", "#REF!"), ("#N/A", "#N/A"), ("########", "########"),
]  # fmt: skip
PLACEHOLDERS = [
    "TBD", "tbd.", "T.B.D.", "n.a.", "N/A", "n/a", "NA", "k.A.", "keine Angabe", "offen", "noch offen", "unbekannt",
    "folgt", "wird nachgereicht", "entfällt", "none", "NULL", "nil", "unknown", "undefined", "not applicable",
    "to be defined", "open", "a determinar", "por definir", "pendiente", "sin código", "s/n", "à définir", "aucun",
    "néant", "da definire", "nessuno", "n.v.t.", "nader te bepalen", "geen", "nie dotyczy", "ej tillämpligt",
    "saknas", "não aplicável", "не указано", "なし", "无", "xxx", "XXXX", "x", "aaa", "0", "000", "0000", "REQ-0000",
    "9999", "99999", "test", "TEST1", "test-12", "demo", "dummy", "sample", "muster", "-", "---", "/", ".", "?",
    "tbd 1", "abc", "asdf", "initiativ", "Initiativbewerbung", "diverse", "7,44E+14", "7.44E+14", "1E+05", "#REF!",
    "#N/A", "########", "",
]  # fmt: skip
WORDS = ["PFK", "SWE", "Engineer", "Pflegefachkraft", "SALES", "Night Nurse", "IT", "Kaufmännisch"]
SHORT = ["12", "7", "123", "1234", "12345", "R1", "SALES01", "PFK 2", "E13", "L4", "2026",
    "2025/26", "01.10.2025", "2026-11-28",
         "20261001", "10/2025", "111", "1111"]  # fmt: skip
NUMBERS = ["4711", "0012", "R-12", "REQ-0001", "JR12", "VAC-77", "R25_173", "R-2026-13",
    "ENG-2026-0041", "744000012345678",
           "A7F3K9", "REF4711K", "5ac21346-8e0c-4494-8e7a-3eb92ff77902", "12-034", "2026-4711"]  # fmt: skip


def meet(own: str, ats: str) -> bool:
    return bool(decide([OwnIdentity("1", job_code=own)], [AtsIdentity("A", job_code=ats)]).links)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_code_meet(one: str, other: str) -> None:
    assert meet(one, other)
    assert meet(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_codes_do_not_meet(one: str, other: str) -> None:
    assert not meet(one, other)
    assert not meet(other, one)


@pytest.mark.parametrize("code", PLACEHOLDERS)
def test_a_placeholder_names_nothing_however_the_codes_of_the_customer_behave(code: str) -> None:
    assert kind_of(code) is Kind.PLACEHOLDER
    ats = [AtsIdentity(str(n), job_code=f"{n}") for n in range(1, 60)]
    words = [AtsIdentity(f"w{n}", job_code=f"w{chr(97 + n)}") for n in range(26)]
    found = decide([OwnIdentity("1", job_code=code)], [*ats, *words, AtsIdentity("A", job_code=code)])
    assert (found.links, found.reviews) == ((), ())


@pytest.mark.parametrize(
    ("code", "kind"),
    [(c, Kind.WORD) for c in WORDS] + [(c, Kind.SHORT) for c in SHORT] + [(c, Kind.NUMBER) for c in NUMBERS],
)
def test_what_a_code_looks_like(code: str, kind: Kind) -> None:
    assert kind_of(code) is kind
    found = decide([OwnIdentity("1", job_code=code)], [AtsIdentity("A", job_code=code)])
    assert len(found.links) == (kind is Kind.NUMBER)
    assert len(found.reviews) == (kind is not Kind.NUMBER)


def believed(own: list[str], ats: list[str], code: str) -> bool:
    def counted(codes: list[str]) -> list[tuple[str, int]]:
        return [(each, codes.count(each)) for each in dict.fromkeys(codes)]

    return why_not_believed(code, habits(counted(own), counted(ats))) is None


def test_short_numbers_are_believed_where_all_of_them_behave_like_identifiers() -> None:
    distinct = [str(n) for n in range(1, MANY_JOBS + 1)]
    assert believed(["7"], distinct, "7")
    assert not believed(["7"], distinct[:-1], "7"), "too few jobs to know"
    assert not believed(["7"], [str(n % 3 + 1) for n in range(60)], "3"), "values that many jobs share"
    assert not believed([str(n % 3 + 1) for n in range(60)], distinct, "3"), "own jobs share them"
    assert not believed(["7"], [*distinct, "7", "7"], "7"), "one value more than is usual"


def test_two_values_over_many_jobs_are_never_identifiers() -> None:
    for values in (["1", "2"], ["PFK", "ARZT"], ["10010", "20020"]):
        assert not believed([], [values[n % 2] for n in range(40)], values[0])


def test_words_do_not_become_identifiers_because_numbers_behave() -> None:
    numbers = [f"R-{n}" for n in range(1000, 1100)]
    assert not believed(["SWE"], [*numbers, "SWE"], "SWE")
    assert believed(["SWE"], [*numbers, "SWE"], "R-1001")


def test_a_code_that_is_advertised_in_two_places_leaves_the_others_believed() -> None:
    codes = [f"R-{n}" for n in range(1000, 1100)] + [f"R-{n}" for n in range(1000, 1030)]
    assert believed([], codes, "R-1050")


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_has_a_kind_and_its_canonical_form_is_its_own(code: str) -> None:
    kind_of(code)
    form = canonical_code(code)
    assert form is None or canonical_code(form) == form


def test_a_code_of_any_length_is_read_in_no_time() -> None:
    for code in ("1" * 100_000, "a1" * 50_000, "Job ID " * 15_000, "0" * 100_000, "1," * 50_000, "-" * 100_000):
        started = time.monotonic()
        meet(code, code)
        assert time.monotonic() - started < 1
