"""The same question from Redis itself and from serve: the same answer, whatever it is."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import livermore_reader
import numpy
import pandas
import pytest
from livermore_reader import BadRequest, ReaderError

from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.conftest import SERVER
from tests.reader.conftest import TOLD
from tests.serving.conftest import BTC, ROW, Filled, FixedDirectory, fail, say_streamed
from tests.serving.serving import served
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.cache.tickers import TickerCache

HOUR = 3_600_000
ETH = replace(BTC, symbol="ETH-USD", word="ETHUSD", base="ETH")
SYMBOLS = {name: each for each in (BTC, ETH) for name in (each.symbol, each.word)}
SERVED = replace(ROW, symbols=SYMBOLS, lag_ms=TOLD["lagMs"], display_name=TOLD["displayName"])


@pytest.fixture(params=[1000, 7], ids=["", "in pages"])
def both(request, redis, told, monkeypatch):
    """Return what asks both ways; nobody fetches for serve, which tells so many rows at a time."""
    monkeypatch.setattr("livermore_reader.sources.http.pages.MOST_ROWS", request.param)
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fail)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: None)
    monkeypatch.delattr("serving.fetching.stretches.fetch_once")
    say_streamed(redis)
    with (
        served(redis, directory=FixedDirectory(SERVED)) as url,
        livermore_reader.connect(SERVER.url) as by_redis,
        livermore_reader.connect(url) as by_http,
    ):
        yield Both(by_redis, by_http)


class Both:
    """Two readers, each of which is asked."""

    def __init__(self, *readers):
        self.readers = readers

    def __call__(self, ask):
        """Return the answer that both give."""
        first, second = (ask(each) for each in self.readers)
        assert first == second
        return first

    def read(self, *what, **how):
        """Return the candles that both tell, and that `strict` refuses them or hands them out."""
        found = self(lambda lm: told_of(lm.read(*what, **how)))
        strict = self(lambda lm: refusal(lambda: lm.read(*what, strict=True, **how)))
        assert (strict is None) == (not found["missing"]), strict
        return found


def told_of(candles):
    """Return all that is told, but for times that go on."""
    told = candles.attrs()
    age_ms = told.pop("age_ms")
    assert age_ms is None or 0 <= age_ms == candles.now_ms - candles.newest_close_ms
    return told | {
        "rows": list(candles.rows),
        "stale": candles.is_stale,
        "open": candles.open_row,
        "missing": candles.missing,
    }


def refusal(ask):
    """Return as what something is refused, and what is missing; None where it is not."""
    try:
        ask()
    except ReaderError as error:
        assert "\n" not in str(error)
        return type(error), getattr(error, "missing", ())
    return None


def known(redis, *stretches, timeframe="1h"):
    """Let these alone be known of BTC-USD."""
    redis.set(keys.coverage(4, "BTC-USD", timeframe), json.dumps(stretches))


QUESTIONS = [
    {"count": 1}, {"count": 10}, {}, {"count": 700}, {"count": 10, "live": True},
    {"start": -5}, {"start": -5, "count": 3}, {"start": -5, "live": True}, {"start": -5, "end": 0},
    {"start": -20, "end": -10}, {"start": -20, "end": -10, "count": 4, "live": True},
    {"end": -3, "count": 5}, {"start": 0}, {"start": 0, "live": True}, {"start": 3},
    {"start": -690, "count": 600}, {"start": -5, "count": 5, "live": True},
    {"start": -5.5, "end": -1.5}, {"end": 2, "count": 5, "live": True},
]  # fmt: skip
TIMEFRAMES = ["1h", "2h", "6h"]


def asked(past, question):
    """Return arguments whose times count in hours from when the newest bar opened."""
    times = {name: question[name] for name in ("start", "end") if name in question}
    return question | {name: past.open_ms + int(hours * HOUR) for name, hours in times.items()}


def test_all_is_told_alike_where_all_is_there(redis, both):
    past = Filled(redis)
    for timeframe, question in product(TIMEFRAMES, QUESTIONS):
        count = min(question.get("count", 500), 100 if timeframe != "1h" else 700)
        how = asked(past, question)
        if "count" in how or "start" not in how:
            how["count"] = count
        found = both.read("sandbox", "BTC-USD", timeframe, **how)
        assert found["complete"], (timeframe, question)


def test_holes_are_told_alike(redis, both):
    past = Filled(redis)
    at = past.open_ms - past.open_ms % (6 * HOUR) - 4 * HOUR  # within the newest one of 6h
    redis.zremrangebyscore(keys.candles(4, "BTC-USD", "1h"), at, at)
    known(redis, [past.first_ms, at], [at + HOUR, past.open_ms])
    seen = set()
    for timeframe, question in product(TIMEFRAMES, QUESTIONS):
        how = asked(past, question | {"count": min(question.get("count", 60), 60)})
        found = both.read("sandbox", "BTC-USD", timeframe, **how)
        seen.add((found["complete"], found["stale"]))
    assert seen == {(True, False), (False, False), (False, True)}


def test_what_is_stale_is_told_alike(redis, both):
    past = Filled(redis)
    say_streamed(redis, exchangeTime=past.open_ms + 2 * HOUR + 60_000, exchangePace=0)
    seen = set()
    for question in QUESTIONS:
        how = asked(past, question | {"count": min(question.get("count", 60), 60)})
        found = both.read("sandbox", "BTC-USD", "1h", **how)
        seen.add((found["complete"], found["stale"]))
    assert seen == {(True, False), (False, True)}


@pytest.mark.parametrize(("after_ms", "is_missing"), [(4999, False), (5000, True)])
def test_a_bar_that_has_ended_just_now_is_awaited_alike(redis, both, after_ms, is_missing):
    past = Filled(redis)
    say_streamed(redis, exchangeTime=past.open_ms + HOUR + after_ms, exchangePace=0)
    for question in QUESTIONS:
        how = asked(past, question | {"count": min(question.get("count", 60), 60)})
        both.read("sandbox", "BTC-USD", "1h", **how)
    found = both.read("sandbox", "BTC-USD", "1h", 5)
    assert found["stale"] is is_missing
    assert found["open"] is None


def test_quiet_bars_are_told_alike(redis, both):
    past = Filled(redis)
    for hours in (2, 3, 7):
        at = past.open_ms - hours * HOUR
        redis.zremrangebyscore(keys.candles(4, "BTC-USD", "1h"), at, at)
    for timeframe, question in product(TIMEFRAMES, QUESTIONS):
        how = asked(past, question | {"count": min(question.get("count", 60), 60)})
        found = both.read("sandbox", "BTC-USD", timeframe, **how)
        assert found["complete"], (timeframe, question)


def test_quiet_bars_at_the_beginning_are_not_taken_for_all_alike(redis, both):
    past = Filled(redis)
    quiet_ms = past.open_ms - 600 * HOUR
    redis.zremrangebyscore(keys.candles(4, "BTC-USD", "1h"), quiet_ms, quiet_ms + 20 * HOUR - 1)
    asked = {"start": quiet_ms, "count": 5}
    found = both.read("sandbox", "BTC-USD", "1h", **asked)
    assert [row[0] for row in found["rows"]] == [quiet_ms + (20 + n) * HOUR for n in range(5)]
    assert found["complete"]
    hole = quiet_ms + 22 * HOUR, quiet_ms + 23 * HOUR
    redis.zremrangebyscore(keys.candles(4, "BTC-USD", "1h"), hole[0], hole[0])
    known(redis, [past.first_ms, hole[0]], [hole[1], past.open_ms])
    found = both.read("sandbox", "BTC-USD", "1h", **asked)
    assert [row[0] for row in found["rows"]] == [quiet_ms + 20 * HOUR, quiet_ms + 21 * HOUR]
    assert (found["missing"], found["stale"]) == ((hole,), False)
    assert both.read("sandbox", "BTC-USD", "1h", start=quiet_ms, count=2)["complete"]


def test_columns_and_the_open_candle_are_told_alike(redis, both):
    past = Filled(redis)
    columns = (60.5, 17, 0.0625, 30.25)
    told = Candle(past.open_ms - HOUR, 100.5, 102.25, 99.125, 101.0, 0.5, Timeframe.H1, columns)
    CandleCache(redis, 4).write("BTC-USD", Timeframe.H1, [told])
    found = both.read("sandbox", "BTCUSD", "1h", 2, live=True)
    assert found["rows"][1] == [*told.values(), *columns]
    assert found["open"] == [*past.open_candle.values(), *[None] * 4]
    frame = both(lambda lm: lm.candles("sandbox", "BTC-USD", "1h", 3, live=True).to_dict("split"))
    assert frame["index"][-1].value == past.open_ms * 1_000_000


def test_what_is_made_of_the_open_candle_is_told_alike(redis, both):
    Filled(redis)
    for timeframe in ("2h", "6h"):
        assert both.read("sandbox", "BTC-USD", timeframe, 5, live=True)["open"] is not None


def test_nothing_is_told_alike(redis, both):
    found = both.read("sandbox", "ETH-USD", "1h", 10)
    assert found["rows"] == [] and found["stale"] and found["newest_close"] is None


WRONG = [
    ("sandbocks", "BTC-USD", "1h"),
    ("sandbox", "NO-PE", "1h"),
    ("sandbox", "BTC-USD", "7m"),
    ("sandbox", "BTC-USD", "1h", 0),
]


ODD = [
    {"count": 10**20}, {"count": numpy.float64(5)}, {"count": "5"}, {"start": 1_795_046_400},
    {"start": -5}, {"end": 1000}, {"end": 10**20}, {"start": pandas.NaT}, {"start": datetime.min},
    {"start": datetime.max}, {"end": 1.5}, {"timeframe": ["1h"]}, {"timeframe": None},
    {"exchange": None}, {"exchange": 4}, {"exchange": ["sandbox"]}, {"exchange": ""},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_what_is_no_count_time_or_name_is_refused_in_one_line_alike(redis, both, odd):
    Filled(redis)
    asked = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h"} | odd
    assert both(lambda lm: refusal(lambda: lm.read(**asked))) == (BadRequest, ())
    exchange = asked["exchange"]
    if exchange != "sandbox":
        for ask in (
            lambda lm: lm.pairs(exchange), lambda lm: lm.status(exchange),
            lambda lm: lm.ticker(exchange, "BTC-USD"), lambda lm: lm.read_macd_v(exchange),
            lambda lm: lm.newest(exchange), lambda lm: lm.follow(exchange),
        ):  # fmt: skip
            assert both(lambda lm, ask=ask: refusal(lambda: ask(lm))) == (BadRequest, ())


def test_times_and_counts_are_taken_in_all_their_forms_alike(redis, both):
    past = Filled(redis)
    begin = datetime.fromtimestamp((past.open_ms - 30 * HOUR) / 1000, UTC)
    day = pandas.Timestamp(begin.date(), tz="UTC")
    for start, count in ((begin.date(), numpy.int64(3)), (str(begin.date()), 3), (day, 3)):
        found = both.read("sandbox", "BTC-USD", "1h", count, start=start)
        assert [row[0] for row in found["rows"]] == [
            day.value // 10**6 + n * HOUR for n in range(3)
        ]
    stamp = numpy.int64(past.open_ms - 2 * HOUR)
    assert len(both.read("sandbox", "BTC-USD", "1h", start=stamp)["rows"]) == 2


def test_names_are_taken_one_or_many_alike(redis, both):
    Filled(redis)
    two = ["BTC-USD", "ETH-USD"]
    for names in (pandas.Index(two), numpy.array(two), tuple(two), iter(two), dict.fromkeys(two)):
        assert len(both.readers[0].read_macd_v("sandbox", names, pandas.Index(["1h"]))) == 2
    assert len(both(lambda lm: lm.read_macd_v("sandbox", "BTC-USD", ["1h", "1h"]))) == 1
    for wrong in (5, [None], [["BTC-USD"]], b"BTC-USD"):
        for ask in (
            lambda lm, wrong=wrong: lm.panel("sandbox", wrong, "1h"),
            lambda lm, wrong=wrong: lm.newest("sandbox", None, wrong),
            lambda lm, wrong=wrong: lm.read_macd_v("sandbox", wrong),
            lambda lm, wrong=wrong: lm.read_macd_v("sandbox", None, wrong),
            lambda lm, wrong=wrong: lm.follow("sandbox", wrong),
            lambda lm, wrong=wrong: lm.follow("sandbox", None, wrong),
        ):
            assert both(lambda lm, ask=ask: refusal(lambda: ask(lm))) == (BadRequest, ())


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_alike(redis, both, what):
    Filled(redis)
    assert both(lambda lm: refusal(lambda: lm.read(*what))) == (BadRequest, ())


def test_exchanges_pairs_and_tickers_are_told_alike(redis, both):
    ticker = Ticker("BTC-USD", 101.5, -2.0, -1.93, 104.0, 99.0, 12.5, 1_795_046_400_000)
    TickerCache(redis, 4).write_many([ticker])
    (exchange,) = both(lambda lm: list(lm.exchanges()))
    assert (exchange.number, exchange.display_name) == (4, "Sandbox")
    assert len(both(lambda lm: lm.pairs("sandbox"))) == 12
    assert both(lambda lm: lm.ticker("sandbox", "BTCUSD")) == ticker.as_json()
    assert both(lambda lm: lm.ticker("sandbox", "ETH-USD")) is None
    for ask in (lambda lm: lm.pairs("no"), lambda lm: lm.ticker("no", "BTC-USD")):
        assert both(lambda lm, ask=ask: refusal(lambda: ask(lm))) == (BadRequest, ())


def test_macd_v_is_told_alike(redis, both):
    past = Filled(redis)
    values = {
        Pair("BTC-USD", Timeframe.H1): {"timestamp": past.open_ms - HOUR, "value": 12.5},
        Pair("ETH-USD", Timeframe.D1): {"timestamp": past.open_ms - HOUR, "value": 1.5},
    }
    IndicatorCache(redis, 4).write_many(values)
    found = both(lambda lm: lm.read_macd_v("sandbox"))
    assert len(found) == 12
    current = {(each["symbol"], each["timeframe"]) for each in found if each["current"]}
    assert current == {("BTC-USD", "1h")}
    assert len(both(lambda lm: lm.read_macd_v("sandbox", ["BTCUSD"], ["1h", "4h"]))) == 2


def test_the_newest_of_many_pairs_are_told_alike(redis, both):
    past = Filled(redis)
    wanted = "sandbox", ["BTCUSD", "ETH-USD"], ["1h", "2h", "1h"], 2
    found = both(lambda lm: [told_of(each) for each in lm.newest(*wanted)])
    named = [(each["symbol"], each["timeframe"], not each["missing"]) for each in found]
    assert named == [
        ("BTC-USD", "1h", True), ("BTC-USD", "2h", True),
        ("ETH-USD", "1h", False), ("ETH-USD", "2h", False),
    ]  # fmt: skip
    assert found[1]["newest_close"] == past.open_ms - past.open_ms % (2 * HOUR)
    assert both(lambda lm: refusal(lambda: lm.newest("sandbox", None, "7m"))) == (BadRequest, ())


def test_a_symbol_comes_once_by_whatever_names_alike(redis, both):
    Filled(redis)
    names = ["BTC-USD", "btc/usd", "BTCUSD"]
    assert both(lambda lm: list(lm.panel("sandbox", names, "1h", 3).columns)) == ["BTC-USD"]
    assert both(lambda lm: len(lm.newest("sandbox", names, ["1h", "2h"]))) == 2
    assert both(lambda lm: len(lm.read_macd_v("sandbox", names, "1h"))) == 1


def test_whether_it_is_streamed_is_told_alike(redis, both):
    def told(lm):
        found = lm.status("sandbox")
        return found.exchange, found.streamed, found.state, found.phase, found.newest_close_ms

    say_streamed(redis, newestClose=1_795_046_400_000)
    assert both(told) == ("sandbox", True, "active", "", 1_795_046_400_000)
