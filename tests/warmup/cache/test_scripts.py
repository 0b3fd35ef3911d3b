"""Each script of the cache alone, by its file."""

import json

import pytest
from redis.exceptions import ResponseError

from exchanges.redis.scripts import load_script
from livermore.market.candle import EARLIEST_MS, LATEST_MS
from livermore.market.timeframe import Timeframe
from warmup.cache.encoding import LONGEST_COVERAGE, PAIR_CONSTANTS

FOLDER = "warmup/cache/lua"
WRITE, CUT_BACK, REMOVE_INVALID, SUMMARIZE, WRITE_INDICATORS, PAIR, SPANS, COVERAGE, TOLD, ROWS = (
    load_script(f"{FOLDER}/{name}.lua", PAIR_CONSTANTS)
    for name in (
        "write_candles", "cut_back", "remove_invalid", "summarize", "write_indicators",
        "pair", "spans", "coverage", "told", "rows",
    )
)  # fmt: skip

STEP = 60_000
T0 = 1_790_000_040_000  # a minute's boundary
PAIR_KEYS = ["candles:1m", "coverage"]


def at(number):
    return T0 + number * STEP


def row(number, close=2):
    return f"[{at(number)},1.5,3,1,{close},10]"


def span(first, last):
    return [at(first), at(last)]


def put(redis, first, last, *spans):
    """Store candles and coverage as they are, past every script."""
    rows = {row(number): at(number) for number in range(first, last)}
    if rows:
        redis.zadd("candles:1m", rows)
    redis.set("coverage", json.dumps([span(*each) for each in spans]))


def stored(redis):
    return [member.decode() for member in redis.zrange("candles:1m", 0, -1)]


def covered(redis):
    return json.loads(redis.get("coverage"))


def call(redis, library, text, keys=(), arguments=()):
    """Return what a line of Lua says that has the functions of a library."""
    return redis.eval(f"{library.text}\n{text}", len(keys), *keys, *arguments)


# pair.lua


@pytest.mark.parametrize(
    ("name", "score", "is_stray"),
    [
        ("candles:1m", T0, False),
        ("candles:1m", T0 + 1, True),
        ("candles:1m", EARLIEST_MS - STEP, True),
        ("candles:1m", LATEST_MS + STEP, True),
        ("candles:1m", "nan", True),
        ("candles:1m", "inf", True),
        ("candles:1m", "words", True),
        ("candles:5m", T0, True),
        ("candles:another", T0 + 1, False),
    ],
)
def test_a_score_at_which_no_candle_opens_is_named(redis, name, score, is_stray):
    said = call(redis, PAIR, "return stray(KEYS[1], ARGV[1])", [name], [score])
    words = f"{name} holds the score {score}: no candle opens then".encode()
    assert said == (words if is_stray else None)


