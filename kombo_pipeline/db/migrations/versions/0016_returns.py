"""Refused closures whose jobs came back, and own jobs that are withdrawn while a link is made."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0016"
down_revision = "0015"
oldest_code = "0008"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
