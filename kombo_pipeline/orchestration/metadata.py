"""What a materialization or a check shows in Dagster's UI."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import dagster as dg

from kombo_pipeline.db import catalog
from kombo_pipeline.db.connection import Connection


def by_confidence(counts: Sequence[int]) -> dg.MetadataValue:
    """Return a table of own jobs by the confidence of their first candidate.

    `counts` are those of bins of equal width from 0 to 1.
    """
    bins = len(counts)
    rows = [
        {"confidence": f"{number / bins:.1f} to {(number + 1) / bins:.1f}", "own_jobs": count}
        for number, count in enumerate(counts)
    ]
    return table(rows, ("confidence", "own_jobs"))


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
