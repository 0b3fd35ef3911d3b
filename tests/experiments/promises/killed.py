"""A warmup killed at any moment goes on where it was: the next run ends with the content of one
that nobody disturbed, and asks again for no more than was under way.

Under way is what was asked for and is not stored when it is killed: the next run asks once for each
pair that is not stored, and for no other. Answers take different times, so that pairs are stored
one by one. Every tenth time the next run waits until the lock of the one that was killed has run
out; else that lock is taken away, as six seconds of waiting show nothing more.
`tests/warmup/test_killed.py` does it at four points in every run of the tests.
"""

import signal
import time
from collections import Counter
from random import Random

import requests

from exchanges.sandbox.symbols import DEFAULT
from exchanges.venues.binance.rest import WORKERS
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.runners import end, make_row, processes, serve, wait_until
from tests.warmup.test_killed import PAIRS, WARMUP, content

QUICK = {"points": 1}
SEED = 20261121
SHORTEST_SECONDS, LONGER_SECONDS = 0.1, 0.3  # how long an answer takes, and some up to so much more
LONGEST_SECONDS = 60
ASKED_FOR = [(symbol, each) for symbol in WARMUP[-1].split(",") for each in LONGEST_FIRST]


def run(redis, folder, points=200):
    with (
        serve(speed=0, latency_ms=int(1000 * SHORTEST_SECONDS), listings=DEFAULT) as sandbox,
        processes() as manage,
    ):
        trial = Trial(redis, sandbox, make_row(sandbox), manage)
        first, last = trial.run_undisturbed()
        faults = []
        for number, (calls, delay) in enumerate(moments(points, first, last)):
            name = f"killed after {calls} calls and {delay:.2f} s"
            faults += faults_of(name, trial.kill, calls, delay, number % 10 == 9)
    return Outcome(
        f"`manage.py {' '.join(WARMUP)}`, {PAIRS} pairs, was killed by SIGKILL and run again. "
        f"Seeded moments: {points}, half of them some calls and up to an answer's time after the "
        "first of these, half a share of the time between the first call and the end of an "
        "undisturbed one.",
        trial.numbers(),
        faults,
    )


def moments(points, first, last):
    """Return when to kill: after how many calls, and how many seconds later.

    `first` and `last` are how many seconds after its start a run made its first call and ended.
    """
    rng = Random(SEED)
    by_calls = [
        (rng.randint(1, PAIRS), rng.uniform(0, SHORTEST_SECONDS + LONGER_SECONDS))
        for _ in range((points + 1) // 2)
    ]
    by_time = [(0, rng.uniform(first, last)) for _ in range(points - len(by_calls))]
    return by_calls + by_time


def slow_answers():
    """Return how much longer each pair's answer takes, as faults of the sandbox."""
    rng = Random(SEED)
    return [
        {
            "kind": "slow",
            "symbol": symbol,
            "timeframe": str(timeframe),
            "seconds": rng.uniform(0, LONGER_SECONDS),
        }
        for symbol, timeframe in ASKED_FOR
    ]


class Trial:
    """Kills warmups, and compares what their successors ask for and end with."""

    def __init__(self, redis, sandbox, row, manage):
        self._redis, self._sandbox, self._row, self._manage = redis, sandbox, row, manage
        self._undisturbed = {}
        self._left, self._again, self._waited = [], [], 0

    def run_undisturbed(self):
        """Run one that nobody kills; return after how many seconds it first called, and ended."""
        self._sandbox.faults.replace(slow_answers())
        started = time.monotonic()
        process = self._manage(*WARMUP)
        wait_until(lambda: self._asked() or process.poll() is not None, LONGEST_SECONDS)
        first = time.monotonic() - started
        _finish(process)
        self._undisturbed = content(self._redis)
        assert len(self._undisturbed) == 2 * PAIRS
        assert self._asked() == Counter(ASKED_FOR), "an undisturbed run asks once for each pair"
        return first, time.monotonic() - started

    def kill(self, calls, delay, wait_for_lock):
        """Yield what is wrong after a run was killed and another went on."""
        self._redis.flushall()
        self._sandbox.reset()
        self._sandbox.faults.replace(slow_answers())
        process = self._manage(*WARMUP)
        wait_until(
            lambda: self._asked().total() >= calls or process.poll() is not None, LONGEST_SECONDS
        )
        at = time.monotonic() + delay
        wait_until(lambda: time.monotonic() >= at)
        end(process, signal.SIGKILL)
        self._let_calls_arrive()
        left = self._stored()
        under_way = self._asked() - Counter(left)
        self._left.append(len(left))
        if wait_for_lock:
            self._waited += 1
        else:
            self._redis.delete(keys.lock(self._row.pk))
        self._sandbox.requests.reset()
        _finish(self._manage(*WARMUP))
        yield from self._faults(left, under_way)

    def _faults(self, left, under_way):
        asked = self._asked()
        self._again.append((asked & under_way).total())
        if content(self._redis) != self._undisturbed:
            yield "its content is not that of an undisturbed run"
        if more := asked - (Counter(ASKED_FOR) - Counter(left)):
            yield f"{more.total()} calls were made for what was stored, or twice: {_named(more)}"
        if self._again[-1] > WORKERS:
            yield f"{self._again[-1]} calls were made again, {WORKERS} were under way at the most"

    def numbers(self):
        part = [pairs for pairs in self._left if 0 < pairs < PAIRS]
        return {
            "killed before the first pair was stored": self._left.count(0),
            "killed with a part of the pairs stored": len(part),
            "different numbers of pairs stored then": len(set(part)),
            "killed with all pairs stored": self._left.count(PAIRS),
            "waited for the lock to run out": self._waited,
            "candle calls made again, at the most": max(self._again, default=0),
            "candle calls made again, on average": sum(self._again) / max(1, len(self._again)),
            "calls that may be under way at once": WORKERS,
        }

    def _let_calls_arrive(self):
        """Wait until the sandbox has read what was sent to it before: it reads in order."""
        for _ in range(2):  # the first may be read along with others
            requests.get(f"{self._sandbox.url}/api/v3/ping", timeout=LONGEST_SECONDS)

    def _asked(self):
        """Count the calls for candles, by pair."""
        calls = self._sandbox.requests.candles
        return Counter((each.symbol, each.timeframe) for each in calls)

    def _stored(self):
        found = content(self._redis)
        return [pair for pair in ASKED_FOR if keys.candles(self._row.pk, *pair).encode() in found]


def _finish(process):
    _, said = process.communicate(timeout=LONGEST_SECONDS)
    assert process.returncode == 0, said


def _named(pairs):
    return ", ".join(f"{symbol} {timeframe}" for symbol, timeframe in sorted(pairs)[:5])
