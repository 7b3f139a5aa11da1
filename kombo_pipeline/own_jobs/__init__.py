"""The jobs of your own database: read from files and feeds, written to core.own_jobs."""
