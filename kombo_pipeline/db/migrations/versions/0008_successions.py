"""Integrations that take over from another of the same customer and tool."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
