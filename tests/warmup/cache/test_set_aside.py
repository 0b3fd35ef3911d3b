"""A pair with a key that isn't ours is set aside and named; all others go on; it comes back."""

import logging
from itertools import product

import orjson
import pytest
from django.urls import reverse

from exchanges.lock.fencing import Fenced
from exchanges.lock.status import read_status
from exchanges.symbols.fetch_listing import fetch_listing
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.coverage import subtract
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.warmup.network.operators import person
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    events_of,
    hurry,
    make_row,
    running,
    serve,
    step_often,
    wait_for_time,
    wait_until,
)
from warmup.cache.candles import CandleCache, CandleWrite
from warmup.cache.set_aside import SetAside
from warmup.metrics.completeness import measure
from warmup.network.page.cells import Grid, Work
from warmup.plan import plan_warmup
from warmup.repair import CandleRepair
from warmup.service import SmartWarmupService

pytestmark = pytest.mark.django_db(transaction=True)

PAIR = Pair("BTC-USD", Timeframe.M1)
OTHERS = ["ETH-USD", "SOL-USD"]
OF_PAIR = [keys.candles, keys.coverage]
NO_OPEN_TIMES = [
    *("inf", "-inf", "1e300", "-1e300", "-1795874400000", "0", "5.5", "1795874400"),
    *("9795874400000", "1795874400000000", "4102444800000", "1e18"),
]
OFF_THE_GRID = [0.5, 1, -MINUTE_MS / 2]  # beside a candle's


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    step_often(monkeypatch)


@pytest.fixture
def live_sandbox():
    with serve() as server:
        yield server


def letters(redis, row, now_ms):
    found = Grid(row.pk).read(redis, SYMBOLS, now_ms, Work())
    return dict(zip(SYMBOLS, found["rows"], strict=True)), found.get("aside", [])


@pytest.mark.parametrize("venue", ["sandbox", "coinbase"])
@pytest.mark.parametrize("name_of", OF_PAIR)
def test_a_key_that_is_overwritten_while_live_costs_its_pair_alone(
    redis, live_sandbox, monkeypatch, caplog, name_of, venue
):
    hurry(monkeypatch)
    row = make_row(live_sandbox, venue)
    name = name_of(row.pk, *PAIR)
    with running(redis, row) as one, caplog.at_level(logging.ERROR):
        truth = Comparison(redis, live_sandbox, row)
        redis.delete(name)
        redis.hset(name, "not", "ours")
        wait_until(lambda: read_status(redis, row.pk).details["setAside"] == {"BTC-USD": ["1m"]})
        others = Comparison(redis, live_sandbox, row, OTHERS)
        others.wait(live_sandbox.clock.now_ms() + 3 * MINUTE_MS)
        assert not others.faults()
        assert redis.hgetall(name) == {b"not": b"ours"}
        [said] = [r.getMessage() for r in caplog.records if "sink.set_aside" in r.getMessage()]
        assert f"{name} is a hash, not a s" in said
        assert f"redis-cli DEL {name}" in said
        redis.delete(*(each(row.pk, *PAIR) for each in OF_PAIR))
        wait_until(lambda: read_status(redis, row.pk).details["setAside"] == {})
        truth.wait(live_sandbox.clock.now_ms() + 3 * MINUTE_MS)
        assert not truth.faults()
        wait_until(lambda: redis.zcard(keys.candles(row.pk, *PAIR)) >= 100)
        assert not one.ended


