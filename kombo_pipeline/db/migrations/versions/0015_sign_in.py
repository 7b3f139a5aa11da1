"""Attempts to sign in, counted for all processes of the back office."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0015"
down_revision = "0014"
oldest_code = "0008"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
