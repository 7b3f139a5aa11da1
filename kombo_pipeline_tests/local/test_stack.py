"""The processes of `up`, started and stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kombo_pipeline.local.stack import Stack

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
