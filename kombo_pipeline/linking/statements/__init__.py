"""Statements on candidates, links, decisions, exposure and notices; each takes a connection and never commits."""
