"""Matches, candidates, links, a person's answers, exposed jobs, notices, and the people who answer."""

from pathlib import Path

from alembic import op

from kombo_pipeline.warehouse.ddl import execute

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
