"""Arguments that are made up from type hints, and functions that are called with them."""

import asyncio
import collections.abc
import dataclasses
import enum
import inspect
import itertools
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin
from unittest.mock import MagicMock
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg import sql

from kombo_pipeline_tests.sql_preparing import MADE_UP, AnyRow, PreparingConnection, Stopped

MOST_VALUES = 300
"""Of one argument."""
MOST_WORDS = 60
"""Of one module."""
NAMING = frozenset({"table", "columns", "values"})
"""Arguments that name tables and columns."""
CONNECTIONS = (psycopg.Connection, psycopg.AsyncConnection, sa.Connection)
SIMPLE: Mapping[Any, list[Any]] = {
    str: [MADE_UP],
    int: [1],
    float: [1.0],
    bool: [True, False],
    bytes: [b"made_up"],
    date: [date(2026, 1, 2)],
    datetime: [datetime(2026, 1, 2, tzinfo=UTC)],
    timedelta: [timedelta(hours=1)],
    UUID: [UUID(int=1)],
    Path: [Path("/nowhere")],
    Any: [MADE_UP],
    object: [MADE_UP],
    type(None): [None],
    None: [None],
}


class Asynchronous:
    """The connection for code that awaits it."""

    def __init__(self, conn: PreparingConnection) -> None:
        self._conn = conn

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        """Prepare a statement."""
        return self._conn.execute(*arguments, **options)


def takes_connection(function: Callable[..., Any]) -> bool:
    """Whether a function or the constructor of a class has a parameter that is a connection."""
    return any(_is_connection(hint) for hint in hints(function).values())


def _is_connection(hint: Any) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, CONNECTIONS)


def makes_sql(function: Callable[..., Any]) -> bool:
    """Whether a function returns a part of a statement and needs no connection for it."""
    kind = inspect.signature(function).return_annotation
    return isinstance(kind, type) and issubclass(kind, sql.Composable) and not takes_connection(function)


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The type hints of a function's parameters, or of a constructor's."""
    target = function.__init__ if isinstance(function, type) else inspect.unwrap(function)  # type: ignore[misc]
    try:
        found = typing.get_type_hints(target)
    except (NameError, TypeError, AttributeError):
        return {}
    return {name: hint for name, hint in found.items() if name != "return"}


def values(hint: Any, conn: PreparingConnection, depth: int = 0) -> list[Any]:
    """Values of a type, the plainest first: each of a Literal, both of a bool, None where it may be."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is str:
        return [MADE_UP, *conn.words]
    if hint in SIMPLE:
        return SIMPLE[hint]
    if isinstance(hint, type) and issubclass(hint, sql.Composable):
        return [*conn.parts, sql.SQL("/* made_up */")]
    if _is_connection(hint):
        kind = origin or hint
        return [Asynchronous(conn) if issubclass(kind, psycopg.AsyncConnection) else _sqlalchemy(conn, kind)]
    if origin is Literal:
        return list(arguments)
    if origin in (Union, types.UnionType):
        return [value for each in arguments for value in values(each, conn, depth)]
    if isinstance(hint, typing.NewType):
        return values(hint.__supertype__, conn, depth)
    if isinstance(hint, typing.TypeVar):
        return [MADE_UP]
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return _varied(dict(enumerate(arguments)), conn, depth, lambda **given: tuple(given.values()))
    if isinstance(origin, type) and issubclass(origin, collections.abc.Callable):  # type: ignore[arg-type]
        return [lambda *_, **__: MADE_UP]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mappings(arguments, conn, depth)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Iterable):
        kind = origin if origin in (set, frozenset, tuple) else list
        found = values(arguments[0], conn, depth + 1) if arguments else []
        whole = [kind(found)] if get_origin(arguments[0]) is Literal else []
        return [*whole, *(kind([each]) for each in found), kind()]
    if isinstance(hint, type):
        return _of_class(hint, conn, depth)
    return [MagicMock()]


def _sqlalchemy(conn: PreparingConnection, kind: type) -> Any:
    if not issubclass(kind, sa.Connection):
        return conn
    return types.SimpleNamespace(connection=types.SimpleNamespace(driver_connection=conn))


def _mappings(arguments: tuple[Any, ...], conn: PreparingConnection, depth: int) -> list[Any]:
    key, value = arguments or (str, Any)
    if value is Any:
        return [AnyRow({MADE_UP: MADE_UP})]
    keys, found = values(key, conn, depth + 1), values(value, conn, depth + 1)
    return [dict.fromkeys(keys, each) for each in found] + [{}]


