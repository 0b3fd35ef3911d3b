"""Benchmarks are found, and what they are made of runs with small numbers."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from benchmarks.registry import BENCHMARKS, MEASURED, PARTS, module_of
from benchmarks.serving import load, streams
from benchmarks.serving.exchange import ServedExchange
from livermore.market.timeframe import Timeframe
from serving.directory import ServedSymbol
from tests.serving.conftest import ROW, FixedDirectory
from tests.serving.serving import served

SYMBOLS = [ServedSymbol(f"{base}-USD", f"{base}USD", base, "USD", True, True) for base in "AB"]


def test_each_benchmark_is_a_module_and_each_module_is_one():
    paths = [each for each in MEASURED.rglob("*.py") if each.stem != "__init__"]
    assert sorted(each.stem for each in paths) == sorted([*BENCHMARKS, *PARTS])
    for name in (*BENCHMARKS, *PARTS):
        assert find_spec(module_of(name)), name


@pytest.mark.parametrize("module", ["benchmarks", "tests.experiments"])
def test_those_there_are_are_named_without_django(module):
    command = [sys.executable, "-m", module, "--list"]
    unset = {name: value for name, value in os.environ.items() if "SETTINGS" not in name}
    done = subprocess.run(command, env=unset, capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 5, done.stderr


@pytest.fixture
def at(redis):
    """Serve an exchange that is all there; return it and the port."""
    names = {name: each for each in SYMBOLS for name in (each.word, each.symbol)}
    row = replace(ROW, symbols=names)
    exchange = ServedExchange(redis, row.exchange_id, row.name, [each.symbol for each in SYMBOLS])
    exchange.fill((Timeframe.H1,))
    with exchange.streamed(), served(redis, directory=FixedDirectory(row)) as url:
        yield exchange, int(url.rpartition(":")[2])


def test_a_load_is_answered_at_full_speed_at_a_pace_and_once_each(at):
    exchange, port = at
    paths = [exchange.klines(each, Timeframe.H1, 500) for each in exchange.words]
    assert load.once(port, paths, 3).check().answers == 6  # first: pairs are read into memory
    assert load.flat(port, paths, 2, 0.1).answers > 2
    assert load.paced(port, paths, 2, 0.2, 50).answers == 10


def test_a_close_is_timed_until_each_client_has_it(at, monkeypatch):
    exchange, port = at
    names = ("CLIENTS", "STREAMS", "ROUNDS", "BURSTS", "SECONDS_BETWEEN_BURSTS")
    for name, number in zip(names, (3, 2, 1, 1, 0.05), strict=True):
        monkeypatch.setattr(streams, name, number)
    monkeypatch.setattr(streams, "SECONDS_TO_ARRIVE", 0.3)
    found = list(streams.measure_at(port, exchange))
    assert len(found) == 4
    assert all(0 < each.value < 10_000 for each in found)
