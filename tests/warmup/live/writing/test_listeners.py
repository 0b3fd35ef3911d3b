"""Open candles are published where somebody listens, and not more often than anybody looks."""

import json

import pytest

from exchanges.redis.client import own_client
from livermore.market import keys
from livermore.market.pair import Pair
from tests.warmup.live.sink.played import (
    BTC,
    EPOCH,
    ETH,
    EXCHANGE,
    M1,
    PAIR,
    Rest,
    Stream,
    closed,
    still_open,
)
from warmup.cache.candles import CandleCache
from warmup.live.sink import CandleSink
from warmup.live.writing import listeners, write_queue

OTHER = Pair(ETH, M1)
CHANNEL, OTHER_CHANNEL = keys.candle_channel(EXCHANGE, *PAIR), keys.candle_channel(EXCHANGE, *OTHER)


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Let Redis be asked who listens in each round, and each state be written."""
    monkeypatch.setattr(listeners, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(write_queue, "SECONDS_BETWEEN_STATES", 0)


@pytest.fixture
def sink(redis):
    redis.set(keys.epoch(EXCHANGE), EPOCH)
    rest = Rest()
    sink = Stream(CandleSink(redis, EXCHANGE, rest, EPOCH))
    sink.connected([PAIR, OTHER])
    sink.tick()
    yield sink
    rest.may_answer.set()
    sink._healer.close()


@pytest.fixture
def listener(redis):
    client = own_client(redis, 5)
    with client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
        subscribed(pubsub, "end")
        yield pubsub


def subscribed(listener, *channels, patterns=()):
    if channels:
        listener.subscribe(*channels)
    if patterns:
        listener.psubscribe(*patterns)
    for _ in (*channels, *patterns):
        listener.get_message(timeout=5)


def received(redis, listener):
    """Return the volumes that came up to now, by channel."""
    redis.publish("end", "{}")
    found = []
    while not found or found[-1][0] != "end":
        if message := listener.get_message(timeout=5):
            found.append((message["channel"].decode(), json.loads(message["data"]).get("volume")))
    return found[:-1]


def published(redis, act):
    """Return how many messages are published while something is done."""
    redis.config_resetstat()
    act()
    return redis.info("commandstats").get("cmdstat_publish", {}).get("calls", 0)


def show(sink, volume, symbol=BTC):
    sink.candle(still_open(0, symbol=symbol, volume=volume))
    sink.tick()


def test_what_nobody_listens_to_is_stored_alone(redis, sink):
    assert published(redis, lambda: show(sink, 1.0)) == 0
    assert CandleCache(redis, EXCHANGE).live(*PAIR).volume == 1.0


def test_a_close_is_published_whoever_listens(redis, sink):
    def close():
        sink.candle(closed(0))
        sink.tick()

    assert published(redis, close) == 2


def test_who_subscribes_has_the_newest_state_at_once_and_then_each(redis, sink, listener):
    show(sink, 1.0)
    subscribed(listener, CHANNEL)
    assert published(redis, sink.tick) == 1
    show(sink, 2.0, ETH)
    show(sink, 3.0)
    assert received(redis, listener) == [(CHANNEL, 1.0), (CHANNEL, 3.0)]


def test_a_pattern_that_fits_has_the_newest_state_at_once_and_then_each(redis, sink, listener):
    show(sink, 1.0)
    subscribed(listener, patterns=[keys.candle_channel(EXCHANGE, "*", "*")])
    sink.tick()
    show(sink, 2.0)
    show(sink, 3.0, ETH)
    found = received(redis, listener)
    assert found == [(CHANNEL, 1.0), (CHANNEL, 2.0), (OTHER_CHANNEL, 3.0)]


def test_a_pattern_that_fits_no_candle_is_found_out_once(redis, sink, listener):
    subscribed(listener, patterns=["nothing"])
    assert published(redis, lambda: show(sink, 1.0)) == 1
    assert published(redis, lambda: show(sink, 2.0)) == 0
    subscribed(listener, patterns=[f"*{ETH}*"])
    assert published(redis, lambda: show(sink, 3.0)) == 1
    assert published(redis, lambda: show(sink, 4.0)) == 0
    show(sink, 5.0, ETH)
    assert received(redis, listener) == [(OTHER_CHANNEL, 5.0)]


def test_who_takes_the_place_of_another_pattern_gets_them_after_a_while(
    redis, sink, listener, monkeypatch
):
    subscribed(listener, patterns=["nothing"])
    show(sink, 1.0)
    listener.punsubscribe("nothing")
    subscribed(listener, patterns=[CHANNEL])
    show(sink, 2.0)
    monkeypatch.setattr(listeners, "SECONDS_UNTIL_DOUBT", 0)
    sink._writes._listeners._doubt_at = 0
    show(sink, 3.0)
    assert received(redis, listener) == [(CHANNEL, 3.0)]


def test_where_nobody_says_who_listens_all_is_published(redis, sink):
    redis.execute_command("ACL", "SETUSER", "default", "-pubsub")
    try:
        assert published(redis, lambda: show(sink, 1.0)) == 1
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "+pubsub")
    assert published(redis, lambda: show(sink, 2.0)) == 0


def test_a_state_waits_until_the_one_before_has_been_there_for_a_while(redis, sink, monkeypatch):
    cache = CandleCache(redis, EXCHANGE)
    monkeypatch.setattr(write_queue, "SECONDS_BETWEEN_STATES", 3600)
    show(sink, 1.0)
    show(sink, 2.0)
    assert cache.live(*PAIR).volume == 1.0
    show(sink, 3.0, ETH)
    assert cache.live(*OTHER).volume == 3.0
    sink._writes._next_at.clear()  # an hour later
    sink.tick()
    assert cache.live(*PAIR).volume == 2.0
