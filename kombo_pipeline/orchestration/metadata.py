"""What a materialization or a check shows in Dagster's UI."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime

import dagster as dg

from kombo_pipeline.db import catalog
from kombo_pipeline.db.connection import Connection


def histogram(counts: Sequence[int]) -> str:
    """Return a bar chart as Markdown with an inline SVG: own jobs by the confidence of their first candidate.

    `counts` are those of bins of equal width from 0 to 1.
    """
    most, width, height = max([1, *counts]), 30, 90
    bars = []
    for number, count in enumerate(counts):
        tall = round(count / most * height, 1)
        x = number * width
        bars.append(
            f'<rect x="{x + 2}" y="{height + 14 - tall}" width="{width - 4}" height="{tall}" fill="#4f6bed"/>'
            f'<text x="{x + width / 2}" y="{height + 10 - tall}" text-anchor="middle">{count}</text>'
            f'<text x="{x + width / 2}" y="{height + 28}" text-anchor="middle">{number / len(counts):.1f}</text>'
        )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * len(counts)}" height="{height + 34}" '
        f'font-family="sans-serif" font-size="10" fill="#444">{"".join(bars)}</svg>'
    )
    picture = base64.b64encode(svg.encode()).decode()
    return f"![own jobs by confidence: {list(counts)}](data:image/svg+xml;base64,{picture})"


def table(rows: Sequence[object], columns: Sequence[str]) -> dg.MetadataValue:
    """Return rows (objects with these attributes, or mappings) as a table for the Dagster UI; null becomes empty."""
    return dg.MetadataValue.table(
        [dg.TableRecord({name: _cell(row, name) for name in columns}) for row in rows],
        dg.TableSchema([dg.TableColumn(name, "string") for name in columns]),
    )


def _cell(row: object, name: str) -> str:
    value = row[name] if isinstance(row, Mapping) else getattr(row, name)
    return "" if value is None else str(value)


def column_schema(conn: Connection, schema: str, table: str) -> dg.TableSchema:
    """Return the columns of a table or view with their comments, as the UI's column schema."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                column.type,
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in catalog.columns(conn, schema, table)
        ]
    )


def moment(value: datetime | None) -> dg.MetadataValue | str:
    """Return an instant as the UI shows it; the word none for none."""
    return dg.MetadataValue.timestamp(value) if value else "none"


def kombo_log(log_url: str | None) -> dict[str, dg.MetadataValue]:
    """Return the entry that leads to Kombo's log of a call or a sync, if there is one."""
    return {"kombo_log": dg.MetadataValue.url(log_url)} if log_url else {}
