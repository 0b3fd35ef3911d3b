"""Exchanges that are followed while their Redis is disturbed: nothing may be lost or told twice."""

import time
from contextlib import contextmanager
from itertools import pairwise
from threading import Event, Thread

import orjson
from redis.exceptions import RedisError

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.control import read_entries
from exchanges.redis.client import make_client
from livermore.market import keys
from tests.warmup.runners import MINUTE_MS, Comparison


class Follower:
    """One who reads an exchange's events by their ids, as docs/reading.md has it."""

    def __init__(self, client, number):
        self._client, self._key = client, keys.events(number)
        self.read = []
        self._done = Event()

    def run(self):
        last = "0-0"
        while not self._done.is_set():
            try:
                entries = read_entries(self._client, self._key, last, 200)
            except RedisError:
                time.sleep(0.1)
                continue
            for number, fields in entries:
                self.read.append(_close(fields))
                last = number

    def stop(self):
        self._done.set()

    def faults(self, client):
        """Return which closes are in the stream and were not read, and which not in turn."""
        stored = {_close(fields) for _, fields in client.xrange(self._key)}
        deadline = time.monotonic() + 10
        while not stored <= set(self.read) and time.monotonic() < deadline:
            time.sleep(0.05)
        if unread := stored - set(self.read):
            yield f"a follower never read {sorted(unread)[:3]}"
        in_turn = {}
        for symbol, timeframe, time_ms, late in self.read:
            if not late:
                in_turn.setdefault((symbol, timeframe), []).append(time_ms)
        for pair, times in in_turn.items():
            if any(later < earlier for earlier, later in pairwise(dict.fromkeys(times))):
                yield f"a follower read {pair} out of order"

    def read_again(self):
        """Return the closes that were read more than once, each as often as it was again."""
        seen, again = set(), []
        for symbol, timeframe, time_ms, _ in self.read:
            close = symbol, timeframe, time_ms
            if close in seen:
                again.append(close)
            seen.add(close)
        return again


@contextmanager
def following(url, number):
    with make_client(url) as client:
        follower = Follower(client, number)
        thread = Thread(target=follower.run, daemon=True)
        thread.start()
        try:
            yield follower
        finally:
            follower.stop()
            thread.join(10)


class Followed:
    """An exchange that is live: since when, under which epoch, and who follows it."""

    def __init__(self, client, sandbox, row, follower):
        self.row, self.follower = row, follower
        self._client, self._sandbox = client, sandbox
        self._truth = Comparison(client, sandbox, row)
        self._truth.wait(sandbox.clock.now_ms())
        self.live_ms = sandbox.clock.now_ms()
        self.epoch = self.epoch_now()

    def epoch_now(self):
        """Return under which epoch it is held, None where it isn't."""
        holder = ExchangeLock(self._client, self.row.pk).holder()
        return holder and holder.epoch

    def is_answered(self):
        """Tell that its Redis answers. Raises RedisError where it does not."""
        self._truth.behind(0)
        return True

    def wait(self):
        """Wait until all is known and told up to a minute on from now."""
        self._truth.wait(self._sandbox.clock.now_ms() + MINUTE_MS)

    def faults(self, since_ms=None):
        """Yield what is wrong, a line each; `since_ms` None counts from when it was live."""
        yield from self._truth.faults(since_ms=self.live_ms if since_ms is None else since_ms)
        yield from self.follower.faults(self._client)


@contextmanager
def followed(client, url, sandbox, row):
    """Follow an exchange that runs, once all of it is there."""
    with following(url, row.pk) as follower:
        yield Followed(client, sandbox, row, follower)


def _close(fields):
    event = orjson.loads(fields[b"event"])
    late = event.get("late", False)
    return event["symbol"], event["timeframe"], event["timestamp"], late
