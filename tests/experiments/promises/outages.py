"""Whatever becomes of Redis, coverage never claims a candle that is not there, and once Redis is
well again every close is there and told, once and in order.

Redis is restarted with its data, loses all of it, stops answering for ten seconds (SIGSTOP: what
was sent to it meanwhile it does afterwards, tried again or not), is parted from the runner for ten
seconds (the reply to a close that it wrote is lost, then all replies, then all that is sent either
way, and in the end the connections break), and is full (`maxmemory` below what is needed,
`noeviction`) and later is not; all of that around midnight, when bars of six timeframes close. The
runner calls it over a wire, with Livermore's own timeouts. Claims are compared with the truth five
times a second all the while. `tests/warmup/live/test_outages.py` restarts, empties and stops it in
every run of the tests.
"""

import logging
import time
from contextlib import contextmanager

import pytest

from exchanges.lock.status import read_status
from exchanges.sandbox.symbols import DEFAULT
from exchanges.transport import backoff
from tests.experiments.interference.partition import RemoteRedis
from tests.experiments.outcome import Outcome, faults_of
from tests.experiments.watching.claims import Claims, watched_claims
from tests.warmup.live.redis_away import faults_after, faults_after_losing_all
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    make_row,
    processes,
    serve,
    short_lease,
    wait_for_time,
    wait_until,
)

QUICK = {"venues": ["sandbox"], "kinds": ["full"], "rounds": 1}
VENUES = ["sandbox", "coinbase"]
HANGS_SECONDS = PARTED_SECONDS = 10
FULL = "used memory > 'maxmemory'"  # how Redis says it
ROOM_BYTES = 300_000  # for a part of a warmup


def run(redis, folder, venues=VENUES, kinds=None, rounds=2):
    trials = Trials(redis, folder)
    faults = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)
        for name in venues:
            for kind in kinds or KINDS:
                for number in range(rounds):
                    title = f"{kind}, {name} {number}"
                    faults += faults_of(title, KINDS[kind], trials, name)
        faults += faults_of("a warmup into a full Redis", trials.warm_into_full)
    return Outcome(
        f"Redis was {', '.join(kinds or KINDS)} under a live runner; rounds of it: {rounds} for "
        f"each of {' and '.join(venues)}. A warmup was run into a Redis that is full.",
        trials.numbers,
        faults,
    )


class Trials:
    """The outages, one method each: they return what was wrong afterwards."""

    def __init__(self, redis, folder):
        self._redis, self._folder = redis, folder
        self._count = 0
        self.numbers = {
            "outages": 0,
            "looks at the claims of 18 pairs": 0,
            "looks that Redis did not answer": 0,
            "bytes lost on the wire": 0,
            "writes that a full Redis refused": 0,
        }

    def restarted(self, name):
        return self._disturbed(name, self._restart)

    def hanging(self, name):
        return self._disturbed(name, self._hang)

    def parted(self, name):
        return self._disturbed(name, self._part)

    def full(self, name):
        return self._disturbed(name, self._fill)

    def emptied(self, name):
        self.numbers["outages"] += 1
        self._redis.flushall()
        with pytest.MonkeyPatch.context() as patch:
            short_lease(patch)
            return faults_after_losing_all(self._redis, name)

    def warm_into_full(self):
        """Yield what is wrong with a warmup for which there is no room, and with the next one."""
        self._redis.flushall()
        with serve(speed=0, listings=DEFAULT) as sandbox, processes() as manage:
            row = make_row(sandbox, symbols=[each.symbol for each in DEFAULT])
            room = self._redis.info("memory")["used_memory"] + ROOM_BYTES
            with _limited(self._redis, room):
                process = manage("warmup", "sandbox")
                _, said = process.communicate(timeout=60)
                lines = said.strip().splitlines() or [""]
                self.numbers["said to whoever runs a warmup then"] = lines[-1].partition(
                    "refuses: "
                )[2]
                if process.returncode != 1 or FULL not in lines[-1] or "Traceback" in said:
                    yield f"it ended with {process.returncode} and said {said}"
            claims = Claims(self._redis, sandbox, row)
            claims.look()
            yield from claims.false
            if (status := manage("warmup", "sandbox").wait(60)) != 0:
                yield f"with room again it ends with {status}"

    def _disturbed(self, name, disturb):
        """Run an exchange while its Redis is disturbed; return all that was wrong."""
        self._count += 1
        self.numbers["outages"] += 1
        watches = []

        def watched(sandbox, row):
            with own_redis.client() as client, watched_claims(client, sandbox, row) as claims:
                watches.append(claims)
                disturb(own_redis, client, sandbox, row)
                wait_for_time(sandbox, sandbox.clock.now_ms() + MINUTE_MS)

        with RemoteRedis(self._folder / f"redis-{self._count}") as own_redis:
            faults = faults_of("afterwards", faults_after, own_redis, watched, name)
            self.numbers["bytes lost on the wire"] += own_redis.wire.lost
        for claims in watches:
            self.numbers["looks at the claims of 18 pairs"] += claims.looks
            self.numbers["looks that Redis did not answer"] += claims.failed_looks
            faults += claims.false
            if not claims.looks:
                faults.append("nobody could look at the claims, so of them this shows nothing")
        return faults

    def _restart(self, own_redis, client, sandbox, row):
        wait_for_time(sandbox, MIDNIGHT_MS - MINUTE_MS // 2)
        own_redis.stop()
        own_redis.start()

    def _hang(self, own_redis, client, sandbox, row):
        ends_at = time.monotonic() + HANGS_SECONDS
        with own_redis.hanging():
            wait_until(lambda: time.monotonic() >= ends_at)

    def _part(self, own_redis, client, sandbox, row):
        own_redis.part(PARTED_SECONDS)

    def _fill(self, own_redis, client, sandbox, row):
        with _limited(client, client.info("memory")["used_memory"] // 2), _sink_says() as said:
            wait_for_time(sandbox, max(MIDNIGHT_MS, sandbox.clock.now_ms()) + 2 * MINUTE_MS)
        wait_until(lambda: read_status(client, row.pk).details.get("flushFailures"))
        details = read_status(client, row.pk).details
        self.numbers["writes that a full Redis refused"] += details["flushFailures"]
        assert any(FULL in line for line in said), "nobody was told that Redis is full"
        self.numbers["said in the log of a runner then"] = said[0]


KINDS = {
    "restarted": Trials.restarted,
    "emptied": Trials.emptied,
    "hanging": Trials.hanging,
    "parted": Trials.parted,
    "full": Trials.full,
}


@contextmanager
def _limited(client, bytes_):
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", bytes_)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


@contextmanager
def _sink_says():
    """Collect what is logged of a stream's writes while the block lasts."""
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("warmup.live.writing.write_queue")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
