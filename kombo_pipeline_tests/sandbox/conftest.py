from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kombo_pipeline.sandbox.api import API_KEY
from kombo_pipeline.sandbox.server import Running, running
from kombo_pipeline.sandbox.world import World


class Api:
    """The sandbox over HTTP, as one integration unless told otherwise."""

    def __init__(self, sandbox: Running, integration_id: str) -> None:
        self.world, self.integration_id, self.origin = sandbox.world, integration_id, sandbox.origin
        headers = {"authorization": f"Bearer {API_KEY}", "x-integration-id": integration_id}
        self.http = httpx.Client(base_url=sandbox.url, headers=headers, timeout=5, verify=False)

    def get(self, **params: Any) -> httpx.Response:
        return self.http.get("/ats/jobs", params=params)

    def pages(self, **params: Any) -> list[list[dict[str, Any]]]:
        found, cursor = [], None
        for _ in range(500):
            answer = self.get(**params, **({"cursor": cursor} if cursor else {}))
            assert answer.status_code == 200, answer.text
            data = answer.json()["data"]
            found.append(data["results"])
            cursor = data["next"]
            if cursor is None:
                return found
        raise AssertionError("no end")

    def jobs(self, **params: Any) -> list[dict[str, Any]]:
        return [job for page in self.pages(page_size=250, **params) for job in page]

    def ids(self, **params: Any) -> set[str]:
        return {job["id"] for job in self.jobs(**params)}


@pytest.fixture
def world() -> World:
    """Standing still, seeded, one integration with forty jobs, no webhook pending."""
    world = World(seed=7)
    world.behaviour.rate_limit = None
    world.add_integration(jobs=40)
    world.drain()
    return world


@pytest.fixture
def integration_id(world: World) -> str:
    return world.integrations()[0]


@pytest.fixture
def api(world: World, integration_id: str) -> Iterator[Api]:
    with running(world) as sandbox:
        client = Api(sandbox, integration_id)
        with client.http:
            yield client
