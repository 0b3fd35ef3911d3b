from contextlib import contextmanager

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import NoPermissionError

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.control_client import ControlClient
from exchanges.lock.fencing import Fenced
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.indicators import macd_v
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Running,
    make_row,
    running,
    serve,
    stored,
    wait_until,
)
from warmup.cache.candles import CandleCache
from warmup.cache.indicator_window import Window
from warmup.cache.indicators import IndicatorCache
from warmup.live import indicators
from warmup.live.indicators import IndicatorFollower

NUMBER = 7
M1 = Timeframe.M1
PAIR, OTHER = Pair("BTC-USD", M1), Pair("ETH-USD", Timeframe.H1)
START_MS = 1_795_046_400_000


def bar(number, timeframe=M1):
    """Return a bar of a market that goes up and down; which one depends on the number alone."""
    middle = 1000 + 7 * ((number * 37) % 101) / 10
    spread = 1 + number % 5
    return Candle(
        START_MS + number * timeframe.ms,
        middle, middle + spread, middle - spread, middle + spread / 2, 3.5, timeframe,
    )  # fmt: skip


def cover(pair, first, last):
    return ((START_MS + first * pair.timeframe.ms, START_MS + (last + 1) * pair.timeframe.ms),)


def store(redis, pair, numbers, covered=None):
    candles = [bar(number, pair.timeframe) for number in numbers]
    if covered is None and numbers:
        covered = cover(pair, min(numbers), max(numbers))
    CandleCache(redis, NUMBER).write(*pair, candles, covered or ())


def close(redis, pair, number):
    """Store a bar and tell of it, as the sink does."""
    store(redis, pair, [number])
    tell(redis, pair, bar(number, pair.timeframe))


def tell(redis, pair, candle):
    names = ("timestamp", "open", "high", "low", "close", "volume")
    event = {"exchangeId": NUMBER, "symbol": pair.symbol, "timeframe": pair.timeframe}
    event |= dict(zip(names, candle.values(), strict=True))
    redis.xadd(keys.events(NUMBER), {"event": orjson.dumps(event | {"closed": True})})


def value(redis, pair=PAIR, exchange_id=NUMBER):
    return IndicatorCache(redis, exchange_id).read_many([pair])[0]


def expected(numbers, timeframe=M1):
    return macd_v([bar(number, timeframe) for number in numbers], timeframe)


