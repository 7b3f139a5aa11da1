"""Passwords: argon2id."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MINIMUM_LENGTH = 12

_hasher = PasswordHasher()
_nobody = _hasher.hash(secrets.token_urlsafe())


def hashed(password: str) -> str:
    """Return the argon2id hash. Raises ValueError for a password that is too short."""
    if len(password) < MINIMUM_LENGTH:
        raise ValueError(f"A password needs {MINIMUM_LENGTH} characters or more")
    return _hasher.hash(password)


def is_right(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed; takes as long without a hash, so that names stay unknown."""
    try:
        return _hasher.verify(password_hash or _nobody, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def generated() -> str:
    """Return a password nobody can guess."""
    return secrets.token_urlsafe(18)
