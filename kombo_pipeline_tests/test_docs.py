"""docs/ and .env.example say what the code and the database say."""

import ast
import dataclasses
import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from kombo_pipeline import settings
from kombo_pipeline.db.connection import Connection

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


def text_without_code(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", PROJECT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_reference_is_what_the_database_says_of_itself(conn: Connection):
    written = (PROJECT / "docs" / "tables.md").read_text()
    assert written == generator().table_reference(conn), "docs/tables.md is out of date: make docs"


def test_the_page_of_own_job_files_has_the_names_of_the_code():
    written = (PROJECT / "docs" / "own-job-files.md").read_text()
    assert written == generator().own_job_files(), "docs/own-job-files.md is out of date: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path):
    links = re.findall(r"\]\(([^)\s]+)\)", text_without_code(page))
    broken = []
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_file_that_a_page_names_exists(page: Path):
    tests = PROJECT / "kombo_pipeline_tests"
    named = set(re.findall(r"`((?:\w+/)*test_\w+\.py|traps/)`", page.read_text()))
    assert {name for name in named if not (tests / name).exists()} == set()


def test_the_environment_template_names_every_documented_variable_and_no_other():
    documented = {each.metadata["name"] for each in dataclasses.fields(settings.Settings)}
    template = re.findall(r"^#? ?(KOMBO_\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(template) == sorted(documented)


def test_each_setting_is_described_below_its_declaration():
    [declared] = ast.parse(inspect.getsource(settings.Settings)).body
    assert isinstance(declared, ast.ClassDef)
    lines = declared.body[1:]
    assert [type(line) for line in lines] == [ast.AnnAssign, ast.Expr] * len(dataclasses.fields(settings.Settings))


def test_the_environment_template_as_it_is_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    monkeypatch.chdir(tmp_path)
    bare = settings.load()
    # Registered first, so that what load_dotenv puts into the environment is taken out again.
    for name in re.findall(r"^(KOMBO_\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text((PROJECT / ".env.example").read_text())
    assert settings.load() == bare
