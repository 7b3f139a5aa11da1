"""The processes of `up`, started and stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kombo_pipeline.local.stack import Stack, ask
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
