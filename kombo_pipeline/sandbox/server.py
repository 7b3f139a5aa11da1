"""The sandbox on a port: in the foreground, or beside a test."""

import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from kombo_pipeline.sandbox.api import API_KEY, build_app
from kombo_pipeline.sandbox.behaviour import Behaviour
from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.sandbox.control import control_routes
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET, Courier
from kombo_pipeline.sandbox.life import Life, populate
from kombo_pipeline.sandbox.postings import from_postings
from kombo_pipeline.sandbox.world import World

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers; `url` is the API's base, `origin` the server's."""

    url: str
    origin: str
    world: World


@contextmanager
def running(
    world: World,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    webhook_url: str | None = None,
    secret: str = WEBHOOK_SECRET,
    api_key: str = API_KEY,
    hosts: Sequence[str] = (),
) -> Iterator[Running]:
    """Serve a world in a thread while the block runs; port 0 picks a free one. Raises `OSError` if the port
    is taken.

    Webhooks are delivered if there is a URL, else they wait for `World.drain`.
    """
    listener = socket.create_server((host, port))
    server = _server(build_app(world, api_key=api_key, extra_routes=control_routes(world), hosts=hosts))
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox-server", daemon=True)
    thread.start()
    courier = _courier(world, webhook_url, secret) if webhook_url else None
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the sandbox server ended while starting")
            time.sleep(0.005)
        origin = f"http://{host}:{listener.getsockname()[1]}"
        yield Running(f"{origin}/v1", origin, world)
    finally:
        if courier:
            courier.stop()
        server.should_exit = True
        thread.join()
        listener.close()


def serve(
    world: World,
    *,
    host: str,
    port: int,
    webhook_url: str | None = None,
    secret: str = WEBHOOK_SECRET,
    api_key: str = API_KEY,
    life: Life | None = None,
    hosts: Sequence[str] = (),
) -> None:
    """Serve a world in the foreground until interrupted. Raises `OSError` if the port is taken, `ValueError` for
    what is no host name.
    """
    with socket.create_server((host, port)) as listener:
        app = build_app(world, api_key=api_key, extra_routes=control_routes(world, life), hosts=hosts)
        server = _server(app)
        courier = _courier(world, webhook_url, secret)
        if life:
            life.start()
        try:
            with suppress(KeyboardInterrupt):
                server.run([listener])
        finally:
            if life:
                life.stop()
            courier.stop()


def serve_sandbox(
    *,
    host: str,
    port: int,
    integrations: int,
    jobs: int,
    seed: int,
    latency_ms: float,
    faults: float,
    webhook_url: str | None,
    webhook_secret: str,
    api_key: str,
    postings: Path | str | None,
    live: bool,
    allow_host: Sequence[str],
) -> None:
    """`kombo-pipeline sandbox`: a world by seed, or of a postings file, served until interrupted.

    `jobs` is the total over all integrations, `faults` the rate of random faults (0 to 1); `live` lets jobs
    change, `allow_host` are names under which it is reached beside those of this machine. Raises `OSError` if the
    port is taken or the file is missing, `ValueError` if it is no postings file or no host name.
    """
    behaviour = Behaviour(latency_seconds=latency_ms / 1000, fault_rate=faults)
    world = World(seed, Clock(running=True), behaviour)
    if postings is not None:
        from_postings(world, postings)
    else:
        populate(world, integrations=integrations, jobs=jobs)
    serve(
        world,
        host=host,
        port=port,
        webhook_url=webhook_url,
        secret=webhook_secret,
        api_key=api_key,
        life=Life(world) if live else None,
        hosts=allow_host,
    )


def _server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _courier(world: World, url: str | None, secret: str) -> Courier:
    courier = Courier(world.due_webhooks, url=url, secret=secret, attempts=lambda: world.behaviour.webhook_attempts)
    courier.start()
    return courier
