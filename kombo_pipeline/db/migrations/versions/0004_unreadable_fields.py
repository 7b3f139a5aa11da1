"""Fields of a job that could not be read, and the share of odd records of an integration."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
