"""How many webhooks a second the receiver commits, beside bare commits on the same Postgres in the same run.

Three measurements, one after the other: single-row commits from one connection with nothing around them,
deliveries from one keep-alive client, deliveries from many. The last two are whole HTTP requests, signed by a
client on the same machine, and are counted only when answered 2xx, that is once committed.

With `--limits`, the receiver runs beside one whose connections have no limits (uvicorn's own), in turn for some rounds:
what the limits cost is the median of the rounds' ratios.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import time
from collections.abc import Callable
from statistics import median, quantiles

import psycopg
import uvicorn

from benchmarks.lab import embedded_postgres, fresh_database, machine, table
from kombo_pipeline.ingest.receiver import KEEP_ALIVE_SECONDS, MAX_CONNECTIONS, app, serve
from kombo_pipeline.kombo.webhooks import sign

SECRET = "the-secret-of-the-benchmark"
INSERT = (
    "insert into raw.webhook_events (event_id, event_type, integration_id, body, payload, secret_index) "
    "values (%s, 'data-changed', %s, %s, %s, 0) on conflict do nothing"
)
INTEGRATION = "greenhouse:CBNMt7dSNCzBdnRTx87dev4E"
MODELS = [{"name": name} for name in ("ats_jobs", "ats_job_postings", "ats_users", "ats_application_stages")]


def event(event_id: str) -> bytes:
    """About 1 kB, as Kombo's samples are."""
    end_user = {"organization_name": "Acme, Inc.", "creator_email": "user@example.com", "origin_id": "36123"}
    data = {"integration_id": INTEGRATION, "changed_models": MODELS, "end_user": end_user}
    return json.dumps({"id": event_id, "type": "data-changed", "data": data}, indent=4).encode()


def bare_commits(warehouse_url: str, seconds: float) -> list[float]:
    """Latencies, in seconds, of single-row commits."""
    latencies = []
    with psycopg.connect(warehouse_url, autocommit=True) as conn:
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            event_id = f"bare {len(latencies)}"
            raw = event(event_id)
            conn.execute(INSERT, (event_id, INTEGRATION, raw, raw.decode()))
            latencies.append(time.perf_counter() - started)
    return latencies


async def deliveries(port: int, *, clients: int, seconds: float) -> list[float]:
    """Latencies, in seconds, of deliveries by clients that each wait for an answer before the next."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client(name: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = 0
        while time.perf_counter() < end:
            number += 1
            raw = event(f"{clients} clients from {end}, {name}, {number}")
            head = (
                "POST /webhooks/kombo HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\n"
                f"X-Kombo-Signature: {sign(SECRET, raw)}\r\nContent-Length: {len(raw)}\r\n\r\n"
            )
            started = time.perf_counter()
            writer.write(head.encode() + raw)
            status = await reader.readuntil(b"\r\n\r\n")
            latencies.append(time.perf_counter() - started)
            assert status.startswith(b"HTTP/1.1 200 "), status
        writer.close()

    await asyncio.gather(*(client(name) for name in range(clients)))
    return latencies


def serve_without_limits(*, warehouse_url: str, secrets: list[str], host: str, port: int) -> None:
    """The receiver's app on uvicorn as it comes."""
    config = uvicorn.Config(
        app(warehouse_url=warehouse_url, secrets=secrets),
        host=host,
        port=port,
        http="httptools",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    uvicorn.Server(config).run()


def cost_of_limits(warehouse_url: str, *, clients: int, seconds: float, rounds: int) -> list[list[object]]:
    """Deliveries a second with and without limits, and their ratio, by round; who begins alternates."""
    rows: list[list[object]] = []
    with running_receiver(warehouse_url) as ours, running_receiver(warehouse_url, serve_without_limits) as plain:
        for port in (ours, plain):
            asyncio.run(deliveries(port, clients=clients, seconds=1))
        for number in range(rounds):
            order = (ours, plain) if number % 2 else (plain, ours)
            rate = {
                port: len(asyncio.run(deliveries(port, clients=clients, seconds=seconds))) / seconds for port in order
            }
            rows.append([number + 1, f"{rate[ours]:,.0f}", f"{rate[plain]:,.0f}", rate[ours] / rate[plain]])
    ratio = median(float(str(row[-1])) for row in rows)
    return [*rows, ["median", "", "", ratio]]


@contextlib.contextmanager
def running_receiver(warehouse_url: str, serve: Callable[..., None] = serve):
    """The port of a receiver in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = {"warehouse_url": warehouse_url, "secrets": [SECRET], "host": "127.0.0.1", "port": port}
    process = multiprocessing.get_context("spawn").Process(target=serve, kwargs=arguments, daemon=True)
    process.start()
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)):
            assert process.is_alive()
            time.sleep(0.05)
    try:
        yield port
    finally:
        process.terminate()
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="length of each measurement")
    parser.add_argument("--clients", type=int, default=16, help="keep-alive clients of the last measurement")
    parser.add_argument("--limits", action="store_true", help="only compare with a server without limits")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of that comparison")
    options = parser.parse_args()
    print(machine())
    with embedded_postgres() as server:
        url = fresh_database(server, "warehouse")
        if options.limits:
            rows = cost_of_limits(url, clients=options.clients, seconds=options.seconds, rounds=options.rounds)
            print("\n## Receiver with and without limits on connections\n")
            print(table(["round", "with, events/s", "without, events/s", "ratio"], rows))
            return
        with running_receiver(url) as port:
            measured = {"bare commits, one connection": bare_commits(url, options.seconds)}
            for clients in (1, options.clients):
                latencies = asyncio.run(deliveries(port, clients=clients, seconds=options.seconds))
                measured[f"receiver, {clients} client{'s' * (clients > 1)}"] = latencies
        with psycopg.connect(url) as conn:
            [landed] = conn.execute("select count(*) from raw.webhook_events").fetchone()
    assert landed == sum(map(len, measured.values())), "acknowledged and landed differ"

    bare = len(next(iter(measured.values())))
    rows = []
    for name, latencies in measured.items():
        percentiles = quantiles(latencies, n=100)
        rate = f"{len(latencies) / options.seconds:,.0f}"
        rows.append([name, rate, percentiles[49] * 1000, percentiles[98] * 1000, len(latencies) / bare])
    print("\n## Receiver\n")
    print(table(["", "events/s", "p50 ms", "p99 ms", "to bare commits"], rows))


if __name__ == "__main__":
    main()
