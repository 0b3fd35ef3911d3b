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

from exchanges.lock.status import State, read_status
from exchanges.redis.client import make_client
from exchanges.transport import backoff
from livermore.market import keys
from tests.experiments.outcome import Outcome, faults_of_rounds
from tests.fixtures import sentinels as sentinels_module
from tests.fixtures.sentinels import Sentinels
from tests.warmup.followed import followed
from tests.warmup.live.lossy_redis import WAYS, LossyRedis
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    SYMBOLS,
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
    trials, kinds = Trials(folder), kinds or ("killed", "demoted", *WAYS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)
        patch.setattr(sentinels_module, "DOWN_AFTER_MS", down_after_ms)
        faults = faults_of_rounds(kinds, rounds, trials.disturbed)
    return Outcome(
        f"Redis was {', '.join(kinds)} under a live runner, {rounds} times each; Sentinels take a "
        f"server to be down after {down_after_ms} ms.",
        trials.numbers,
        faults,
    )


class Trials:
    """Each kind of disturbance, once a call."""

    def __init__(self, folder):
        self._folder = folder
        self.numbers = {
            "disturbances": 0,
            "events that followers read": 0,
            "closes that a follower read twice": 0,
            "events that say that they may have been told": 0,
            "runners that began anew": 0,
        }

    def disturbed(self, kind, number):
        """Yield what was wrong."""
        self.numbers["disturbances"] += 1
        with (
            serve() as sandbox,
            _moving(kind, self._folder / f"{kind}-{number}") as (url, remember, disturb),
            make_client(url) as client,
        ):
            row = make_row(sandbox, NAMES[number % len(NAMES)])
            with lasting(client, row) as began:
                wait_until(lambda: read_status(client, row.pk).state is State.ACTIVE, 60)
                with followed(client, url, sandbox, row) as watched:
                    yield from self._watched(kind, client, watched, (remember, disturb), sandbox)
                    if len(began) > 1 and watched.epoch_now() == watched.epoch:
                        yield f"another runner has the same epoch, {watched.epoch}"
                self.numbers["runners that began anew"] += len(began) - 1

    def _watched(self, kind, client, watched, act, sandbox):
        row, (remember, disturb) = watched.row, act
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
        watched.wait()
        if (epoch := watched.epoch_now()) < watched.epoch:
            yield f"epoch {epoch} came after {watched.epoch}"
        yield from watched.faults(since_ms=0 if kind in FORGOTTEN else None)
        yield from self._of_follower(watched.follower, client, row)

    def _of_follower(self, follower, client, row):
        events = [orjson.loads(f[b"event"]) for _, f in client.xrange(keys.events(row.pk))]
        said = {_name(event) for event in events if event.get("again")}
        twice = set(follower.read_again())
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
