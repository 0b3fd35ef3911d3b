"""Waiting for a lock that somebody else has, on each kind of Redis."""

from contextlib import closing

import pytest

from exchanges.lock.acquire import RENEW_MS, TTL_MS, ExchangeLock
from exchanges.lock.presence import Presence
from exchanges.lock.watch import LockWatch
from exchanges.redis.client import make_client
from livermore.market import keys
from livermore.market.naming import Naming, name_as
from tests.warmup.runners import wait_until
from warmup.runner.moving.succession import Departure, Succession

TIMES = {"ttl_ms": TTL_MS // 4, "renew_ms": RENEW_MS // 4}


@pytest.fixture(autouse=True)
def tagged():
    """Keep what is of one exchange in one slot."""
    before = name_as(Naming("lm:", True, "lm:"))
    yield
    name_as(before)


def test_who_waits_learns_of_an_end_of_a_process_and_of_one_that_leaves(url, monkeypatch):
    for name, value in TIMES.items():
        monkeypatch.setitem(ExchangeLock.__init__.__kwdefaults__, name, value)
    with make_client(url) as redis, closing(LockWatch(redis).start()) as watch:
        for number in (7, 8):  # in a Cluster on different nodes
            redis.delete(keys.lock(number), keys.epoch(number), keys.status(number))
        watch.wait_for([7, 8])
        wait_until(lambda: watch.is_open(7) and watch.is_open(8))
        lease = ExchangeLock(redis, 7).acquire().start()
        with ExchangeLock(redis, 8).acquire() as leaving:
            presence = Presence(redis, lease)
            presence.keep_up(0.0)
            watch.look_again(7)
            watch.look_again(8)
            wait_until(lambda: watch._waiting[7].seen and not watch.is_open(8))
            assert Departure(redis, leaving).offer()
            wait_until(lambda: watch.leaving(8) == leaving.holder.instance_id)
            lease._ending.set()  # as where its process ends: no renewal, and no connection
            presence.close()
            left_ms = []
            wait_until(lambda: left_ms.append(ExchangeLock(redis, 7).left_ms()) or watch.is_open(7))
        assert max(each for each in left_ms[-20:] if each > 0) > TIMES["ttl_ms"] / 12


def test_one_alone_prepares_to_take_over(url):
    with make_client(url) as redis:
        redis.delete(keys.successor(7))
        one, other = (Succession(redis, 7, "holder") for _ in range(2))
        assert one.claim() and not other.claim()
        assert one.keep_up(0.0) and not other.keep_up(0.0)
        one.end()
        assert other.claim()
        one.end()
        assert not one.keep_up(100.0)
        other.end()
        assert one.keep_up(200.0)
        one.end()
