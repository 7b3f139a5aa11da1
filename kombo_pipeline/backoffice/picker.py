"""The job picker."""

from starlette.routing import Route

routes: list[Route] = []
