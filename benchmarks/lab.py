"""What the benchmarks share: a Postgres, a sandbox in a process of its own, contenders in processes, CPU seconds."""

import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from kombo_pipeline.db import embedded
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.sandbox.behaviour import Behaviour
from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.sandbox.server import serve
from kombo_pipeline.sandbox.world import World

API_KEY = "sandbox-key"


@dataclass(frozen=True)
class Measured:
    """One run of a contender: seconds of wall and CPU (its own and Postgres's), peak memory in MB."""

    wall: float
    cpu: float
    postgres_cpu: float
    peak_mb: float
    result: dict[str, Any]

    @property
    def cpu_sum(self) -> float:
        return self.cpu + self.postgres_cpu


@contextmanager
def embedded_postgres() -> Iterator[embedded.Server]:
    """A server of the benchmark's own, set up as `kombo-pipeline up` sets it up."""
    directory = Path(tempfile.mkdtemp(prefix="kombo-pipeline-bench-"))
    directory.chmod(0o711)
    try:
        yield embedded.ensure(directory / "postgres")
    finally:
        embedded.stop(directory / "postgres")
        shutil.rmtree(directory, ignore_errors=True)


def fresh_database(server: embedded.Server, name: str, *, migrated: bool = True) -> str:
    """Drop and create a database; return its URL."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"drop database if exists {name} with (force)")
        admin.execute(f"create database {name}")
        admin.execute("checkpoint")
    if migrated:
        migrate(server.url(name))
    return server.url(name)


@contextmanager
def sandbox(jobs: int, *, integrations: int = 1, port: int) -> Iterator["Sandbox"]:
    """A sandbox in its own process, its pages rendered before anybody measures."""
    context = multiprocessing.get_context("spawn")
    ready, commands = context.Queue(), context.Queue()
    process = context.Process(target=_serve, args=(jobs, integrations, port, ready, commands), daemon=True)
    process.start()
    try:
        yield Sandbox(f"http://127.0.0.1:{port}/v1", ready.get(timeout=600), commands, ready)
    finally:
        process.terminate()
        process.join()


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox and the means to change its jobs."""

    url: str
    integration_ids: list[str]
    commands: Any
    answers: Any

    def change(self, jobs: int) -> None:
        """Change this many jobs of the first integration: 78 % a field, 20 % a nested entry, 2 % deleted."""
        self.commands.put(jobs)
        self.answers.get(timeout=120)


def _serve(jobs: int, integrations: int, port: int, ready: Any, commands: Any) -> None:
    import threading

    world = World(7, Clock(running=True), behaviour=Behaviour(rate_limit=None))
    ids = [world.add_integration(jobs=jobs // integrations) for _ in range(integrations)]
    generation = 0

    def obey() -> None:
        nonlocal generation
        while True:
            count = commands.get()
            generation += 1
            jobs = world.ats_jobs(ids[0])
            start = generation * count % (len(jobs) - count)
            chosen = jobs[start : start + count]
            for number, job_id in enumerate(chosen):
                if number % 50 == 0:
                    world.delete_job(ids[0], job_id)
                elif number % 5 == 0:
                    world.add_nested(ids[0], job_id, "job_postings", title=f"Changed {generation}")
                else:
                    world.edit_job(ids[0], job_id, name=f"Changed title {generation}/{number}")
            world.sync(ids[0])
            ready.put(len(chosen))

    def announce() -> None:
        import urllib.request

        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/sandbox", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)
        ready.put(ids)
        obey()

    threading.Thread(target=announce, daemon=True).start()
    serve(world, host="127.0.0.1", port=port)


def measure(server: embedded.Server, module: str, *arguments: str, python: str = sys.executable) -> Measured:
    """Run `python -m module --contender ...` and return what it measured of itself, with Postgres's CPU beside it."""
    before = postgres_cpu(server)
    done = subprocess.run(
        [python, "-m", module, "--contender", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        raise RuntimeError(f"{module} {arguments} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Measured(told["wall"], told["cpu"], postgres_cpu(server) - before, told["peak_mb"], told["result"])


def report(work: Callable[[], dict[str, Any]]) -> None:
    """In a contender's process: do the work, print its wall, CPU and peak memory as JSON on the last line."""
    usage = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    result = work()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(new.ru_utime + new.ru_stime - old.ru_utime - old.ru_stime for old, new in zip(usage, after, strict=True))
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_mb": after[0].ru_maxrss / scale, "result": result}))


def postgres_cpu(server: embedded.Server) -> float:
    """CPU seconds that Postgres has used so far, in processes that live and that have ended."""
    with psycopg.connect(server.url("postgres")) as conn:
        row = conn.execute("select pg_backend_pid()").fetchone()
    assert row is not None
    postmaster = next(
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(server.data_dir) in part for part in process.info["cmdline"] or []) and _is_postmaster(process)
    )
    times = []
    for process in postmaster.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile: the postmaster counts it
            times.append(process.cpu_times())
    own = postmaster.cpu_times()
    return sum(t.user + t.system for t in times) + own.user + own.system + own.children_user + own.children_system


def _is_postmaster(process: psutil.Process) -> bool:
    parent = process.parent()
    return "postgres" in process.name() and (parent is None or "postgres" not in parent.name())


def median(values: list[float]) -> float:
    return statistics.median(values)


def table(header: list[str], rows: list[list[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def machine() -> str:
    """One line on what this ran on."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = found[0].split(":")[1].strip() if found else model
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Python {sys.version.split()[0]}, load {load:.1f}"


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