def test_each_timeframe_has_its_steps(redis):
    for timeframe in Timeframe:
        first = timeframe.floor(T0)
        for score, is_stray in ((first, False), (first + timeframe.ms // 2, True)):
            said = call(redis, PAIR, "return stray(KEYS[1], ARGV[1])", [f"c:{timeframe}"], [score])
            assert bool(said) is is_stray, timeframe


def test_a_coverage_that_is_gone_or_too_long_is_no_text(redis):
    ask = "return text_of(KEYS[1])"
    assert call(redis, PAIR, ask, ["coverage"]) == b""
    redis.set("coverage", "[[1,2]]")
    assert call(redis, PAIR, ask, ["coverage"]) == b"[[1,2]]"
    redis.set("coverage", b"[" * LONGEST_COVERAGE)
    assert len(call(redis, PAIR, ask, ["coverage"])) == LONGEST_COVERAGE
    redis.append("coverage", "[")
    assert call(redis, PAIR, ask, ["coverage"]) == b""


def test_a_coverage_of_another_type_is_an_error(redis):
    redis.hset("coverage", "a", "b")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        call(redis, PAIR, "return text_of(KEYS[1])", ["coverage"])


# spans.lua


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("[[1,2],[5,9]]", "[[1,2],[5,9]]"),
        (f"[[0,{LATEST_MS}]]", f"[[0,{LATEST_MS}]]"),
        ("[]", "[]"),
        ("", "[]"),
        ("no JSON", "[]"),
        ("5", "[]"),
        ('{"from":1}', "[]"),
        ("[[1,2],[5]]", "[]"),
        ("[[1,2],[5,9,11]]", "[]"),
        ("[[1,2],null]", "[]"),
        ("[[2,1]]", "[]"),
        ("[[1,1]]", "[]"),
        ("[[-1,2]]", "[]"),
        ("[[1,2.5]]", "[]"),
        ('[["1","2"]]', "[]"),
        (f"[[1,{LATEST_MS + 1}]]", "[]"),
    ],
)
def test_a_text_of_spans_is_understood_wholly_or_not_at_all(redis, text, understood):
    said = call(redis, SPANS, "return text_of_spans(spans_of(ARGV[1]))", [], [text])
    assert said.decode() == understood


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ((0, 10), "[[10,20],[30,40]]"),
        ((10, 20), "[[30,40]]"),
        ((12, 15), "[[10,12],[15,20],[30,40]]"),
        ((15, 35), "[[10,15],[35,40]]"),
        ((0, 50), "[]"),
        ((20, 30), "[[10,20],[30,40]]"),
    ],
)
def test_a_stretch_is_taken_out_of_spans(redis, taken, left):
    ask = (
        "return text_of_spans(without({{10, 20}, {30, 40}}, tonumber(ARGV[1]), tonumber(ARGV[2])))"
    )
    assert call(redis, SPANS, ask, [], taken).decode() == left


# coverage.lua


def misfit(redis):
    return call(redis, COVERAGE, "return misfit(KEYS[1], KEYS[2])", PAIR_KEYS)


def extend(redis, kept, spans, stored):
    ask = "return extend(KEYS[1], KEYS[2], tonumber(ARGV[1]), spans_of(ARGV[2]), ARGV[3])"
    return call(redis, COVERAGE, ask, PAIR_KEYS, [kept, json.dumps(spans), json.dumps(stored)])


def test_keys_that_are_ours_or_not_there_fit(redis):
    assert misfit(redis) is None
    put(redis, 0, 3, (0, 3))
    assert misfit(redis) is None


def test_a_key_of_another_type_is_named(redis):
    redis.set("candles:1m", "text")
    assert misfit(redis) == b"candles:1m is a string, not a zset"
    redis.delete("candles:1m")
    redis.rpush("coverage", "text")
    assert misfit(redis) == b"coverage is a list, not a string"


@pytest.mark.parametrize("number", [-0.5, 2.5])
def test_an_end_at_which_no_candle_opens_is_named(redis, number):
    put(redis, 0, 3, (0, 3))
    redis.zadd("candles:1m", {"stray": at(number)})
    assert misfit(redis).startswith(b"candles:1m holds the score ")


def test_spans_are_joined_to_those_that_are_there(redis):
    put(redis, 0, 3)
    assert extend(redis, 10, [span(2, 4), span(6, 7)], [span(0, 2), span(5, 6)]) == 1
    assert covered(redis) == [span(0, 4), span(5, 7)]


def test_a_candle_that_is_trimmed_takes_the_coverage_before_the_next_with_it(redis):
    put(redis, 0, 5)
    assert extend(redis, 3, [], [span(0, 5)]) == 1
    assert stored(redis) == [row(2), row(3), row(4)]
    assert covered(redis) == [span(2, 5)]


def test_nothing_new_and_nothing_trimmed_leaves_all_as_it_is(redis):
    put(redis, 0, 3, (0, 3))
    assert extend(redis, 3, [], [span(0, 1)]) == 1
    assert covered(redis) == [span(0, 3)]


def test_candles_of_another_type_extend_nothing(redis):
    redis.set("candles:1m", "text")
    assert extend(redis, 3, [span(0, 1)], []) is None
    assert not redis.exists("coverage")


# rows.lua


