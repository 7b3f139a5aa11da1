"""From Kombo's pages to current jobs: fetch, decode, apply, lifecycle, health. Runs anywhere with a connection."""
