"""Who runs on which core: what is measured has one for itself, all else the others.

Where the system can't say so, as macOS, or where there is one core alone, nobody is kept apart.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


class Cores:
    """The cores that this process may use."""

    def __init__(self) -> None:
        known = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
        self.are_apart = len(known) > 1
        self._all = known
        self._one = {min(known)} if self.are_apart else known

    @contextlib.contextmanager
    def others(self, *pids: int) -> Iterator[None]:
        """Let this process, what it starts and those of these numbers leave one core alone."""
        with self._using(self._all - self._one):
            if self.are_apart:
                for task in (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()):
                    os.sched_setaffinity(int(task.name), self._all - self._one)
            yield

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Let what is started in this block have that core."""
        with self._using(self._one):
            yield

    @contextlib.contextmanager
    def _using(self, cores: set[int]) -> Iterator[None]:
        if not self.are_apart:
            yield
            return
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, cores)
            yield
        finally:
            os.sched_setaffinity(0, before)
