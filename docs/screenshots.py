"""Takes docs/images from a running pipeline: `make screenshots`, or some: `make screenshots ARGS=assets`.

Starts `kombo-pipeline up` with a data directory of its own, lets the sandbox's customers change some jobs,
waits until the changes have arrived, and photographs the Dagster UI in the system's Chromium.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from playwright.sync_api import Page, sync_playwright

from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.sandbox.api import API_KEY

IMAGES = Path(__file__).parent / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PICTURES = ("backoffice", "materialization", "assets", "checks", "sensor")
WIDTH = 2080
"""Pixels: as wide as the table of changes needs."""
UP_WITHIN_SECONDS = 900
ARRIVES_WITHIN_MILLISECONDS = 300_000
LIVE_FOR_MILLISECONDS = 75_000


def main() -> None:
    """Write every picture, or those named; exit with a line when there is no browser or no pipeline comes up."""
    wanted = set(sys.argv[1:] or PICTURES)
    if unknown := wanted - set(PICTURES):
        sys.exit(f"No such picture: {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("No Chromium found; install it (Debian: apt-get install chromium)")
    IMAGES.mkdir(exist_ok=True)
    with pipeline() as (dagster, sandbox, sign_in), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=CHROMIUM_ARGUMENTS)
        page = chromium.new_page()
        page.set_default_timeout(ARRIVES_WITHIN_MILLISECONDS)
        integrations = [each["id"] for each in ask(sandbox)["integrations"]]
        wait_until_idle(dagster)
        if "backoffice" in wanted:
            take_backoffice(chromium.new_page(viewport={"width": 1280, "height": 860}), sign_in)
        if "materialization" in wanted:
            change_jobs(sandbox, integrations[1])
            take_materialization(page, dagster, integrations[1])
        if "assets" in wanted:
            take_assets(page, dagster)
        if "checks" in wanted:
            ask(f"{sandbox}/integrations/{integrations[2]}/sync", {"state": "PARTIALLY_FAILED"})
            take_checks(page, dagster)
        if "sensor" in wanted:
            ask(f"{sandbox}/live", {"action": "resume"})
            take_sensor(page, dagster)
        chromium.close()


@contextmanager
def pipeline() -> Iterator[tuple[str, str, str]]:
    """Run `kombo-pipeline up` for a block; yields the URLs of Dagster, the sandbox's control API and the sign-in."""
    data_dir = Path(tempfile.mkdtemp(prefix="kombo-pipeline-screenshots-"))
    data_dir.chmod(0o711)  # as root, Postgres runs under another account
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KOMBO_", "DAGSTER_"))}
    # A short overlap: the first minutes then look like any later hour, not like the first fetch told again.
    environment |= {"KOMBO_DATA_DIR": str(data_dir), "KOMBO_OVERLAP_SECONDS": "5"}
    command = [sys.executable, "-m", "kombo_pipeline", "up"]
    process = subprocess.Popen(command, env=environment, cwd=data_dir, stdout=subprocess.PIPE, text=True)
    try:
        yield addresses(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(data_dir, ignore_errors=True)


def addresses(process: "subprocess.Popen[str]") -> tuple[str, str, str]:
    """Wait until every integration has been fetched; return the addresses that `up` printed."""
    found: dict[str, str] = {}
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if line.startswith(("Dagster ", "Sandbox ", "Back office ")):
            name, address = line.rsplit(maxsplit=1)
            found[name] = address
            if name == "Sandbox":
                # Only what `change_jobs` does is to be seen.
                ask(f"{address}/live", {"action": "pause"})
        if line.startswith("Changes go on arriving"):
            return found["Dagster"], found["Sandbox"], found["Back office"]
        if time.monotonic() > deadline:
            break
    sys.exit("`kombo-pipeline up` did not come up")


def change_jobs(sandbox: str, integration_id: str) -> None:
    """Let a customer open, edit, close and delete a job in its ATS, and Kombo sync it."""
    jobs = f"{sandbox}/integrations/{integration_id}/jobs"
    with Kombo(api_url=sandbox.replace("/sandbox", "/v1"), api_key=API_KEY) as kombo:
        first_page = next(kombo.job_pages(integration_id))
    records = [msgspec.json.decode(record) for record in first_page.records]
    edited, closed, deleted = [record["id"] for record in records if record["status"] == "OPEN"][:3]
    ask(jobs, {"name": "Senior Data Engineer (m/f/d)", "status": "OPEN"})
    ask(f"{jobs}/{edited}/edit", {"weekly_hours": 32.0})
    ask(f"{jobs}/{closed}/close", {})
    ask(f"{jobs}/{deleted}/delete", {})
    ask(f"{sandbox}/integrations/{integration_id}/sync", {})


def take_backoffice(page: Page, sign_in: str) -> None:
    """The back office: a review card, the job picker, the integrations."""
    site = sign_in.partition("/login")[0]
    page.goto(sign_in)
    page.locator("main button[type=submit], main button").first.click()
    page.wait_for_url(f"{site}/review*")
    page.goto(f"{site}/review?why=candidates&order=informative")
    shoot(page, "review")
    page.goto(f"{site}/picker")
    page.locator("main a").first.click()
    page.wait_for_load_state("networkidle")
    shoot(page, "picker")
    page.goto(f"{site}/integrations")
    shoot(page, "integrations")


def take_materialization(page: Page, dagster: str, integration_id: str) -> None:
    """The newest materialization of `jobs` in one partition, with what changed."""
    page.set_viewport_size({"width": WIDTH, "height": 1700})
    partition = f"{dagster}/assets/jobs?view=partitions&partition={quote(integration_id)}"
    load_until(page, partition, "deleted")
    wait_until_idle(dagster)
    load_until(page, partition, "deleted")
    left = page.get_by_text("Metadata", exact=True).bounding_box()
    bottom = page.get_by_text("Tags", exact=True).bounding_box()
    assert left and bottom
    clip = {"x": left["x"] - 20, "y": 160, "width": WIDTH - left["x"] + 20, "height": bottom["y"] - 175}
    shoot(page, "materialization", clip=clip)


def take_assets(page: Page, dagster: str) -> None:
    """The asset graph, every check passed."""
    page.set_viewport_size({"width": 1620, "height": 720})
    fresh = f"{dagster}/assets/jobs?view=checks&checkDetail=every_integration_fresh"
    page.goto(fresh)
    page.locator("button").get_by_text("Execute", exact=True).click()
    page.get_by_text("Launched run").wait_for()
    load_until(page, fresh, "Passed")
    load_until(page, f"{dagster}/locations/kombo_pipeline/asset-groups/kombo_pipeline/lineage", "5 / 5 Passed")
    shoot(page, "assets", clip={"x": 240, "y": 0, "width": 1380, "height": 720})


def take_checks(page: Page, dagster: str) -> None:
    """The asset checks of `jobs`, one of which says who must act."""
    page.set_viewport_size({"width": 1240, "height": 700})
    healthy = f"{dagster}/assets/jobs?view=checks&checkDetail=sync_is_healthy"
    load_until(page, healthy, "PARTIALLY_FAILED")
    wait_until_idle(dagster)
    load_until(page, healthy, "PARTIALLY_FAILED")
    shoot(page, "checks")


def take_sensor(page: Page, dagster: str) -> None:
    """The ticks of the webhook sensor while customers change jobs by themselves."""
    page.set_viewport_size({"width": 1240, "height": 900})
    page.goto(f"{dagster}/locations/kombo_pipeline/sensors/webhook_sensor")
    page.wait_for_timeout(LIVE_FOR_MILLISECONDS)
    shoot(page, "sensor", clip={"x": 240, "y": 0, "width": 1000, "height": 545})


def load_until(page: Page, url: str, text: str) -> None:
    """Load a page anew until it shows a text: it does not always look for later results by itself."""
    deadline = time.monotonic() + ARRIVES_WITHIN_MILLISECONDS / 1000
    while True:
        page.goto(url)
        page.wait_for_timeout(4000)
        if page.get_by_text(text, exact=True).count():
            return
        if time.monotonic() > deadline:
            sys.exit(f"{url} does not show {text!r}")


def shoot(page: Page, name: str, *, clip: Any = None) -> None:
    """Save what the page shows once it has stopped moving."""
    page.wait_for_timeout(2000)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, clip=clip)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def wait_until_idle(dagster: str) -> None:
    """Wait until no run is queued or running."""
    unfinished = "{runsOrError(filter:{statuses:[QUEUED,NOT_STARTED,STARTING,STARTED]}){... on Runs{results{id}}}}"
    while ask(f"{dagster}/graphql", {"query": unfinished})["data"]["runsOrError"]["results"]:
        time.sleep(1)


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """Get JSON from a loopback address, or post JSON to it."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 -- our own addresses
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return json.load(response)


if __name__ == "__main__":
    main()
