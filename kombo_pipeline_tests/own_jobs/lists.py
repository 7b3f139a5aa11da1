"""Lists of own jobs as tests write them, and what is read of them."""

import io
import json
from collections.abc import Sequence
from typing import Any

import openpyxl

from kombo_pipeline.own_jobs.files import BadRow
from kombo_pipeline.own_jobs.reading import COLUMNS, OwnJob, read


def rows(content: Any, **options: Any) -> list[OwnJob | BadRow]:
    """Everything that is read of bytes, a text, or a value that is written as JSON."""
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    return list(read(io.BytesIO(content), **options))


def jobs(content: Any, **options: Any) -> list[OwnJob]:
    return [row for row in rows(content, **options) if isinstance(row, OwnJob)]


def bad(content: Any, **options: Any) -> list[BadRow]:
    return [row for row in rows(content, **options) if isinstance(row, BadRow)]


def told(content: Any, **options: Any) -> list[dict[str, Any]]:
    """Of each job what the list tells of it."""
    return [
        {column: value for column in COLUMNS if (value := getattr(job, column)) not in (None, "")}
        for job in jobs(content, **options)
    ]


def workbook(*sheets: tuple[str, Sequence[Sequence[Any]]], formats: dict[str, str] | None = None) -> bytes:
    """A workbook with these sheets; `formats` are number formats of cells of the first one."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for title, values in sheets:
        sheet = book.create_sheet(title)
        for row in values:
            sheet.append(list(row))
    for cell, form in (formats or {}).items():
        book.worksheets[0][cell].number_format = form
    stored = io.BytesIO()
    book.save(stored)
    return stored.getvalue()