def test_a_key_that_was_there_before_the_start_costs_its_pair_alone(
    redis, live_sandbox, monkeypatch
):
    hurry(monkeypatch)
    row = make_row(live_sandbox)
    for at, timeframe in enumerate(LONGEST_FIRST):
        redis.set(OF_PAIR[0](row.pk, "BTC-USD", timeframe), "mine") if at % 2 else redis.lpush(
            OF_PAIR[1](row.pk, "BTC-USD", timeframe), "mine"
        )
    with running(redis, row):
        others = Comparison(redis, live_sandbox, row, OTHERS)
        others.wait(live_sandbox.clock.now_ms() + 3 * MINUTE_MS)
        assert not others.faults()
        aside = read_status(redis, row.pk).details["setAside"]
        assert aside == {"BTC-USD": list(LONGEST_FIRST)[::-1]}
        assert "BTC-USD" not in {symbol for symbol, _ in events_of(redis, row.pk)}
        redis.delete(*redis.keys("candles:*:BTC-USD:*"), *redis.keys("coverage:*:BTC-USD:*"))
        everything = Comparison(redis, live_sandbox, row)
        everything.wait(live_sandbox.clock.now_ms() + 3 * MINUTE_MS)
        assert not everything.faults()


def test_deleted_candles_take_what_was_known_of_them_along(redis, live_sandbox, monkeypatch):
    hurry(monkeypatch)
    row = make_row(live_sandbox)
    name = keys.candles(row.pk, *PAIR)
    with running(redis, row):
        wait_for_time(live_sandbox, live_sandbox.clock.now_ms() + 2 * MINUTE_MS)
        redis.delete(name)
        wait_until(lambda: redis.zcard(name) >= 100)
        everything = Comparison(redis, live_sandbox, row)
        everything.wait(live_sandbox.clock.now_ms() + MINUTE_MS)
        assert not everything.faults()


@pytest.mark.parametrize("name_of", OF_PAIR)
def test_a_warmup_and_a_repair_name_it_and_do_the_rest(redis, exchange, rest, name_of):
    name = name_of(exchange.pk, *PAIR)
    redis.set(name, "mine") if name_of is keys.candles else redis.lpush(name, "mine")
    service = SmartWarmupService(redis, exchange.pk, rest)
    service.warmup(SYMBOLS)
    [failure] = service.stats.failures
    assert (failure["symbol"], failure["timeframe"]) == PAIR
    assert f"{name} is a " in failure["error"]
    assert service.stats.completed == len(SYMBOLS) * 6 - 1
    assert rest.candle_calls == len(SYMBOLS) * 6 - 1
    report = CandleRepair(redis, exchange.pk, rest).repair(SYMBOLS)
    assert [f["error"] for f in report.failures] == [failure["error"]]
    plan = plan_warmup(redis, rest, SYMBOLS, LONGEST_FIRST, with_repair=True)
    assert [line.partition(" is set")[0] for line in plan.aside] == ["BTC-USD 1m"]
    assert sum(each.sufficient for each in plan.timeframes) == len(SYMBOLS) * 6 - 1


@pytest.mark.parametrize("name_of", OF_PAIR)
def test_one_pair_that_cant_be_written_keeps_no_other_of_the_same_call_back(redis, truth, name_of):
    cache = CandleCache(redis, 7)
    redis.delete(name_of(7, *PAIR))
    redis.xadd(name_of(7, *PAIR), {"a": "b"})
    rows = [Candle(*each, PAIR.timeframe) for each in truth(*PAIR, count=3)]
    pairs = [("ETH-USD", PAIR.timeframe), tuple(PAIR), ("SOL-USD", PAIR.timeframe)]
    with pytest.raises(SetAside, match="is a stream, not a s"):
        cache.write_many([CandleWrite(*pair, rows) for pair in pairs])
    assert cache.counts([Pair(*pair) for pair in pairs]) == [3, 0, 3]


def test_the_grid_and_the_metrics_tell_it(redis, exchange, rest, sandbox):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    name = keys.candles(exchange.pk, *PAIR)
    redis.set(name, orjson.dumps([[1, 2]]))
    rows, lines = letters(redis, exchange, sandbox.clock.now_ms())
    assert rows == {"BTC-USD": "uccccc", "ETH-USD": "cccccc", "SOL-USD": "cccccc"}
    [line] = lines
    assert line.startswith(f"BTC-USD 1m: {name} is a string, not a sorted set: look at it")
    found = measure(redis, exchange.pk, SYMBOLS, sandbox.clock.now_ms())
    assert [(t, each.set_aside) for t, each in found.items() if each.set_aside] == [("1m", 1)]


