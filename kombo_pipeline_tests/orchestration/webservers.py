"""A Dagster webserver as the command serves it, with the project loaded."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

PROJECT = Path(__file__).parents[2]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def running_webserver(home: Path, **environment: str) -> Iterator[str]:
    """Without a daemon: what is started stays queued. `home` is its DAGSTER_HOME, and holds its log."""
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\nnux: {enabled: false}\n"
        "run_coordinator: {module: dagster.core.run_coordinator, class: QueuedRunCoordinator}\n"
    )
    (home / "workspace.yaml").write_text(
        "load_from:\n  - python_module: {module_name: kombo_pipeline.definitions, location_name: kombo_pipeline}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kombo_pipeline", "webserver", "--port", str(port), "-w", home / "workspace.yaml"],
            env=os.environ | {"DAGSTER_HOME": str(home), "PYTHONPATH": str(PROJECT)} | environment,
            cwd=home,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not answers(url):
            assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        assert process.wait(30) == 0, (home / "log").read_text()
