"""Prometheus's own tool, which comes with it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REQUIRED = "LIVERMORE_PROMETHEUS_TESTS"  # "required": where it is missing, tests fail


def promtool(*arguments: str | Path) -> str:
    """Let it check or test something; return what it says of it. Its refusal fails the test."""
    program = shutil.which("promtool")
    if program is None:
        text = "no promtool on the PATH: apt-get install prometheus"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(text)
        pytest.skip(f"THE RULES WERE NOT TESTED: {text}")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
