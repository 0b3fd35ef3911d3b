"""A live exchange and its history that is followed, each killed again and again."""

import signal
import time
from functools import partial

from exchanges.lock.status import State, read_status
from history.models import KeptHistory
from livermore.market import keys
from tests.warmup.runners import Comparison, events_of, processes, wait_until

INTERVAL_SECONDS = "1"  # between two rounds
SETTLES_WITHIN_SECONDS = 120
WAITS_EVERY = 4  # kills, until what the killed one held has run out; else that is taken away
STREAM_FAULTS = (
    {"kind": "drop", "every": 20},
    {"kind": "loss", "chance": 0.02},
    {"kind": "missing_close", "chance": 0.1},
    {"kind": "late_close", "chance": 0.05},
    {"kind": "duplicates", "chance": 0.1},
    {"kind": "rest_empty", "chance": 0.1},
)


class Following:
    """The two processes; each is begun again where it was killed."""

    def __init__(self, redis, sandbox, row, random, patch):
        self._redis, self._sandbox, self._row, self._random = redis, sandbox, row, random
        self.killed = {"start": 0, "history": 0}
        patch.setenv("LIVERMORE_HISTORY_SECONDS", INTERVAL_SECONDS)

    def keep(self, since):
        KeptHistory.objects.update_or_create(exchange=self._row, defaults={"since": since})

    def faults(self, comparison, seconds, kills):
        """Yield what is wrong after so many kills, in about so many seconds."""
        with processes() as manage:
            running = {name: self._start(manage, name) for name in self.killed}
            self._wait_until_live()
            for each in STREAM_FAULTS:
                self._sandbox.scenarios.add(**each)
            for number, name in enumerate(self._order(kills)):
                time.sleep(2 * seconds / kills * self._random.random())
                yield from self._kill(running[name], name, number)
                running[name] = self._start(manage, name)
                yield from self._faults_of_claims(comparison)
            self._sandbox.scenarios.clear()
            yield from self._end(comparison, running)

    def _order(self, kills):
        """Return which of the two is killed each time: each at least once of two."""
        names = list(self.killed)
        return [*names, *(self._random.choice(names) for _ in range(kills - len(names)))][:kills]

    def _start(self, manage, name):
        follow = ("--follow",) if name == "history" else ()
        return manage(name, self._row.name, *follow)

    def _wait_until_live(self):
        wait_until(lambda: read_status(self._redis, self._row.pk).state is State.ACTIVE, 60)

    def _kill(self, process, name, number):
        if (status := process.poll()) is not None:
            yield f"{name} had ended with {status}: {process.communicate()[1][-500:]}"
            return
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.killed[name] += 1
        held = self._held_by(name)
        if number % WAITS_EVERY != WAITS_EVERY - 1:
            self._redis.delete(held)
        wait_until(lambda: not self._redis.exists(held), SETTLES_WITHIN_SECONDS)

    def _held_by(self, name):
        return {"start": keys.lock, "history": keys.history_turn}[name](self._row.pk)

    def _faults_of_claims(self, comparison):
        """Yield what history claims at this moment and is not so, of a pair that is drawn."""
        pair = self._random.choice(comparison.pairs)
        yield from (f"while it ran: {text}" for text in comparison.faults(pair, is_written=True))

    def _end(self, comparison, running):
        now_ms = self._sandbox.clock.now_ms()
        symbols = {pair.symbol for pair in comparison.pairs}
        cache = Comparison(self._redis, self._sandbox, self._row, symbols)
        cache.wait(now_ms, SETTLES_WITHIN_SECONDS)
        wait_until(lambda: comparison.is_settled(now_ms), SETTLES_WITHIN_SECONDS)
        for name in ("start", "history"):
            held = self._held_by(name)
            wait_until(partial(self._redis.exists, held), SETTLES_WITHIN_SECONDS)
            running[name].terminate()
            _, error = running[name].communicate(timeout=20)
            if running[name].returncode:
                yield f"{name} ended with {running[name].returncode}: {error[-500:]}"
        yield from comparison.faults_when_complete(now_ms, self._sandbox.clock.now_ms())

    @property
    def closes(self):
        return sum(len(each) for each in events_of(self._redis, self._row.pk).values())
