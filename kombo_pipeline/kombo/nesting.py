"""JSON taken apart one level at a time, however deep it is nested: each part stays the text that it was."""

import re

import msgspec

# A string that has no end reaches to that of the text. Nothing in it is read twice, so it takes no longer than others.
_NESTED = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_LISTED = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


def entries(text: bytes) -> dict[str, bytes]:
    """Return the values of a JSON object by key, undecoded; raises ValueError when it is no object.

    Of a key that comes twice the last value counts, as everywhere.
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
    """Return the items of a JSON list, undecoded; raises ValueError when it is no list."""
    try:
        return [bytes(value) for value in _list.decode(text)]
    except RecursionError:
        shallow, parts = cut(text, depth=1)
        return [restored(value, parts) for value in items(shallow)]
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def has_more_items(text: bytes, most: int) -> bool:
    """Whether a JSON list has more than so many items; none of them is decoded."""
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
    """Replace every object and list that begins `depth` levels down by its number in a list: `[7]`.

    Returns the shallow text and the parts that were cut out, as they were; raises ValueError when a part has no end.
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
    """Return the part that stands for a value of a shallow text, or the value when nothing was cut out of it."""
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
