"""Exchanges that tell of their newest bars alone, read from Redis itself and from serve: alike."""

import json
from dataclasses import replace

import livermore_reader
import pytest
from livermore_reader import Incomplete

from livermore.market import keys
from tests.conftest import SERVER
from tests.reader.conftest import TOLD
from tests.reader.test_both_ways import HOUR, SERVED, Both
from tests.serving.conftest import Filled, FixedDirectory, fail, say_streamed
from tests.serving.serving import served

DEPTH = 200  # bars
SHALLOW = FixedDirectory(replace(SERVED, depth_rows=DEPTH))


@pytest.fixture
def both(redis, monkeypatch):
    """Return what asks both ways; nobody fetches for serve."""
    redis.hset(keys.exchanges(), "sandbox", json.dumps(TOLD | {"depthRows": DEPTH}))
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fail)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: None)
    monkeypatch.delattr("serving.fetching.stretches.fetch_once")
    say_streamed(redis)
    with (
        served(redis, directory=SHALLOW) as url,
        livermore_reader.connect(SERVER.url) as by_redis,
        livermore_reader.connect(url) as by_http,
    ):
        yield Both(by_redis, by_http)


def test_of_the_newest_there_are_as_many_as_are_told(redis, both):
    past = Filled(redis, count=DEPTH)
    for timeframe, rows in (("1h", DEPTH), ("2h", DEPTH // 2)):
        found = both.read("sandbox", "BTC-USD", timeframe, 300, live=timeframe == "1h")
        assert found["complete"] and rows - 1 <= len(found["rows"]) <= rows
    start = past.first_ms - 5 * HOUR
    assert not both.read("sandbox", "BTC-USD", "1h", 300, start=start)["complete"]


def test_what_is_kept_from_before_is_told_too_up_to_a_hole(redis, both):
    past = Filled(redis, count=DEPTH + 60)
    at = past.first_ms + 20 * HOUR
    redis.zremrangebyscore(keys.candles(4, "BTC-USD", "1h"), at, at)
    stretches = [past.first_ms, at], [at + HOUR, past.open_ms]
    redis.set(keys.coverage(4, "BTC-USD", "1h"), json.dumps(stretches))
    found = both.read("sandbox", "BTC-USD", "1h", 500)
    assert (found["complete"], found["rows"][0][0]) == (True, at + HOUR)


def test_what_is_missing_of_what_is_told_stays_missing(redis, both):
    Filled(redis, count=DEPTH - 1)
    assert not both.read("sandbox", "BTC-USD", "1h", 500)["complete"]
    assert not both.read("sandbox", "ETH-USD", "1h", 500)["complete"]


def test_more_than_redis_keeps_is_not_all(redis, both):
    Filled(redis, count=DEPTH)
    for lm in both.readers:
        with pytest.raises(Incomplete):
            lm.read("sandbox", "BTC-USD", "1h", 1001, strict=True)
