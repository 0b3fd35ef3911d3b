"""Where another Redis takes over that lacks what was written last, writing goes on within ten
seconds, under an epoch that was never given to another, and nothing stays missing: what readers
could not have read is told again, and to who reads by ids no close is told twice without saying so.

Three Sentinels watch a master with two replicas. It is killed, or demoted while it stays up.
Beside that one server loses its last seconds: its append file is cut as by a crash, a replica that
lagged is promoted, an old dump is restored, all is deleted. A runner of each venue goes on over
midnight meanwhile, when bars of six timeframes close, as an agent or `start` runs it, and a
follower reads the events by their ids. Counted are the seconds from the disturbance to the first
close that is written after it. `tests/warmup/live/test_failover.py` and
`tests/warmup/live/test_lost_writes.py` show parts of it in every run of the tests.
"""

import threading
import time
from contextlib import contextmanager

import orjson
import pytest
from django.db import connections
from redis.exceptions import RedisError

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.redis.client import make_client
from exchanges.transport import backoff
from livermore.market import keys
from tests.experiments.outcome import Outcome, faults_of
from tests.experiments.promises.resharding import following
from tests.fixtures import sentinels as sentinels_module
from tests.fixtures.sentinels import Sentinels
from tests.warmup.live.lossy_redis import WAYS, LossyRedis
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    make_row,
    serve,
    wait_for_time,
    wait_until,
)
from warmup.runner.moving.losses import run_through_losses
from warmup.runner.runner import ExchangeRunner

QUICK = {"kinds": ["killed", "promoted"], "rounds": 1, "down_after_ms": 1000}
NAMES = ["sandbox", "coinbase"]
LONGEST_SECONDS = 10.0
FORGOTTEN = ("emptied",)  # it forgot that anything was told


def run(redis, folder, kinds=None, rounds=3, down_after_ms=5000):
    trials = Trials(folder)
    faults = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)
        patch.setattr(sentinels_module, "DOWN_AFTER_MS", down_after_ms)
        for kind in kinds or ("killed", "demoted", *WAYS):
            for number in range(rounds):
                name = NAMES[number % len(NAMES)]
                faults += faults_of(f"{kind}, {name}", trials.disturbed, kind, name)
    return Outcome(
        f"Redis was {', '.join(kinds or ('killed', 'demoted', *WAYS))} under a live runner, "
        f"{rounds} times each; Sentinels take a server to be down after {down_after_ms} ms.",
        trials.numbers,
        faults,
    )


class Trials:
    """Each kind of disturbance, once a call."""

    def __init__(self, folder):
        self._folder = folder
        self._count = 0
        self.numbers = {
            "disturbances": 0,
            "events that followers read": 0,
            "closes that a follower read twice": 0,
            "events that say that they may have been told": 0,
            "runners that began anew": 0,
        }

    def disturbed(self, kind, name):
        """Yield what was wrong."""
        self._count += 1
        self.numbers["disturbances"] += 1
        folder = self._folder / str(self._count)
        folder.mkdir(parents=True)
        with (
            serve() as sandbox,
            _moving(kind, folder) as (url, remember, disturb),
            make_client(url) as client,
        ):
            yield from self._watched(kind, client, url, (remember, disturb), sandbox, name)

    def _watched(self, kind, client, url, act, sandbox, name):
        row = make_row(sandbox, name)
        truth = Comparison(client, sandbox, row)
        remember, disturb = act
        with lasting(client, row) as began, following(url, row.pk) as follower:
            wait_until(lambda: read_status(client, row.pk).state is State.ACTIVE, 60)
            truth.wait(sandbox.clock.now_ms())
            live_ms = sandbox.clock.now_ms()
            epoch = ExchangeLock(client, row.pk).holder().epoch
            wait_for_time(sandbox, MIDNIGHT_MS - MINUTE_MS)
            remember()
            wait_for_time(sandbox, MIDNIGHT_MS + MINUTE_MS)
            newest_ms = newest_close(client, row)
            began_at = time.monotonic()
            disturb()
            wait_until(lambda: (newest_close(client, row) or 0) > (newest_ms or 0), 60)
            seconds = time.monotonic() - began_at
            figure = f"{kind}: seconds until closes are written again, at the most"
            self.numbers[figure] = max(self.numbers.get(figure, 0), round(seconds, 1))
            if seconds > LONGEST_SECONDS:
                yield f"nothing was written for {seconds:.1f} s"
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            holder = ExchangeLock(client, row.pk).holder()
            if holder.epoch < epoch or (len(began) > 1 and holder.epoch == epoch):
                yield f"epoch {holder.epoch} came after {epoch}"
            yield from truth.faults(since_ms=0 if kind in FORGOTTEN else live_ms)
            yield from self._of_follower(follower, client, row)
            self.numbers["runners that began anew"] += len(began) - 1

    def _of_follower(self, follower, client, row):
        yield from follower.faults(client)
        events = [orjson.loads(f[b"event"]) for _, f in client.xrange(keys.events(row.pk))]
        said = {_name(event) for event in events if event.get("again")}
        seen, twice = set(), set()
        for symbol, timeframe, time_ms, _ in follower.read:
            close = symbol, timeframe, time_ms
            (twice if close in seen else seen).add(close)
        self.numbers["events that followers read"] += len(follower.read)
        self.numbers["closes that a follower read twice"] += len(twice)
        self.numbers["events that say that they may have been told"] += len(said)
        if unsaid := twice - said:
            yield f"a follower read {len(unsaid)} closes twice, and nothing said so"


@contextmanager
def _moving(kind, folder):
    """Give the address of a Redis, what to call before it loses something, and what lets it."""
    if kind in WAYS:
        with LossyRedis(folder, kind) as lossy:
            yield lossy.url, lossy.remember, lossy.lose
        return
    with Sentinels(folder) as watched:

        def kill():
            watched.master().kill()

        yield watched.url, lambda: None, kill if kind == "killed" else watched.fail_over


@contextmanager
def lasting(client, row):
    """Run an exchange as an agent does, over losses of its lock; give what was begun."""
    began, done = [], threading.Event()

    def begin(lately):
        began.append(ExchangeRunner(client, row, SYMBOLS, lately=lately))
        began[-1].run()

    def live():
        try:
            run_through_losses(begin, done.wait)
        finally:
            connections.close_all()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield began
    finally:
        done.set()
        began[-1].stop()
        thread.join(10)


def newest_close(client, row):
    """Return when the newest candle opened whose close was told, None where Redis is away."""
    try:
        found = client.xrevrange(keys.events(row.pk), count=20)
    except RedisError:
        return None
    times = [orjson.loads(fields[b"event"])["timestamp"] for _, fields in found]
    return max(times, default=None)


def _name(event):
    return event["symbol"], event["timeframe"], event["timestamp"]
