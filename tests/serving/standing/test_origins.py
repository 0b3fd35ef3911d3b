"""How candles came, by what is told of their closes."""

import orjson
import pytest

from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.standing import origins
from serving.standing.origins import EventOrigins, Origins, Run, source

H1 = Timeframe.H1
HOUR = H1.ms
BEGIN = 1_795_046_400_000
BTC = Pair("BTC-USD", H1)


def times(*hours):
    return [BEGIN + hour * HOUR for hour in hours]


def tell(redis, *hours, symbol="BTC-USD", **said):
    """Write closes as a runner does."""
    for opened in times(*hours):
        message = {"symbol": symbol, "timeframe": "1h", "timestamp": opened, "closed": True}
        redis.xadd(keys.events(4), {"event": orjson.dumps(message | {"healed": False} | said)})


@pytest.mark.parametrize(
    ("hours", "whole", "expected"),
    [
        ((5, 6, 7), False, {"stream"}),
        ((5, 6, 7, 8, 9), False, {"stream", "healed"}),
        ((8,), False, {"healed"}),
        ((10,), False, {"rest"}),  # no close of it was told, of later ones they were
        ((3, 4), False, set()),  # what was told of these is trimmed
        ((3, 4, 5), False, {"stream"}),
        ((3, 4), True, {"rest"}),
        ((), True, set()),
    ],
)
def test_what_is_known_of_candles(hours, whole, expected):
    runs = [Run(*times(5, 7), False), Run(*times(8, 8), True), Run(*times(9, 9), False)]
    assert Origins([*runs, Run(*times(11, 11), False)], whole).of(times(*hours)) == expected


def test_where_nothing_is_known_nothing_is_said():
    assert source(set()) == {}
    assert source({"rest", "healed", "stream"}) == {"X-Livermore-Source": "stream, healed, rest"}


def test_closes_are_followed_as_they_are_told(redis):
    known = EventOrigins(redis)
    assert known.of(4, BTC).of(times(1)) == {"rest"}  # nothing was ever streamed
    tell(redis, 1, 2)
    assert known.of(4, BTC).of(times(0, 1, 2)) == {"rest", "stream"}
    tell(redis, 3, healed=True)
    tell(redis, 4)
    tell(redis, 1, symbol="ETH-USD")
    assert known.of(4, BTC).of(times(3)) == {"healed"}
    assert known.of(4, BTC).of(times(1, 2, 4)) == {"stream"}
    assert known.of(4, Pair("ETH-USD", H1)).of(times(1, 2)) == {"stream", "rest"}
    assert known.of(3, BTC).of(times(1)) == {"rest"}


def test_what_was_trimmed_is_not_guessed(redis, monkeypatch):
    tell(redis, *range(10))
    redis.xtrim(keys.events(4), maxlen=4, approximate=False)
    assert EventOrigins(redis).of(4, BTC).of(times(0, 5)) == set()
    assert EventOrigins(redis).of(4, BTC).of(times(5, 6)) == {"stream"}
    monkeypatch.setattr(origins, "MOST_EVENTS", 2)
    assert EventOrigins(redis).of(4, BTC).of(times(7)) == set()


def test_a_late_close_does_not_tell_of_those_between(redis):
    tell(redis, *range(10))
    tell(redis, 3, healed=True, late=True)
    tell(redis, 10)
    redis.xtrim(keys.events(4), maxlen=2, approximate=False)
    known = EventOrigins(redis).of(4, BTC)
    assert known.of(times(3, 5)) == set()
    assert known.of(times(10)) == {"stream"}


def test_events_that_begin_anew_or_came_in_between_are_read_from_the_start(redis, monkeypatch):
    known = EventOrigins(redis)
    tell(redis, 1, 2)
    assert known.of(4, BTC).of(times(1, 2)) == {"stream"}
    redis.delete(keys.events(4))
    tell(redis, 2, healed=True)
    assert known.of(4, BTC).of(times(1)) == {"rest"}
    assert known.of(4, BTC).of(times(2)) == {"healed"}
    monkeypatch.setattr(origins, "AT_ONCE", 3)
    tell(redis, 3, 4, 5, 6)
    assert known.of(4, BTC).of(times(3, 6)) == {"stream"}


def test_what_somebody_else_wrote_tells_nothing(redis):
    tell(redis, 1)
    redis.xadd(keys.events(4), {"event": "nonsense"})
    redis.xadd(keys.events(4), {"event": b'{"symbol": "BTC-USD"}'})
    tell(redis, 2)
    assert EventOrigins(redis).of(4, BTC).of(times(1, 2)) == {"stream"}
    redis.set(keys.events(3), "a text")
    assert EventOrigins(redis).of(3, BTC).of(times(1)) == set()


def test_no_more_runs_are_kept_than_a_pair_may_have(redis, monkeypatch):
    monkeypatch.setattr(origins, "RUNS_KEPT", 2)
    tell(redis, 1, 3, 5)
    known = EventOrigins(redis).of(4, BTC)
    assert known.of(times(1)) == set()
    assert known.of(times(3, 5)) == {"stream"}
