"""Who waits for a lock that somebody else holds, in threads; the holders are processes."""

import os
import signal
import threading
from contextlib import ExitStack

import pytest

from exchanges.lock.acquire import RENEW_MS, TTL_MS, ExchangeLock
from exchanges.lock.watch import LockWatch
from livermore.market import keys
from tests.exchanges.lock.test_acquire import process, read_line, tell, wait_for_time, wait_until

SCALE = 8  # all times are that much shorter than the real ones
TIMES = {"ttl_ms": TTL_MS // SCALE, "renew_ms": RENEW_MS // SCALE}

HOLDER = f"""
import sys
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.presence import Presence
lease = ExchangeLock(redis, 7, **{TIMES}).acquire().start()
presence = Presence(redis, lease)
if input() == "show":
    presence.keep_up(0.0)
print("holding", lease.holder.instance_id)
input()
lease.release()
print("released")
input()
"""


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    for name, value in TIMES.items():
        monkeypatch.setitem(ExchangeLock.__init__.__kwdefaults__, name, value)


@pytest.fixture
def watch(redis):
    with ExitStack() as stack:

        def watch(*numbers, **options):
            made = LockWatch(redis, **options).start()
            stack.callback(made.close)
            made.wait_for(numbers)
            return made

        yield watch


@pytest.fixture
def holder(redis):
    """Return a function that starts a holder in a process; it shows that it lives, or not."""
    with ExitStack() as stack:

        def holder(shows=True):
            started = stack.enter_context(process(HOLDER))
            tell(started, "show" if shows else "hide")
            channel = keys.holder_channel(read_line(started)[1])
            if shows:
                wait_until(lambda: redis.pubsub_numsub(channel)[0][1])
            return started

        yield holder


def looked(watch, number=7):
    """Wait until a lock was looked at whose holder is known to live, or to show nothing."""
    wait_until(lambda: watch._waiting[number].seen or watch._waiting[number].unseen)


def seconds_until_open(redis, watch, number=7):
    """Return how long after its holder's last renewal the lock of an exchange is open."""
    left_ms = []

    def is_open():
        if (found := redis.pttl(keys.lock(number))) > 0:
            left_ms.append(found)
        return watch.is_open(number)

    wait_until(is_open)
    return (TIMES["ttl_ms"] - left_ms[-1]) / 1000


def test_a_free_lock_is_open_and_who_waits_is_told(redis, watch):
    told = threading.Event()
    waiting = watch(7, on_open=told.set)
    assert told.wait(5)
    assert waiting.is_open(7)
    assert not waiting.is_open(8)


def test_a_lock_that_is_given_back_is_open_at_once(redis, watch, holder):
    held = holder()
    waiting = watch(7)
    looked(waiting)
    assert not waiting.is_open(7)
    tell(held)
    assert read_line(held) == ["released"]
    wait_until(lambda: waiting.is_open(7), TIMES["ttl_ms"] / 4000)


def test_the_lock_of_a_process_that_was_killed_is_not_waited_out(redis, watch, holder):
    held = holder()
    waiting = watch(7)
    wait_until(lambda: waiting._waiting[7].seen)
    held.kill()
    seconds = seconds_until_open(redis, waiting)
    assert TIMES["ttl_ms"] / 2000 < seconds < TIMES["ttl_ms"] * 0.75 / 1000


def test_the_lock_of_a_process_that_stands_still_lasts_to_its_end(redis, watch, holder):
    held = holder()
    waiting = watch(7)
    wait_until(lambda: waiting._waiting[7].seen)
    os.kill(held.pid, signal.SIGSTOP)
    assert seconds_until_open(redis, waiting) > TIMES["ttl_ms"] * 0.9 / 1000


def test_a_process_that_goes_on_within_its_lease_keeps_its_lock(redis, watch, holder):
    held = holder()
    waiting = watch(7)
    wait_until(lambda: waiting._waiting[7].seen)
    before = redis.get(keys.lock(7))
    os.kill(held.pid, signal.SIGSTOP)
    wait_for_time(TIMES["ttl_ms"] * 10 / 12 / 1000)
    os.kill(held.pid, signal.SIGCONT)
    wait_for_time(TIMES["ttl_ms"] / 1000)
    assert not waiting.is_open(7)
    assert redis.get(keys.lock(7)) == before


def test_of_a_process_that_showed_nothing_nothing_is_concluded(redis, watch, holder):
    held = holder(shows=False)
    waiting = watch(7)
    looked(waiting)
    held.kill()
    assert seconds_until_open(redis, waiting) > TIMES["ttl_ms"] * 0.9 / 1000


def test_a_lock_that_was_renewed_is_not_ended(redis):
    lock = ExchangeLock(redis, 7)
    lease = lock.acquire()
    assert not lock.end_abandoned(lease.holder.instance_id)
    redis.pexpire(keys.lock(7), lock.abandoned_ms)
    assert not lock.end_abandoned("another")
    assert lock.end_abandoned(lease.holder.instance_id)
    assert lock.holder() is None


def test_a_lock_that_never_ends_is_not_ended(redis):
    lock = ExchangeLock(redis, 7)
    lease = lock.acquire()
    redis.persist(keys.lock(7))
    assert not lock.end_abandoned(lease.holder.instance_id)


def test_who_waits_looks_only_where_the_lock_could_end(redis, watch, holder):
    holder()
    waiting = [watch(7) for _ in range(5)]
    for each in waiting:
        wait_until(lambda each=each: each._waiting[7].seen)
    before = _calls(redis, "pttl")
    wait_for_time(2 * TIMES["ttl_ms"] / 1000)
    # Of each lease seven twelfths pass between two looks.
    assert _calls(redis, "pttl") - before <= 5 * 5


def test_after_a_failure_of_redis_it_goes_on(redis, watch, holder):
    held = holder()
    waiting = watch(7)
    wait_until(lambda: waiting._waiting[7].seen)
    redis.client_kill_filter(_type="pubsub")
    tell(held)
    assert read_line(held) == ["released"]
    wait_until(lambda: waiting.is_open(7))


def _calls(redis, command):
    return redis.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"]
