"""Two exchanges, live for hours of their time and cut every minute of ours, need no more memory
and no more files in the end than they did at first, and know of every candle.

A minute of the sandbox takes a second; a runner each speaks Binance's and Coinbase's protocol, in a
process of its own. Every few seconds it is noted what they use, and whether what the cache claims
to have is there; at the end all that was told since they went live is compared with the truth. What
they use in the last quarter of the time is compared with the second: in the first they fill their
windows, of 1,000 minutes each in a quarter of an hour of ours. How small a leak can be seen
therefore depends on how long it lasts, and is among the numbers.
`tests/warmup/live/test_scenarios.py` cuts streams for some seconds in every run of the tests.
"""

import os
import statistics
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import NamedTuple

from exchanges.lock.status import State, read_status
from tests.experiments.outcome import Outcome, faults_of
from tests.experiments.watching.claims import Claims
from tests.warmup.runners import MINUTE_MS, Comparison, make_row, processes, serve, wait_until

QUICK = {"minutes": 0.1, "cut_seconds": 2}
NAMES = ("sandbox", "coinbase")
SPEED = 60
SAMPLES = 200
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 20  # less than the minutes that are looked at
HEALS_WITHIN_SECONDS = 180  # a lane that was cut often waits up to a minute before it connects
POOL = 4  # calls at once, each with a thread and a socket: small, so that it is full early
# How much more there may be late: in ten minutes, most of which fill the windows, memory was seen
# to grow by 2 MB, in an hour by less. Open candles and tickers vanish and come again.
MOST_GROWTH_BYTES = 4_000_000
# Each call at once may have a file of the database, a socket to the exchange, and one to Redis.
MOST_GROWTH = {"files": POOL, "sockets": 2 * POOL, "threads": POOL, "keys": 42}


def run(redis, folder, minutes=60, cut_seconds=60):
    with serve(speed=SPEED) as sandbox, processes() as manage:
        runners = [Runner(redis, sandbox, manage, name) for name in NAMES]
        for runner in runners:
            runner.wait_until_live()
        sandbox.scenarios.add("drop", every=cut_seconds)
        faults = faults_of("meanwhile", watch, runners, 60 * minutes)
        cuts = sandbox.scenarios.in_force[0].hits
        sandbox.scenarios.clear()
        numbers = {
            "cuts": cuts,
            "of their time, in hours": minutes * SPEED / 60,
            # From the middle of one quarter to that of the other is half of the time.
            "least steady leak of memory that is noticed, in MB a minute of ours": (
                MOST_GROWTH_BYTES / 1e6 / (minutes / 2)
            ),
            "least steady leak of files that is noticed, in files a minute of ours": (
                (MOST_GROWTH["files"] + 1) / (minutes / 2)
            ),
            "least steady leak of sockets that is noticed, in sockets a minute of ours": (
                (MOST_GROWTH["sockets"] + 1) / (minutes / 2)
            ),
        }
        for runner in runners:
            faults += faults_of(runner.name, runner.end, numbers)
    return Outcome(
        f"A runner each of {' and '.join(NAMES)}, three symbols in six timeframes, for "
        f"{minutes:g} minutes of ours; all connections were cut every {cut_seconds} seconds.",
        numbers,
        faults,
    )


def watch(runners, seconds):
    """Note what they use from time to time; yield what is false meanwhile."""
    pause = min(max(SHORTEST_PAUSE_SECONDS, seconds / SAMPLES), LONGEST_PAUSE_SECONDS)
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        next_at = time.monotonic() + pause
        wait_until(lambda at=next_at: time.monotonic() >= at, 2 * pause + 10)
        for runner in runners:
            yield from runner.look()


class Usage(NamedTuple):
    """What a process uses, and how many keys there are in Redis.

    Files are what has a path, such as the database; sockets are all other descriptors.
    """

    resident_bytes: int
    files: int
    sockets: int
    threads: int
    keys: int


