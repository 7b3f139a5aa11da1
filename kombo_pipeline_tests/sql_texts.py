"""Finds the texts of SQL in the package, by reading its code and not by running it."""

import ast
import functools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "kombo_pipeline"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
"""Migrations are left out: each test that makes a warehouse runs them."""

RUNS = {"execute", "executemany", "copy", "number"}
"""Names of functions and methods that take a statement."""
STATEMENT = re.compile(
    r"^\s*(select\s[^.!]*\sfrom\s|select\s\S+\(|insert into \w+|update [\w.]+( \w+)? set\s|delete from \w+"
    r"|with (recursive )?\w+( \([\w, ]+\))? as |create (temp|view|table|or )|drop (table|view) |copy [\w.(]+ "
    r"|lock table |set local |analyze \w)"
)
"""How a complete statement begins, in the lower case of the house."""


@dataclass(frozen=True)
class Text:
    """A text of SQL: a whole statement, or a part of a composed one."""

    place: str
    """File and line, as editors and terminals take it."""
    module: str
    text: str
    source: str
    """As it is written in the code."""

    def __str__(self) -> str:
        """Where it stands, and how it begins."""
        return f"{self.place}: {' '.join(self.text.split())[:80]}"

    @property
    def is_statement(self) -> bool:
        """Whether it can be prepared as it is."""
        return bool(STATEMENT.match(self.text)) and not re.search(r"\{\w*\}", self.text)

    def is_in(self, statement: str) -> bool:
        """Whether a statement was made of it: whether all that stands between its placeholders is there, in order."""
        at = 0
        for piece in re.split(r"\{\w*\}", self.text):
            found = statement.find(piece.replace("{{", "{").replace("}}", "}"), at)
            if found < 0:
                return False
            at = found + len(piece)
        return True


def called(node: ast.Call) -> str:
    """The last part of the name that a call names: `execute` of `conn.execute(...)`."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def is_sql_call(node: ast.AST) -> bool:
    """Whether a node is `sql.SQL(...)`."""
    return isinstance(node, ast.Call) and called(node) == "SQL"


class Module:
    """The code of a module, with the values of its names."""

    def __init__(self, path: Path, root: Path = PROJECT) -> None:
        self.path = path.relative_to(root)
        self.source = path.read_text()
        self.tree = ast.parse(self.source)
        self.bound: dict[str, list[ast.expr]] = {}
        for node in ast.walk(self.tree):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            for target in targets:
                if isinstance(target, ast.Name) and node.value is not None:
                    self.bound.setdefault(target.id, []).append(node.value)
        self._docstrings = {
            id(node.value) for node in ast.walk(self.tree) if isinstance(node, ast.Expr) and _is_text(node.value)
        }

    @property
    def name(self) -> str:
        """As it is imported."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self, names: Collection[str]) -> bool:
        """Whether it imports one of some modules, or something of one."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return not found.isdisjoint(names)

    def texts(self) -> Iterator[Text]:
        """Every text of SQL: what is given to SQL(), to a function that runs it, or begins as a statement does."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and (called(node) in RUNS or is_sql_call(node)):
                for argument in node.args[: 2 if called(node) == "number" else 1]:
                    found |= {id(text): text for text in self._constants(argument, set(), inside=is_sql_call(node))}
        for node in ast.walk(self.tree):
            if _is_text(node) and id(node) not in self._docstrings and STATEMENT.match(node.value):
                found[id(node)] = node
        for node in found.values():
            if len(node.value.strip()) > 2:  # not the comma of a list
                place = f"{self.path}:{node.lineno}"
                yield Text(place, self.name, node.value, ast.get_source_segment(self.source, node) or "")

    def _constants(self, node: ast.expr, seen: set[str], *, inside: bool) -> Iterator[ast.Constant]:
        """The texts that a value is made of; names are followed, keys of dictionaries and indexes are not.

        `inside`: whether the value is given to SQL(); otherwise other values of a statement stand beside the texts.
        """
        if _is_text(node):
            yield node
        elif isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            for value in self.bound.get(node.id, []):
                yield from self._constants(value, seen, inside=inside)
        elif isinstance(node, ast.Dict):
            for value in node.values:
                yield from self._constants(value, seen, inside=inside)
        elif isinstance(node, ast.Subscript):
            yield from self._constants(node.value, seen, inside=inside)
        elif isinstance(node, ast.IfExp):
            for value in (node.body, node.orelse):
                yield from self._constants(value, seen, inside=inside)
        elif isinstance(node, ast.BinOp | ast.JoinedStr | ast.FormattedValue | ast.Tuple | ast.List):
            for value in ast.iter_child_nodes(node):
                if isinstance(value, ast.expr):
                    yield from self._constants(value, seen, inside=inside)
        elif inside and isinstance(node, ast.Call) and called(node) in {"join", "replace"}:
            yield from self._constants(node.func.value, seen, inside=inside)
            for value in node.args:
                yield from self._constants(value, seen, inside=inside)

    def patched(self) -> Iterator[str]:
        """Where SQL is made of texts otherwise than by psycopg.sql, with the line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and (called(node) in RUNS or is_sql_call(node)):
                for argument in node.args[: 2 if called(node) == "number" else 1]:
                    for value in [
                        argument,
                        *(self.bound.get(argument.id, []) if isinstance(argument, ast.Name) else []),
                    ]:
                        yield from (f"{self.path}:{each.lineno}" for each in _patches(value))
            elif _is_patch(node) and any(_is_text(each) and STATEMENT.match(each.value) for each in ast.walk(node)):
                yield f"{self.path}:{node.lineno}"


def _patches(value: ast.expr) -> Iterator[ast.expr]:
    """The parts of a statement that make a text of texts."""
    if _is_patch(value):
        yield value
    elif isinstance(value, ast.Dict | ast.Tuple | ast.List | ast.IfExp):
        for each in ast.iter_child_nodes(value):
            if isinstance(each, ast.expr):
                yield from _patches(each)


def _is_patch(node: ast.AST) -> bool:
    """Whether a node makes a text by an f-string, `+`, `%`, str.format, str.join or str.replace."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add | ast.Mod) and (_is_text(node.left) or _is_text(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "replace" or (node.func.attr in {"format", "join"} and _is_text(node.func.value))
    return isinstance(node, ast.JoinedStr) and any(isinstance(each, ast.FormattedValue) for each in node.values)


def _is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@functools.cache
def modules() -> list[Module]:
    """The modules of the package that hold SQL."""
    return [module for module in map(Module, MODULES) if any(module.texts())]
