"""Webhooks: signed, delivered, lost, doubled and late."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kombo_pipeline.kombo.webhooks import verify
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET, deliver
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World


@contextmanager
def receiver(*, statuses=(200,)):
    """Keeps what is delivered; answers with each status in turn, the last one for ever."""
    received, arrived = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.headers["x-kombo-signature"], body))
            self.send_response(statuses[min(len(received), len(statuses)) - 1])
            self.end_headers()
            arrived.set()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/webhooks/kombo", received, arrived
    finally:
        server.shutdown()
        server.server_close()


def syncs(world, integration_id, number):
    for _ in range(number):
        world.sync(integration_id)
    return world.drain()


def test_a_delivery_is_signed_over_its_very_bytes(world, integration_id):
    (webhook,) = syncs(world, integration_id, 1)
    with receiver() as (url, received, _):
        assert deliver(webhook, url) == 200
    ((signature, body),) = received
    assert body == webhook.body
    assert b", " not in body.split(b'"end_user"')[0]
    assert verify([WEBHOOK_SECRET], body, signature) == 0


def test_a_pretty_body_is_signed_as_sent(world, integration_id):
    world.behaviour.webhook_pretty = True
    (webhook,) = syncs(world, integration_id, 1)
    assert webhook.body.startswith(b'{\n  "id": "')
    with receiver() as (url, received, _):
        deliver(webhook, url)
    assert verify([WEBHOOK_SECRET], received[0][1], received[0][0]) == 0


def test_a_bad_signature_does_not_verify(world, integration_id):
    world.behaviour.webhook_bad_signature_rate = 1.0
    (webhook,) = syncs(world, integration_id, 1)
    with receiver() as (url, received, _):
        deliver(webhook, url)
    assert verify([WEBHOOK_SECRET], received[0][1], received[0][0]) is None


def test_a_delivery_is_tried_once_unless_told_otherwise(world, integration_id):
    (webhook,) = syncs(world, integration_id, 1)
    with receiver(statuses=(503, 200)) as (url, received, _):
        assert deliver(webhook, url) == 503
        assert len(received) == 1
    with receiver(statuses=(503, 200)) as (url, received, _):
        assert deliver(webhook, url, attempts=3) == 200
        assert len(received) == 2


def test_nobody_listening_is_no_error(world, integration_id):
    (webhook,) = syncs(world, integration_id, 1)
    assert deliver(webhook, "http://127.0.0.1:9/webhooks/kombo") is None


def test_a_served_world_delivers_by_itself(world, integration_id):
    with receiver() as (url, received, arrived), running(world, webhook_url=url, secret="other-secret"):
        world.sync(integration_id)
        assert arrived.wait(5)
    assert verify(["other-secret"], received[0][1], received[0][0]) == 0


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 20), (1.0, 0)])
def test_webhooks_get_lost_at_their_rate(world, integration_id, rate, expected):
    world.behaviour.webhook_loss_rate = rate
    assert len(syncs(world, integration_id, 20)) == expected


def test_a_duplicate_has_the_same_id_and_body(world, integration_id):
    world.behaviour.webhook_duplicate_rate = 1.0
    first, second = syncs(world, integration_id, 1)
    assert (first.event_id, first.body) == (second.event_id, second.body)


def test_delayed_webhooks_overtake_each_other_and_wait_for_the_clock(world, integration_id):
    world.behaviour.webhook_delay_seconds = 60
    sent = [world.sync(integration_id).sync_id for _ in range(10)]
    arrived = []
    for _ in range(60):
        due = world.due_webhooks()
        assert all(webhook.due_at <= world.clock.now() for webhook in due)
        arrived += [webhook.payload["data"]["sync_id"] for webhook in due]
        world.clock.advance(timedelta(seconds=1))
    arrived += [webhook.payload["data"]["sync_id"] for webhook in world.due_webhooks()]
    assert set(arrived) == set(sent)
    assert arrived != sent


def test_event_ids_differ_and_repeat_by_seed():
    def ids():
        world = World(seed=5)
        world.add_integration(jobs=1)
        return [webhook.event_id for webhook in world.drain()]

    assert ids() == ids()
    assert len(set(ids())) == len(ids()) == 4
