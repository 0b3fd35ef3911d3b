"""What is read from Redis itself: complete, or it says what is missing."""

import pytest
from livermore_reader import BadRequest, Incomplete, Stale

from tests.serving.conftest import Filled, say_streamed


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
