"""Benchmarks are found: those that the registry names are those that there are."""

from pathlib import Path

from benchmarks import measured
from benchmarks.registry import BENCHMARKS


def test_each_benchmark_is_a_module_and_each_module_is_one():
    modules = {path.stem for path in Path(measured.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == set(BENCHMARKS)
