"""The warehouse explains itself: nothing in it is without a comment."""

from kombo_pipeline.db import catalog
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.ddl import comments


def everything(conn: Connection) -> dict[str, str | None]:
    schemas = conn.execute(
        "select nspname as name, obj_description(oid) as comment from pg_namespace "
        "where nspname in ('raw', 'core', 'marts')"
    )
    found = {row["name"]: row["comment"] for row in schemas}
    for relation in catalog.relations(conn):
        name = f"{relation.schema}.{relation.name}"
        found[name] = relation.comment
        for column in catalog.columns(conn, relation.schema, relation.name):
            found[f"{name}.{column.name}"] = column.comment
    return found


def test_every_schema_table_view_and_column_has_a_comment(conn: Connection) -> None:
    found = everything(conn)
    assert [name for name, comment in found.items() if not comment] == []
    assert len(found) > 100


def test_a_column_of_a_view_takes_the_comment_of_its_table_unless_it_has_its_own(conn: Connection) -> None:
    found = everything(conn)
    assert found["marts.open_jobs.job_code"] == found["core.jobs.job_code"]
    assert found["marts.job_stages.position"] == found["core.job_stages.position"]
    assert found["marts.jobs.data_as_of"] != found["core.integrations.kombo_last_sync_started_at"]


def test_the_comment_is_the_text_behind_the_name_quotes_included() -> None:
    ddl = (
        "create table raw.t ( -- A customer's row.\n    a text not null, -- It's a.\n    constraint c check (a > 0)\n);"
    )
    assert list(comments(ddl)) == [
        "comment on table raw.t is 'A customer''s row.'",
        "comment on column raw.t.a is 'It''s a.'",
    ]
