"""XML feeds of jobs: the form that Indeed made common, and others like it; namespaces do not matter."""

import re
from collections.abc import Callable, Iterator
from html.entities import html5
from typing import Any, Final
from xml.parsers import expat
from xml.sax.saxutils import escape

from kombo_pipeline.own_jobs.files import MAX_ROW_BYTES, BadRow, FeedError, Record, TooLargeError, decoded
from kombo_pipeline.own_jobs.names import EMPTY_ROOTS, JOB_ELEMENTS, key

MAX_DEPTH: Final = 30
"""Elements deeper in a job are read as text."""
MAX_MENDED_BYTES: Final = 2**25
"""A longer document must be well-formed: what is mended is held in memory several times."""
_ELEMENT_BYTES: Final = 64
"""Counted for each element of a job, beside its name and attributes: it is an object while it is read."""
_CHUNK: Final = 2**16
_SHOWN_NAMES: Final = 20
_ABOUT_THE_FEED: Final = frozenset({"channel", "image", "author", "link", "category"})
_BREAK_NAMES: Final = "br div h1 h2 h3 h4 h5 h6 hr li ol p table td th tr ul"
_BREAKS: Final = frozenset(_BREAK_NAMES.split())
_INLINE_NAMES: Final = "a b big code em font i mark s small span strong sub sup tbody tt u wbr"
_MARKUP: Final = _BREAKS.union(_INLINE_NAMES.split())
"""Elements of HTML: with them a text is one text, not named values."""


def xml_records(data: bytes) -> Iterator[Record | BadRow]:
    """Yield the jobs of a feed. What is not well-formed is mended where that is certain, and named.

    A job whose markup is broken is read as far as it is whole. Raises FeedError for a document that ends too
    early, that has a DOCTYPE, or that has no element known to be a job.
    """
    fault = _fault(data)
    jobs = _Jobs()
    if fault is None:
        yield from jobs.read(data)
    else:
        yield from _mended(data, jobs, fault)
    if not jobs.job_name and not (key(jobs.root) in EMPTY_ROOTS and jobs.names <= _ABOUT_THE_FEED):
        names = ", ".join(sorted(jobs.names)[:_SHOWN_NAMES])
        raise FeedError(
            f"no job understood: no element of <{jobs.root}> is known as a job{f' ({names})' if names else ''}; "
            f"name each job <job>. Also known are {', '.join(sorted(JOB_ELEMENTS))}"
        )


def _fault(data: bytes) -> str | None:
    """What the parser says of the document, None where it is well-formed."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    try:
        for start in range(0, len(data), _CHUNK):
            parser.Parse(data[start : start + _CHUNK], False)
        parser.Parse(b"", True)
    except FeedError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        return str(error)
    return None


def _refuse(*_: Any) -> None:
    """Entities are declared there: files could be read and memory filled through them."""
    raise FeedError("an XML feed with a DOCTYPE is not read; leave the DOCTYPE out")


class _Element:
    """An element of a job while it is read: its texts and children in their order."""

    __slots__ = ("attributes", "children", "name", "texts")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.texts: list[str] = []
        self.children: list[tuple[str, Any]] = []

    def text(self) -> str:
        return "".join(self.texts).strip()

    def is_text(self) -> bool:
        """Whether the children are markup within one text: there is text beside them, or all are HTML."""
        if not self.children or all(_local(name).lower() in _MARKUP for name, _ in self.children):
            return True
        return any(text.strip() for text in self.texts if not isinstance(text, _Inner))

    def value(self) -> Any:
        if self.is_text():
            return self.text() or ({} if self.children else _by_name(self, [])) or ""
        return _by_name(self, self.children)


class _Inner(str):
    """The text of a child."""

    __slots__ = ()


def _by_name(element: _Element, children: list[tuple[str, Any]]) -> dict[str, Any]:
    """Children by their names, those in the element's own namespace first, then its attributes."""
    prefix = element.name.rpartition(":")[0]
    told: dict[str, list[Any]] = {}
    own = {_local(name) for name, value in children if value and name.rpartition(":")[0] == prefix}
    for name, value in children:
        if name.rpartition(":")[0] == prefix or _local(name) not in own:
            told.setdefault(_local(name), []).append(value)
    values: dict[str, Any] = {}
    for name, given in told.items():
        some = [value for value in given if value]
        values[name] = some if len(some) > 1 else some[0] if some else ""
    for name, value in element.attributes.items():
        if name.partition(":")[0] != "xmlns" and not values.get(_local(name)):
            values[_local(name)] = value
    return values


