"""The processes of `up`, started and stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kombo_pipeline.local.stack import Process, Stack, StackError, ask
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World

FOR_EVER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_an_interruption_at_the_very_start_of_a_process_leaves_none_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    stack = Stack(tmp_path)
    try:
        with pytest.raises(KeyboardInterrupt):
            stack.start("sleeper", FOR_EVER, environment=os.environ, is_ready=lambda: True)
        stack.stop()
        assert [process.poll() for process in started] == [-signal.SIGTERM]
    finally:
        for process in started:
            process.kill()


def test_what_up_asks_of_the_sandbox_is_answered() -> None:
    world = World(seed=7)
    integration_id = world.add_integration(jobs=2)
    with running(world) as sandbox:
        assert ask(f"{sandbox.origin}/sandbox") == 200
        assert ask(f"{sandbox.origin}/sandbox/integrations/{integration_id}/sync", method="POST") == 200


def revived(stack: Stack, process: Process, *, times: int, alive_for: float) -> None:
    """Have a process end so many times, each time so many seconds after its start."""
    for _ in range(times):
        assert process.handle is not None
        process.handle.kill()
        process.handle.wait()
        process.started_at -= alive_for
        assert stack.revive() == ["sleeper"]


def test_what_is_killed_at_work_is_started_again_as_often_as_it_is_killed(sleeping: tuple[Stack, Process]) -> None:
    revived(*sleeping, times=10, alive_for=20)


def test_what_ends_at_each_start_is_given_up_and_its_log_named(sleeping: tuple[Stack, Process]) -> None:
    with pytest.raises(StackError, match=r"sleeper ends at each start; .*sleeper\.log"):
        revived(*sleeping, times=10, alive_for=0)


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[tuple[Stack, Process]]:
    """A process that goes on for ever."""
    stack = Stack(tmp_path)
    try:
        stack.start("sleeper", FOR_EVER, environment=os.environ, is_ready=lambda: True)
        yield stack, stack.processes[0]
    finally:
        stack.stop()
