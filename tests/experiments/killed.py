"""A warmup killed at any moment goes on where it was: the next run ends with the content of one
that nobody disturbed, and asks again for no more than was under way.

Every tenth time the next run waits until the lock of the one that was killed has run out; else
that lock is taken away, as six seconds of waiting show nothing more. `tests/warmup/test_killed.py`
does it at four points in every run of the tests.
"""

import signal
import time
from random import Random

from exchanges.sandbox.listings import DEFAULT
from exchanges.venues.binance.rest import WORKERS
from livermore.market import keys
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.live import end, make_row, processes, serve, wait_until
from tests.warmup.test_killed import PAIRS, WARMUP, content

QUICK = {"points": 1}
SEED = 20261121
LATENCY_SECONDS = 0.15
LONGEST_SECONDS = 60


def run(redis, folder, points=200):
    latency_ms = int(1000 * LATENCY_SECONDS)
    with (
        serve(speed=0, latency_ms=latency_ms, listings=DEFAULT) as sandbox,
        processes() as manage,
    ):
        trial = Trial(redis, sandbox, make_row(sandbox), manage)
        seconds = trial.run_undisturbed()
        faults = []
        for number, (calls, delay) in enumerate(moments(points, seconds)):
            name = f"killed after {calls} calls and {delay:.2f} s"
            faults += faults_of(name, trial.kill, calls, delay, number % 10 == 9)
    return Outcome(
        f"`manage.py {' '.join(WARMUP)}`, {PAIRS} pairs, was killed by SIGKILL and run again. "
        f"Seeded moments: {points}, half of them some calls and a fraction of a call's time after "
        "the first of these, half any time between its start and the end of an undisturbed one.",
        trial.figures(),
        faults,
    )


def moments(points, seconds):
    """Return when to kill: after how many calls, and how many seconds later."""
    dice = Random(SEED)
    by_calls = [
        (dice.randint(1, PAIRS), dice.uniform(0, 2 * LATENCY_SECONDS))
        for _ in range((points + 1) // 2)
    ]
    # What comes before is the start of a process, which does nothing yet.
    by_time = [(0, dice.uniform(0.4, 1) * seconds) for _ in range(points - len(by_calls))]
    return by_calls + by_time


class Trial:
    """Kills warmups, and compares what their successors end with."""

    def __init__(self, redis, sandbox, row, manage):
        self._redis, self._sandbox, self._row, self._manage = redis, sandbox, row, manage
        self._undisturbed = {}
        self._left, self._again, self._waited = [], [], 0

    def run_undisturbed(self):
        """Run one that nobody kills; return how many seconds it took."""
        started = time.monotonic()
        self._finish()
        self._undisturbed = content(self._redis)
        assert len(self._undisturbed) == 2 * PAIRS
        return time.monotonic() - started

    def kill(self, calls, delay, wait_for_lock):
        """Yield what is wrong after a run was killed and another went on."""
        self._redis.flushall()
        self._sandbox.reset()
        process = self._manage(*WARMUP)
        wait_until(lambda: self._calls() >= calls or process.poll() is not None, LONGEST_SECONDS)
        at = time.monotonic() + delay
        wait_until(lambda: time.monotonic() >= at)
        end(process, signal.SIGKILL)
        self._left.append(len(content(self._redis)) // 2)
        if wait_for_lock:
            self._waited += 1
        else:
            self._redis.delete(keys.lock(self._row.pk))
        self._finish()
        self._again.append(self._calls() - PAIRS)
        if content(self._redis) != self._undisturbed:
            yield "its content is not that of an undisturbed run"
        if self._again[-1] > WORKERS:
            yield f"{self._again[-1]} calls were made again, {WORKERS} were under way at the most"

    def figures(self):
        part = [pairs for pairs in self._left if 0 < pairs < PAIRS]
        return {
            "killed before the first pair was stored": self._left.count(0),
            "killed with a part of the pairs stored": len(part),
            "killed with all pairs stored": self._left.count(PAIRS),
            "waited for the lock to run out": self._waited,
            "candle calls made again, at the most": max(self._again),
            "candle calls made again, on average": sum(self._again) / len(self._again),
            "calls that may be under way at once": WORKERS,
        }

    def _calls(self):
        return self._sandbox.requests.counts["binance.klines"]

    def _finish(self):
        process = self._manage(*WARMUP)
        _, said = process.communicate(timeout=LONGEST_SECONDS)
        assert process.returncode == 0, said
