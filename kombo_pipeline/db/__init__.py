"""The warehouse: connections, schema, migrations, the views of marts; and the embedded Postgres of one machine."""
