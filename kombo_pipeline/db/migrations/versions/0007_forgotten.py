"""Integrations that must not come back."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
