"""The processes of the experiment: those of the bots, and commands whose every word is kept."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from tests.warmup.runners import ROOT, start, wait_until

SECONDS_TO_BEGIN, SECONDS_TO_END = 60, 90


class Kept:
    """A process and what it says: both its streams are read as they come."""

    def __init__(self, process: subprocess.Popen):
        self.process = process
        self.out: list[str] = []
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=lambda told=told, kept=kept: kept.extend(told), daemon=True)
            for told, kept in ((process.stdout, self.out), (process.stderr, self.errors))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self, how: int = signal.SIGTERM, seconds: float = SECONDS_TO_END) -> int:
        """End it; return its exit status."""
        self.process.send_signal(how)
        return self.wait(seconds)

    def wait(self, seconds: float = SECONDS_TO_END) -> int:
        """Wait until it has ended and its last word is kept; return its exit status."""
        status = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(10)
        return status


class Fleet:
    """Programs of bots, each a process."""

    def __init__(self, settings: dict, groups: Sequence[Sequence[dict]]):
        """`settings` are the addresses and the clock, each of `groups` the bots of one process."""
        self._programs = []
        for bots in groups:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.experiments.bots.program"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            process.stdin.write(json.dumps(settings | {"bots": bots}) + "\n")
            process.stdin.flush()
            self._programs.append(Kept(process))

    def wait_until_begun(self) -> None:
        def begun() -> bool:
            for each in self._programs:
                assert each.process.poll() is None, "".join(each.errors[-20:])
            return all(each.out for each in self._programs)

        wait_until(begun, SECONDS_TO_BEGIN)

    def end(self) -> list[dict]:
        """Let all bots end; return what each found."""
        for each in self._programs:
            each.process.stdin.close()
        found = []
        for each in self._programs:
            each.wait()
            assert len(each.out) == 2, "".join(each.errors[-20:])
            found += json.loads(each.out[1])
        return found

    def kill(self) -> None:
        for each in self._programs:
            each.process.kill()


def command(*arguments: str) -> Kept:
    """Start a management command."""
    return Kept(start(*arguments))
