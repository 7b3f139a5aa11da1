"""Own jobs by HTTP."""

from starlette.routing import Route

routes: list[Route] = []
