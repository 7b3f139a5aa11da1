"""Pages of `GET /ats/jobs`, rendered and kept ready, so that serving them again costs next to nothing."""

import bisect
import random
from collections import OrderedDict
from datetime import datetime
from typing import Final

import msgspec
from isal import isal_zlib

from kombo_pipeline.sandbox.behaviour import Behaviour
from kombo_pipeline.sandbox.integration import Integration
from kombo_pipeline.sandbox.mirror import Row
from kombo_pipeline.sandbox.query import Cursor, InputInvalidError, JobQuery

_CACHE_BYTES: Final = 512 * 1024 * 1024
_GZIP_FORMAT: Final = 31


class Pages:
    """Renders pages; not thread-safe, the world's lock covers it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._selected: OrderedDict[object, list[Row]] = OrderedDict()
        self._rendered: OrderedDict[object, bytes] = OrderedDict()
        self._size = 0

    def render(
        self,
        integration: Integration,
        query: JobQuery,
        cursor_text: str | None,
        *,
        behaviour: Behaviour,
        now: datetime,
        gzip: bool,
    ) -> bytes:
        """One page as a body; raises `InputInvalidError` for a cursor that is foreign or too old."""
        cursor = Cursor.decode(cursor_text) if cursor_text else Cursor(page=1)
        lifetime = behaviour.cursor_lifetime_seconds
        if lifetime is not None and cursor.issued is not None and now.timestamp() - cursor.issued > lifetime:
            raise InputInvalidError('"cursor" has expired')
        issued = None if lifetime is None else now.timestamp()
        key = (integration.id, integration.mirror.version, query, cursor_text, repr(behaviour), gzip, issued)
        if (body := self._rendered.get(key)) is not None:
            self._rendered.move_to_end(key)
            return body
        rows, following = self._cut(integration, query, cursor, behaviour)
        if following is not None:
            following = msgspec.structs.replace(following, issued=issued)
        results = b",".join([row.wire(extras=behaviour.wire_extras) for row in rows])
        token = b"null" if following is None else msgspec.json.encode(following.encode())
        body = b'{"status":"success","data":{"next":%s,"results":[%s]}}' % (token, results)
        if gzip:
            body = isal_zlib.compress(body, level=1, wbits=_GZIP_FORMAT)
        self._keep(key, body)
        return body

    def _cut(
        self, integration: Integration, query: JobQuery, cursor: Cursor, behaviour: Behaviour
    ) -> tuple[list[Row], Cursor | None]:
        """The rows of one page and the cursor of the next, None at the end."""
        matching = self._matching(integration, query, inclusive=behaviour.updated_after_inclusive)
        start = cursor.offset
        if behaviour.cursors == "keyset":
            start = 0
            if cursor.after is not None:
                start = bisect.bisect_right(matching, cursor.after, key=lambda row: (row.position, row.id))
        rng = random.Random(f"{self._seed}/{integration.id}/{integration.mirror.version}/{query}/{cursor}")
        size = query.page_size
        if rng.random() < behaviour.short_page_rate:
            size = rng.randint(0, size)
        repeated = []
        if start > 0 and size > 1 and rng.random() < behaviour.duplicate_rate:
            repeated = [matching[rng.randrange(min(start, len(matching)))]] if matching else []
        rows = matching[start : start + size - len(repeated)]
        end = start + len(rows)
        following = None
        if end < len(matching):
            if behaviour.cursors == "offset":
                following = Cursor(page=cursor.page + 1, offset=end)
            else:
                after = (rows[-1].position, rows[-1].id) if rows else cursor.after
                following = Cursor(page=cursor.page + 1, after=after)
        rows += repeated
        if behaviour.shuffle:
            rng.shuffle(rows)
        return rows, following

    def _matching(self, integration: Integration, query: JobQuery, *, inclusive: bool) -> list[Row]:
        key = (integration.id, integration.mirror.version, query, inclusive)
        if key not in self._selected:
            rows = integration.mirror.ordered()
            self._selected[key] = query.select(rows, unsupported=integration.unsupported, inclusive=inclusive)
            if len(self._selected) > 16:
                self._selected.popitem(last=False)
        return self._selected[key]

    def _keep(self, key: object, body: bytes) -> None:
        self._rendered[key] = body
        self._size += len(body)
        while self._size > _CACHE_BYTES:
            self._size -= len(self._rendered.popitem(last=False)[1])
