"""A Kombo that answers by script, and a client of it that notes its pauses instead of sleeping."""

from contextlib import closing

import pytest

from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline_tests.kombo.test_client import KEY, ScriptedKombo


@pytest.fixture
def server():
    with closing(ScriptedKombo()) as scripted:
        yield scripted


@pytest.fixture
def waits():
    return []


@pytest.fixture
def kombo(server, waits):
    with Kombo(api_url=server.url, api_key=KEY, sleep=waits.append) as client:
        yield client
