"""The script of a flush alone, by its file."""

import json
from contextlib import closing

import pytest
from redis.exceptions import ResponseError

from exchanges.redis.scripts import load_script
from warmup.cache.encoding import PAIR_CONSTANTS

FLUSH = load_script("warmup/live/writing/lua/flush.lua", PAIR_CONSTANTS)
STEP = 60_000
T0 = 1_790_000_040_000  # a minute's boundary
CANDLES, COVERAGE, LIVE = CLOSE_KEYS = ["candles:1m", "coverage", "live"]


def at(number):
    return T0 + number * STEP


def row(number):
    return f"[{at(number)},1.5,3,1,2,10]"


def close(number, how="told", *, first=None, member=None, keys=CLOSE_KEYS, field="pair"):
    """Return the keys and arguments of a close; it covers from `first` on."""
    start = at(number if first is None else first)
    member = row(number) if member is None else member
    message = f"close {number}"
    return keys, [field, how, start, at(number + 1), at(number), member, message]


def stretch(first, last, how="", keys=CLOSE_KEYS):
    """Return the keys and arguments of a stretch without a candle."""
    return keys, ["pair", how, at(first), at(last), "", "", ""]


def flush(redis, closes=(), live=(), tickers=(), marks=(), *, epoch=7, kept=1000):
    """Return which closes were left out, and which open candles nobody heard."""
    return flush_as(redis, closes, live, tickers, marks, epoch=epoch, kept=kept)[:2]


def flush_as(
    redis, closes=(), live=(), tickers=(), marks=(), *, epoch=7, kept=1000, known="", ids=(5, 0)
):
    counts = [len(marks), len(closes), len(live), len(tickers)]
    names = ["epoch", "events", "told", *[name for keys, _ in closes for name in keys]]
    names += [name for name, *_ in [*live, *tickers]]
    channels = ["closes:", "all:"]
    values = [epoch, kept, 1000, *counts, *channels, *[each for mark in marks for each in mark]]
    values += [each for _, arguments in closes for each in arguments]
    values += [each for _, *arguments in [*live, *tickers] for each in arguments]
    return FLUSH(redis, [*names, "lock"], [*values, known, *ids])


@pytest.fixture
def redis(redis):
    """Return a Redis in which 7 is the epoch and the pair is told from the first bar on."""
    redis.set("epoch", 7)
    redis.hset("told", "pair", json.dumps([at(0), []]))
    return redis


def events(redis):
    return [fields[b"event"].decode() for _, fields in redis.xrange("events")]


def told(redis, field="pair"):
    return json.loads(redis.hget("told", field))


