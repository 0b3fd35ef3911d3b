"""An exchange that can't be trusted, in what it answers, streams and says of the time, is believed
nothing that isn't so: no false claim of coverage, no close before its end, no wrong value, each
close told once, and what waits is named.

The sandbox plays all of it at once, for hours of its time, to a runner each of three exchanges, in
a process of its own: answers of REST that are empty, that lack the newest bars, or tell these as
they stood before; closing frames that come early, late or never, some of them for the bar after;
open candles told again in an older version; frames that are dated minutes off, lost, broken, twice
or in another order; cuts; and in the second half REST tells a time that is minutes off too. Who
reads the events notes each close that comes before its bar ended. Every second it is noted what
coverage claims and is not there, and which pair is minutes behind while there is a connection, and
is not named as waiting. In the end all that was told is compared with the truth.
`tests/warmup/live/test_scenarios.py` plays each of these for a minute in every run of the tests.
"""

import threading
import time
from collections import deque

import orjson

from exchanges.lock.status import State, read_status
from exchanges.redis.client import own_client
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.experiments.outcome import Outcome, faults_of
from tests.experiments.watching.claims import Claims
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    make_row,
    processes,
    serve,
    stored,
    wait_until,
)

QUICK = {"minutes": 0.2}
NAMES = ("sandbox", "binance_us", "coinbase")
SPEED = 60
SECONDS_BETWEEN_LOOKS = 1.0
NAMED_AFTER_MS = 5 * MINUTE_MS  # of the exchange's time: a pair so far behind is said to wait
NAMED_WITHIN_SECONDS = 5.0  # of ours: so old may the status be
SETTLES_WITHIN_SECONDS = 240
LIES = [
    {"kind": "rest_empty", "chance": 0.2},
    {"kind": "rest_late", "every": 40, "seconds": 20},
    {"kind": "rest_late", "every": 60, "seconds": 20, "way": "stale"},
    {"kind": "early_close", "chance": 0.05},
    {"kind": "early_close", "chance": 0.02, "way": "later"},
    {"kind": "late_close", "symbol": "SOL-USD"},
    {"kind": "missing_close", "chance": 0.05},
    {"kind": "versions", "chance": 0.3},
    {"kind": "frame_time", "chance": 0.02},
    {"kind": "loss", "chance": 0.02},
    {"kind": "malformed", "chance": 0.02},
    {"kind": "duplicates", "chance": 0.1},
    {"kind": "reordering", "chance": 0.1},
    {"kind": "drop", "every": 30},
]
LIE_OF_THE_SECOND_HALF = {"kind": "rest_time", "ms": 300_000}


def run(redis, folder, minutes=6):
    with serve(speed=SPEED) as sandbox, processes() as manage:
        runners = [Runner(redis, sandbox, manage, name) for name in NAMES]
        for runner in runners:
            runner.wait_until_live()
        lies = [sandbox.scenarios.add(**each) for each in LIES]
        faults = faults_of("first half", watch, runners, 30 * minutes)
        lies.append(sandbox.scenarios.add(**LIE_OF_THE_SECOND_HALF))
        faults += faults_of("second half", watch, runners, 30 * minutes)
        sandbox.scenarios.clear()
        numbers = {"of their time, in hours": minutes * SPEED / 60}
        for lie in lies:
            name = f"{lie.kind}, {lie.way}" if lie.way else lie.kind
            numbers[f"{name}: how often"] = lie.hits
        for runner in runners:
            faults += faults_of(runner.name, runner.end, numbers)
    return Outcome(
        f"A runner each of {', '.join(NAMES)}, three symbols in six timeframes, for {minutes:g} "
        "minutes of ours.",
        numbers,
        faults,
    )


def watch(runners, seconds):
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        for runner in runners:
            yield from runner.look()


