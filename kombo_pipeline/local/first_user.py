"""What lets a person into the back office of `kombo-pipeline up`: a secret, a first user, a link that signs in once."""

import secrets
from datetime import timedelta
from pathlib import Path

from kombo_pipeline.backoffice import passwords
from kombo_pipeline.backoffice.pages.sign_in import sign_in_link
from kombo_pipeline.backoffice.statements import users
from kombo_pipeline.db.connection import Connection

_NAME = "admin"
_LINK_LASTS = timedelta(hours=8)


def backoffice_secret(data_dir: Path) -> str:
    """Return the secret kept in the data directory, readable for its owner only; make it when there is none."""
    path = data_dir / "backoffice-secret"
    if not path.exists():
        _write(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


def first_sign_in(conn: Connection, data_dir: Path, backoffice_url: str) -> tuple[str, Path]:
    """Make the user `admin` unless it exists; return an address that signs it in once, and its password's file.

    A password that was changed since, with `kombo-pipeline user add`, is not in the file.
    """
    path = data_dir / "backoffice-password"
    if users.user(conn, _NAME) is None or not path.exists():
        password = passwords.generated()
        users.put_user(conn, _NAME, role="admin", password_hash=passwords.hashed(password))
        _write(path, password)
    return sign_in_link(conn, backoffice_url, _NAME, lasts=_LINK_LASTS), path


def _write(path: Path, text: str) -> None:
    # Whole and with its rights from the start, whoever looks in between.
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text + "\n")
    draft.replace(path)