class _Jobs:
    """Collects the job elements of a document while it is parsed."""

    def __init__(self) -> None:
        self.count = 0
        self.root = ""
        self.names: set[str] = set()
        """Of elements outside of jobs that hold others, come again, or have an id: they might be jobs."""
        self._leaves: set[str] = set()
        self.around: list[str] = []
        """The elements that stand open outside of jobs, the outermost first."""
        self.job_name = ""
        self.job_around: list[str] = []
        self.job_at = 0
        """Where the job that was begun last begins, in bytes of what is parsed."""
        self.open: list[_Element] = []
        self.found: list[Record] = []
        self._line = self._first_line = 0
        self._too_deep = 0
        self._size = 0
        """Of the job that stands open."""

    def parser(self, first_line: int = 0) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = _refuse
        self._parser, self._first_line = parser, first_line
        self.open.clear()
        self.around.clear()
        self._too_deep = 0
        return parser

    @property
    def job_root(self) -> str:
        """The outermost element; the list is whole only where it ends."""
        return self.job_around[0] if self.job_around else self.job_name

    def read(self, data: bytes) -> Iterator[Record]:
        parser = self.parser()
        for start in range(0, len(data) + 1, _CHUNK):
            chunk = data[start : start + _CHUNK]
            parser.Parse(chunk, len(chunk) < _CHUNK)
            yield from self.found
            self.found.clear()

    def broken(self, reason: str) -> Record:
        """The job that stands open, with what of it is whole."""
        return Record(self._line, _by_name(self.open[0], self.open[0].children), broken=reason)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.open:
            self._size += _ELEMENT_BYTES + len(name) + sum(map(len, attributes)) + sum(map(len, attributes.values()))
            if len(self.open) >= MAX_DEPTH or self._size > MAX_ROW_BYTES:
                self._too_deep += 1
            else:
                self.open.append(_Element(name, attributes))
            return
        self.root = self.root or _local(name)
        if key(_local(name)) in JOB_ELEMENTS:
            self.job_name, self.job_at = name, self._parser.CurrentByteIndex
            self.job_around = list(self.around)
            self._line = self._first_line + self._parser.CurrentLineNumber
            self.open.append(_Element(name, attributes))
            self._size = sum(map(len, attributes.values()))
            return
        if len(self.names) < _SHOWN_NAMES:
            if len(self.around) > 1:
                self.names.add(_local(self.around[-1]))
            if self.around and (name in self._leaves or "id" in attributes):
                self.names.add(_local(name))
            self._leaves.add(name)
        self.around.append(name)

    def _data(self, text: str) -> None:
        if self.open:
            self._size += len(text)
            if self._size <= MAX_ROW_BYTES:
                self.open[-1].texts.append(text)

    def _end(self, name: str) -> None:
        if not self.open:
            self.around.pop()
            return
        if self._too_deep:
            self._too_deep -= 1
            return
        element = self.open.pop()
        if not self.open:
            self.count += 1
            too_long = f"a row of more than {MAX_ROW_BYTES:,} bytes" if self._size > MAX_ROW_BYTES else ""
            self.found.append(Record(self._line, _by_name(element, element.children), too_long))
            return
        above = self.open[-1]
        above.children.append((name, element.value()))
        if len(self.open) > 1 or _local(name).lower() in _MARKUP:
            space = " " if _local(name).lower() in _BREAKS else ""
            above.texts.append(_Inner(f"{space}{''.join(element.texts)}{space}"))


def _local(name: str) -> str:
    return name.rpartition(":")[2]


# ------------------------------------------------------------------------------------------ the second reading

_DECLARATION: Final = re.compile(r"\s*<\?xml\b[^<>]*\?>")
_ENCODING: Final = re.compile(rb"<\?xml\b[^<>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_AMPERSAND: Final = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)([A-Za-z][A-Za-z0-9]{1,31};)?"
)
_NUMBERED: Final = re.compile(r"&#(?:(\d{1,7})|x([0-9a-fA-F]{1,6}));")
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LESS_THAN: Final = re.compile(r"<(?=[\s\d=<])")
_VOID: Final = re.compile(r"<(br|wbr|img)\b([^<>]*?)\s*/?>", re.IGNORECASE)
_CLOSED_VOID: Final = re.compile(r"</(?:br|wbr|img)\s*>", re.IGNORECASE)
_LITERAL: Final = re.compile(r"<!\[CDATA\[|<!--")
_MENDED_CHUNK: Final = 2**13
_MOST_READINGS: Final = 10
"""A job without an end is seen at the end of the document, so what follows it is read once more. After so many times
the whole the document is given up: it would take hours."""