@contextmanager
def refused(redis, command):
    """Let the server refuse a command to everybody for a while."""
    redis.acl_setuser("default", enabled=True, commands=[f"-{command}"])
    try:
        yield
    finally:
        redis.acl_setuser("default", enabled=True, commands=[f"+{command}"])


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Let closes be taken at once."""
    monkeypatch.setattr(indicators, "SECONDS_TOGETHER", 0)


@pytest.fixture
def follower(redis):
    return IndicatorFollower(redis, NUMBER)


def test_each_pair_is_computed_from_all_that_the_cache_has(redis, follower):
    store(redis, PAIR, range(100))
    store(redis, OTHER, range(60))
    follower.compute([PAIR, OTHER])
    found, reference = value(redis), expected(range(100))
    assert found == {
        "exchangeId": NUMBER,
        "symbol": "BTC-USD",
        "timeframe": "1m",
        "timestamp": bar(99).timestamp,
        "value": reference.value,
        "signal": reference.signal,
        "histogram": reference.histogram,
        "ema12": reference.ema12,
        "ema26": reference.ema26,
        "atr": reference.atr,
        "stage": reference.stage,
        "reason": None,
        "seeded": True,
        "nEff": 99,
        "spanBars": 100,
        "liquidity": 1.0,
        "firstTimestamp": bar(0).timestamp,
        "lastTimestamp": bar(99).timestamp,
        "coverageComplete": True,
    }
    assert value(redis, OTHER)["value"] == expected(range(60), Timeframe.H1).value


def test_below_sixty_candles_there_is_no_value_and_one_of_before_goes_away(redis, follower):
    store(redis, PAIR, range(59))
    redis.set(keys.indicator(NUMBER, *PAIR), '{"timestamp":1}')
    follower.compute([PAIR])
    assert not redis.exists(keys.indicator(NUMBER, *PAIR))
    close(redis, PAIR, 59)
    follower.step(1)
    assert value(redis)["nEff"] == 59


def test_a_close_moves_its_pair_to_the_numbers_of_the_whole_window(redis, follower):
    store(redis, PAIR, range(80))
    store(redis, OTHER, range(80))
    follower.compute([PAIR, OTHER])
    before = redis.get(keys.indicator(NUMBER, *OTHER))
    for number in range(80, 90):
        close(redis, PAIR, number)
        follower.step(1)
        found, reference = value(redis), expected(range(number + 1))
        assert (found["timestamp"], found["value"]) == (bar(number).timestamp, reference.value)
        assert (found["signal"], found["atr"]) == (reference.signal, reference.atr)
    assert redis.get(keys.indicator(NUMBER, *OTHER)) == before


def test_closes_that_come_together_are_written_together(redis, follower, monkeypatch):
    store(redis, PAIR, range(60))
    store(redis, OTHER, range(60))
    follower.compute([PAIR, OTHER])
    close(redis, PAIR, 60)

    def another_comes(seconds):
        close(redis, OTHER, 60)
        redis.config_resetstat()

    monkeypatch.setattr(indicators.time, "sleep", another_comes)
    follower.step(1)
    assert [value(redis, each)["timestamp"] for each in (PAIR, OTHER)] == [
        bar(60, each.timeframe).timestamp for each in (PAIR, OTHER)
    ]
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_a_step_that_is_not_to_wait_for_closes_does_not(follower):
    follower._redis.connection_pool.connection_kwargs["socket_timeout"] = (
        1.0  # it would end by that
    )
    follower._redis.connection_pool.disconnect()
    assert follower.follow(0)


def test_every_value_is_published(redis, follower):
    store(redis, PAIR, range(60))
    with redis.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(keys.indicator_channel(NUMBER, *PAIR))
        listening.get_message(timeout=5)
        follower.compute([PAIR])
        close(redis, PAIR, 60)
        follower.step(1)
        received = [orjson.loads(listening.get_message(timeout=5)["data"]) for _ in range(2)]
    assert [each["timestamp"] for each in received] == [bar(59).timestamp, bar(60).timestamp]
    assert received[1] == value(redis)


def test_a_healed_hole_changes_its_pairs_value_and_no_other(redis, follower):
    hole = set(range(40, 50))
    store(redis, PAIR, sorted(set(range(80)) - hole), cover(PAIR, 0, 39) + cover(PAIR, 50, 79))
    store(redis, OTHER, range(80))
    follower.compute([PAIR, OTHER])
    holed, other = value(redis), redis.get(keys.indicator(NUMBER, *OTHER))
    assert not holed["coverageComplete"]
    store(redis, PAIR, sorted(hole))
    follower.changed(PAIR)
    follower.step(1)
    repaired = value(redis)
    assert repaired["value"] == expected(range(80)).value != holed["value"]
    assert repaired["coverageComplete"]
    assert redis.get(keys.indicator(NUMBER, *OTHER)) == other


def test_minutes_without_trades_are_no_hole_and_carry_the_range_on(redis, follower):
    numbers = [*range(0, 200, 2)]
    store(redis, PAIR, numbers, cover(PAIR, 0, 198))
    follower.compute([PAIR])
    close(redis, PAIR, 204)
    store(redis, PAIR, [], cover(PAIR, 199, 204))
    follower.step(1)
    found, reference = value(redis), expected([*numbers, 204])
    assert found["coverageComplete"]
    assert (found["value"], found["atr"]) == (reference.value, reference.atr)
    assert (found["nEff"], found["spanBars"]) == (100, 205)
    assert found["liquidity"] == 101 / 205


def test_closes_told_while_nobody_read_are_taken_in_order_afterwards(redis):
    store(redis, PAIR, range(60))
    first = IndicatorFollower(redis, NUMBER)
    first.compute([PAIR])
    for number in range(60, 70):
        close(redis, PAIR, number)
    first.step(1)
    assert value(redis)["timestamp"] == bar(69).timestamp
    close(redis, PAIR, 70)  # between two processes
    second = IndicatorFollower(redis, NUMBER)
    second.compute([PAIR])
    assert value(redis)["value"] == expected(range(71)).value


def test_events_trimmed_before_they_were_read_lose_no_value(redis, follower):
    store(redis, PAIR, range(60))
    store(redis, OTHER, range(60))
    follower.compute([PAIR, OTHER])
    with refused(redis, "xread"):
        assert not follower.follow()
        for number in range(60, 65):
            close(redis, PAIR, number)
            close(redis, OTHER, number)
        redis.xtrim(keys.events(NUMBER), maxlen=1, approximate=False)
        close(redis, PAIR, 65)
    assert follower.follow()
    assert value(redis, OTHER)["timestamp"] == bar(64, Timeframe.H1).timestamp
    assert value(redis)["value"] == expected(range(66)).value
    assert value(redis, OTHER)["value"] == expected(range(65), Timeframe.H1).value


def test_a_newer_value_is_left_alone(redis, follower):
    store(redis, PAIR, range(60))
    newer = orjson.dumps({"timestamp": bar(60).timestamp, "value": 1.0})
    redis.set(keys.indicator(NUMBER, *PAIR), newer)
    follower.compute([PAIR])
    assert redis.get(keys.indicator(NUMBER, *PAIR)) == newer


def test_a_pair_that_is_added_is_computed_and_one_removed_is_left(redis, follower):
    store(redis, PAIR, range(60))
    store(redis, OTHER, range(60))
    follower.compute([PAIR])
    follower.add([OTHER])
    follower.remove([PAIR])
    close(redis, PAIR, 60)
    follower.step(1)
    assert value(redis, OTHER)["nEff"] == 59
    assert value(redis)["timestamp"] == bar(59).timestamp


def test_an_epoch_that_is_over_writes_nothing(redis):
    store(redis, PAIR, range(60))
    lease = ExchangeLock(redis, NUMBER).acquire()
    follower = IndicatorFollower(redis, NUMBER, lease.epoch)
    lease.release()
    ExchangeLock(redis, NUMBER).acquire()
    with pytest.raises(Fenced):
        follower.compute([PAIR])
    assert value(redis) is None


@pytest.mark.parametrize("member", ["garbage", '{"t":1}', "[]", "7", "[1795046400001,1,1,1,1,1]"])
def test_candles_that_nobody_can_read_stop_no_other_pair(redis, follower, caplog, member):
    store(redis, PAIR, range(60))
    store(redis, OTHER, range(60))
    redis.zadd(keys.candles(NUMBER, *PAIR), {member: bar(60).timestamp})
    follower.compute([PAIR, OTHER])
    assert value(redis) is None
    assert value(redis, OTHER)
    assert "window.unreadable pair=BTC-USD/1m" in caplog.text


def test_a_window_that_grew_long_is_read_anew(redis, follower):
    store(redis, PAIR, range(100))
    follower.compute([PAIR])
    for first in range(100, 2100, 500):
        for number in range(first, first + 500):
            close(redis, PAIR, number)
        follower.step(1)
    found, oldest = value(redis), bar(1100).timestamp
    assert found["timestamp"] == bar(2099).timestamp
    assert found["spanBars"] <= 2001
    assert found["firstTimestamp"] <= oldest
    assert found["value"] == pytest.approx(expected(range(1100, 2100)).value, rel=1e-12)


def test_redis_restarted_under_it_costs_no_value(redis, follower):
    store(redis, PAIR, range(60))
    follower.compute([PAIR])
    follower.follow(1)
    redis.client_kill_filter(_type="normal", skipme=True)
    redis.script_flush()
    close(redis, PAIR, 60)
    wait_until(follower.follow)
    assert value(redis)["timestamp"] == bar(60).timestamp


def quiet(number):
    """Return a bar that Binance writes where nothing was traded."""
    close = bar(number - number % 50).close
    return Candle(START_MS + number * M1.ms, close, close, close, close, 0.0, M1)


@pytest.mark.parametrize("busy_every", [50, 10, 2])
def test_rows_without_trades_push_the_ones_with_out_of_the_window(redis, follower, busy_every):
    def candle(number):
        return bar(number) if number % busy_every == 0 else quiet(number)

    def write(numbers):
        covered = cover(PAIR, numbers[0], numbers[-1])
        CandleCache(redis, NUMBER).write(*PAIR, [candle(each) for each in numbers], covered)

    write(range(1000))
    follower.compute([PAIR])
    for first in range(1000, 1700, 100):
        for number in range(first, first + 100):
            write([number])
            tell(redis, PAIR, candle(number))
        follower.step(1)
        last = first + 99
        found = value(redis)
        reference = macd_v([candle(number) for number in range(last - 999, last + 1)], M1)
        assert found["reason"] == reference.reason
        assert found["value"] == (reference.value and pytest.approx(reference.value, rel=1e-9))


def test_a_pair_removed_while_its_close_is_taken_ends_nothing(redis, follower, monkeypatch):
    store(redis, PAIR, range(60))
    store(redis, OTHER, range(60))
    follower.compute([PAIR, OTHER])
    close(redis, PAIR, 60)
    close(redis, OTHER, 60)

    def advance(window, event, coverage=None):
        follower.remove([PAIR])
        return take(window, event, coverage)

    take = Window.advance
    monkeypatch.setattr(Window, "advance", advance)
    follower.step(1)
    assert value(redis, OTHER)["timestamp"] == bar(60, Timeframe.H1).timestamp


def test_a_write_that_fails_is_made_good_by_the_next_step(redis, follower):
    store(redis, PAIR, range(60))
    store(redis, OTHER, range(60))
    follower.compute([PAIR, OTHER])
    close(redis, PAIR, 60)
    store(redis, OTHER, [20])
    follower.changed(OTHER)
    redis.delete(keys.indicator(NUMBER, *OTHER))
    with refused(redis, "evalsha"), pytest.raises(NoPermissionError):
        follower.step(1)
    assert value(redis)["timestamp"] == bar(59).timestamp
    follower.step(1)
    assert value(redis)["value"] == expected(range(61)).value
    assert value(redis, OTHER)


def test_told_to_stop_it_computes_no_further(redis, follower):
    pairs = [Pair(f"S{number}-USD", M1) for number in range(60)]
    for pair in pairs:
        store(redis, pair, range(60))
    calls = []
    follower.compute(pairs, lambda: len(calls) > 0 or calls.append(1))
    assert value(redis, pairs[0])
    assert value(redis, pairs[-1]) is None


def test_while_it_may_not_write_it_takes_nothing(redis):
    allowed = [True]
    follower = IndicatorFollower(redis, NUMBER, may_write=lambda: allowed[0])
    store(redis, PAIR, range(60))
    follower.compute([PAIR])
    close(redis, PAIR, 60)
    allowed[0] = False
    follower.step(1)
    assert value(redis)["timestamp"] == bar(59).timestamp
    allowed[0] = True
    follower.step(1)
    assert value(redis)["timestamp"] == bar(60).timestamp


def test_events_that_nobody_can_read_stop_nothing(redis, follower, caplog):
    store(redis, PAIR, range(60))
    follower.compute([PAIR])
    redis.xadd(keys.events(NUMBER), {"other": "field"})
    for text in ("no json", "[]", '{"symbol":"BTC-USD","timeframe":"2m"}'):
        redis.xadd(keys.events(NUMBER), {"event": text})
    close(redis, PAIR, 60)
    follower.step(1)
    assert value(redis)["timestamp"] == bar(60).timestamp
    assert caplog.text.count("follower.unreadable entry=") == 4


def test_a_stream_that_vanished_has_everything_computed_anew(redis, follower):
    store(redis, PAIR, range(60))
    close(redis, PAIR, 60)
    follower.compute([PAIR])
    with refused(redis, "xread"):
        assert not follower.follow()
        redis.delete(keys.events(NUMBER))
        store(redis, PAIR, [61])
    assert follower.follow()
    assert value(redis)["timestamp"] == bar(61).timestamp


def test_a_close_after_an_uncovered_gap_says_that_something_may_be_missing(redis, follower):
    store(redis, PAIR, range(60))
    follower.compute([PAIR])
    close(redis, PAIR, 65)
    follower.step(1)
    assert value(redis)["timestamp"] == bar(65).timestamp
    assert not value(redis)["coverageComplete"]


def test_what_is_before_a_gap_longer_than_a_window_counts_no_more(redis, follower):
    store(redis, PAIR, range(70))
    store(redis, PAIR, range(500_000, 500_080))
    follower.compute([PAIR])
    assert value(redis)["value"] == expected(range(500_000, 500_080)).value
    assert value(redis)["spanBars"] == 80


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("close"), st.integers(1, 4)),
            st.tuples(st.just("repair"), st.integers(0, 59)),
            st.tuples(st.just("step"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_whatever_comes_the_value_is_that_of_the_window(redis, events):
    redis.flushall()
    numbers = {n for n in range(70) if n % 7}
    store(redis, PAIR, sorted(numbers))
    follower = IndicatorFollower(redis, NUMBER)
    follower.compute([PAIR])
    for kind, amount in events:
        if kind == "close":
            number = max(numbers) + amount
            close(redis, PAIR, number)
            numbers.add(number)
        elif kind == "repair":
            store(redis, PAIR, [amount])
            numbers.add(amount)
            follower.changed(PAIR)
        else:
            follower.step(1)
    close(redis, PAIR, max(numbers) + 1)
    numbers.add(max(numbers) + 1)
    follower.step(1)
    found, reference = value(redis), expected(sorted(numbers))
    assert (found["value"], found["signal"]) == (reference.value, reference.signal)
    assert (found["nEff"], found["spanBars"]) == (reference.n_eff, reference.span_bars)


# -- In a runner


@pytest.fixture
def sandbox(db):
    with serve() as server:
        yield server


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_running_exchange_has_every_value_once_it_is_live_and_keeps_it(
    redis, sandbox, name, transactional_db
):
    row = make_row(sandbox, name)
    pairs = [Pair(symbol, timeframe) for symbol in SYMBOLS for timeframe in Timeframe]
    with running(redis, row):
        assert all(IndicatorCache(redis, row.pk).read_many(pairs))
        until_ms = sandbox.clock.now_ms() + 3 * MINUTE_MS

        def current():
            found = value(redis, PAIR, row.pk)
            return found["timestamp"] + M1.ms >= until_ms and found

        wait_until(current, 30)
    rows, _ = stored(redis, row.pk, *PAIR)
    found = value(redis, PAIR, row.pk)
    candles = [Candle.of_values(each, M1) for each in rows if each[0] <= found["timestamp"]]
    assert found["value"] == pytest.approx(macd_v(candles, M1).value, rel=1e-9)
    assert found["coverageComplete"]


def test_a_repair_of_a_running_exchange_computes_what_it_changed_and_nothing_else(
    redis, sandbox, transactional_db
):
    row = make_row(sandbox)
    day, other = Pair("BTC-USD", Timeframe.D1), Pair("ETH-USD", Timeframe.D1)
    sandbox.clock.speed = 0
    with running(redis, row):
        right = value(redis, day, row.pk)
        rows, ((start_ms, end_ms),) = stored(redis, row.pk, *day)
        hole = (rows[50][0], rows[60][0])
        redis.zremrangebyscore(keys.candles(row.pk, *day), hole[0], f"({hole[1]}")
        coverage = orjson.dumps([[start_ms, hole[0]], [hole[1], end_ms]])
        redis.set(keys.coverage(row.pk, *day), coverage)
        for pair in (day, other):
            wrong = orjson.dumps(value(redis, pair, row.pk) | {"value": 0.0})
            redis.set(keys.indicator(row.pk, *pair), wrong)
        client = ControlClient(redis, row.pk)
        assert client.wait(client.send("repair"), 20).result["pairs"] == 1
        wait_until(lambda: value(redis, day, row.pk) == right)
        assert value(redis, other, row.pk)["value"] == 0.0


def test_a_removed_symbol_is_followed_no_more_and_an_added_one_is(redis, sandbox, transactional_db):
    row = make_row(sandbox)
    client = ControlClient(redis, row.pk)
    gone, new = Pair("ETH-USD", M1), Pair("SOL-USD", M1)
    with running(redis, row, ["BTC-USD", "ETH-USD"]):
        assert client.wait(client.send("remove-symbol", symbol="ETH-USD"), 20).ok
        assert client.wait(client.send("add-symbol", symbol="SOL-USD"), 20).ok
        assert wait_until(lambda: value(redis, new, row.pk))["spanBars"] >= 100
        last = value(redis, gone, row.pk)
        until_ms = sandbox.clock.now_ms() + 2 * MINUTE_MS
        wait_until(lambda: value(redis, new, row.pk)["timestamp"] + M1.ms >= until_ms)
        assert value(redis, gone, row.pk) == last


def test_a_runner_ends_with_a_follower_that_died(redis, sandbox, transactional_db, monkeypatch):
    def fail(window, exchange_id):
        raise ZeroDivisionError("a fault of ours")

    one = Running(redis, make_row(sandbox)).wait_until_live()
    monkeypatch.setattr(Window, "as_json", fail)
    wait_until(lambda: one.ended)
    assert isinstance(one.error, ZeroDivisionError)
