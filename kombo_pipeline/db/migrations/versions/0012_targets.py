"""What the product is told: targets, exposures and connections beside links, in one outbox."""

from pathlib import Path

from alembic import op

from kombo_pipeline.db.ddl import execute

revision = "0012"
down_revision = "0011"
oldest_code = "0008"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
