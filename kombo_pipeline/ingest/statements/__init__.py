"""Statements on the tables of raw and on jobs and integrations of core; each takes a connection and never commits."""
