"""A runner that takes over from another one while both stream, in threads."""

import logging
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connections

from exchanges.lock.acquire import Held
from exchanges.lock.lease import HandedOver
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import holder_of
from tests.warmup.runners import (
    MIDNIGHT_MS,
    Comparison,
    Running,
    events_of,
    hurry,
    make_row,
    serve,
    wait_until,
)
from warmup.cache.candles import CandleCache
from warmup.live import indicators
from warmup.live.sink import CandleSink
from warmup.runner.moving import shadow, succession
from warmup.runner.runner import ExchangeRunner

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["sandbox", "coinbase"])
def name(request):
    return request.param


@pytest.fixture
def sandbox():
    # A bar that is 5 s late is asked for of REST: that is a quarter of a second here.
    with serve(speed=20) as server:
        yield server


@pytest.fixture
def row(redis, sandbox, name):
    return make_row(sandbox, name)


class Follower(Running):
    """A runner that takes the exchange from whoever has it."""

    def _run(self):
        try:
            self.runner.run(holder_of(self.redis, self.row).instance_id, "moved")
        except Exception as error:
            self.error = error
        finally:
            connections.close_all()


@contextmanager
def ended(*runners):
    try:
        yield
    finally:
        for each in runners:
            each.stop()


def is_held_by_another(redis, row, before):
    status = read_status(redis, row.pk)
    return status.state is State.ACTIVE and status.holder != before and status.holder


def healed(redis, row, since_ms):
    return [
        (*pair, event["timestamp"])
        for pair, events in events_of(redis, row.pk).items()
        for event in events
        if event["healed"] and event["timestamp"] >= since_ms
    ]


def test_a_warm_take_over_leaves_no_close_to_rest_and_tells_none_twice(
    redis, row, sandbox, caplog, name
):
    caplog.set_level(logging.INFO)
    old = Running(redis, row).wait_until_live()
    truth = Comparison(redis, sandbox, row)
    truth.wait(sandbox.clock.now_ms() + 60_000)
    begins_ms = sandbox.clock.now_ms()
    first = holder_of(redis, row)
    new = Follower(redis, row)
    with ended(new, old):
        second = wait_until(lambda: is_held_by_another(redis, row, first))
        took_ms = sandbox.clock.now_ms()
        wait_until(lambda: old.ended)
        truth.wait(took_ms + 3 * 60_000)
        faults = truth.faults()
    assert faults == []
    assert second.epoch > first.epoch
    assert isinstance(old.error, HandedOver)
    assert [each.getMessage() for each in caplog.records if each.levelno > logging.WARNING] == []
    if name == "sandbox":  # there a frame closes each bar, so that REST need not
        assert healed(redis, row, begins_ms) == []


def test_a_follower_that_does_not_get_there_leaves_the_exchange_where_it_is(
    redis, row, sandbox, monkeypatch
):
    monkeypatch.setattr(shadow, "LONGEST_PREPARING_SECONDS", 1.0)
    hurry(monkeypatch)
    old = Running(redis, row).wait_until_live()
    first = holder_of(redis, row)
    Comparison(redis, sandbox, row).wait(sandbox.clock.now_ms())
    row.ws_url = "ws://127.0.0.1:9"
    new = Follower(redis, row)
    wait_until(lambda: new.ended)
    with ended(old):
        assert "nothing was taken over" in str(new.error)
        assert holder_of(redis, row) == first
        assert not old.ended
        Comparison(redis, sandbox, row).wait(sandbox.clock.now_ms() + 60_000)


def test_a_follower_that_is_told_to_end_takes_nothing(redis, row, sandbox, monkeypatch):
    old = Running(redis, row).wait_until_live()
    first = holder_of(redis, row)
    row.ws_url = "ws://127.0.0.1:9"
    new = Follower(redis, row)
    wait_until(lambda: any(each.name == "streamer" for each in threading.enumerate()))
    new.stop()
    with ended(old):
        assert new.error is None
        assert holder_of(redis, row) == first


def test_while_it_prepares_the_holder_goes_on(redis, row, sandbox, monkeypatch):
    old = Running(redis, row).wait_until_live()
    first = holder_of(redis, row)
    prepare = shadow.Shadow.prepare
    held = threading.Event()

    def prepare_and_wait(self, *arguments):
        found = prepare(self, *arguments)
        assert held.wait(20)
        return found

    monkeypatch.setattr(shadow.Shadow, "prepare", prepare_and_wait)
    new = Follower(redis, row)
    with ended(new, old):
        truth = Comparison(redis, sandbox, row)
        truth.wait(sandbox.clock.now_ms() + 3 * 60_000)
        assert holder_of(redis, row) == first
        assert not old.ended
        held.set()
        wait_until(lambda: is_held_by_another(redis, row, first))
        truth.wait(sandbox.clock.now_ms() + 2 * 60_000)
        assert truth.faults() == []