def _mended(data: bytes, jobs: _Jobs, fault: str) -> Iterator[Record | BadRow]:
    """Read a document that is not well-formed, once what is certain is mended, job by job where need be."""
    if len(data) > MAX_MENDED_BYTES:
        raise TooLargeError(f"no XML: {fault}; a document of more than {MAX_MENDED_BYTES // 2**20} MB is not mended")
    stated = _ENCODING.search(data[:1000])
    encoding = stated[1].decode().lower() if stated else "utf-8"
    # A declaration that can be read as ASCII is not in UTF-16.
    text, notes = decoded(data, None if encoding.startswith(("utf", "ucs")) else encoding)
    yield from notes
    declaration = _DECLARATION.match(text)
    if declaration:
        if declaration[0][0].isspace():
            yield BadRow(1, "what stands before the XML declaration was left out", kept=True)
        text = "\n" * declaration[0].count("\n") + text[declaration.end() :]
    text, mended = _repaired(text)
    for what, (line, times) in mended.items():
        yield BadRow(line, f"{times} times {what}, first in this line", kept=True)
    content, at, prefix, lines = text.encode(), 0, b"", 0
    ends_at: int | None = None
    read_again = 0
    while True:
        parser = jobs.parser(lines)
        try:
            parser.Parse(prefix, False)
            for start in range(at, len(content) + 1, _MENDED_CHUNK):
                chunk = content[start : start + _MENDED_CHUNK]
                parser.Parse(chunk, len(chunk) < _MENDED_CHUNK)
                yield from jobs.found
                jobs.found.clear()
            break
        except expat.ExpatError as error:
            yield from jobs.found
            jobs.found.clear()
            before = at - len(prefix)
            job_at = before + jobs.job_at
            is_past_end = not jobs.around
            read_again += parser.ErrorByteIndex
            if read_again > _MOST_READINGS * len(content):
                raise FeedError(f"no XML: {fault}; and many jobs have no end") from error
            reason = f"no XML: {expat.ErrorString(error.code)}: line {lines + error.lineno}"
            if ends_at is None and jobs.job_name:
                ends_at = content.rfind(f"</{jobs.job_root}".encode())
            if ends_at is None or ends_at < job_at:
                raise FeedError(f"no XML: {fault}") from error
            if jobs.open:
                yield jobs.broken(reason)
                following = _start_of(jobs.job_name, content, max(job_at, at) + 1)
            else:
                where = "after the end of the list" if is_past_end else "between two jobs"
                yield BadRow(lines + error.lineno, f"{reason}, {where}", kept=is_past_end)
                following = _start_of(jobs.job_name, content, max(before + parser.ErrorByteIndex, at + 1))
            if following is None:
                break
            # What follows is read as if it stood in the same elements.
            lines, at = lines + content.count(b"\n", at, following), following
            prefix = "".join(f"<{name}>" for name in jobs.job_around).encode()
    if not jobs.job_name:
        raise FeedError(f"no XML: {fault}")


def _start_of(name: str, content: bytes, at: int) -> int | None:
    found = re.compile(rb"<%s(?=[\s/>])" % re.escape(name).encode()).search(content, at)
    return found.start() if found else None


def _repaired(text: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """The text with what is certain mended, and what that was: the line of the first one, and how many."""
    mended: dict[str, tuple[int, int]] = {}

    def replaced(pattern: re.Pattern[str], new: Callable[[re.Match[str]], tuple[str, str]], text: str, at: int) -> str:
        def replace(found: re.Match[str]) -> str:
            what, put = new(found)
            if put != found[0]:
                line, times = mended.get(what) or (before.count("\n", 0, at + found.start()) + 1, 0)
                mended[what] = line, times + 1
            return put

        return pattern.sub(replace, text)

    before = text
    text = before = replaced(_CONTROL, _control, text, 0)
    parts: list[str] = []
    at = 0
    while at < len(text):
        literal = _LITERAL.search(text, at)
        begins = literal.start() if literal else len(text)
        part = text[at:begins]
        for pattern, new in _REPAIRS:
            part = replaced(pattern, new, part, at)
        ends = text.find("]]>" if literal and literal[0] != "<!--" else "-->", begins) if literal else -1
        at = ends + 3 if ends >= 0 else len(text)
        parts += part, text[begins:at]
    return "".join(parts), mended


def _control(found: re.Match[str]) -> tuple[str, str]:
    return "a control character was left out", " " if found[0] in "\v\f" else ""


def _ampersand(found: re.Match[str]) -> tuple[str, str]:
    if found[1] and (characters := html5.get(found[1])):
        return f"{found[0]} was read as in HTML", escape(characters)
    return "a bare & was read as &amp;", f"&amp;{found[0][1:]}"


def _numbered(found: re.Match[str]) -> tuple[str, str]:
    number = int(found[1]) if found[1] else int(found[2], 16)
    allowed = number in (9, 10, 13) or 32 <= number < 0xD800 or 0xE000 <= number < 0xFFFE or 2**16 <= number < 0x110000
    return "the number of a control character was left out", found[0] if allowed else ""


_REPAIRS: Final = (
    (_AMPERSAND, _ampersand),
    (_NUMBERED, _numbered),
    (_LESS_THAN, lambda _: ("a bare < was read as &lt;", "&lt;")),
    (_CLOSED_VOID, lambda _: ("an element of HTML without an end was ended", "")),
    (_VOID, lambda found: ("an element of HTML without an end was ended", f"<{found[1]}{found[2]}/>")),
)
