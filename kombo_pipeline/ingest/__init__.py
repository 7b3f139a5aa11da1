"""From a webhook or a page of Kombo to current jobs: land, interpret, fetch, apply. Runs anywhere with a connection."""
