"""What the pages tell a reader to type works: commands, options, make targets, SQL."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from kombo_pipeline import settings
from kombo_pipeline.cli import main
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.sandbox.world import World

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
PAGES = [README, PROJECT / "docs" / "operations.md", PROJECT / "docs" / "developers.md"]


def blocks(page: Path, language: str) -> list[str]:
    fenced = re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert fenced, f"{page.name} has no {language} block"
    return fenced


def shell_lines(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


def commands_in(text: str) -> Iterator[tuple[str, list[str], set[str]]]:
    """Yield (source, subcommands, options) of every `kombo-pipeline ...` in backticks, brackets dropped."""
    for source in re.findall(r"`kombo-pipeline ([^`]+)`", text):
        words = re.sub(r"[\[\]]", " ", source).split()
        yield source, words, {word for word in words if word.startswith("-")}


def resolve(words: list[str]) -> click.Command:
    """Follow words down the command tree as far as it goes; raises KeyError for a command that is not there."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.commands[word]
    assert not isinstance(command, click.Group), f"{command.name} needs a subcommand"
    return command


def options_of(command: click.Command) -> set[str]:
    return {"--help"}.union(*(set(parameter.opts + parameter.secondary_opts) for parameter in command.params))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_shell_block_is_accepted_by_the_command_line(page: Path):
    calls = [words[1:] for words in shell_lines(page) if words[0] == "kombo-pipeline"]
    assert calls
    for words in calls:
        command = resolve(words)
        arguments = words[words.index(str(command.name)) + 1 :]
        command.make_context(str(command.name), list(arguments), **main.context_settings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_named_in_the_text_exists_with_its_options(page: Path):
    found = list(commands_in(page.read_text()))
    assert found
    for source, words, options in found:
        assert options <= options_of(resolve(words)), source


def test_the_command_table_names_every_command_and_every_option():
    documented: dict[str, set[str]] = {}
    for _, words, options in commands_in(README.read_text()):
        command = resolve(words)
        documented.setdefault(str(command.name), set()).update(options)
    rows = re.findall(r"^\| `kombo-pipeline ([^`]+)` \|", README.read_text(), re.MULTILINE)
    named = [str(resolve(row.split()).name) for row in rows]
    assert sorted(named) == sorted(set(named)), "a command stands in the table twice"
    leaves = {str(leaf.name): leaf for leaf in _leaves(main)}
    assert documented.keys() == leaves.keys()
    for name, command in leaves.items():
        optional = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        missing = [each.opts[0] for each in optional if not {*each.opts, *each.secondary_opts} & documented[name]]
        assert missing == [], name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_exists(page: Path):
    targets = set(re.findall(r"^([a-z]\w*):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ *)make ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


def test_the_programs_of_dagster_that_the_readme_starts_are_installed():
    programs = {words[0] for words in shell_lines(README) if words[0].startswith("dagster")}
    assert programs
    for program in programs:
        assert shutil.which(program, path=str(Path(sys.executable).parent)), program


def test_the_readme_names_the_ports_and_every_variable():
    text = README.read_text()
    for port in (settings.WEBSERVER_PORT, settings.RECEIVER_PORT, settings.SANDBOX_PORT):
        assert f"127.0.0.1:{port}" in text
    table = re.findall(r"^\| `(KOMBO_\w+)` \|", text, re.MULTILINE)
    template = re.findall(r"^(KOMBO_\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(template)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_statement_runs_against_a_migrated_warehouse(page: Path, conn: Connection):
    for block in blocks(page, "sql"):
        # psql's :'name' is a literal there; here a text that matches nothing will do.
        for statement in re.sub(r":'\w+'", "'x'", block).split(";"):
            if statement.strip():
                conn.execute(statement.encode())
        conn.rollback()


def test_the_stages_run_as_the_page_for_developers_types_them(world: World, conn: Connection):
    integration_id = world.add_integration(jobs=20)
    conn.commit()
    [block] = blocks(PROJECT / "docs" / "developers.md", "python")
    typed = re.sub(r'^integration_id = ".*?"', f"integration_id = {integration_id!r}", block, flags=re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(typed, "developers.md", "exec"), names)
    names["conn"].close()
    names["kombo"].__exit__(None, None, None)
    assert names["landed"].status == "landed"
    row = conn.execute("select count(*) as n from core.jobs where integration_id = %s", (integration_id,)).fetchone()
    assert row is not None
    assert row["n"] == len(world.integration(integration_id).mirror.rows)


def test_every_test_file_that_the_page_for_developers_runs_exists():
    words = [word for line in shell_lines(PROJECT / "docs" / "developers.md") for word in line]
    files = [word for word in words if word.startswith("kombo_pipeline_tests/")]
    assert files
    assert [file for file in files if not (PROJECT / file).exists()] == []


def _leaves(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from _leaves(command)
        else:
            yield command
