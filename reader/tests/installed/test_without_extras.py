"""What needs a package that is not installed says in one line what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from livermore_reader import Missing, Reader


@pytest.mark.parametrize(
    "asked, extra", [("candles", "pandas"), ("polars", "polars"), ("arrow", "arrow")]
)
def test_a_frame_without_its_library(lm: Reader, asked: str, extra: str) -> None:
    with pytest.raises(Missing) as caught:
        getattr(lm, asked)("sandbox", "BTC-USD", "1h", 3)
    assert f"pip install 'livermore-reader[{extra}]'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_for_assistants() -> None:
    command = Path(sys.executable).with_name("livermore-mcp")
    ended = subprocess.run([command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "pip install 'livermore-reader[mcp]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