def covered(redis):
    return [[(ms - T0) // STEP for ms in each] for each in json.loads(redis.get(COVERAGE))]


def stored(redis, name=CANDLES):
    return [member.decode() for member in redis.zrange(name, 0, -1)]


def received(redis, act):
    """Return what is published while something is done, as (channel, message)."""
    with closing(redis.pubsub(ignore_subscribe_messages=True)) as listener:
        listener.psubscribe("*")
        listener.get_message(timeout=5)
        act()
        redis.publish("end", "")
        found = []
        while not found or found[-1][0] != "end":
            if message := listener.get_message(timeout=5):
                found.append((message["channel"].decode(), message["data"].decode()))
        return found[:-1]


def test_a_close_is_stored_and_told_once(redis):
    said = received(redis, lambda: [flush(redis, [close(0)]) for _ in range(2)])
    assert said == [("closes:pair", "close 0"), ("all:pair", "close 0")]
    assert events(redis) == ["close 0"]
    assert (stored(redis), covered(redis)) == ([row(0)], [[0, 1]])
    assert told(redis) == [at(1), []]


def test_of_what_was_told_before_it_says_under_which_ids(redis):
    first = [close(number) for number in range(3)]
    assert flush_as(redis, first)[2] == []
    more = [*first, close(3)]
    assert flush_as(redis, more)[2] == [0, b"5-1", 1, b"5-2", 2, b"5-3"]
    redis.xtrim("events", 0)
    assert flush_as(redis, more, ids=(6, 0))[2] == [0, b"", 1, b"", 2, b"", 3, b""]


def test_a_row_that_is_there_with_columns_keeps_them(redis):
    longer = row(0)[:-1] + ",20.5,3,4,8]"
    redis.zadd(CANDLES, {longer: at(0)})
    flush(redis, [close(0)])
    assert stored(redis) == [longer]
    assert (events(redis), covered(redis)) == (["close 0"], [[0, 1]])


def test_a_flush_of_nothing_is_done(redis):
    assert flush(redis) == [[], []]
    assert set(redis.scan_iter()) == {b"epoch", b"told"}


def test_closes_are_stored_in_order_and_trimmed(redis):
    assert flush(redis, [close(number) for number in range(5)], kept=3) == [[], []]
    assert stored(redis) == [row(2), row(3), row(4)]
    assert covered(redis) == [[2, 5]]
    assert told(redis) == [at(5), []]


def test_a_close_ends_its_open_candle_and_no_later_one(redis):
    redis.set(LIVE, row(1))
    flush(redis, [close(0)])
    assert redis.get(LIVE).decode() == row(1)
    flush(redis, [close(1)])
    assert not redis.exists(LIVE)
    redis.set(LIVE, row(2))
    flush(redis, [close(2, member="")])  # REST has stored it before
    assert not redis.exists(LIVE)


def test_a_close_that_is_stored_already_is_told_alone(redis):
    flush(redis, [close(0, member="")])
    assert events(redis) == ["close 0"]
    assert not redis.exists(CANDLES, COVERAGE)


def test_a_close_that_is_stored_alone_is_not_told(redis):
    assert received(redis, lambda: flush(redis, [close(0, "")])) == []
    assert (events(redis), stored(redis), told(redis)) == ([], [row(0)], [at(0), []])


def test_what_was_skipped_is_told_late_once(redis):
    flush(redis, [stretch(0, 3, "skipped"), close(3)])
    assert told(redis) == [at(4), [[at(0), at(3)]]]
    for _ in range(2):
        flush(redis, [close(1, "late")])
    assert events(redis) == ["close 3", "close 1"]
    assert told(redis) == [at(4), [[at(0), at(1)], [at(2), at(3)]]]


def test_what_was_told_is_not_told_late(redis):
    flush(redis, [close(0)])
    flush(redis, [close(0, "late")])
    assert events(redis) == ["close 0"]


def test_a_stretch_without_a_candle_is_covered(redis):
    flush(redis, [close(0), stretch(1, 3, "told")])
    assert covered(redis) == [[0, 3]]
    assert told(redis) == [at(3), []]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([[0, 5]], [[0, 6]]),
        ([[0, 6]], [[0, 6]]),
        ([[0, 3]], [[0, 3], [5, 6]]),
        ([[0, 2], [3, 5]], [[0, 2], [3, 6]]),
        ([[0, 2], [3, 8]], [[0, 2], [3, 8]]),
        ([[0, 2], [6, 8]], [[0, 2], [5, 8]]),
        ([[0, 1], [2, 3], [4, 5]], [[0, 1], [2, 3], [4, 6]]),
    ],
)
def test_a_close_prolongs_the_last_stretch_that_is_covered_or_begins_one(redis, before, after):
    redis.zadd(CANDLES, {row(0): at(0)})
    redis.set(COVERAGE, json.dumps([[at(a), at(b)] for a, b in before], separators=(",", ":")))
    flush(redis, [close(5)])
    assert covered(redis) == after
    redis.set(COVERAGE, json.dumps([[at(a), at(b)] for a, b in before]))  # as others may write it
    flush(redis, [close(5)])
    assert covered(redis) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([[0, 4]], [[2, 5]]),
        ([[0, 1], [2, 4]], [[2, 5]]),
    ],
)
def test_a_candle_that_is_trimmed_away_takes_its_coverage_with_it(redis, before, after):
    for number in (0, 1, 2, 3):
        redis.zadd(CANDLES, {row(number): at(number)})
    redis.set(COVERAGE, json.dumps([[at(a), at(b)] for a, b in before], separators=(",", ":")))
    flush(redis, [close(4)], kept=3)
    assert stored(redis) == [row(2), row(3), row(4)]
    assert covered(redis) == after


def test_the_first_stretch_that_is_covered_is_trimmed_where_the_last_one_is_prolonged(redis):
    for number in (0, 1, 2, 4):
        redis.zadd(CANDLES, {row(number): at(number)})
    redis.set(COVERAGE, f"[[{at(0)},{at(3)}],[{at(4)},{at(5)}]]")
    flush(redis, [close(5)], kept=4)
    assert covered(redis) == [[1, 3], [4, 6]]


def test_a_candle_that_closes_behind_others_replaces_its_own_alone(redis):
    flush(redis, [close(number, "") for number in (0, 1, 2)])
    flush(redis, [close(1, "", member=f"[{at(1)},1,3,1,2,11]")])
    assert stored(redis) == [row(0), f"[{at(1)},1,3,1,2,11]", row(2)]
    assert covered(redis) == [[0, 3]]


def test_many_closes_are_written_at_once(redis):
    many = [
        close(0, keys=[f"c{n}:1m", f"coverage{n}", f"live{n}"], field=f"pair{n}")
        for n in range(2100)
    ]
    assert flush(redis, many) == [[], []]
    assert redis.hlen("told") == 2101
    assert redis.get("coverage2099").decode() == f"[[{at(0)},{at(1)}]]"


