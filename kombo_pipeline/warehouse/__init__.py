"""What is kept: schema, migrations, views, and every statement as a named function that never commits."""
