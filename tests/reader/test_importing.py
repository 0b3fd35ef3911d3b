"""What an import of the reader brings along: nothing that a program may not need."""

import subprocess
import sys

LARGE = {"redis", "pandas", "polars", "pyarrow", "mcp", "numpy", "asyncio"}


def test_what_is_large_waits_until_it_is_needed(pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", "import livermore_reader, sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(pytestconfig.rootpath / "reader")},
        capture_output=True,
        text=True,
    )
    assert "livermore_reader.client" in done.stdout, done.stderr
    assert not LARGE & {*done.stdout.split()}
