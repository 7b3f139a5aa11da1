"""What the environment says, and what is said when it cannot be used."""

import os
from pathlib import Path

import pytest

from kombo_pipeline import settings
from kombo_pipeline.settings import SettingsError

NAMES = (
    *("KOMBO_API_URL", "KOMBO_API_KEY", "KOMBO_WEBHOOK_SECRETS", "KOMBO_WAREHOUSE_URL", "KOMBO_DAGSTER_URL"),
    *("KOMBO_DATA_DIR", "KOMBO_OVERLAP_SECONDS", "KOMBO_STALE_AFTER_DAYS"),
)
OTHERS = ("KOMBO_TRUSTED_PROXIES",)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory without a `.env`, and nothing set; what a test reads from one does not outlive it."""
    monkeypatch.chdir(tmp_path)
    for name in (*NAMES, *OTHERS):
        monkeypatch.setenv(name, "")  # so that it is removed again, whoever sets it
        monkeypatch.delenv(name)
    return tmp_path


def test_without_any_variable_the_defaults_are_those_of_the_documentation(elsewhere: Path) -> None:
    found = settings.load()
    assert found == settings.Settings(
        kombo_api_url="https://api.kombo.dev/v1",
        kombo_api_key=None,
        webhook_secrets=(),
        warehouse_url=None,
        dagster_url=None,
        data_dir=elsewhere / ".local",
        overlap_seconds=300,
        stale_after_days=7,
    )


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    values = ("http://h/v1/", "k", " new , old,, ", "postgres://w", "postgres://d", "data", "0.5", "2.5")
    for name, value in zip(NAMES, values, strict=True):
        monkeypatch.setenv(name, value)
    assert settings.load() == settings.Settings(
        "http://h/v1", "k", ("new", "old"), "postgres://w", "postgres://d", elsewhere / "data", 0.5, 2.5
    )


def test_a_blank_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = settings.load()
    for name in NAMES:
        monkeypatch.setenv(name, "  ")
    assert settings.load() == nothing


def test_a_dotenv_file_fills_in_what_the_environment_does_not_say(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    monkeypatch.setenv("KOMBO_API_URL", "http://environment/v1")
    (elsewhere / ".env").write_text("KOMBO_API_URL=http://file/v1\nKOMBO_OVERLAP_SECONDS=7\n")
    found = settings.load()
    assert (found.kombo_api_url, found.overlap_seconds) == ("http://environment/v1", 7)


NOBODY = 65534


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "owners", "is_read"),
    [
        (0o600, 0o700, (0, 0), True),
        (0o644, 0o755, (0, 0), True),
        (0o644, 0o1777, (0, 0), True),  # as in /tmp: nobody else can replace the file
        (0o666, 0o700, (0, 0), False),
        (0o646, 0o755, (0, 0), False),
        (0o644, 0o777, (0, 0), False),
        (0o666, 0o1777, (0, 0), False),
        (0o644, 0o755, (NOBODY, 0), False),
        (0o600, 0o700, (0, NOBODY), False),
        (0o644, 0o1777, (NOBODY, 0), False),
    ],
)
def test_a_dotenv_file_that_another_account_may_have_written_is_passed_over_with_a_word(
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    file_mode: int,
    folder_mode: int,
    owners: tuple[int, int],
    is_read: bool,
) -> None:
    if any(owners) and os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    monkeypatch.setenv("KOMBO_API_KEY", "precious")
    file = elsewhere / ".env"
    file.write_text("KOMBO_API_URL=https://evil.example/v1\n")
    for path, mode, owner in ((file, file_mode, owners[0]), (elsewhere, folder_mode, owners[1])):
        path.chmod(mode)
        if owner:
            os.chown(path, owner, owner)
    settings._tell_once.cache_clear()
    found = [settings.load().kombo_api_url for _ in range(2)]
    assert found == ["https://evil.example/v1" if is_read else "https://api.kombo.dev/v1"] * 2
    if is_read:
        assert caplog.messages == []
    else:
        [told] = caplog.messages  # once, however often it is read
        assert str(file) in told
        assert "chmod go-w" in told
        assert "precious" not in told


def test_a_group_of_many_may_not_have_written_it_either(elsewhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to a group that it is not in")
    file = elsewhere / ".env"
    file.write_text("KOMBO_API_URL=https://evil.example/v1\n")
    file.chmod(0o664)
    assert settings.load().kombo_api_url == "https://evil.example/v1"  # root's own group
    os.environ.pop("KOMBO_API_URL")
    os.chown(file, 0, NOBODY)
    assert settings.load().kombo_api_url == "https://api.kombo.dev/v1"
    assert "was not read" in caplog.text


@pytest.mark.parametrize("name", ["KOMBO_OVERLAP_SECONDS", "KOMBO_STALE_AFTER_DAYS"])
@pytest.mark.parametrize("value", ["five", "-1", "86401", "nan", "inf"])
def test_what_is_no_number_of_seconds_or_days_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} is '{value}'"):
        settings.load()


def test_trusted_proxies_are_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_TRUSTED_PROXIES", " 10.0.0.0/8, 127.0.0.1,,2001:db8::/32,::1 ")
    found = [str(network) for network in settings.load().trusted_proxies]
    assert found == ["10.0.0.0/8", "127.0.0.1/32", "2001:db8::/32", "::1/128"]


@pytest.mark.parametrize(
    "value",
    ["proxy.example.com", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "0.0.0.0/0", "::/0", "*", "10.0.0.0-10.0.0.9",
     "::ffff:10.0.0.0/104", "10.0.0.0/8 127.0.0.1", "http://10.0.0.1", "[::1]", "1"],
)  # fmt: skip
def test_what_is_no_network_of_proxies_is_refused_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("KOMBO_TRUSTED_PROXIES", f"192.0.2.0/24,{value}")
    with pytest.raises(SettingsError, match=r"KOMBO_TRUSTED_PROXIES has .* write the networks") as refused:
        settings.load()
    assert repr(value) in str(refused.value)


def test_secrets_stay_out_of_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES[1:5]:
        monkeypatch.setenv(name, "hush")
    assert "hush" not in repr(settings.load())
