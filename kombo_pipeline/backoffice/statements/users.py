"""Statements on core.backoffice_users and core.backoffice_sessions."""

from datetime import timedelta
from typing import Any

from kombo_pipeline.db.connection import Connection

Row = dict[str, Any]


def put_user(conn: Connection, user_name: str, *, role: str, password_hash: str | None) -> None:
    """Add a user, or give one that exists another role, another password and access again; ends its sessions."""
    conn.execute(
        "insert into core.backoffice_users (user_name, role, password_hash) values (%s, %s, %s) "
        "on conflict (user_name) do update set role = excluded.role, password_hash = excluded.password_hash, "
        "disabled_at = null",
        (user_name, role, password_hash),
    )
    end_sessions_of(conn, user_name)


def disable_user(conn: Connection, user_name: str) -> bool:
    """Keep a user from signing in and end its sessions; False when there is no such user."""
    end_sessions_of(conn, user_name)
    disabled = conn.execute(
        "update core.backoffice_users set disabled_at = coalesce(disabled_at, now()) where user_name = %s", (user_name,)
    )
    return disabled.rowcount > 0


def user(conn: Connection, user_name: str) -> Row | None:
    """Return a user that may sign in; None for one that is unknown or disabled."""
    return conn.execute(
        "select * from core.backoffice_users where user_name = %s and disabled_at is null", (user_name,)
    ).fetchone()


def users(conn: Connection) -> list[Row]:
    """Return all users by name, with when each last signed in."""
    return conn.execute(
        "select u.user_name, u.role, u.created_at, u.disabled_at, u.password_hash is not null as has_password, "
        "(select max(created_at) from core.backoffice_sessions s where s.user_name = u.user_name) as signed_in_at "
        "from core.backoffice_users u order by u.user_name"
    ).fetchall()


def start_session(conn: Connection, user_name: str, token_hash: bytes, *, lasts: timedelta) -> None:
    """Sign a browser in; forgets sessions of the user that ended a month ago."""
    conn.execute(
        "delete from core.backoffice_sessions where user_name = %s and expires_at < now() - interval '30 days'",
        (user_name,),
    )
    conn.execute(
        "insert into core.backoffice_sessions (token_hash, user_name, expires_at) values (%s, %s, now() + %s)",
        (token_hash, user_name, lasts),
    )


def session_user(conn: Connection, token_hash: bytes) -> Row | None:
    """Return the user of a session that lasts; None when it ended or the user is disabled."""
    return conn.execute(
        "select u.user_name, u.role from core.backoffice_sessions s join core.backoffice_users u using (user_name) "
        "where s.token_hash = %s and s.expires_at > now() and s.revoked_at is null and u.disabled_at is null",
        (token_hash,),
    ).fetchone()


def end_session(conn: Connection, token_hash: bytes) -> str | None:
    """End a session that lasts and return its user; None when there is none, as at a second attempt."""
    row = conn.execute(
        "update core.backoffice_sessions s set revoked_at = now() from core.backoffice_users u "
        "where s.token_hash = %s and s.expires_at > now() and s.revoked_at is null and u.user_name = s.user_name "
        "and u.disabled_at is null returning s.user_name",
        (token_hash,),
    ).fetchone()
    return row["user_name"] if row else None


def end_sessions_of(conn: Connection, user_name: str) -> None:
    """End all sessions of a user."""
    conn.execute(
        "update core.backoffice_sessions set revoked_at = now() where user_name = %s and revoked_at is null",
        (user_name,),
    )
