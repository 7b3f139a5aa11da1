"""Statements that only the back office needs: its users, and what its pages show at a glance."""
