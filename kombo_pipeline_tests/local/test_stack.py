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


def revived(stack: Stack, process: Process, *, times: int, by: signal.Signals) -> None:
    """Have a process end so many times by a signal."""
    for _ in range(times):
        assert process.handle is not None
        process.handle.send_signal(by)
        process.handle.wait()
        assert stack.revive() == ["sleeper"]


def test_what_is_killed_is_started_again_as_often_as_it_is_killed(sleeping: tuple[Stack, Process]) -> None:
    revived(*sleeping, times=10, by=signal.SIGKILL)


def test_what_keeps_ending_is_given_up_and_its_log_named(sleeping: tuple[Stack, Process]) -> None:
    with pytest.raises(StackError, match=r"sleeper keeps ending; .*sleeper\.log"):
        revived(*sleeping, times=10, by=signal.SIGTERM)


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[tuple[Stack, Process]]:
    """A process that goes on for ever."""
    stack = Stack(tmp_path)
    try:
        stack.start("sleeper", FOR_EVER, environment=os.environ, is_ready=lambda: True)
        yield stack, stack.processes[0]
    finally:
        stack.stop()