class Runner:
    """One exchange's process, and what was seen of it."""

    def __init__(self, redis, sandbox, manage, name):
        self.name = name
        self._redis, self._sandbox = redis, sandbox
        self._row = make_row(sandbox, name)
        self._truth = Comparison(redis, sandbox, self._row)
        self._claims = Claims(redis, sandbox, self._row)
        self._process = manage("start", name)
        self._said = deque(maxlen=5)
        self._early, self._events_read = [], 0
        self._behind_since = {}
        self._most_waiting = 0
        self._stopping = threading.Event()
        for target in (self._listen, self._follow):
            threading.Thread(target=target, daemon=True).start()
        self._live_ms = 0

    def wait_until_live(self):
        wait_until(lambda: read_status(self._redis, self._row.pk).state is State.ACTIVE, 60)
        self._truth.wait(self._sandbox.clock.now_ms())
        self._live_ms = self._sandbox.clock.now_ms()

    def look(self):
        """Yield what is false now."""
        if self._process.poll() is not None:
            raise AssertionError(f"{self.name} has ended: {' '.join(self._said)}")
        self._claims.look()
        found = [*self._claims.false, *self._early, *self._unnamed()]
        self._claims.false.clear()
        self._early.clear()
        yield from (f"{self.name} {text}" for text in found)

    def _unnamed(self):
        """Yield pairs that have been far behind for some seconds and are not said to wait."""
        now_ms = self._sandbox.clock.now_ms()
        details = read_status(self._redis, self._row.pk).details
        if not details["connections"]:  # that is said of the exchange as a whole
            self._behind_since.clear()
            return
        waiting, odd = details["waiting"], details["oddClock"]
        self._most_waiting = max(self._most_waiting, len(waiting))
        for symbol in SYMBOLS:
            for timeframe in LONGEST_FIRST:
                name = f"{symbol}/{timeframe}"
                _, coverage = stored(self._redis, self._row.pk, symbol, timeframe)
                is_behind = coverage[-1][1] < timeframe.floor(now_ms - NAMED_AFTER_MS)
                if not is_behind or name in waiting:
                    self._behind_since.pop(name, None)
                    continue
                since = self._behind_since.setdefault(name, time.monotonic())
                if time.monotonic() - since > NAMED_WITHIN_SECONDS:
                    behind_ms = now_ms - coverage[-1][1]
                    clock_ms = now_ms - details["exchangeTime"]
                    yield (
                        f"{name} is {behind_ms} ms behind, and nobody says so; its clock is "
                        f"{clock_ms} ms late, odd is {odd}"
                    )

    def end(self, numbers):
        """Wait until all is known, end it, and yield what is wrong."""
        self._truth.wait(self._sandbox.clock.now_ms() + MINUTE_MS, SETTLES_WITHIN_SECONDS)
        yield from self.look()
        yield from self._truth.faults(since_ms=self._live_ms)
        details = read_status(self._redis, self._row.pk).details
        self._process.terminate()
        if (status := self._process.wait(10)) != 0:
            yield f"it ended with {status}: {' '.join(self._said)}"
        self._stopping.set()
        numbers |= {
            f"{self.name}: closes told": details["closes"],
            f"{self.name}: of these healed": details["healed"],
            f"{self.name}: of these late": details["late"],
            f"{self.name}: events read when they came": self._events_read,
            f"{self.name}: looks at its claims": self._claims.looks,
            f"{self.name}: pairs that waited at one time, at the most": self._most_waiting,
        }

    def _follow(self):
        """Read the events as they come; a close that comes before its end is one too early."""
        redis, last = own_client(self._redis, 10), "0"
        while not self._stopping.is_set():
            found = redis.xread({keys.events(self._row.pk): last}, block=500)
            now_ms = self._sandbox.clock.now_ms()
            entries = found[0][1] if found else []
            last = entries[-1][0] if entries else last
            for _, fields in entries:
                event = orjson.loads(fields[b"event"])
                end_ms = event["timestamp"] + Timeframe(event["timeframe"]).ms
                self._events_read += 1
                if end_ms > now_ms:
                    self._early.append(f"told {event}, {end_ms - now_ms} ms before its end")

    def _listen(self):
        self._said.extend(line.strip() for line in self._process.stderr)
