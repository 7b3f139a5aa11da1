"""Integrations at a glance."""

from starlette.routing import Route

routes: list[Route] = []
