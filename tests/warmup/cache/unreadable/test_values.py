"""A value that can't be read counts as not there, and is named once."""

import logging

import pytest

from exchanges.symbols.volumes import read_volumes
from livermore.market import keys
from tests.warmup.cache.unreadable.written import (
    NOW,
    OTHER_TYPES,
    PAIR,
    RAW,
    TOO_MUCH,
    named,
    of_type,
)
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.cache.tickers import TickerCache
from warmup.metrics.redis_server import refusal


@pytest.mark.django_db
def test_a_value_that_cant_be_read_is_said_once(redis, warm, looks, caplog):
    caplog.set_level(logging.WARNING)
    redis.set(keys.warmup_stats(warm.pk), b"a text of this test alone")
    for _ in range(3):
        looks.look()
    name = keys.warmup_stats(warm.pk)
    told = [each for each in caplog.messages if "redis.unreadable" in each and name in each]
    assert len(told) <= 1


@pytest.mark.django_db
def test_caches_count_what_they_cant_read_as_not_there(redis):
    cache, tickers = CandleCache(redis, 7), TickerCache(redis, 7)
    indicators = IndicatorCache(redis, 7)
    for text in RAW:
        for name in (keys.coverage(7, *PAIR), keys.live_candle(7, *PAIR), keys.ticker(7, "A")):
            redis.set(name, text)
        redis.set(keys.indicator(7, *PAIR), text)
        redis.zadd(keys.candles(7, *PAIR), {text: NOW})
        assert cache.live(*PAIR) is None
        assert tickers.read("A") is None
        assert cache.newest(*PAIR, 10) == []
        assert cache.between(*PAIR, 0, 2 * NOW) == []
        assert cache.coverage(*PAIR) in ((), ((0, 4_000_000_000_000),))
        assert indicators.read_many([PAIR]) in ([None], [{}], [{"a": None}])


@pytest.mark.django_db
def test_a_coverage_that_is_too_long_is_named_and_not_carried_about(redis, warm, looks, caplog):
    name = keys.coverage(warm.pk, *PAIR)
    redis.set(name, b'{"a":"' + TOO_MUCH * b"x" + b'"}')
    [summary] = CandleCache(redis, warm.pk).summaries([PAIR])
    assert len(summary.coverage) < 2_000_000
    assert summary.known == ()
    looks.look()
    assert named(caplog, name) == [f"redis.unreadable key={name} why=no coverage: too long"]


@pytest.mark.django_db
@pytest.mark.parametrize("text", [b"mine", b"[[5,1]]", b'{"a":1}'])
def test_a_coverage_that_is_none_is_named_by_its_key(redis, warm, looks, caplog, text):
    name = keys.coverage(warm.pk, "ETH-USD", "4h")
    redis.set(name, text)
    looks.look()
    assert len(named(caplog, name)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("name_of", [keys.volumes, lambda pk: keys.live_candle(pk, *PAIR)])
def test_other_values_that_are_too_long_are_read_no_further(redis, warm, caplog, name_of):
    redis.set(name_of(warm.pk), b"[" + TOO_MUCH * b"1" + b"]")
    assert read_volumes(redis, warm.pk).at_ms is None
    assert CandleCache(redis, warm.pk).live(*PAIR) is None
    [said] = named(caplog, name_of(warm.pk))
    assert "too long" in said


@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_whatever_is_where_nothing_is_the_server_takes_writes(redis, kind):
    of_type(redis, keys.nothing(), kind)
    assert refusal(redis) == ""
