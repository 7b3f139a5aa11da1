"""The code keeps the directions that docs/architecture.md shows."""

import ast
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "kombo_pipeline"
DAGSTERS_WEB_APP = PACKAGE / "orchestration" / "webserver.py"
"""Serves an app of Starlette's; only the command that does it imports it, no run and no code location."""
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The folder below the package that holds a module; the module's own name where it stands in none."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The full names that a module imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_between_rooms() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for name in imported(path):
            package, _, rest = name.partition(".")
            if package == "kombo_pipeline" and (other := rest.partition(".")[0]) != room(path):
                found[room(path)].add(other)
    return found


def code_map() -> dict[str, set[str]]:
    """The table of the page: room -> what it may import, in the order of the page."""
    page = (PROJECT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ?([^|]*)\|$", page, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", allowed)) for name, allowed in rows}


def test_the_code_map_is_what_the_code_imports() -> None:
    entry_points = {"__init__", "__main__"}
    rooms = {room(path) for path in MODULES} - entry_points
    between = imports_between_rooms()
    assert {name: between.get(name, set()) for name in rooms} == code_map()


def test_a_room_imports_only_what_stands_above_it_on_the_map() -> None:
    above: set[str] = set()
    for name, allowed in code_map().items():
        assert allowed <= above, f"{name} imports what stands below it: {allowed - above}"
        above.add(name)


def test_no_room_imports_another_that_imports_it() -> None:
    TopologicalSorter(imports_between_rooms()).prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("rooms", "libraries"),
    [
        ("kombo matching db own_jobs linking ingest backoffice sandbox local settings cli", {"dagster"}),
        ("matching", {"psycopg", "psycopg_pool", "sqlalchemy", "httpx", "starlette"}),
        ("db linking orchestration definitions", {"starlette", "uvicorn"}),
    ],
)
def test_libraries_stay_in_their_rooms(rooms: str, libraries: set[str]) -> None:
    wrong = [
        f"{path.relative_to(PROJECT)} imports {name}"
        for path in MODULES
        if room(path) in rooms.split() and path != DAGSTERS_WEB_APP
        for name in imported(path)
        if name.partition(".")[0] in libraries
    ]
    assert wrong == []


def test_no_function_is_longer_than_60_lines() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{path.relative_to(PROJECT)}:{node.lineno}: {node.name} has {length} lines"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, functions) and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert long == []


def test_no_module_is_longer_than_400_lines_and_no_folder_holds_one_module_alone() -> None:
    lengths = {str(path.relative_to(PROJECT)): len(path.read_text().splitlines()) for path in MODULES}
    print(f"The median module has {statistics.median(lengths.values()):.0f} lines.")
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    folders = {path.parent for path in MODULES if "migrations" not in path.parts}
    beside = {folder: {each.name for each in folder.iterdir()} - {"__init__.py", "__pycache__"} for folder in folders}
    assert [folder.name for folder, names in beside.items() if len(names) < 2] == []