def looks_at(redis, exchange, rest, client, score):
    """Look as all of them do at a pair one of whose members has a score that is no open time."""
    name = keys.candles(exchange.pk, *PAIR)
    now_ms = rest.clock.now_ms()
    rows, lines = letters(redis, exchange, now_ms)
    assert rows == {"BTC-USD": "uccccc", "ETH-USD": "cccccc", "SOL-USD": "cccccc"}
    assert lines == [
        f"BTC-USD 1m: {name} holds the score {score}: no candle opens then: look at it, then "
        f"delete it: redis-cli DEL {name} {keys.coverage(exchange.pk, *PAIR)}"
    ]
    assert measure(redis, exchange.pk, SYMBOLS, now_ms)["1m"].set_aside == 1
    plan = plan_warmup(redis, rest, SYMBOLS, LONGEST_FIRST, with_repair=True)
    assert [line.partition(" is set")[0] for line in plan.aside] == ["BTC-USD 1m"]
    service = SmartWarmupService(redis, exchange.pk, rest)
    service.warmup(SYMBOLS)
    report = CandleRepair(redis, exchange.pk, rest).repair(SYMBOLS)
    for failure in (*service.stats.failures, *report.failures):
        assert f"{name} holds the score {score}" in failure["error"]
    assert [f["symbol"] for f in report.failures] == ["BTC-USD"]
    page = client.get(reverse("network:page"))
    assert (page.status_code, name in page.content.decode()) == (200, True)


@pytest.fixture
def seen(redis, exchange, rest, client):
    """Return an exchange that is warm, and that somebody looks at."""
    client.force_login(person("ada", "view_exchange"))
    fetch_listing(exchange)
    exchange.symbols.exclude(symbol__in=SYMBOLS).update(is_monitored=False)
    exchange.symbols.filter(symbol__in=SYMBOLS).update(is_monitored=True)
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    return exchange


def test_a_member_at_no_open_time_costs_its_pair_alone(redis, seen, rest, client):
    name = keys.candles(seen.pk, *PAIR)
    for score in NO_OPEN_TIMES:
        redis.zadd(name, {"[1,2,3]": score})
        looks_at(redis, seen, rest, client, shown(redis, name))
        redis.zrem(name, "[1,2,3]")
        assert letters(redis, seen, rest.clock.now_ms())[0]["BTC-USD"] == "cccccc", score


def test_a_candle_that_was_moved_off_the_grid_costs_its_pair_alone(redis, seen, rest, client):
    name = keys.candles(seen.pk, *PAIR)
    for shift, end in product(OFF_THE_GRID, [0, -1]):
        [(member, score)] = redis.zrange(name, end, end, withscores=True)
        redis.zadd(name, {member: score + shift})
        looks_at(redis, seen, rest, client, shown(redis, name, member))
        redis.zadd(name, {member: score})
        assert letters(redis, seen, rest.clock.now_ms())[0]["BTC-USD"] == "cccccc", (shift, end)


def shown(redis, name, member="[1,2,3]"):
    """Return a score as scripts see it."""
    return redis.eval("return redis.call('ZSCORE', KEYS[1], ARGV[1])", 1, name, member).decode()


@pytest.mark.parametrize("venue", ["sandbox", "coinbase"])
def test_a_score_that_is_no_time_while_live_costs_its_pair_alone(
    redis, live_sandbox, monkeypatch, venue
):
    hurry(monkeypatch)
    row = make_row(live_sandbox, venue)
    name = keys.candles(row.pk, *PAIR)
    with running(redis, row) as one:
        redis.zadd(name, {"[1,2,3]": "inf"})
        wait_until(lambda: read_status(redis, row.pk).details["setAside"] == {"BTC-USD": ["1m"]})
        others = Comparison(redis, live_sandbox, row, OTHERS)
        others.wait(live_sandbox.clock.now_ms() + 3 * MINUTE_MS)
        assert not others.faults()
        redis.zrem(name, "[1,2,3]")
        wait_until(lambda: read_status(redis, row.pk).details["setAside"] == {})
        everything = Comparison(redis, live_sandbox, row)
        everything.wait(live_sandbox.clock.now_ms() + 3 * MINUTE_MS)
        assert not everything.faults()
        assert not one.ended