@pytest.mark.parametrize(
    ("stored", "row", "more"),
    [
        ("[1,2,3]", "[1,2]", True),
        ("[1,2]", "[1,2]", False),
        ("[1,2]", "[1,2,3]", False),
        ("[1,23]", "[1,2]", False),
        ("[1,2.5]", "[1,2]", False),
        ("[1,9,3]", "[1,2]", False),
    ],
)
def test_a_row_says_more_where_it_begins_with_all_of_the_other(redis, stored, row, more):
    said = call(redis, ROWS, "return says_more(ARGV[1], ARGV[2])", [], [stored, row])
    assert bool(said) is more


def to_store(redis, text):
    ask = "local row, removed = to_store(KEYS[1], ARGV[1], ARGV[2]) return {row, removed}"
    member, removed = call(redis, ROWS, ask, ["candles:1m"], [at(1), text])
    return member.decode(), removed


def test_what_stands_where_a_row_is_to_be_stored_is_taken_away(redis):
    assert to_store(redis, row(1)) == (row(1), 0)
    put(redis, 0, 3)
    assert to_store(redis, row(1, 2.5)) == (row(1, 2.5), 1)
    assert stored(redis) == [row(0), row(2)]


def test_a_row_that_says_more_is_the_one_to_store(redis):
    longer = row(1)[:-1] + ",20.5,3,4,8]"
    redis.zadd("candles:1m", {longer: at(1)})
    assert to_store(redis, row(1)) == (longer, 1)
    redis.zadd("candles:1m", {longer: at(1), row(1): at(1)})  # nobody knows which is true
    assert to_store(redis, row(1)) == (row(1), 2)


# told.lua


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("[9,[[1,2],[4,5]]]", "[9,[[1,2],[4,5]]]"),
        ("[9,[]]", "[9,[]]"),
        *[(text, None) for text in ("", "[]", "9", "[9]", "[9,5]", "[-1,[]]", "[9,[[2,1]]]", "{")],
    ],
)
def test_what_was_told_is_understood_wholly_or_not_at_all(redis, text, understood):
    redis.hset("told", "pair", text)
    ask = "local mark = mark_of(KEYS[1], ARGV[1]) return mark and text_of_mark(mark)"
    said = call(redis, TOLD, ask, ["told"], ["pair"])
    assert said == (understood and understood.encode())
    assert call(redis, TOLD, ask, ["told"], ["another"]) is None


# write_candles.lua

WRITE_KEYS = [*PAIR_KEYS, "epoch", "unconfirmed"]


def write(redis, rows, *spans, epoch="", kept=1000, unconfirmed=""):
    numbers = [number for each in spans for number in span(*each)]
    candles = f"[{','.join(row(number, close) for number, close in rows)}]"
    arguments = [epoch, kept, len(spans), *numbers, "pair", unconfirmed, candles]
    return WRITE(redis, WRITE_KEYS, arguments)


def test_candles_and_coverage_are_written(redis):
    assert write(redis, [(1, 2), (0, 2)], (0, 2)) is None
    assert stored(redis) == [row(0), row(1)]
    assert redis.zscore("candles:1m", row(1)) == at(1)
    assert covered(redis) == [span(0, 2)]
    assert not redis.exists("unconfirmed")


def test_a_candle_replaces_the_one_of_its_time_and_no_other(redis):
    put(redis, 0, 3, (0, 3))
    write(redis, [(1, 2.5)])
    assert stored(redis) == [row(0), row(1, 2.5), row(2)]
    assert covered(redis) == [span(0, 3)]


def test_of_two_rows_at_one_time_that_somebody_wrote_none_is_left(redis):
    put(redis, 0, 3, (0, 3))
    redis.zadd("candles:1m", {row(1, 2.25): at(1), row(1, 2.75): at(1)})
    write(redis, [(1, 2), (5, 2)])
    assert stored(redis) == [row(0), row(1), row(2), row(5)]


def test_a_row_is_stored_with_each_of_its_digits(redis):
    digits = f"[{at(0)},1e-07,0.1234567890123456,1e-08,-0.0,12345678901234.5]"
    WRITE(redis, WRITE_KEYS, ["", 1000, 0, "pair", "", f"[{digits}]"])
    assert stored(redis) == [digits]


