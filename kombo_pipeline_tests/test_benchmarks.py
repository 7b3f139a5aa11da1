"""The benchmarks say what there is to run and with which options, without running anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import ALL

PROJECT = Path(__file__).parents[1]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], check=False, cwd=PROJECT, capture_output=True, text=True
    )


def test_help_lists_every_benchmark_with_its_options() -> None:
    shown = benchmarks("--help")
    assert shown.returncode == 0, shown.stderr
    for name in ALL:
        assert f"usage: {name}.py" in shown.stdout
    assert "cannot be shown" not in shown.stdout
    for option in ("--trials", "--rounds", "--clients", "--size", "--ats-jobs"):
        assert option in shown.stdout


@pytest.mark.parametrize("arguments", [("latency", "-h"), ("--help", "latency")])
def test_help_of_one_benchmark_is_that_of_one(arguments: tuple[str, ...]) -> None:
    shown = benchmarks(*arguments)
    assert shown.returncode == 0, shown.stderr
    assert "--trials" in shown.stdout
    assert "receiver.py" not in shown.stdout


def test_a_benchmark_that_does_not_exist_is_named() -> None:
    refused = benchmarks("latencies")
    assert refused.returncode == 2
    assert "there is no benchmark latencies; there are ingest, latency" in refused.stderr
