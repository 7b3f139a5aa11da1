"""Reads dates that Postgres can hold and Python cannot (years before 1 or after 9999) as the nearest that it can."""

from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg import adapt, pq
from psycopg.abc import Buffer

_RANGES: dict[str, tuple[Any, Any]] = {
    "timestamptz": (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
    "timestamp": (datetime.min, datetime.max),
    "date": (date.min, date.max),
}


def hold_every_date(adapters: adapt.AdaptersMap) -> None:
    """Let connections with these adapters read a date outside the years 1 to 9999 as the first or last date of those.

    Otherwise psycopg raises DataError, and one job of the year 10000 would break every page and run that reads it.
    """
    for name, (first, last) in _RANGES.items():
        oid = adapters.types[name].oid
        for pq_format in (pq.Format.TEXT, pq.Format.BINARY):
            plain = adapters.get_loader(oid, pq_format)
            if plain is not None and not issubclass(plain, _Nearest):
                members = {"format": pq_format, "plain": plain, "first": first, "last": last}
                adapters.register_loader(oid, type(f"Nearest{plain.__name__}", (_Nearest,), members))


class _Nearest(adapt.Loader):
    plain: type[Any]
    first: Any
    last: Any

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._load = self.plain(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._load(data)
        except psycopg.DataError:
            return self.first if self._is_early(bytes(data)) else self.last

    def _is_early(self, data: bytes) -> bool:
        if self.format == pq.Format.BINARY:
            return data[0] >= 0x80  # a negative number: before the year 2000
        return data.endswith(b"BC") or data.startswith(b"-") or data.startswith(b"0001")
