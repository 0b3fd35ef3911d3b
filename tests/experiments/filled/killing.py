"""A fill that is killed at moments that are drawn, and gone on with until all is known."""

import signal
import threading
import time

import orjson
from django.db import connections

from history.models import HistoryFile
from history.places.place import configured_place
from history.verifying.verification import Verification
from livermore.market import keys
from livermore.market.coverage import intersect
from tests.warmup.runners import processes, wait_until
from warmup.cache.unconfirmed import SECOND_LOOK_MS

LONGEST_SECONDS = 400
AFTER_SECONDS = 0.3  # a kill comes up to so long after some answer
MOST_RUNS = 40  # until the last kill; faults end some
MOST_LOOKS = 6  # at what was told empty, or was refused
YOUNG_MS = 600_000  # so long after its end a bar may be unknown: exchanges are late with some
COMPARED_AFTER_A_KILL = 2  # pairs
WAITS_EVERY = 5  # kills, until the turn of who was killed has run out; else it is taken away
PAUSE_SECONDS = 0.003
UNKNOWN_AT_FIRST = "unknown stretches after the first run that came to its end"


class Killing:
    """Fills an exchange's history in processes that are killed, and looks at what they leave."""

    def __init__(self, redis, comparison, spoiling, random, command):
        self._redis, self._comparison, self._spoiling = redis, comparison, spoiling
        self._random, self._command = random, command
        self._sandbox, self._row = comparison._sandbox, comparison._row
        self.numbers = dict.fromkeys(
            (
                "killed", "killed while a file was written", "ended by an answer of the exchange",
                "runs in all", UNKNOWN_AT_FIRST,
            ), 0,
        )  # fmt: skip

    def faults(self, kills):
        """Yield what is wrong after each kill, and in the end."""
        asked = self._planned() if kills else 0
        moments = [
            (asked * self._random.random(), AFTER_SECONDS * self._random.random())
            for _ in range(kills)
        ]
        with processes() as manage:
            for number, moment in enumerate(sorted(moments)):
                self._kill(manage, *moment)
                self._take_turn(waits=number % WAITS_EVERY == WAITS_EVERY - 1)
                yield from self._faults_after_kill()
            yield from self._complete(manage)

    def _planned(self):
        """Return how many answers a fill takes at the least, by what it says itself."""
        with processes() as manage:
            out, error = manage(*self._command, "--plan", "--json").communicate()
        assert out, error
        plan = orjson.loads(out)
        return plan["calls"] + 2 * plan["archives"]["files"]

    def _kill(self, manage, answers, later):
        """Kill the fill so many seconds after so many answers, however often faults end it."""
        for _ in range(MOST_RUNS):
            run = Run(manage, self._command)
            self.numbers["runs in all"] += 1
            while run.is_on and self._answered() < answers:
                self._wait_a_little()
            at = time.monotonic() + later
            while run.is_on and time.monotonic() < at:
                self._wait_a_little()
            if run.is_on:
                run.kill()
                self.numbers["killed"] += 1
                return
            self.numbers["ended by an answer of the exchange"] += run.status != 0
            if run.status == 0:  # all is fetched: one is killed that finds nothing to do
                answers = 0
        raise AssertionError("it ended again and again before it could be killed")

    def _wait_a_little(self):
        self._spoiling.step()
        time.sleep(PAUSE_SECONDS)

    def _answered(self):
        return self._sandbox.requests.counts.total()

    def _take_turn(self, waits):
        name = keys.history_turn(self._row.pk)
        if not waits:
            self._redis.delete(name)
        wait_until(lambda: not self._redis.exists(name), LONGEST_SECONDS)

    def _faults_after_kill(self):
        connections.close_all()
        self.numbers["killed while a file was written"] += (
            HistoryFile.objects.filter(pair__exchange=self._row).exclude(next_digest="").exists()
        )
        found = Verification(configured_place(), self._row).run(lambda *_: None)
        yield from (f"after a kill: {each.path}: {each.text}" for each in found.differences)
        for pair in self._random.sample(self._comparison.pairs, COMPARED_AFTER_A_KILL):
            yield from (f"after a kill: {text}" for text in self._comparison.faults(pair))

    def _complete(self, manage):
        """Run it until nothing is unknown; what is told empty is looked at a while later."""
        looks = 0
        for _ in range(MOST_RUNS):
            run = Run(manage, self._command)
            self.numbers["runs in all"] += 1
            while run.is_on:
                self._wait_a_little()
            self.numbers["ended by an answer of the exchange"] += run.status != 0
            if run.status:
                continue
            settled_ms = self._sandbox.clock.now_ms() - YOUNG_MS
            told = [each for each in run.report["unknown"] if each["from"] < settled_ms]
            if not looks:
                self.numbers[UNKNOWN_AT_FIRST] = len(told)
            yield from self._faults_of_unknown(run.report["unknown"])
            looks += 1
            doubtful = any(self._is_doubtful(each, settled_ms) for each in self._comparison.pairs)
            if not (told or doubtful or self._spoiling.left) or looks == MOST_LOOKS:
                break
            self._sandbox.clock.advance(SECOND_LOOK_MS)
        if self._spoiling.left:
            yield f"did not happen: {', '.join(self._spoiling.left)}"

    def _is_doubtful(self, pair, settled_ms):
        return any(start_ms < settled_ms for start_ms, _ in self._comparison.doubtful(pair))

    def _faults_of_unknown(self, told):
        """Yield where a run tells something else to be unknown than the manifest does."""
        stretches = {}
        for each in told:
            pair = each["symbol"], each["timeframe"]
            stretches.setdefault(pair, []).append((each["from"], each["to"]))
        for pair in self._comparison.pairs:
            expected = self._comparison.unknown(pair, self._sandbox.clock.now_ms())
            # Where the exchange's time was told to be later, it speaks of what has not been yet.
            until_ms = pair.timeframe.floor(self._sandbox.clock.now_ms())
            told_of_it = stretches.get((pair.symbol, str(pair.timeframe)), ())
            found = intersect(told_of_it, ((0, until_ms),))
            if found != expected:
                yield f"{pair}: it told {found} to be unknown, which is {expected}"


class Run:
    """A process of the command, whose streams are read while it runs."""

    def __init__(self, manage, command):
        self._process = manage(*command, "--json")
        self._said = "", ""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def is_on(self):
        return self._reading.is_alive()

    @property
    def status(self):
        return self._process.returncode

    @property
    def report(self):
        return orjson.loads(self._said[0])

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._reading.join()

    def _read(self):
        self._said = self._process.communicate()
