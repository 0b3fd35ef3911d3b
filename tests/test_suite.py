"""The tests themselves, as somebody runs them."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OWN = """
import os, signal, subprocess, sys, time
import pytest

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_child_ends(number):
    child = subprocess.Popen([sys.executable, "-c", "print('up', flush=True); input()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    os.kill(os.getpid(), number)  # who runs the tests goes on
    child.send_signal(number)
    assert child.wait(20) in (-number, 128 + number, 1)
"""


@pytest.fixture
def suite(tmp_path):
    """A project whose tests have our conftest.py."""
    left_out = shutil.ignore_patterns("tests", ".*", "var", "docs")
    shutil.copytree(ROOT, tmp_path / "project", ignore=left_out)
    tests = tmp_path / "project" / "tests"
    tests.mkdir()
    (tests / "__init__.py").touch()
    shutil.copy(ROOT / "tests/conftest.py", tests)
    (tests / "test_own.py").write_text(OWN)
    return tmp_path / "project"


def ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def run(suite, *arguments, **options):
    command = [sys.executable, "-m", "pytest", *arguments]
    done = subprocess.run(
        command, cwd=suite, capture_output=True, text=True, timeout=110, **options
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "workers"])
def test_where_signals_are_ignored_children_end_by_them_and_the_tests_do_not(suite, workers):
    status, said = run(suite, *workers, preexec_fn=ignored)
    assert status == 0, said
    assert "2 passed" in said


def test_it_says_how_long_it_takes_first_by_a_guess_and_then_by_the_last_time(suite):
    (suite / "tests/test_own.py").write_text("def test_nothing():\n    pass\n")
    assert re.search(r"all tests: about \d+ min, processes: 1", run(suite)[1])
    assert "all tests: last time it took 1 min, processes: 1" in run(suite)[1]
    assert "all tests:" not in run(suite, "tests/test_own.py")[1]
    assert "all tests:" not in run(suite, "-k", "nothing")[1]
