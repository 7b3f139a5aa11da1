"""Statements on core.backoffice_users and core.backoffice_sessions."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import Role


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may sign in to the back office."""

    user_name: str
    role: Role


@dataclass(frozen=True, kw_only=True)
class UserWithPassword(User):
    """A user and the hash of its password; None for one that signs in by a proxy or a link."""

    password_hash: str | None


@dataclass(frozen=True, kw_only=True)
class ListedUser(User):
    """A user as a list shows it, also one that is disabled."""

    created_at: datetime
    disabled_at: datetime | None
    has_password: bool
    signed_in_at: datetime | None
    """When its newest session began."""


def put_user(conn: Connection, user_name: str, *, role: Role, password_hash: str | None) -> None:
    """Add a user, or change its role and password and let it in again; ends its sessions."""
    conn.execute(
        """
        insert into core.backoffice_users (user_name, role, password_hash)
        values (%s, %s, %s)
        on conflict (user_name) do update
        set role = excluded.role, password_hash = excluded.password_hash, disabled_at = null
        """,
        (user_name, role, password_hash),
    )
    end_sessions_of(conn, user_name)


def disable_user(conn: Connection, user_name: str) -> bool:
    """Keep a user from signing in and end its sessions; False when there is no such user."""
    end_sessions_of(conn, user_name)
    disabled = conn.execute(
        """
        update core.backoffice_users
        set disabled_at = coalesce(disabled_at, now())
        where user_name = %s
        """,
        (user_name,),
    )
    return disabled.rowcount > 0


def user(conn: Connection, user_name: str) -> UserWithPassword | None:
    """Return a user that may sign in; None for one that is unknown or disabled."""
    with conn.cursor(row_factory=class_row(UserWithPassword)) as cursor:
        return cursor.execute(
            """
            select user_name, role, password_hash
            from core.backoffice_users
            where user_name = %s and disabled_at is null
            """,
            (user_name,),
        ).fetchone()


def users(conn: Connection) -> list[ListedUser]:
    """Return all users by name."""
    with conn.cursor(row_factory=class_row(ListedUser)) as cursor:
        return cursor.execute(
            """
            select
                u.user_name,
                u.role,
                u.created_at,
                u.disabled_at,
                u.password_hash is not null as has_password,
                (
                    select max(s.created_at)
                    from core.backoffice_sessions s
                    where s.user_name = u.user_name
                ) as signed_in_at
            from core.backoffice_users u
            order by u.user_name
            """
        ).fetchall()


def start_session(conn: Connection, user_name: str, token_hash: bytes, *, lasts: timedelta) -> None:
    """Begin a session of a user; deletes its sessions that ended more than 30 days ago."""
    conn.execute(
        """
        delete from core.backoffice_sessions
        where user_name = %s and expires_at < now() - interval '30 days'
        """,
        (user_name,),
    )
    conn.execute(
        """
        insert into core.backoffice_sessions (token_hash, user_name, expires_at)
        values (%s, %s, now() + %s)
        """,
        (token_hash, user_name, lasts),
    )


def session_user(conn: Connection, token_hash: bytes) -> User | None:
    """Return the user of a session; None when the session has ended or the user is disabled."""
    with conn.cursor(row_factory=class_row(User)) as cursor:
        return cursor.execute(
            """
            select u.user_name, u.role
            from core.backoffice_sessions s
            join core.backoffice_users u using (user_name)
            where s.token_hash = %s
                and s.expires_at > now()
                and s.revoked_at is null
                and u.disabled_at is null
            """,
            (token_hash,),
        ).fetchone()


def end_session(conn: Connection, token_hash: bytes) -> str | None:
    """End a session and return the name of its user; None when it has ended already or the user is disabled."""
    row = conn.execute(
        """
        update core.backoffice_sessions s
        set revoked_at = now()
        from core.backoffice_users u
        where s.token_hash = %s
            and s.expires_at > now()
            and s.revoked_at is null
            and u.user_name = s.user_name
            and u.disabled_at is null
        returning s.user_name
        """,
        (token_hash,),
    ).fetchone()
    return row["user_name"] if row else None


def end_sessions_of(conn: Connection, user_name: str) -> None:
    """End all sessions of a user."""
    conn.execute(
        """
        update core.backoffice_sessions
        set revoked_at = now()
        where user_name = %s and revoked_at is null
        """,
        (user_name,),
    )
