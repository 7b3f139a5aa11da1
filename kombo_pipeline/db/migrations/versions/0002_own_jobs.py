"""Jobs of your own database."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
