"""What is read from Redis itself: complete, or it says what is missing."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from livermore_reader import BadRequest, Incomplete, Stale, Unavailable
from livermore_reader.times import utc

from tests.reader.told import tell
from tests.serving.conftest import Filled, say_streamed

HOUR = 3_600_000


def test_the_newest_closed_candles_come_as_arrays(redis, lm):
    past = Filled(redis)
    rows = lm.rows("sandbox", "BTC-USD", "1h", 500)
    assert rows == [each.row() for each in past.candles[-500:]]


def test_a_frame_stands_on_all_that_was_asked_for(redis, lm):
    past = Filled(redis)
    say_streamed(redis)
    found = lm.read("sandbox", "BTCUSD", "1h", 10, strict=True)
    assert found.attrs()["complete"] is True
    assert found.newest_close_ms == past.open_ms
    assert [row[6:] for row in found.rows] == [[None] * 4] * 10


def test_a_hole_is_told_and_strict_refuses_it(redis, lm):
    past = Filled(redis)
    hole = past.open_ms - 20 * 3_600_000
    redis.set(
        "coverage:4:BTC-USD:1h", f"[[{past.first_ms},{hole}],[{hole + 3_600_000},{past.open_ms}]]"
    )
    found = lm.read("sandbox", "BTC-USD", "1h", 100)
    assert found.missing == ((hole, hole + 3_600_000),)
    with pytest.raises(Incomplete, match="missing between"):
        lm.read("sandbox", "BTC-USD", "1h", 100, strict=True)


def test_what_lacks_its_newest_bar_is_stale(redis, lm):
    past = Filled(redis)
    early = past.open_ms - 3_600_000
    redis.set("coverage:4:BTC-USD:1h", f"[[{past.first_ms},{early}]]")
    redis.zremrangebyscore("candles:4:BTC-USD:1h", early, "+inf")
    say_streamed(redis, exchangeTime=past.open_ms + 5_000)
    with pytest.raises(Stale) as caught:
        lm.read("sandbox", "BTC-USD", "1h", 100, strict=True)
    assert caught.value.missing == ((early, past.open_ms),)


def test_what_nobody_keeps_is_refused_with_what_is_similar(lm):
    with pytest.raises(BadRequest, match="similar are BTC-USD"):
        lm.rows("sandbox", "BTC-USDD", "1h")
    with pytest.raises(BadRequest, match="known: sandbox"):
        lm.rows("sandbocks", "BTC-USD", "1h")


def test_more_than_redis_keeps_is_refused_with_what_it_keeps(redis, lm):
    Filled(redis)
    with pytest.raises(Incomplete, match="Redis keeps the newest 1,000 candles of a pair"):
        lm.rows("sandbox", "BTC-USD", "1h", 1001)
    with pytest.raises(Incomplete, match="asked for from 2020-01-01T00:00:00Z"):
        lm.rows("sandbox", "BTC-USD", "1h", start="2020-01-01", end="2020-01-02")


def test_as_many_longer_bars_are_asked_for_as_there_can_be(redis, lm):
    past = Filled(redis, count=1000)
    rows = lm.rows("sandbox", "BTC-USD", "2h", strict=True)
    assert len(rows) == 499
    assert len(lm.rows("sandbox", "BTC-USD", "6h", strict=True)) == 165
    assert rows[-1][5] == 0.25
    assert rows[-1][0] + 2 * HOUR == past.open_ms - past.open_ms % (2 * HOUR)


def test_an_open_bar_of_shorter_ones_has_what_closed_of_it(redis, lm):
    past = Filled(redis)
    say_streamed(redis)
    found = lm.read("sandbox", "BTC-USD", "6h", 3, live=True)
    opened = past.open_ms - past.open_ms % (6 * HOUR)
    parts = [each for each in past.candles if each.timestamp >= opened]
    assert found.open_row[0] == opened
    assert found.open_row[4] == past.open_candle.close
    assert found.open_row[5] == 0.25 + 0.125 * len(parts)


def test_a_stretch_is_asked_for_by_text_or_milliseconds(redis, lm):
    past = Filled(redis)
    start, end = past.open_ms - 10 * HOUR, past.open_ms - 5 * HOUR
    expected = [each.row() for each in past.candles[-10:-5]]
    assert lm.rows("sandbox", "BTC-USD", "1h", start=start, end=end, strict=True) == expected
    text = utc(start)
    assert lm.rows("sandbox", "BTC-USD", "1h", 5, start=text) == expected
    assert len(lm.rows("sandbox", "BTC-USD", "1h", start=text)) == 10


@pytest.mark.parametrize("member", ["nonsense", "[1]", '["a",1,1,1,1,1]', "[5,1,1,1,1,1]"])
def test_what_is_no_candle_leaves_nothing_to_believe(redis, lm, member):
    past = Filled(redis)
    redis.zadd("candles:4:BTC-USD:1h", {member: past.open_ms - 3 * HOUR + 1})
    found = lm.read("sandbox", "BTC-USD", "1h", 5)
    assert found.rows == ()
    with pytest.raises(Stale):
        found.require()


def test_a_key_of_another_type_is_a_pair_without_candles(redis, lm):
    Filled(redis)
    redis.set("candles:4:BTC-USD:1h", "a")
    redis.set("exchange:4:events", "a")
    redis.set("exchange:4:unconfirmed", "a")
    with pytest.raises(Stale):
        lm.read("sandbox", "BTC-USD", "1h", 5, strict=True)


def test_the_time_at_an_exchange_goes_on_without_its_runner(redis, lm):
    past = Filled(redis)
    ahead = past.open_ms + 50 * HOUR
    say_streamed(redis, exchangeTime=ahead, exchangePace=3600)
    assert lm.status("sandbox").now_ms >= ahead
    redis.delete("exchange:4:status")
    with pytest.raises(Stale):
        lm.read("sandbox", "BTC-USD", "1h", 5, strict=True)
    assert lm.status("sandbox").now_ms >= ahead
    assert not lm.status("sandbox").streamed


def test_candles_of_a_time_that_no_clock_tells_are_not_called_fresh(redis, lm, monkeypatch):
    past = Filled(redis)
    redis.zadd(
        "candles:4:BTC-USD:1h",
        {f"[{past.open_ms + HOUR},1,1,1,1,1]": past.open_ms + HOUR},
    )
    with pytest.raises(Unavailable, match="whether it is fresh can't be told"):
        lm.read("sandbox", "BTC-USD", "1h", 5)
    say_streamed(redis, exchangeTime=past.open_ms + 2 * HOUR)
    assert lm.read("sandbox", "BTC-USD", "1h", 5).is_stale


def test_a_status_that_is_not_renewed_is_no_stream(redis, lm):
    say_streamed(redis)
    redis.pexpire("exchange:4:status", 45_000 - 10_500)
    assert lm.status("sandbox").streamed is False
    assert lm.status("sandbox").state == "active"


def test_events_tell_where_candles_came_from(redis, lm):
    past = Filled(redis)
    first = (past.open_ms - 3 * HOUR - past.first_ms) // HOUR
    assert lm.read("sandbox", "BTC-USD", "1h", 5).source == "rest"
    for number, healed in ((first, False), (first + 1, True), (first + 2, False)):
        tell(redis, number, timeframe="1h", begin_ms=past.first_ms, healed=healed)
    assert lm.read("sandbox", "BTC-USD", "1h", 5).source == "stream, healed, rest"
    assert lm.read("sandbox", "BTC-USD", "1h", 3).source == "stream, healed"
    assert lm.read("sandbox", "BTC-USD", "1h", 1).source == "stream"
    assert lm.read("sandbox", "BTC-USD", "2h", 1).source == "derived"


def test_where_events_were_trimmed_nobody_knows_where_candles_came_from(redis, lm):
    past = Filled(redis)
    for number in range(100):
        tell(redis, number, "ETH-USD")
    assert lm.read("sandbox", "BTC-USD", "1h", 5).source == "rest"
    redis.xtrim("exchange:4:events", maxlen=0, approximate=False)
    assert lm.read("sandbox", "BTC-USD", "1h", 5).source is None
    tell(redis, 699, timeframe="1h", begin_ms=past.first_ms)
    assert lm.read("sandbox", "BTC-USD", "1h", 5).source == "stream"


def test_exchanges_and_pairs_are_listed(lm):
    (found,) = lm.exchanges()
    assert (found.number, found.name, found.venue) == (4, "sandbox", "binance")
    assert ("BTC-USD", "1h") in lm.pairs("sandbox")
    assert len(lm.pairs("sandbox")) == 12


def test_a_symbol_that_is_new_is_found_when_it_is_asked_for(redis, lm, told):
    assert len(lm.pairs("sandbox")) == 12
    with pytest.raises(BadRequest):
        lm.read("sandbox", "XRP-USD", "1h", 5)
    redis.hset("exchanges", "sandbox", json.dumps(told | {"symbols": ["BTC-USD", "XRP-USD"]}))
    assert lm.read("sandbox", "XRPUSD", "1h", 5).symbol == "XRP-USD"


def test_many_threads_ask_one_reader(redis, lm):
    past = Filled(redis)
    expected = [each.row() for each in past.candles[-50:]]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: lm.rows("sandbox", "BTC-USD", "1h", 50), range(40)))
    assert all(rows == expected for rows in found)