def test_a_row_that_is_there_with_all_that_and_more_stays(redis):
    longer = [row(number)[:-1] + ",20.5,3,4,8]" for number in range(3)]
    WRITE(redis, WRITE_KEYS, ["", 1000, 0, "pair", "", f"[{','.join(longer)}]"])
    write(redis, [(0, 2), (1, 2.5), (3, 2)])
    assert stored(redis) == [longer[0], row(1, 2.5), longer[2], row(3)]
    WRITE(redis, WRITE_KEYS, ["", 1000, 0, "pair", "", f"[{longer[1]}]"])
    assert stored(redis) == [*longer, row(3)]


def test_what_was_known_of_candles_that_were_deleted_is_not_believed_of_others(redis):
    put(redis, 0, 0, (0, 9))
    write(redis, [], (9, 10))
    assert covered(redis) == [span(0, 10)]
    write(redis, [(5, 2)], (5, 12))
    assert covered(redis) == [span(5, 12)]


def test_no_more_is_kept_than_is_said(redis):
    write(redis, [(number, 2) for number in range(5)], (-3, 5), kept=3)
    assert stored(redis) == [row(2), row(3), row(4)]
    assert covered(redis) == [span(2, 5)]


def test_many_candles_are_written_at_once(redis):
    write(redis, [(number, 2) for number in range(3000)], kept=5000)
    assert redis.zcard("candles:1m") == 3000


def test_what_is_unconfirmed_is_kept_put_away_or_left(redis):
    write(redis, [], (0, 1), unconfirmed="[[1,2]]")
    assert redis.hgetall("unconfirmed") == {b"pair": b"[[1,2]]"}
    write(redis, [], (0, 1), unconfirmed="")
    assert redis.hgetall("unconfirmed") == {b"pair": b"[[1,2]]"}
    write(redis, [], (0, 1), unconfirmed="[]")
    assert not redis.exists("unconfirmed")


def test_a_note_that_cannot_be_kept_costs_no_candle(redis):
    redis.set("unconfirmed", "text")
    for unconfirmed in ("[[1,2]]", "[]"):
        write(redis, [(0, 2)], (0, 1), unconfirmed=unconfirmed)
    assert stored(redis) == [row(0)]


def test_a_write_of_nothing_changes_nothing(redis):
    write(redis, [])
    assert redis.keys() == []


# cut_back.lua

CUT_KEYS = [*PAIR_KEYS, "epoch", "indicator", "told"]


def cut_back(redis, cut, open_bar, epoch=""):
    return CUT_BACK(redis, CUT_KEYS, [epoch, at(cut), at(open_bar), "pair"])


def test_what_a_clock_that_was_ahead_left_behind_goes(redis):
    put(redis, 0, 8, (0, 2), (3, 8))
    redis.set("indicator", "{}")
    redis.hset("told", "pair", json.dumps([at(8), [span(0, 1)]]))
    assert cut_back(redis, 4, 6) is None
    assert stored(redis) == [row(number) for number in range(6)]
    assert covered(redis) == [span(0, 2), span(3, 4)]
    assert not redis.exists("indicator")
    assert json.loads(redis.hget("told", "pair")) == [at(6), [span(0, 1), span(4, 6)]]


def test_where_no_candle_is_cut_and_nothing_later_was_told_that_stays(redis):
    put(redis, 0, 3, (0, 8))
    redis.set("indicator", "{}")
    redis.hset("told", "pair", json.dumps([at(3), []]))
    cut_back(redis, 4, 6)
    assert stored(redis) == [row(0), row(1), row(2)]
    assert covered(redis) == [span(0, 4)]
    assert redis.exists("indicator")
    assert json.loads(redis.hget("told", "pair")) == [at(3), []]


def test_a_pair_without_a_key_is_cut_back_to_nothing(redis):
    cut_back(redis, 4, 6)
    assert covered(redis) == []
    assert redis.keys() == [b"coverage"]


# remove_invalid.lua

