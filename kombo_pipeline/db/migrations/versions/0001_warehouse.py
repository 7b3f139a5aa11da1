"""Schemas raw, core and marts; integrations, events, fetches, pages, jobs and their history."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0001"
down_revision = None


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