# -- What is among the candles and is none


def among(redis, name, what):
    """Put something in a candle's place, in the middle; return the bars that nobody knows then."""
    [(member, score), (_, later)] = redis.zrange(name, 50, 51, withscores=True)
    time, row = int(score), orjson.loads(member)
    if what == "double":
        redis.zadd(name, {orjson.dumps([time, *row[1:5], 7_777_777]): time})
        return [time]
    if what == "moved":
        redis.zadd(name, {member: later})
        return [time, int(later)]
    if what == "off the grid":
        redis.zadd(name, {member: time + 0.5})
        return [time]
    redis.zrem(name, member)
    redis.zadd(name, {what.replace(b"TIME", b"%d" % time): time})
    return [time]


NO_CANDLES = [
    *("double", "moved", "off the grid"),
    *(b"garbage\xff", b"", b"[]", b"null", b"7", b"{}", b"[TIME,1,2]", b"[TIME,null,1,1,1,1]"),
    *(b'[TIME,"1","1","1","1","1"]', b"[TIME,5,1,9,0,-1]", b"[TIME,1,1,1,1,1,1]"),
    *(b"[TIME,1,1,1,1,1,null,null,null,null]", b"[TIME,1,1,1,1,1,1,1,1,-1]"),
    *(b"[TIME,1e999,1e999,1e999,1e999,1]", b"[TIME,0,0,0,0,0]", b"[" * 3000, b"[5,1,1,1,1,1]"),
]


def test_what_is_no_candle_is_fetched_again_by_a_repair(redis, exchange, rest, caplog):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    name = keys.candles(exchange.pk, *PAIR)
    before = redis.zrange(name, 0, -1, withscores=True)
    cache = CandleCache(redis, exchange.pk)
    for what in NO_CANDLES:
        caplog.clear()
        bars = among(redis, name, what)
        report = CandleRepair(redis, exchange.pk, rest).repair(SYMBOLS)
        assert (report.pairs, report.failures) == (1, []), what
        assert redis.zrange(name, 0, -1, withscores=True) == before, what
        known = cache.coverage(*PAIR)
        assert all(subtract(((bar, bar + MINUTE_MS),), known) == () for bar in bars), what
        assert f"cache.invalid_removed key={name} removed=" in caplog.text
        again = CandleRepair(redis, exchange.pk, rest).repair(SYMBOLS)
        assert again.pairs == 0, what


def test_nobody_sifts_an_exchange_that_somebody_else_holds(redis, exchange, rest):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    name = keys.candles(exchange.pk, *PAIR)
    among(redis, name, "double")
    redis.set(keys.epoch(exchange.pk), 9)
    with pytest.raises(Fenced):
        CandleCache(redis, exchange.pk, epoch=8).remove_invalid([PAIR])
    assert redis.zcard(name) == 101


@pytest.mark.parametrize("venue", ["sandbox", "coinbase"])
def test_what_is_put_among_the_candles_while_live_is_repaired(
    redis, live_sandbox, monkeypatch, venue
):
    hurry(monkeypatch)
    row = make_row(live_sandbox, venue)
    name = keys.candles(row.pk, *PAIR)
    with running(redis, row) as one:
        everything = Comparison(redis, live_sandbox, row)
        member = redis.zrange(name, 50, 50)[0]
        score = redis.zscore(name, member)
        redis.zrem(name, member)
        redis.zadd(name, {"garbage": score})
        wait_until(lambda: redis.zrangebyscore(name, score, score) == [member])
        everything.wait(live_sandbox.clock.now_ms() + 2 * MINUTE_MS)
        assert not everything.faults()
        assert not one.ended
