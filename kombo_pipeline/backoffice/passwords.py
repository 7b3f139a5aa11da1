"""Passwords: argon2id, and how often a wrong one may be tried."""

import secrets
import threading
import time
from collections import deque

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MINIMUM_LENGTH = 12
ATTEMPTS_A_MINUTE = 5
"""Wrong passwords for one name from one address; the next attempts are refused until a minute is over."""
ATTEMPTS_AN_ADDRESS = 50
"""Wrong passwords a minute from one address, whatever the names: an office shares one."""

_hasher = PasswordHasher()
# One hash takes 64 MiB and all cores for some 50 ms: a crowd at the door must not exhaust the machine.
_turn = threading.BoundedSemaphore(2)
_nobody = _hasher.hash(secrets.token_urlsafe())


def hashed(password: str) -> str:
    """Return the argon2id hash. Raises ValueError for a password that is too short."""
    if len(password) < MINIMUM_LENGTH:
        raise ValueError(f"A password needs {MINIMUM_LENGTH} characters or more")
    with _turn:
        return _hasher.hash(password)


def is_right(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed; takes as long without a hash, so that names stay unknown."""
    with _turn:
        try:
            return _hasher.verify(password_hash or _nobody, password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def generated() -> str:
    """Return a password nobody can guess."""
    return secrets.token_urlsafe(18)


class Attempts:
    """Counts wrong passwords in this process, over the last minute."""

    def __init__(self) -> None:
        self._failed: dict[tuple[str, ...], deque[float]] = {}
        self._lock = threading.Lock()

    def may_try(self, name: str, address: str) -> bool:
        """Whether another attempt is allowed; it counts as wrong until `forgive` says otherwise."""
        now = time.monotonic()
        limits = {(name, address): ATTEMPTS_A_MINUTE, (address,): ATTEMPTS_AN_ADDRESS}
        with self._lock:
            self._forget(now - 60)
            if any(len(self._failed.get(key, ())) >= limit for key, limit in limits.items()):
                return False
            for key in limits:
                self._failed.setdefault(key, deque()).append(now)
            return True

    def forgive(self, name: str, address: str) -> None:
        """Take back what a right password is counted for."""
        with self._lock:
            self._failed.pop((name, address), None)
            if times := self._failed.get((address,)):
                times.pop()

    def _forget(self, before: float) -> None:
        for key, times in list(self._failed.items()):
            while times and times[0] < before:
                times.popleft()
            if not times:
                del self._failed[key]