INVALID_KEYS = [*PAIR_KEYS, "epoch"]
NO_CANDLES = [
    "no JSON", "5", "[]", "{}", "[null]", f"[{at(1)},1.5,3,1,2]", f'[{at(1)},"1.5",3,1,2,10]',
    f"[{at(1)},1.5,1,3,2,10]", f"[{at(1)},1.5,3,1,4,10]",
    f"[{at(1)},1.5,3,0,2,10]", f"[{at(1)},1.5,3,1,2,-1]", f"[{at(1)}.0,1.5,3,1,2,10]",
    f"[{at(1)},1.5,3,1,2,10,20]", f"[{at(1)},1.5,3,1,2,10,20,3,4,8,0]",
    f"[{at(1)},1.5,3,1,2,10,null,null,null,null]", f'[{at(1)},1.5,3,1,2,10,"20",3,4,8]',
    f"[{at(1)},1.5,3,1,2,10,-1,3,4,8]", f"[{at(1)},1.5,3,1,2,10,20,3,1e999,8]",
    f"[{at(1)},1.5,3,1,2,10,20,3.5,4,8]", f"[{at(1)},1.5,3,1,2,10,20,1e300,4,8]",
]  # fmt: skip


def remove_invalid(redis, epoch=""):
    return REMOVE_INVALID(redis, INVALID_KEYS, [epoch])


def test_a_pair_of_candles_alone_is_left(redis):
    assert remove_invalid(redis) is None
    put(redis, 0, 3, (0, 3))
    assert remove_invalid(redis) is None
    assert stored(redis) == [row(0), row(1), row(2)]


def test_a_row_of_ten_numbers_is_a_candle(redis):
    put(redis, 0, 3, (0, 3))
    redis.zadd("candles:1m", {f"[{at(3)},1.5,3,1,2,10,20.5,3,4.25,8.0]": at(3)})
    redis.zadd("candles:1m", {f"[{at(4)},2,2,2,2,0,0.0,0,0.0,0.0]": at(4)})
    assert remove_invalid(redis) is None
    assert redis.zcard("candles:1m") == 5


@pytest.mark.parametrize("member", NO_CANDLES)
def test_what_is_no_candle_goes_and_what_is_known_of_its_bar(redis, member):
    put(redis, 0, 4, (0, 4))
    redis.zremrangebyscore("candles:1m", at(1), at(1))
    redis.zadd("candles:1m", {member: at(1)})
    assert remove_invalid(redis) == [1, member.encode()]
    assert stored(redis) == [row(0), row(2), row(3)]
    assert covered(redis) == [span(0, 1), span(2, 4)]


def test_a_candle_that_was_moved_is_unknown_where_it_stood_and_where_it_stands(redis):
    put(redis, 0, 5, (0, 5))
    redis.zadd("candles:1m", {row(3): at(1) + 1})
    assert remove_invalid(redis) == [1, row(3).encode()]
    assert stored(redis) == [row(0), row(1), row(2), row(4)]
    assert covered(redis) == [span(0, 1), span(2, 3), span(4, 5)]


def test_all_that_open_at_one_time_go(redis):
    put(redis, 0, 3, (0, 3))
    redis.zadd("candles:1m", {row(1, 2.5): at(1)})
    assert remove_invalid(redis)[0] == 2
    assert stored(redis) == [row(0), row(2)]


def test_no_more_of_what_was_found_is_returned_than_a_line_holds(redis):
    put(redis, 0, 1)
    redis.zadd("candles:1m", {"x" * 1000: at(1)})
    assert remove_invalid(redis) == [1, b"x" * 300]


def test_nothing_is_sifted_where_a_key_is_not_ours(redis):
    put(redis, 0, 3, (0, 3))
    redis.zadd("candles:1m", {"no JSON": at(3) + 1})
    assert remove_invalid(redis) is None
    assert redis.zcard("candles:1m") == 4


# summarize.lua


def test_pairs_are_told_by_their_ends_and_coverage(redis):
    put(redis, 0, 3, (0, 3))
    names = [*PAIR_KEYS, "gone:1m", "gone"]
    ends = [str(at(0)).encode(), str(at(2)).encode()]
    assert SUMMARIZE(redis, names) == [3, *ends, redis.get("coverage"), 0, None, None, b""]
    assert SUMMARIZE(redis, []) == []


