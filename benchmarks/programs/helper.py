"""A process that helps a benchmark: says a line when it is ready, and one when it is ended."""

import subprocess
import sys
from types import TracebackType


class Helper:
    """A module in a process of its own, for as long as the `with` block lasts, or until `end`.

    `word` is what it said when it was ready. Raises AssertionError where it says nothing.
    """

    def __init__(self, module: str, *arguments: object):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "livermore.running.run_child", module, *map(str, arguments)],
            stdin=subprocess.PIPE,  # closed at its end: it ends when this process is gone
            stdout=subprocess.PIPE,
            text=True,
        )
        self._name = module
        self.word = self._line()

    def end(self) -> str:
        """Return its last line."""
        self._process.terminate()
        try:
            return self._line()
        finally:
            self._process.wait()

    def _line(self) -> str:
        line = self._process.stdout.readline().strip()
        assert line, f"{self._name} ended with {self._process.wait()}"
        return line

    def __enter__(self) -> "Helper":
        return self

    def __exit__(
        self, _kind: type | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()
