"""Links know themselves that a person should look at them again, so that the queue need not read the wide jobs."""

from pathlib import Path

from alembic import op

from kombo_pipeline.warehouse.ddl import execute

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    execute(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
