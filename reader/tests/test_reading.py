"""What a bot reads, out of a Redis."""

import json

import pytest
from redis import Redis
from stored import HOUR_MS, OPEN_MS, close, leave_out, row, say_streamed

import livermore_reader
from livermore_reader import BadRequest, Incomplete, Reader, Stale, Unavailable


def test_closed_candles_come_as_arrays(lm: Reader) -> None:
    rows = lm.rows("sandbox", "BTC-USD", "1h", 3)
    assert rows == [row(OPEN_MS - bars * HOUR_MS) for bars in (3, 2, 1)]


def test_what_they_stand_on_is_told(lm: Reader) -> None:
    told = lm.read("sandbox", "BTC-USD", "1h", 3).attrs()
    assert (told["complete"], told["missing"], told["newest_close"]) == (True, [], OPEN_MS)


def test_a_hole_is_told_and_refused_where_strict(lm: Reader, kept: Redis) -> None:
    at = leave_out(kept, 20)
    assert lm.read("sandbox", "BTC-USD", "1h", 100).missing == ((at, at + HOUR_MS),)
    with pytest.raises(Incomplete):
        lm.read("sandbox", "BTC-USD", "1h", 100, strict=True)


def test_what_lacks_its_newest_candle_is_stale(lm: Reader, kept: Redis) -> None:
    leave_out(kept, 1)
    with pytest.raises(Stale):
        lm.read("sandbox", "BTC-USD", "1h", 100, strict=True)


def test_the_newest_candle_may_be_on_its_way_for_five_seconds(lm: Reader, kept: Redis) -> None:
    leave_out(kept, 1)
    say_streamed(kept, OPEN_MS + 500)
    found = lm.read("sandbox", "BTC-USD", "1h", 100, strict=True)
    assert found.rows[-1][0] == OPEN_MS - 2 * HOUR_MS


def test_what_is_asked_wrongly_gets_one_line(lm: Reader) -> None:
    with pytest.raises(BadRequest, match="similar are BTC-USD") as caught:
        lm.rows("sandbox", "BTC-USDD", "1h")
    assert "\n" not in str(caught.value)


def test_no_redis_is_one_line_without_its_password() -> None:
    with pytest.raises(Unavailable) as caught:
        livermore_reader.connect("redis://:secret@127.0.0.1:1/0").exchanges()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_close_is_followed_by_its_id(lm: Reader, kept: Redis) -> None:
    for bars_ago in (3, 2, 1):
        kept.xadd("exchange:4:events", {"event": json.dumps(close(bars_ago))}, id=f"{9 - bars_ago}")
    following = lm.follow("sandbox", since="6-0")
    assert [next(following).row[0] for _ in "12"] == [OPEN_MS - 2 * HOUR_MS, OPEN_MS - HOUR_MS]
    following.close()