def _of_class(kind: type, conn: PreparingConnection, depth: int) -> list[Any]:
    if issubclass(kind, enum.Enum):
        return list(kind)
    is_ours = dataclasses.is_dataclass(kind) or kind.__module__.startswith("kombo_pipeline.")
    if depth > 4 or not is_ours:
        return [MagicMock()]
    if typing.is_typeddict(kind) or issubclass(kind, tuple):
        return _varied(typing.get_type_hints(kind), conn, depth + 1, kind)
    found: list[Any] = []
    for each in calls(kind, conn, depth + 1):
        with suppress(Exception):
            found.append(kind(**each))
    return found or [MagicMock(spec=kind)]


def _varied(given: Mapping[Any, Any], conn: PreparingConnection, depth: int, make: Callable[..., Any]) -> list[Any]:
    """What `make` makes of the plainest values, and of each other value of one field beside them."""
    choices = {str(name): values(hint, conn, depth)[:MOST_VALUES] for name, hint in given.items()}
    plain = {name: found[0] for name, found in choices.items() if found}
    others = [plain | {name: value} for name, found in choices.items() for value in found[1:]]
    return [make(**each) for each in [plain, *others]]


def calls(function: Callable[..., Any], conn: PreparingConnection, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Keyword arguments for a function or constructor.

    Those that it needs, each with its plainest value; the same with each other value of one argument; and as much again
    with all that it takes, in place of its own defaults, and with the last word of each Literal. Arguments called
    `table`, `columns` and `values` name what core has.
    """
    given = hints(function)
    choices = {name: values(hint, conn, depth)[:MOST_VALUES] for name, hint in given.items()}
    plain = {name: found[0] for name, found in choices.items() if found}
    parameters = inspect.signature(function).parameters
    needed = {name for name in plain if name in parameters and parameters[name].default is inspect.Parameter.empty}
    last = {name: found[-1] for name, found in choices.items() if get_origin(given[name]) is Literal}
    starts = [{name: plain[name] for name in plain if name in needed}, plain, plain | last]
    for start in [start for at, start in enumerate(starts) if start not in starts[:at]]:
        yield start
        for name, found in choices.items():
            yield from (start | {name: value} for value in found if name not in start or value is not start[name])
    if not NAMING.isdisjoint(given):
        for table, columns in conn.tables.items():
            named = {"table": table, "columns": columns, "values": dict.fromkeys(columns, MADE_UP)}
            yield plain | {name: value for name, value in named.items() if name in given}
        if "columns" in given and "table" not in given:
            names = {name for columns in conn.tables.values() for name in columns}
            yield from (plain | {"columns": [name]} for name in sorted(names))


def call(given: Callable[[], Callable[..., Any]], arguments: Mapping[str, Any]) -> None:
    """Call the function that `given` gives and use up what it returns; what it raises is of no interest."""
    with suppress(Exception, Stopped):
        function = given()
        parameters = inspect.signature(function).parameters
        several = [name for name, each in parameters.items() if each.kind is each.VAR_POSITIONAL and name in arguments]
        options = [name for name, each in parameters.items() if each.kind is each.VAR_KEYWORD and name in arguments]
        by_name = {name: value for name, value in arguments.items() if name not in [*several, *options]}
        by_position = [by_name.pop(name) for name in [*by_name] if several and name in _before_several(function)]
        by_position += [arguments[name] for name in several]
        _use_up(function(*by_position, **by_name))
        for option in words_of(inspect.getmodule(inspect.unwrap(function))) if options else ():
            with suppress(Exception):
                _use_up(function(*by_position, **by_name, **{option: arguments[options[0]]}))


def _use_up(found: Any) -> None:
    if inspect.isawaitable(found):
        asyncio.run(_awaited(found))
    elif hasattr(found, "__enter__") and hasattr(found, "gen"):
        with found:
            pass
    elif isinstance(found, Iterator):
        list(itertools.islice(found, 10))


def words_of(module: types.ModuleType | None) -> list[str]:
    """The keys of a module's dictionaries and what its tuples hold: what a text may be, where no Literal says so."""
    named = vars(module).items() if module else ()
    found = [value for name, value in named if isinstance(value, Mapping | tuple) and not name.startswith("__")]
    words = dict.fromkeys(word for value in found for word in value if isinstance(word, str) and word.isidentifier())
    return list(words)[:MOST_WORDS]


def _before_several(function: Callable[..., Any]) -> list[str]:
    """The names of the parameters before `*several`."""
    parameters = inspect.signature(function).parameters
    return list(
        itertools.takewhile(lambda name: parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL, parameters)
    )


def has_nothing(value: Any) -> bool:
    """Whether a value is an empty collection, or an object with one in a field."""
    if isinstance(value, Collection) and not isinstance(value, str):
        return not value
    fields = getattr(value, "__dataclass_fields__", {})
    return any(has_nothing(getattr(value, name)) for name in fields)


async def _awaited(found: Any) -> None:
    await found
