"""Alembic's entry point: runs on the connection that db/migrate.py hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    version_table_schema=context.config.attributes["version_table_schema"],
    transaction_per_migration=False,
)
context.run_migrations()
