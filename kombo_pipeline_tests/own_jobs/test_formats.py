"""Every format of own jobs is declared once, and every way in takes it."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import click
import httpx
import pytest

from kombo_pipeline.own_jobs import commands, reading
from kombo_pipeline.own_jobs.formats import FORMATS
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline_tests.own_jobs.lists import workbook
from kombo_pipeline_tests.own_jobs.test_feed import front_door, post  # noqa: F401 -- a fixture
from kombo_pipeline_tests.test_cli import said

CONTENT: Final = {
    "csv": b"id,title\n1,Cook\n",
    "json": b'[{"id": "1", "title": "Cook"}]',
    "jsonl": b'{"id": "1", "title": "Cook"}\n',
    "xml": b"<jobs><job><id>1</id><title>Cook</title></job></jobs>",
    "xlsx": workbook(("Jobs", [["id", "title"], ["1", "Cook"]])),
}
"""A list of one job in each format."""


def test_every_format_has_a_list_here() -> None:
    assert CONTENT.keys() == FORMATS.keys()


def test_the_command_offers_every_format() -> None:
    option = next(each for each in commands.import_own_jobs.params if each.name == "file_format")
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_imports_every_format_by_its_name_and_by_each_suffix(
    name: str, tmp_path: Path, module_warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", module_warehouse_url)
    for number, suffix in enumerate(("", *FORMATS[name].suffixes)):
        path = tmp_path / f"jobs{suffix}"
        path.write_bytes(CONTENT[name])
        options = () if suffix else ("--format", name)
        customer = f"{name}-{number}"
        assert said("import-own-jobs", path, "--customer", customer, *options)[0].startswith("1 new"), suffix


@pytest.mark.parametrize("name", FORMATS)
def test_the_feed_takes_every_format_by_each_media_type(name: str, front_door: str) -> None:  # noqa: F811
    for media_type in FORMATS[name].media_types:
        response: httpx.Response = post(front_door, CONTENT[name], media_type)
        assert response.status_code == 200, media_type
        assert response.json()["new"] + response.json()["unchanged"] == 1


def test_no_suffix_and_no_media_type_means_two_formats() -> None:
    for names in (
        [suffix for each in FORMATS.values() for suffix in each.suffixes],
        [media_type for each in FORMATS.values() for media_type in each.media_types],
        [beginning for each in FORMATS.values() for beginning in each.beginnings],
    ):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.beginnings or name == "xlsx"])
def test_a_file_without_a_name_is_recognised_by_its_beginning(name: str) -> None:
    rows: Iterator[object] = reading.read(BytesIO(CONTENT[name]))
    assert [(row.own_job_id, row.title) for row in rows if isinstance(row, OwnJob)] == [("1", "Cook")]