def test_a_coverage_that_is_too_long_comes_in_a_length_that_shows_it(redis):
    redis.set("coverage", b"[" * (2 * LONGEST_COVERAGE))
    [_, _, _, coverage] = SUMMARIZE(redis, PAIR_KEYS)
    assert len(coverage) == LONGEST_COVERAGE + 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("candles:1m", b"candles:1m is a hash, not a zset"),
        ("coverage", b"coverage is a hash, not a string"),
    ],
)
def test_a_pair_with_a_key_of_another_type_is_told_apart_and_costs_no_other(redis, name, fault):
    redis.hset(name, "a", "b")
    found = SUMMARIZE(redis, [*PAIR_KEYS, "gone:1m", "gone"])
    assert found == [-1, None, None, fault, 0, None, None, b""]


def test_a_pair_with_an_end_at_no_open_time_is_told_apart(redis):
    put(redis, 0, 3, (0, 3))
    redis.zadd("candles:1m", {"stray": at(0) - 1})
    count, first, last, fault = SUMMARIZE(redis, PAIR_KEYS)
    assert (count, first, last) == (-1, None, None)
    assert fault == f"candles:1m holds the score {at(0) - 1}: no candle opens then".encode()


# write_indicators.lua


def value(number):
    return json.dumps({"timestamp": at(number)}, separators=(",", ":"))


def write_indicators(redis, *values, epoch=""):
    names = [f"indicator:{number}" for number in range(len(values))]
    each = [argument for time, text in values for argument in (at(time), text, "channel")]
    return WRITE_INDICATORS(redis, ["epoch", *names], [epoch, *each])


def test_indicators_are_stored_and_told_but_for_those_of_an_older_candle(redis):
    redis.mset({"indicator:1": value(5), "indicator:2": value(3)})
    listener = redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("channel")
    listener.get_message(timeout=5)
    assert write_indicators(redis, (4, value(4)), (4, value(4)), (4, value(4))) == 1
    found = [redis.get(f"indicator:{number}").decode() for number in range(3)]
    assert found == [value(4), value(5), value(4)]
    redis.publish("channel", "end")
    messages = iter(lambda: listener.get_message(timeout=5), None)
    told = [message["data"] for message in [next(messages), next(messages), next(messages)]]
    assert told == [value(4).encode(), value(4).encode(), b"end"]
    listener.close()


def test_an_indicator_without_a_value_is_deleted(redis):
    redis.set("indicator:0", value(5))
    assert write_indicators(redis, (0, "")) == 0
    assert redis.keys() == []
    assert write_indicators(redis) == 0


@pytest.mark.parametrize("stored", ["no JSON", json.dumps({"timestamp": 10 * LATEST_MS}), None])
def test_what_is_no_indicator_is_written_over(redis, stored):
    if stored:
        redis.set("indicator:0", stored)
    else:
        redis.hset("indicator:0", "a", "b")
    assert write_indicators(redis, (4, value(4))) == 0
    assert redis.get("indicator:0").decode() == value(4)


# all that write

CALLS = {
    "write_candles": lambda redis: write(redis, [(0, 2)], (0, 1), epoch=7),
    "cut_back": lambda redis: cut_back(redis, 1, 2, epoch=7),
    "remove_invalid": lambda redis: remove_invalid(redis, epoch=7),
    "write_indicators": lambda redis: write_indicators(redis, (4, value(4)), epoch=7),
}


@pytest.mark.parametrize("name", CALLS)
def test_under_the_current_epoch_it_is_done(redis, name):
    redis.set("epoch", 7)
    CALLS[name](redis)


@pytest.mark.parametrize("name", CALLS)
def test_who_had_the_exchange_before_changes_nothing(redis, name):
    put(redis, 0, 8, (0, 8))
    redis.zadd("candles:1m", {"no JSON": at(1)})
    redis.set("epoch", 8)
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    with pytest.raises(ResponseError, match="FENCED epoch 7"):
        CALLS[name](redis)
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before


@pytest.mark.parametrize("name", ["write_candles", "cut_back"])
@pytest.mark.parametrize("key", PAIR_KEYS)
def test_a_pair_that_is_not_ours_is_set_aside_and_left(redis, name, key):
    redis.set("epoch", 7)
    redis.hset(key, "a", "b")
    with pytest.raises(ResponseError, match=f"ASIDE {key} is a hash, not a"):
        CALLS[name](redis)
    assert set(redis.keys()) == {b"epoch", key.encode()}
