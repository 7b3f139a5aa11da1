"""Matches, candidates, links, answers, exposed jobs, notices, and the people of the back office."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
