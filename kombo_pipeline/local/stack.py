"""The processes of `kombo-pipeline up`: started in order, watched, restarted when they die, stopped together."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 10
_ENDS_A_MINUTE = 5


class StackError(RuntimeError):
    """A process of the stack does not come up; the message names it, its log and what the log ends with."""


@dataclass
class Process:
    """A process of the stack."""

    name: str
    argv: list[str]
    environment: Mapping[str, str]
    log: Path
    is_ready: Callable[[], bool]
    handle: subprocess.Popen[bytes] | None = None
    ended_at: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only `up`, which stops it in order."""
        # An interruption between the fork and the note of it would leave a process that nobody stops.
        with self.log.open("ab") as log, _interrupted_afterwards():
            self.handle = subprocess.Popen(
                self.argv,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def note_end(self) -> bool:
        """Note that it has ended; return whether it gets up no more, however often it is started.

        What somebody kills is started again as often as it is killed.
        """
        assert self.handle is not None
        now = time.monotonic()
        if self.handle.returncode != -signal.SIGKILL:
            self.ended_at = [*(at for at in self.ended_at if at > now - 60), now]
        return len(self.ended_at) >= _ENDS_A_MINUTE

    def is_running(self) -> bool:
        """Whether it lives."""
        return self.handle is not None and self.handle.poll() is None

    def tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


@contextmanager
def _interrupted_afterwards() -> Iterator[None]:
    """Keep a signal that ends this process until the block has ended; then it comes as it would have come."""
    came: list[int] = []
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if callable(signal.getsignal(each))]
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for each in came:
        signal.raise_signal(each)


class Stack:
    """Starts processes one after the other and keeps a note of them for `down`."""

    def __init__(self, data_dir: Path) -> None:
        self._note = data_dir / "up.json"
        self._logs = data_dir / "logs"
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._logs.chmod(0o700)
        self.processes: list[Process] = []

    def start(
        self,
        name: str,
        argv: list[str],
        *,
        environment: Mapping[str, str],
        is_ready: Callable[[], bool],
        within_seconds: float = 60,
    ) -> None:
        """Start a process and wait until it is ready; raises StackError when it ends or takes too long."""
        process = Process(name, argv, environment, self._logs / f"{name}.log", is_ready)
        self.processes.append(process)
        process.start()
        self._write_note()
        deadline = time.monotonic() + within_seconds
        while not is_ready():
            if not process.is_running() or time.monotonic() > deadline:
                ended = "is not ready" if process.is_running() else "ended"
                raise StackError(f"{name} {ended}; {process.log} ends with:\n{process.tail()}")
            time.sleep(0.1)

    def revive(self) -> list[str]:
        """Start again what has ended; return the names. Raises StackError for a process that keeps ending."""
        revived = []
        for process in self.processes:
            if process.is_running():
                continue
            if process.note_end():
                raise StackError(f"{process.name} keeps ending; {process.log} ends with:\n{process.tail()}")
            process.start()
            revived.append(process.name)
        if revived:
            self._write_note()
        return revived

    def stop(self) -> None:
        """Stop everything that was started, the last first."""
        handles = [process.handle for process in reversed(self.processes) if process.handle]
        for handle in handles:
            _signal_group(handle.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for handle in handles:
            try:
                handle.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            finally:
                # Runs are children of the code server: what outlives it goes with its group.
                _signal_group(handle.pid, signal.SIGKILL)
                handle.wait()
        self._note.unlink(missing_ok=True)

    def _write_note(self) -> None:
        note = {process.name: process.handle.pid for process in self.processes if process.handle}
        # Whoever reads it, and `down` after a kill at this very line, finds the old note or the whole new one.
        draft = self._note.with_suffix(".draft")
        draft.write_text(json.dumps({"up": os.getpid(), "processes": note}))
        draft.replace(self._note)


def running_up(data_dir: Path) -> int | None:
    """Return the process id of an `up` that runs on this data directory, None when there is none."""
    note = _read_note(data_dir)
    pid = note.get("up") if note else None
    return pid if isinstance(pid, int) and pid != os.getpid() and _is_ours(pid) else None


def stop_leftovers(data_dir: Path) -> list[str]:
    """Stop what a killed `up` left running; return the names of the processes."""
    note = _read_note(data_dir)
    if note is None:
        return []
    stopped = []
    if (pid := running_up(data_dir)) is not None:
        os.kill(pid, signal.SIGTERM)
        stopped.append("up")
        deadline = time.monotonic() + 2 * STOP_SECONDS
        while _is_ours(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
    processes = note.get("processes")
    for name, pid in processes.items() if isinstance(processes, dict) else ():
        if _is_ours(pid):
            _signal_group(pid, signal.SIGTERM)
            time.sleep(0.5)
            _signal_group(pid, signal.SIGKILL)
            stopped.append(name)
    (data_dir / "up.json").unlink(missing_ok=True)
    return stopped


def free_port(preferred: int) -> int:
    """Return `preferred`, or the next port after it that nobody listens on."""
    for port in range(preferred, preferred + 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StackError(f"No free port from {preferred} to {preferred + 199}")


def ask(url: str, *, method: str = "GET") -> int | None:
    """Return the status with which a loopback address answers; None when it does not."""
    body = b"{}" if method == "POST" else None
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310 -- our own addresses
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def answers(url: str) -> bool:
    """Whether something answers at a loopback address with a status below 500."""
    status = ask(url)
    return status is not None and status < 500


def listens(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def script(name: str) -> str:
    """Return the path of a console script of this Python environment; raises StackError when it is missing."""
    path = Path(sys.executable).parent / name
    found = str(path) if path.exists() else shutil.which(name)
    if not found:
        raise StackError(f"{name} is not installed beside {sys.executable}; run `make install`")
    return found


def _read_note(data_dir: Path) -> dict[str, object] | None:
    try:
        note = json.loads((data_dir / "up.json").read_text())
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def _is_ours(pid: int) -> bool:
    """Whether a process lives and is a Python of ours: a process id may have been given to somebody else."""
    return any(word in _command_line(pid) for word in ("kombo", "dagster"))


def _command_line(pid: int) -> str:
    if not Path("/proc/self").exists():
        ps = ["ps", "-o", "command=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout
    try:
        # Small Linux images have no `ps`.
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
