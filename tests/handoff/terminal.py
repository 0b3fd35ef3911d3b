"""A terminal in which one command after the other is typed, so that exports last."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, TextIO

SECONDS = 60
END = "~~ that was all"


class Typed(NamedTuple):
    """What came of a command."""

    status: int
    output: str
    complaints: str


class Terminal:
    """A context manager that ends its shell, and what was left running in it."""

    def __init__(self, env: dict[str, str], folder: Path):
        self._env, self._folder = env, folder

    def __enter__(self) -> "Terminal":
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._shell = subprocess.Popen(
            ["sh"], env=self._env, cwd=self._folder, text=True, start_new_session=True, **pipes
        )
        self._out, self._err = _lines(self._shell.stdout), _lines(self._shell.stderr)
        return self

    def __exit__(self, *error) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.wait(SECONDS)
        self._shell.stdin.close()

    def type(self, text: str) -> Typed:
        """Type a command and wait until it has returned."""
        after = f'printf "\\n%s %d\\n" "{END}" $?; echo "{END}" >&2'
        self._shell.stdin.write(f"{{ {text}\n}} </dev/null\n{after}\n")
        self._shell.stdin.flush()
        output, complaints = _until_end(self._out, text), _until_end(self._err, text)
        status = int(output.pop().removeprefix(END))
        return Typed(status, "".join(output).strip(), "".join(complaints[:-1]))


def _lines(pipe: TextIO) -> SimpleQueue[str]:
    """Read a pipe in a thread: a command must not wait until somebody looks."""
    found: SimpleQueue[str] = SimpleQueue()

    def read():
        with pipe:
            for line in pipe:
                found.put(line)

    threading.Thread(target=read, daemon=True).start()
    return found


def _until_end(lines: SimpleQueue[str], text: str) -> list[str]:
    found = [""]
    deadline = time.monotonic() + SECONDS
    while not found[-1].startswith(END):
        try:
            found.append(lines.get(timeout=max(0, deadline - time.monotonic())))
        except Empty:
            raise AssertionError(f"{text} did not return; it said: {''.join(found)}") from None
    return found
