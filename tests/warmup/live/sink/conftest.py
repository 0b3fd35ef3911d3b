"""Sinks as the runner makes them, on the real Redis; only REST is played."""

import json
import time

import pytest

from exchanges.rest.clock import ExchangeClock
from livermore.market import keys
from tests.warmup.live.sink.played import (
    EPOCH,
    EXCHANGE,
    PAIR,
    Rest,
    Stream,
)
from warmup.cache.candles import CandleCache
from warmup.live import overdue
from warmup.live import sink as sink_module
from warmup.live.sink import CandleSink
from warmup.live.writing import write_queue


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Let the sink look for what is overdue, and try again, at each tick."""
    monkeypatch.setattr(sink_module, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(write_queue, "SECONDS_AFTER_FAILURE", 0)
    monkeypatch.setattr(write_queue, "SECONDS_BETWEEN_STATES", 0)
    monkeypatch.setattr(overdue, "LEAST_WAIT_SECONDS", -1)


@pytest.fixture
def rest():
    rest = Rest()
    yield rest
    rest.may_answer.set()


@pytest.fixture
def make(redis, rest):
    """Make sinks as the runner does; they are closed after the test."""
    made = []

    def make(client=redis, **options):
        redis.set(keys.epoch(EXCHANGE), EPOCH, nx=True)
        made.append(Stream(CandleSink(client, EXCHANGE, rest, EPOCH, **options)))
        return made[-1]

    yield make
    rest.may_answer.set()
    for sink in made:
        sink._healer.close()


@pytest.fixture
def sink(make):
    sink = make()
    sink.connected([PAIR])
    return sink


@pytest.fixture
def untold(redis, rest):
    """Return a sink that nobody has told the time."""
    began = time.monotonic()
    rest.clock = ExchangeClock(lambda: rest.time_ms + int(1000 * (time.monotonic() - began)))
    redis.set(keys.epoch(EXCHANGE), EPOCH, nx=True)
    sink = CandleSink(redis, EXCHANGE, rest, EPOCH)
    yield sink
    rest.may_answer.set()
    sink._healer.close()


@pytest.fixture
def cache(redis):
    return CandleCache(redis, EXCHANGE)


@pytest.fixture
def listen(redis):
    """Subscribe to channels; the returned function gives what was published up to now."""
    pubsub = redis.pubsub(ignore_subscribe_messages=True)

    def listen(*channels):
        pubsub.subscribe("end", *channels)
        for _ in range(1 + len(channels)):
            pubsub.get_message(timeout=5)

        def received():
            redis.publish("end", "")
            messages = []
            while (message := pubsub.get_message(timeout=5)) is None or message["data"]:
                if message:
                    messages.append((message["channel"].decode(), json.loads(message["data"])))
            return messages

        return received

    yield listen
    pubsub.close()
