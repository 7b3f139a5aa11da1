"""Events that could not be interpreted, refused deliveries, and identity by the newest event."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
