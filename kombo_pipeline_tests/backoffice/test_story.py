"""The whole story through its front doors: from an imported own job to the notice that its applications must stop."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser

from kombo_pipeline.backoffice.statements import users
from kombo_pipeline.cli import main
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import receiver
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.orchestration import sensors
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.backoffice.conftest import PASSWORD, running_backoffice
from kombo_pipeline_tests.conftest import as_member
from kombo_pipeline_tests.linking.test_notices import SECRET, Product, product
from kombo_pipeline_tests.linking.test_notices import told as told_of_targets

__all__ = ["product"]


@pytest.fixture
def receiver_url(warehouse_url: str) -> Iterator[str]:
    """The receiver on a port of its own, with no more rights than it needs."""
    server = receiver.server(warehouse_url=as_member("kombo_receiver", warehouse_url), secrets=[WEBHOOK_SECRET])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/kombo"
        server.should_exit = True
        thread.join()


def until(condition: Callable[[], Any], *, within: float = 30) -> Any:
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
    return found


def test_from_an_imported_own_job_to_the_notice_that_its_applications_must_stop(  # noqa: PLR0917
    world: World,
    run: Callable[..., dg.ExecuteInProcessResult],
    conn: Connection,
    warehouse_url: str,
    receiver_url: str,
    product: Product,
    browser: Browser,
    hashed_password: str,
    dagster_instance: dg.DagsterInstance,
    tmp_path: Path,
) -> None:
    def run_what_is_due(sensor: Any) -> list[str]:
        """One tick of a sensor, and the runs that it asks for."""
        context = dg.build_sensor_context(instance=dagster_instance)
        result = sensor(context, warehouse=Warehouse())
        requests = result.run_requests or [] if isinstance(result, dg.SensorResult) else []
        for request in requests:
            assert run(request.partition_key, job=sensor.job_name).success
        return [request.partition_key for request in requests]

    def deliver_webhooks() -> None:
        """Send what Kombo announces to the receiver."""
        for hook in world.drain():
            answer = httpx.post(
                receiver_url, content=hook.body, headers={"X-Kombo-Signature": sign(WEBHOOK_SECRET, hook.body)}
            )
            assert answer.status_code == 200

    def targets() -> list[tuple[str, str]]:
        conn.rollback()
        rows = conn.execute("select own_job_id, kombo_job_id from marts.application_targets").fetchall()
        return [(row["own_job_id"], row["kombo_job_id"]) for row in rows]

    acme = world.add_integration(origin_id="acme", organization="Acme")
    job = world.open_job(acme, name="Senior Data Engineer (m/f/d)", visibility="PUBLIC", job_code=None)
    world.open_job(acme, name="Office Manager", visibility="PUBLIC", job_code=None)
    world.sync(acme)
    deliver_webhooks()
    assert run_what_is_due(sensors.webhook_sensor) == [acme]

    file = tmp_path / "own.csv"
    file.write_text("id,title\nown-1,Sr. Data Engineer\n")
    imported = CliRunner().invoke(main, ["import-own-jobs", str(file), "--customer", "acme"])
    assert imported.exit_code == 0, imported.output
    assert run_what_is_due(sensors.own_jobs_sensor) == [acme]
    [candidate] = conn.execute("select * from marts.match_candidates where rank = 1").fetchall()
    assert (candidate["own_job_id"], candidate["kombo_job_id"]) == ("own-1", job)
    assert targets() == []

    users.put_user(conn, "ana", role="reviewer", password_hash=hashed_password)
    conn.commit()
    notices = {"notice_url": product.url, "notice_secret": SECRET}
    with running_backoffice(as_member("kombo_backoffice", warehouse_url), **notices) as url:
        context = browser.new_context(base_url=url)
        page = context.new_page()
        page.goto("/review")
        page.get_by_label("Name").fill("ana")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_text("Sr. Data Engineer").first.wait_for()
        page.keyboard.press("y")
        until(lambda: targets() == [("own-1", job)])
        until(lambda: [kind for _, kind in product.events] == ["link.started"])

        world.set_status(acme, job, "CLOSED")
        world.sync(acme)
        deliver_webhooks()
        assert run_what_is_due(sensors.webhook_sensor) == [acme]
        assert targets() == []
        [link] = conn.execute("select state, reason, confirmed_by from marts.job_links").fetchall()
        assert link == {"state": "suspended", "reason": "closed", "confirmed_by": "ana"}
        until(lambda: [kind for _, kind in product.events] == ["link.started", "link.suspended"])
        [told] = [body for _, body in product.received if body["type"] == "link.suspended"]
        assert told["data"] | {"link_id": 0} == {
            "link_id": 0,
            "customer_id": "acme",
            "own_job_id": "own-1",
            "integration_id": acme,
            "kombo_job_id": job,
            "method": "title",
            "state": "suspended",
            "reason": "closed",
        }
        until(lambda: len(told_of_targets(product)) == 2)
        assert told_of_targets(product) == [("target.opened", "own-1"), ("target.closed", "own-1")]
        page.goto("/links")
        page.locator("main li, main td, main .chip").filter(has_text="closed").first.wait_for()
        context.close()