class Runner:
    """One exchange's process, and what was seen of it."""

    def __init__(self, redis, sandbox, manage, name):
        self.name = name
        self._redis, self._sandbox = redis, sandbox
        self._row = make_row(sandbox, name, pacing="batch", batch_size=POOL)
        self._truth = Comparison(redis, sandbox, self._row)
        self._claims = Claims(redis, sandbox, self._row)
        self._process = manage("start", name)
        self._said = deque(maxlen=5)
        threading.Thread(target=self._listen, daemon=True).start()
        self._usages = []
        self._live_ms = 0

    def wait_until_live(self):
        wait_until(lambda: read_status(self._redis, self._row.pk).state is State.ACTIVE, 60)
        self._truth.wait(self._sandbox.clock.now_ms())
        self._live_ms = self._sandbox.clock.now_ms()

    def look(self):
        """Note what it uses; yield what its cache claims falsely, or that it has ended."""
        if self._process.poll() is not None:
            raise AssertionError(f"{self.name} has ended: {' '.join(self._said)}")
        self._usages.append(usage_of(self._process.pid, self._redis.dbsize()))
        self._claims.look()
        yield from (f"{self.name} {text}" for text in self._claims.false)
        self._claims.false.clear()

    def end(self, numbers):
        """Wait until all is healed, end it, and yield what is wrong."""
        self._truth.wait(self._sandbox.clock.now_ms() + MINUTE_MS, HEALS_WITHIN_SECONDS)
        yield from self._truth.faults(since_ms=self._live_ms)
        details = read_status(self._redis, self._row.pk).details
        self._process.terminate()
        if (status := self._process.wait(10)) != 0:
            yield f"it ended with {status}: {' '.join(self._said)}"
        yield from growth(self._usages)
        early, late = _quarters(self._usages)
        numbers |= {
            f"{self.name}: closes told": details["closes"],
            f"{self.name}: of these healed": details["healed"],
            f"{self.name}: reconnects": details["reconnects"],
            f"{self.name}: looks at its claims": self._claims.looks,
            f"{self.name}: memory early": _megabytes(early),
            f"{self.name}: memory late": _megabytes(late),
            f"{self.name}: open files early, at the most": _most("files", early),
            f"{self.name}: open files late, at the most": _most("files", late),
            f"{self.name}: open sockets early, at the most": _most("sockets", early),
            f"{self.name}: open sockets late, at the most": _most("sockets", late),
            f"{self.name}: threads late, at the most": _most("threads", late),
            "keys in Redis early, at the most": _most("keys", early),
            "keys in Redis late, at the most": _most("keys", late),
        }

    def _listen(self):
        self._said.extend(line.strip() for line in self._process.stderr)


def usage_of(pid, keys):
    """Return what a process uses, by /proc."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    opened = Counter(_has_path(each) for each in (folder / "fd").iterdir())
    threads = len(list((folder / "task").iterdir()))
    return Usage(pages * os.sysconf("SC_PAGESIZE"), opened[True], opened[False], threads, keys)


def _has_path(descriptor):
    """Tell whether a descriptor is of a file, and not of a socket, a pipe or a selector.

    One that was closed meanwhile counts as the socket that it was most likely of.
    """
    try:
        return descriptor.readlink().is_absolute()
    except FileNotFoundError:
        return False


def growth(usages):
    """Yield what grew from the second quarter of the time to the last."""
    early, late = _quarters(usages)
    before, after = _memory(early), _memory(late)
    if after > before + MOST_GROWTH_BYTES:
        yield f"memory grew from {before:,.0f} to {after:,.0f} bytes"
    for name, most in MOST_GROWTH.items():
        if _most(name, late) > _most(name, early) + most:
            yield f"{name} grew from {_most(name, early)} to {_most(name, late)}"


def _quarters(usages):
    """Return the second quarter, as in the first it is warming up, and the last."""
    size = max(1, len(usages) // 4)
    return usages[size : 2 * size] or usages, usages[-size:]


def _memory(usages):
    return statistics.median(each.resident_bytes for each in usages)


def _megabytes(usages):
    return f"{_memory(usages) / 1e6:.1f} MB"


def _most(name, usages):
    return max(getattr(each, name) for each in usages)