def test_at_another_pace_no_close_right_after_a_take_over_is_left_to_rest(redis, monkeypatch):
    take, taken_ms = shadow.Shadow.take, []

    def take_just_before_a_close(self, acquire):
        until_ms = Timeframe.M1.ceil(sandbox.clock.now_ms()) - 2000
        wait_until(lambda: sandbox.clock.now_ms() >= until_ms)
        taken_ms.append(sandbox.clock.now_ms())
        return take(self, acquire)

    monkeypatch.setattr(shadow.Shadow, "take", take_just_before_a_close)
    with serve(speed=10, start_ms=MIDNIGHT_MS - 30_000) as sandbox:
        row = make_row(sandbox)
        old = Running(redis, row).wait_until_live()
        first = holder_of(redis, row)
        new = Follower(redis, row)
        with ended(new, old):
            wait_until(lambda: is_held_by_another(redis, row, first))
            truth = Comparison(redis, sandbox, row)
            truth.wait(Timeframe.M1.ceil(taken_ms[0]))
            assert truth.faults() == []
        assert healed(redis, row, taken_ms[0] - 60_000) == []


def test_an_exchange_that_does_not_tell_the_time_again_is_taken_over_nevertheless(
    redis, row, sandbox, monkeypatch, caplog
):
    monkeypatch.setattr(shadow, "LONGEST_SETTLING_SECONDS", 0.3)
    follows = CandleSink.follows

    def follows_and_rest_hangs(self, pairs):
        found = follows(self, pairs)
        if found:
            sandbox.scenarios.add("slow", delay=12)
        return found

    old = Running(redis, row).wait_until_live()
    first = holder_of(redis, row)
    monkeypatch.setattr(CandleSink, "follows", follows_and_rest_hangs)
    new = Follower(redis, row)
    with ended(new, old):
        wait_until(lambda: is_held_by_another(redis, row, first), 10)
        sandbox.scenarios.clear()
    assert any("shadow.time_unknown" in each for each in caplog.messages)


def test_a_follower_that_fails_once_it_has_taken_over_writes_and_holds_nothing(
    redis, row, sandbox, monkeypatch, name
):
    take_over = CandleSink.take_over

    def take_over_and_fail(self, *arguments):
        take_over(self, *arguments)
        raise RuntimeError("a fault")

    old = Running(redis, row).wait_until_live()
    monkeypatch.setattr(CandleSink, "take_over", take_over_and_fail)
    new = Follower(redis, row)
    with ended(old):
        wait_until(lambda: new.ended and old.ended)
    assert str(new.error) == "a fault"
    assert holder_of(redis, row) is None
    assert not redis.exists(keys.successor(row.pk))
    venue = "coinbase" if name == "coinbase" else "binance"
    assert sandbox.streams[venue].open == 0


def test_who_prepares_says_so_while_the_exchange_does_not_answer(redis, row, sandbox, monkeypatch):
    monkeypatch.setattr(succession, "KEPT_MS", 600)
    monkeypatch.setattr(succession, "SECONDS_BETWEEN_WORDS", 0.1)
    old = Running(redis, row).wait_until_live()
    Exchange.objects.filter(pk=row.pk).update(listed_at=None)  # it is asked for at the start
    slow = sandbox.scenarios.add("slow", delay=3)
    new = Follower(redis, row)
    with ended(new, old):
        claim = wait_until(lambda: redis.get(keys.successor(row.pk)))
        wait_until(lambda: slow.hits)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert redis.get(keys.successor(row.pk)) == claim
            time.sleep(0.02)
        assert not new.ended
    assert not redis.exists(keys.successor(row.pk))


def test_who_prepares_says_so_while_it_reads_what_is_cached(redis, row, sandbox, monkeypatch):
    monkeypatch.setattr(succession, "KEPT_MS", 600)
    monkeypatch.setattr(succession, "SECONDS_BETWEEN_WORDS", 0.1)
    monkeypatch.setattr(indicators, "PAIRS_PER_WINDOWS", 1)
    windows, claims = CandleCache.windows, []

    def read_slowly(self, pairs):
        if redis.exists(keys.successor(row.pk)) or claims:
            time.sleep(0.1)
            claims.append(redis.get(keys.successor(row.pk)))
        return windows(self, pairs)

    old = Running(redis, row).wait_until_live()
    monkeypatch.setattr(CandleCache, "windows", read_slowly)
    new = Follower(redis, row)
    with ended(new, old):
        wait_until(lambda: len(claims) >= 12)
    assert len({*claims[:12]}) == 1 and claims[0]


def test_who_cannot_begin_to_prepare_says_so_no_longer(redis, row, sandbox, monkeypatch):
    def fail(self, *arguments):
        raise RuntimeError("a fault")

    old = Running(redis, row).wait_until_live()
    monkeypatch.setattr(ExchangeRunner, "_check_redis", fail)
    new = Follower(redis, row)
    with ended(old):
        wait_until(lambda: new.ended)
        assert str(new.error) == "a fault"
        assert not redis.exists(keys.successor(row.pk))


def test_who_finds_that_another_prepares_leaves_it_to_that_one(redis, row, sandbox, monkeypatch):
    monkeypatch.setattr(succession, "SECONDS_BETWEEN_WORDS", 0.1)
    old = Running(redis, make_row(sandbox, row.name)).wait_until_live()
    first = holder_of(redis, row)
    row.ws_url = "ws://127.0.0.1:9"  # it does not get there
    new = Follower(redis, row)
    with ended(old):
        wait_until(lambda: redis.get(keys.successor(row.pk)))
        redis.set(keys.successor(row.pk), "somebody else's")
        wait_until(lambda: new.ended)
        assert isinstance(new.error, Held)
        assert redis.get(keys.successor(row.pk)) == b"somebody else's"
        assert holder_of(redis, row) == first
