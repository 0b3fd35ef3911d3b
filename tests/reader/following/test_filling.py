"""Closes whose events are no longer kept, filled from the cache."""

import time
from itertools import islice, takewhile

import orjson
import pytest
from livermore_reader import Close, Gap
from livermore_reader.sources.http.events import HttpEvents

from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.reader.told import MINUTE, tell
from tests.reader.ways import WAYS, reader_by
from tests.serving.conftest import ROW, FixedDirectory, fail, say_streamed
from warmup.cache.candles import CandleCache

pytestmark = pytest.mark.timeout(30)
EVENTS = keys.events(ROW.exchange_id)
# serve asks the exchange for what it hasn't, and knows one symbol here.
BY_REDIS = pytest.mark.parametrize("lm", ["redis"], indirect=True)
PAIR = {"symbols": "BTC-USD", "timeframes": "1m"}


@pytest.fixture(params=WAYS)
def lm(request, redis, told, monkeypatch):
    """A reader of the same exchange, by each way."""
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fail)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: None)
    with reader_by(request.param, redis, directory=FixedDirectory()) as reader:
        yield reader


def cut(closes):
    """Break the connection off over which serve would tell closes that nobody has read yet."""
    if isinstance(closes._events, HttpEvents):
        closes._events._disconnect()


class Minutes:
    """Minutes of a pair up to now; those that are told are in the cache by then."""

    def __init__(self, redis, symbol="BTC-USD"):
        self._redis, self._symbol = redis, symbol
        self._cache = CandleCache(redis, ROW.exchange_id)
        self.now_ms = time.time_ns() // 1_000_000
        self.begin_ms = Timeframe.M1.floor(self.now_ms) - 300 * MINUTE

    def keep(self, first, count):
        """Write bars as a warmup does, without telling them."""
        times = [self.begin_ms + number * MINUTE for number in range(first, first + count)]
        rows = [Candle(at, 100.5, 102.25, 99.125, 101.0, 0.125, Timeframe.M1) for at in times]
        stretch = (times[0], times[-1] + MINUTE)
        self._cache.write(self._symbol, Timeframe.M1, rows, (stretch,))

    def close(self, number):
        """Write a bar and tell it when it ends; return the id."""
        self.keep(number, 1)
        end_ms = self.begin_ms + (number + 1) * MINUTE
        return self.tell(number, entry_id=f"{end_ms + 30}-1")

    def tell(self, number, **more):
        begin_ms = self.begin_ms
        return tell(self._redis, number, self._symbol, begin_ms=begin_ms, **more)

    def numbers(self, closes, count):
        return [self.number(each) for each in islice(closes, count)]

    def number(self, close):
        return (close.row[0] - self.begin_ms) // MINUTE


@pytest.fixture
def minutes(redis):
    say_streamed(redis)
    return Minutes(redis)


def test_an_id_before_all_that_there_was_is_a_gap_even_where_it_is_to_be_filled(redis, lm, minutes):
    minutes.keep(0, 300)
    for number in (298, 299):
        minutes.close(number)
    with pytest.raises(Gap, match="no close was ever told that early"):
        next(lm.follow("sandbox", **PAIR, since="1-1", on_gap="fill"))


def test_what_closed_meanwhile_is_filled_and_then_goes_on(redis, lm, minutes):
    with lm.follow("sandbox", **PAIR, since="0-0", on_gap="fill") as closes:
        ids = [minutes.close(number) for number in range(10, 12)]
        assert minutes.numbers(closes, 2) == [10, 11]
        cut(closes)
        for number in range(12, 299):
            minutes.close(number)
        redis.xtrim(EVENTS, maxlen=5, approximate=False)
        found = list(islice(closes, 287))
        assert [minutes.number(each) for each in found] == list(range(12, 299))
        assert {(each.filled, each.again, each.late, each.id) for each in found} == {
            (True, False, False, ids[-1])
        }
        told = minutes.tell(299)
        assert next(closes).id == closes.id == told


def test_the_place_is_kept_until_all_is_filled(redis, lm, minutes):
    """Who is ended while it is filled has it filled again."""
    minutes.keep(0, 100)
    ids = [minutes.close(number) for number in range(100, 299)]
    redis.xtrim(EVENTS, maxlen=5, approximate=False)
    with lm.follow("sandbox", **PAIR, since=ids[0], on_gap="fill", heartbeat=0.1) as closes:
        found = list(takewhile(lambda _: closes.id != ids[-1], closes))
    filled = [each for each in found if isinstance(each, Close)]
    assert {each.id for each in found} == {ids[0]}
    assert [minutes.number(each) for each in filled] == list(range(41, 299))


