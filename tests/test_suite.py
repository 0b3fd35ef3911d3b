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


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A project whose tests have our conftest.py."""
    project = tmp_path_factory.mktemp("suite") / "project"
    left_out = shutil.ignore_patterns("tests", ".*", "var", "docs")
    shutil.copytree(ROOT, project, ignore=left_out)
    tests = project / "tests"
    tests.mkdir()
    (tests / "__init__.py").touch()
    shutil.copy(ROOT / "tests/conftest.py", tests)
    return project


def ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def run(suite, *arguments, tests=OWN, **options):
    (suite / "tests/test_own.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", *arguments]
    done = subprocess.run(
        command, cwd=suite, capture_output=True, text=True, timeout=110, **options
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def first_run(suite):
    return run(suite, preexec_fn=ignored)


def assert_children_ended(status, said):
    assert status == 0, said
    assert "2 passed" in said


def test_where_signals_are_ignored_children_end_by_them_and_the_tests_do_not(first_run):
    assert_children_ended(*first_run)


def test_in_workers_they_do_so_too(suite):
    assert_children_ended(*run(suite, "-n", "2", preexec_fn=ignored))


def test_it_says_how_long_it_takes_first_by_a_guess_and_then_by_the_last_time(suite, first_run):
    def said(*arguments):
        return run(suite, *arguments, tests="def test_nothing():\n    pass\n")[1]

    assert re.search(r"all tests: about \d+ min, processes: 1", first_run[1])
    assert "all tests: last time it took 1 min, processes: 1" in said()
    assert "all tests:" not in said("tests/test_own.py")
    assert "all tests:" not in said("-k", "nothing")
