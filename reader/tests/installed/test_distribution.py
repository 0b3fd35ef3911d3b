"""What is installed: this package, typed, redis beside it, and nothing that is Livermore's.

Held to in an environment of its own: `.ci/reader`.
"""

import subprocess
import sys
from importlib.metadata import distribution, entry_points, requires
from importlib.util import find_spec
from pathlib import Path

import livermore_reader

LIVERMORE = ["django", "livermore", "exchanges", "warmup", "serving"]
HEAVY = ["redis", "pandas", "polars", "pyarrow", "mcp"]
PROGRAM = """
from typing_extensions import assert_type  # mypy brings it, of 3.10 typing has none

import livermore_reader
from livermore_reader import Close

lm = livermore_reader.connect("redis://localhost")
found = lm.read("sandbox", "BTC-USD", "1h", 10, strict=True)
assert_type(found.missing, tuple[tuple[int, int], ...])
assert_type(found.age_ms, int | None)
for close in lm.follow("sandbox", timeframes=["1h"]):
    assert_type(close, Close)
"""


def modules_after(program: str) -> "set[str]":
    """Return which modules a process has imported that runs a program."""
    ended = subprocess.run(
        [sys.executable, "-I", "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stdout.split())


def test_nothing_of_livermore_is_here() -> None:
    assert [name for name in LIVERMORE if find_spec(name)] == []


def test_it_is_installed_and_not_read_from_its_source() -> None:
    assert "site-packages" in livermore_reader.__file__


def test_it_needs_redis_alone() -> None:
    needed = [each for each in requires("livermore-reader") or () if "extra" not in each]
    assert [each[:5] for each in needed] == ["redis"]


def test_its_extras_are_these() -> None:
    extras = distribution("livermore-reader").metadata.get_all("Provides-Extra")
    assert sorted(extras or ()) == ["arrow", "mcp", "pandas", "polars"]


def test_its_version_is_the_packages_own() -> None:
    assert distribution("livermore-reader").version == livermore_reader.__version__


def test_it_holds_its_package_and_that_this_is_typed() -> None:
    paths = [str(each) for each in distribution("livermore-reader").files or ()]
    assert "livermore_reader/py.typed" in paths
    others = [each for each in paths if not each.startswith("livermore_reader")]
    assert [each for each in others if "bin/" not in each] == []


def test_it_has_a_command_for_assistants() -> None:
    (found,) = entry_points(group="console_scripts", name="livermore-mcp")
    assert found.value == "livermore_reader.mcp:main"


def test_importing_it_imports_nothing_that_takes_long() -> None:
    imported = modules_after("import livermore_reader")
    assert "livermore_reader.client" in imported
    assert imported & {*HEAVY} == set()


def test_it_is_typed_to_who_checks_strictly(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.lstrip())
    assert mypy(tmp_path, "--strict", "program.py") == (0, "")


def test_a_wrong_type_is_found_by_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.lstrip() + '\nlm.read("sandbox", 1, "1h")\n')
    status, said = mypy(tmp_path, "--strict", "program.py")
    assert status == 1
    assert 'incompatible type "int"; expected "str"' in said


def test_it_is_sound_for_the_oldest_python(tmp_path: Path) -> None:
    as_in_3_10 = ("--python-version", "3.10", "--ignore-missing-imports", "-p", "livermore_reader")
    assert mypy(tmp_path, *as_in_3_10) == (0, "")


def mypy(folder: Path, *arguments: str) -> "tuple[int, str]":
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return ended.returncode, ended.stdout + ended.stderr
