"""Splits JSON one level at a time, however deeply it is nested. Each part stays undecoded text."""

import re

import msgspec

# A string without an end reaches to the end of the text. No character is read twice, so the time stays linear.
_NESTED = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_LISTED = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


def entries(text: bytes) -> dict[str, bytes]:
    """Return the values of a JSON object by key, undecoded; raises ValueError when it is not one.

    The last value of a repeated key counts, as in other JSON parsers.
    """
    try:
        return {key: bytes(value) for key, value in _object.decode(text).items()}
    except UnicodeDecodeError:
        return entries(text.decode("utf-8", "replace").encode())
    except RecursionError:
        shallow, parts = cut(text, depth=1)
        return {key: restored(value, parts) for key, value in entries(shallow).items()}
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def items(text: bytes) -> list[bytes]:
    """Return the items of a JSON list, undecoded; raises ValueError when it is not one."""
    try:
        return [bytes(value) for value in _list.decode(text)]
    except RecursionError:
        shallow, parts = cut(text, depth=1)
        return [restored(value, parts) for value in items(shallow)]
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def has_more_items(text: bytes, most: int) -> bool:
    """Return whether a JSON list has more than `most` items, without decoding any."""
    if text.count(b",") < most:
        return False
    level = commas = 0
    for found in _LISTED.finditer(text):
        sign = found[0]
        if sign in (b"[", b"{"):
            level += 1
        elif sign in (b"]", b"}"):
            level -= 1
        elif sign == b"," and level == 1:
            commas += 1
            if commas >= most:
                return True
    return False


def cut(text: bytes, *, depth: int) -> tuple[bytes, list[bytes]]:
    """Replace every object and list `depth` levels down by a one-item list with its number, such as `[7]`.

    Returns the shallow text, and the removed parts by number. Raises ValueError when a part has no end.
    """
    shallow: list[bytes] = []
    parts: list[bytes] = []
    level = kept_to = begin = 0
    for found in _NESTED.finditer(text):
        sign = found[0]
        if sign in (b"{", b"["):
            if level == depth:
                begin = found.start()
                shallow.append(text[kept_to:begin])
            level += 1
        elif sign in (b"}", b"]"):
            level -= 1
            if level == depth:
                kept_to = found.end()
                shallow.append(b"[%d]" % len(parts))
                parts.append(text[begin:kept_to])
    if level > depth:
        raise ValueError("JSON is malformed: an object or a list has no end")
    return b"".join([*shallow, text[kept_to:]]), parts


def restored(value: bytes, parts: list[bytes]) -> bytes:
    """Return the removed part that a value of a shallow text refers to, or the value where none was removed."""
    return parts[int(value[1:-1])] if value.startswith(b"[") else value


def depth(text: bytes) -> int:
    """Return how deep objects and lists are nested in a JSON text."""
    level = deepest = 0
    for found in _NESTED.finditer(text):
        if found[0] in (b"{", b"["):
            level += 1
            deepest = max(deepest, level)
        elif found[0] in (b"}", b"]"):
            level -= 1
    return deepest