@pytest.mark.parametrize("name", ["events", "told"])
def test_where_nothing_can_be_told_nothing_is_written(redis, name):
    redis.delete("told")
    redis.set(name, "text")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        flush(redis, [close(0)])
    assert not redis.exists(CANDLES, COVERAGE)


def test_coverage_without_a_candle_is_not_believed(redis):
    redis.set(COVERAGE, json.dumps([[at(0), at(4)]]))
    flush(redis, [close(4)])
    assert covered(redis) == [[4, 5]]


def test_from_when_on_a_pair_is_told_is_said_once(redis):
    flush(redis, marks=[("new", at(2)), ("pair", at(2))])
    flush(redis, marks=[("new", at(3))])
    assert (told(redis, "new"), told(redis)) == ([at(2), []], [at(0), []])


@pytest.mark.parametrize("text", ["no JSON", "[]", "[1,2]"])
def test_what_was_told_of_a_pair_and_cannot_be_read_begins_anew(redis, text):
    redis.hset("told", "pair", text)
    flush(redis, [close(4)], marks=[("pair", at(4))])
    assert told(redis) == [at(5), []]
    assert events(redis) == ["close 4"]


def test_open_candles_and_tickers_are_set_for_a_while_and_told(redis):
    live = [("live:a", row(0), 5000, "open a", "a")]
    tickers = [("ticker:a", "{}", 6000, "ticker:channel")]
    said = received(redis, lambda: flush(redis, [], live, tickers))
    assert said == [("all:a", "open a"), ("ticker:channel", "{}")]
    assert redis.mget("live:a", "ticker:a") == [row(0).encode(), b"{}"]
    assert 0 < redis.pttl("live:a") <= 5000 < redis.pttl("ticker:a") <= 6000


@pytest.mark.parametrize("name", [CANDLES, COVERAGE])
def test_a_close_of_a_pair_that_is_not_ours_is_left_out_alone(redis, name):
    redis.hset(name, "a", "b")
    other = close(0, keys=["other:1m", "other:coverage", "other:live"], field="other")
    assert flush(redis, [close(0), other]) == [[0], []]
    assert events(redis) == ["close 0"]
    assert (told(redis), told(redis, "other")) == ([at(0), []], [at(1), []])
    assert stored(redis, "other:1m") == [row(0)]
    assert redis.type(name) == b"hash"


def test_an_open_candle_of_another_type_costs_no_close(redis):
    redis.hset(LIVE, "a", "b")
    assert flush(redis, [close(0)]) == [[], []]
    assert stored(redis) == [row(0)]


def test_what_was_told_in_a_key_of_another_type_is_an_error(redis):
    redis.set("told", "text")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        flush(redis, [close(0)])


def test_who_had_the_exchange_before_writes_and_tells_nothing(redis):
    redis.set("epoch", 8)

    def late():
        with pytest.raises(ResponseError, match="FENCED epoch 7"):
            flush(
                redis,
                [close(0)],
                [("live:a", row(0), 5000, "open a", "a")],
                [("ticker:a", "{}", 6000, "ticker:channel")],
                [("new", at(2))],
            )

    assert received(redis, late) == []
    assert set(redis.scan_iter()) == {b"epoch", b"told"}
    assert told(redis) == [at(0), []]


def ids(redis):
    return [entry.decode() for entry, _ in redis.xrange("events")]


def test_events_have_the_ids_that_were_given_to_their_closes(redis):
    closes = [close(0), stretch(1, 2, "told"), close(2), close(3, "")]
    assert flush_as(redis, closes, ids=(9, 4)) == [[], [], []]
    assert ids(redis) == ["9-5", "9-7"]


def test_a_close_that_is_sent_again_is_told_once_and_said_to_be(redis):
    flush_as(redis, [close(0)], ids=(9, 0))
    assert flush_as(redis, [close(0), close(1)], known="9-1", ids=(9, 0)) == [[], [], [0, b"9-1"]]
    assert ids(redis) == ["9-1", "9-2"]


def test_an_event_behind_somebody_elses_gets_an_id_of_redis(redis):
    redis.xadd("events", {"event": "foreign"}, "9-9")
    [*_, [number, entry]] = flush_as(redis, [close(0)], ids=(9, 0))
    assert (number, ids(redis)) == (0, ["9-9", entry.decode()])


@pytest.mark.parametrize("known", ["9-2", "10-0"])
def test_nothing_is_told_where_the_newest_event_is_missing(redis, known):
    flush_as(redis, [close(0)], ids=(9, 0))
    with pytest.raises(ResponseError, match=f"LOST the events lack {known}"):
        flush_as(redis, [close(1)], known=known, ids=(11, 0))
    assert (ids(redis), stored(redis), told(redis)) == (["9-1"], [row(0)], [at(1), []])
    assert flush_as(redis, [], [("live:a", row(1), 5000, "", "a")], known=known) == [[], [], []]
