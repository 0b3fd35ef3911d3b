"""Taking an exchange in the thread that streams it, whatever becomes of who waits for it."""

import threading
import time

import pytest

from exchanges.errors import Unreachable
from exchanges.lock.acquire import ExchangeLock
from exchanges.stream.streamer import StreamEnded, Streamer
from exchanges.venues.binance.stream import BinanceStream
from livermore.market import keys
from tests.warmup.runners import wait_until
from warmup.runner.moving import shadow
from warmup.runner.moving.shadow import Shadow

SECONDS = 10


class Sink:
    """A sink and a follower of indicators that write down what they are told."""

    def __init__(self):
        self.epochs = []
        self.ticking, self.taking = threading.Event(), threading.Event()
        self.standing = threading.Event()
        self.ticking.set()
        self.taking.set()

    def disconnected(self, pairs):
        pass

    def received_until(self, time_ms):
        pass

    def closed(self):
        pass

    def tick(self):
        if not self.ticking.is_set():
            self.standing.set()
        assert self.ticking.wait(SECONDS)

    def take_over(self, epoch, may_write):
        self.epochs.append(epoch)
        self.may_write = may_write
        assert self.taking.wait(SECONDS)

    def under(self, epoch, may_write):
        pass


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def streamer(sink):
    streamer = Streamer(BinanceStream("ws://127.0.0.1:9", {}), sink)
    streamer.start()
    yield streamer
    for event in (sink.ticking, sink.taking):
        event.set()
    streamer.stop()


@pytest.fixture
def take(redis, streamer, sink):
    """Return a function that takes an exchange, once `before` is done."""

    def take(before=lambda: None):
        def acquire():
            before()
            return ExchangeLock(redis, 7).acquire()

        return Shadow(streamer, sink, sink).take(acquire)

    return take


def until_done(streamer):
    """Wait until all is done that was asked of the thread."""
    streamer.between_rounds(lambda: None).result(SECONDS)


@pytest.fixture
def broken_off(monkeypatch):
    """Let who waits for what is taken be broken off, as by a signal, when a condition holds."""

    def broken_off(condition):
        def result(future):
            wait_until(condition)
            raise SystemExit

        monkeypatch.setattr(shadow, "_result", result)

    return broken_off


def test_what_is_taken_is_written_under_its_epoch(take, sink):
    lease = take()
    assert sink.epochs == [lease.epoch]
    assert sink.may_write()
    lease.release()


def test_an_answer_that_comes_late_is_waited_for(take, sink, monkeypatch):
    monkeypatch.setattr(shadow, "LONGEST_STANDING_STILL_SECONDS", 0.05)
    lease = take(before=lambda: time.sleep(0.3))
    assert sink.epochs == [lease.epoch]
    lease.release()


def test_a_stream_that_stands_still_takes_nothing_then_or_later(
    redis, take, streamer, sink, monkeypatch
):
    monkeypatch.setattr(shadow, "LONGEST_STANDING_STILL_SECONDS", 0.05)
    sink.ticking.clear()
    assert sink.standing.wait(SECONDS)
    with pytest.raises(Unreachable, match="the stream stood still"):
        take()
    sink.ticking.set()
    until_done(streamer)
    assert (redis.exists(keys.epoch(7)), sink.epochs) == (0, [])


def test_a_stream_that_has_ended_takes_nothing(redis, take, streamer):
    streamer.stop()
    with pytest.raises(StreamEnded):
        take()
    assert not redis.exists(keys.epoch(7))


def test_what_is_decided_when_nobody_waits_any_more_is_given_back(
    redis, take, streamer, sink, broken_off
):
    deciding, answering = threading.Event(), threading.Event()

    def answer_late():
        deciding.set()
        assert answering.wait(SECONDS)

    broken_off(deciding.is_set)
    with pytest.raises(SystemExit):
        take(before=answer_late)
    answering.set()
    until_done(streamer)
    assert redis.exists(keys.epoch(7))
    assert (redis.exists(keys.lock(7)), sink.epochs) == (0, [])


def test_a_sink_that_begins_when_nobody_waits_any_more_may_not_write(
    redis, take, streamer, sink, broken_off
):
    sink.taking.clear()
    broken_off(lambda: sink.epochs)
    with pytest.raises(SystemExit):
        take()
    sink.taking.set()
    until_done(streamer)
    assert not redis.exists(keys.lock(7))
    assert not sink.may_write()


def test_where_the_sink_fails_the_lock_is_given_back(redis, take, sink):
    sink.take_over = None
    with pytest.raises(TypeError):
        take()
    assert not redis.exists(keys.lock(7))
