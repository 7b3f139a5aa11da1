"""Limits of what own jobs hold."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0013"
down_revision = "0012"
oldest_code = "0008"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