def test_what_may_have_been_told_before_says_so_where_only_an_id_is_known(redis, lm, minutes):
    """What is healed may be told an hour after it closed."""
    minutes.keep(0, 100)
    ids = [minutes.close(number) for number in range(100, 299)]
    redis.xtrim(EVENTS, maxlen=5, approximate=False)
    with lm.follow("sandbox", **PAIR, since=ids[0], on_gap="fill") as closes:
        found = list(islice(closes, 258))
    assert [minutes.number(each) for each in found if each.again] == list(range(41, 101))
    assert [minutes.number(each) for each in found if not each.again] == list(range(101, 299))


def test_what_was_not_told_in_its_turn_is_filled_as_late(redis, lm, minutes):
    with lm.follow("sandbox", **PAIR, since="0-0", on_gap="fill") as closes:
        minutes.close(250)
        minutes.close(252)
        assert minutes.numbers(closes, 2) == [250, 252]
        cut(closes)
        minutes.keep(251, 1)
        for number in range(253, 299):
            minutes.close(number)
        redis.xtrim(EVENTS, maxlen=5, approximate=False)
        found = list(islice(closes, 47))
    assert [minutes.number(each) for each in found] == [251, *range(253, 299)]
    assert [each.late for each in found] == [True] + 46 * [False]


@BY_REDIS
def test_all_pairs_are_filled(redis, lm, minutes):
    others = Minutes(redis, "ETH-USD")
    for each in (minutes, others):
        each.keep(200, 99)
        each.tell(298)
    redis.xtrim(EVENTS, maxlen=0, approximate=False)
    first = f"{minutes.begin_ms + 290 * MINUTE + 30}-0"
    with lm.follow("sandbox", timeframes="1m", since=first, on_gap="fill") as closes:
        found = list(islice(closes, 2 * 69))
    pairs = {(each.symbol, minutes.number(each)) for each in found}
    assert pairs == {(name, at) for name in ("BTC-USD", "ETH-USD") for at in range(230, 299)}


def test_what_the_cache_has_no_more_is_a_gap(redis, lm, minutes):
    """A bot that was away for so long that the cache begins later, too."""
    last = minutes.close(0)
    redis.delete(keys.candles(4, "BTC-USD", "1m"), keys.coverage(4, "BTC-USD", "1m"))
    minutes.keep(100, 199)
    redis.xtrim(EVENTS, maxlen=0, approximate=False)
    minutes.tell(298)
    closes = lm.follow("sandbox", **PAIR, since=last, on_gap="fill")
    with pytest.raises(Gap, match="can't be filled: of BTC-USD 1m"):
        next(closes)


@BY_REDIS
def test_a_gap_of_more_than_redis_keeps_is_one(redis, lm, minutes):
    minutes.keep(0, 299)
    old = f"{minutes.begin_ms - 2000 * MINUTE}-1"
    minutes.tell(298)
    closes = lm.follow("sandbox", **PAIR, since=old, on_gap="fill")
    with pytest.raises(Gap, match="can't be filled"):
        next(closes)


def test_what_is_not_known_yet_comes_when_it_is_told(redis, lm, minutes):
    minutes.keep(0, 200)
    ids = [minutes.close(number) for number in range(200, 290)]
    redis.xtrim(EVENTS, maxlen=5, approximate=False)
    with lm.follow("sandbox", **PAIR, since=ids[0], on_gap="fill") as closes:
        assert minutes.numbers(closes, 149) == list(range(141, 290))
        for number in range(290, 293):
            minutes.tell(number)
        assert minutes.numbers(closes, 3) == [290, 291, 292]


@BY_REDIS
def test_the_time_of_an_id_is_told_in_the_time_of_the_exchange(redis, lm, minutes):
    """A sandbox whose clock is elsewhere, and ten times as fast."""
    behind_ms = 200 * MINUTE
    at_ms = minutes.now_ms
    said = {"exchangeTime": at_ms - behind_ms, "exchangePace": 10, "heartbeat": at_ms}
    redis.set(keys.status(4), orjson.dumps(said | {"state": "active"}), px=45_000)
    minutes.keep(0, 99)
    ten_bars_ago = f"{at_ms - MINUTE}-0"
    minutes.tell(99)
    with lm.follow("sandbox", **PAIR, since=ten_bars_ago, on_gap="fill") as closes:
        found = list(islice(closes, 69))
    new = [minutes.number(each) for each in found if not each.again]
    assert new[0] in (90, 89)
    assert new[-1] == 98
