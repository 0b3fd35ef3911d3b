"""From a stream's events to the real Redis; only the exchange's REST side is played."""

import json
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisGone

from exchanges.errors import Unreachable
from exchanges.lock.fencing import Fenced
from exchanges.rest.clock import ExchangeClock
from exchanges.rest.reply import Candles, QuietBars
from exchanges.stream.events import CandleUpdate, Quiet, Traded
from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.coverage import intersect, missing, subtract, union
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache, TickerCache
from warmup.cache.told import Told
from warmup.live import flush
from warmup.live import sink as sink_module
from warmup.live.bars import GRACE_MS, PATIENCE_MS
from warmup.live.outage import Outage
from warmup.live.sink import CandleSink

EXCHANGE, EPOCH = 7, 3
BTC, ETH = "BTC-USD", "ETH-USD"
M1, M5, M15, H1, D1 = Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.D1
PAIR = Pair(BTC, M1)
NOW = H1.floor(1_790_000_123_456)  # the open bar of every timeframe up to an hour begins here
STREAM, REST, OPEN = 1.0, 2.0, 0.5  # the volume of a bar tells who said it


def at(number, timeframe=M1):
    return NOW + number * timeframe.ms


def bar(number, volume=STREAM, timeframe=M1):
    return Candle(at(number, timeframe), 10.0, 12.0, 9.0, 11.0, volume, timeframe)


def closed(number, symbol=BTC, timeframe=M1):
    return CandleUpdate(symbol, bar(number, STREAM, timeframe), closed=True)


def still_open(number, symbol=BTC, timeframe=M1, volume=OPEN):
    return CandleUpdate(symbol, bar(number, volume, timeframe), closed=False)


class Rest:
    """An exchange that has every bar of `traded`, in any timeframe, and answers when it may.

    It is its own clock, which believes everything that it hears, but never goes back.
    """

    workers = 2
    quiet_bars = QuietBars.OMITS
    lag_ms = 600_000

    def __init__(self):
        self.clock = self
        self.time_ms = NOW
        self.traded = range(-2000, 2000)
        self.asked = []
        self.error = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.doubt = lambda answer: None  # changes what is answered

    def now_ms(self):
        return self.time_ms

    def believed_ms(self):
        return self.time_ms

    apart_ms = 2000

    def is_due(self):
        return False

    def ask(self):
        if self.error:
            raise self.error

    def settle(self):
        pass

    def forget(self):
        pass

    def hear(self, time_ms):
        self.time_ms = max(self.time_ms, time_ms)

    def get_candles(self, symbol, timeframe, start_ms, end_ms, *, known, lane):
        self.asked.append((symbol, timeframe, start_ms, end_ms))
        self.may_answer.wait(10)
        if self.error:
            raise self.error
        numbers = range((start_ms - NOW) // timeframe.ms, (end_ms - NOW) // timeframe.ms)
        found = Candles(bar(n, REST, timeframe) for n in numbers if n in self.traded)
        found.asked = found.covered = ((start_ms, end_ms),)
        self.doubt(found)
        return found


class Stream:
    """A sink as a stream uses it: no bar is said to be closed before its end."""

    def __init__(self, sink):
        self._sink = sink

    def __getattr__(self, name):
        return getattr(self._sink, name)

    def candle(self, update):
        if update.closed:
            self._sink.clock(update.candle.close_time_ms)
        self._sink.candle(update)


class Unreliable:
    """A client of Redis whose scripts fail `times`: before they run, or their reply is lost."""

    def __init__(self, redis, times=0, runs=False):
        self._redis, self.times, self.runs = redis, times, runs

    def __getattr__(self, name):
        return getattr(self._redis, name)

    def evalsha(self, *arguments):
        if not self.times:
            return self._redis.evalsha(*arguments)
        self.times -= 1
        if self.runs:
            self._redis.evalsha(*arguments)
        raise RedisGone("the connection was lost")


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Let the sink look for what is overdue, and try again, at each tick."""
    monkeypatch.setattr(sink_module, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(sink_module, "LEAST_PATIENCE_SECONDS", -1)


@pytest.fixture
def rest():
    rest = Rest()
    yield rest
    rest.may_answer.set()


@pytest.fixture
def make(redis, rest):
    """Make sinks as the runner does; they are closed after the test."""
    made = []

    def make(client=redis, **options):
        redis.set(keys.epoch(EXCHANGE), EPOCH, nx=True)
        made.append(Stream(CandleSink(client, EXCHANGE, rest, EPOCH, **options)))
        return made[-1]

    yield make
    rest.may_answer.set()
    for sink in made:
        sink._healer.close()


@pytest.fixture
def sink(make):
    sink = make()
    sink.connected([PAIR])
    return sink


@pytest.fixture
def untold(redis, rest):
    """Return a sink that nobody has told the time."""
    began = time.monotonic()
    rest.clock = ExchangeClock(lambda: rest.time_ms + int(1000 * (time.monotonic() - began)))
    redis.set(keys.epoch(EXCHANGE), EPOCH, nx=True)
    sink = CandleSink(redis, EXCHANGE, rest, EPOCH)
    yield sink
    rest.may_answer.set()
    sink._healer.close()


@pytest.fixture
def cache(redis):
    return CandleCache(redis, EXCHANGE)


@pytest.fixture
def listen(redis):
    """Subscribe to channels; the returned function gives what was published up to now."""
    pubsub = redis.pubsub(ignore_subscribe_messages=True)

    def listen(*channels):
        pubsub.subscribe("end", *channels)
        for _ in range(1 + len(channels)):
            pubsub.get_message(timeout=5)

        def heard():
            redis.publish("end", "")
            messages = []
            while (message := pubsub.get_message(timeout=5)) is None or message["data"]:
                if message:
                    messages.append((message["channel"].decode(), json.loads(message["data"])))
            return messages

        return heard

    yield listen
    pubsub.close()


def tick_until(sink, condition):
    deadline = time.monotonic() + 40
    sink.tick()
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)
        sink.tick()


def events(redis):
    return [json.loads(fields[b"event"]) for _, fields in redis.xrange(keys.events(EXCHANGE))]


def told(redis, symbol=BTC, timeframe=M1):
    """Return the bars of a pair in the events stream, and whether they were healed."""
    return [
        ((event["timestamp"] - NOW) // timeframe.ms, event["healed"])
        for event in events(redis)
        if (event["symbol"], event["timeframe"]) == (symbol, timeframe)
    ]


def stored(cache, symbol=BTC, timeframe=M1):
    found = cache.newest(symbol, timeframe, CANDLES_KEPT)
    return [((each.timestamp - NOW) // timeframe.ms, each.volume) for each in found]


# -- Closes


def test_a_close_is_stored_covered_and_told_once_in_the_stream_and_on_both_channels(
    redis, sink, cache, listen
):
    channels = keys.close_channel(EXCHANGE, *PAIR), keys.candle_channel(EXCHANGE, *PAIR)
    heard = listen(*channels)
    for number in range(3):
        sink.candle(closed(number))
        sink.tick()
    assert stored(cache) == [(0, STREAM), (1, STREAM), (2, STREAM)]
    assert cache.coverage(*PAIR) == ((at(0), at(3)),)
    messages = heard()
    for channel in channels:
        assert [message for name, message in messages if name == channel] == events(redis)
    assert [event["timestamp"] for event in events(redis)] == [at(0), at(1), at(2)]
    assert events(redis)[0] == {
        "exchangeId": EXCHANGE, "symbol": BTC, "timeframe": "1m", "timestamp": NOW,
        "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": STREAM,
        "closed": True, "healed": False,
    }  # fmt: skip
    assert (sink.closes, sink.healed, sink.newest_close_ms, sink.pending()) == (3, 0, at(3), 0)


@pytest.mark.parametrize("begin", ["connected", "polled"])
def test_where_no_frame_tells_the_time_bars_close_by_rest_all_the_same(
    redis, untold, rest, cache, begin
):
    cache.write(*PAIR, [bar(-3)], ((at(-3), at(-2)),))
    rest.time_ms = at(-1)
    getattr(untold, begin)([PAIR])
    tick_until(untold, lambda: told(redis) == [(-2, True)])
    rest.time_ms = at(1)  # two minutes go by
    rest.clock.forget()
    tick_until(untold, lambda: told(redis) == [(-2, True), (-1, True), (0, True)])


def test_a_time_that_rest_does_not_tell_ends_nothing(redis, untold, rest):
    def refuse():
        raise Unreachable("nothing is told of it")

    tell, rest.clock.ask_ms = rest.clock.ask_ms, refuse
    untold.connected([PAIR])
    untold.tick()
    rest.clock.ask_ms = tell
    tick_until(untold, lambda: untold.final_until(PAIR) == NOW)


def test_how_long_after_its_end_a_bar_is_stored_is_counted(sink):
    sink.clock(at(1) + 700)
    sink.candle(closed(0))
    sink.tick()
    assert sum(sink.delays.counts) == 1
    assert 700 <= sink.delays.sum_ms < 700 + 40_000  # the rest is this machine's


def test_a_bar_that_waited_for_redis_is_late_by_so_much(redis, make):
    sink = make(Unreliable(redis, times=1))
    sink.connected([PAIR])
    sink.clock(at(1))
    sink.candle(closed(0))
    sink.tick()
    assert sum(sink.delays.counts) == 0
    sink.clock(at(1) + 4000)
    tick_until(sink, lambda: not sink.pending())
    assert (sum(sink.delays.counts), sink.delays.sum_ms >= 4000) == (1, True)


def test_a_healed_bar_is_not_among_the_delays_of_the_stream(sink):
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: sink.closes == 1)
    assert (sink.healed, sum(sink.delays.counts)) == (1, 0)


def test_a_burst_of_closes_is_one_round_trip(redis, make):
    sink = make()
    symbols = [f"S{number}-USD" for number in range(300)]
    sink.connected(pairs_of(symbols, [M1, M5]))
    sink.candle(closed(0, symbols[0]))
    sink.tick()
    redis.config_resetstat()
    for symbol in symbols:
        sink.candle(closed(1, symbol) if symbol == symbols[0] else closed(0, symbol))
        sink.candle(closed(0, symbol, M5))
    sink.tick()
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
    assert redis.xlen(keys.events(EXCHANGE)) == 601
    assert sink.pending() == 0


def test_what_is_not_streamed_is_not_stored(redis, make, cache):
    sink = make()
    sink.candle(closed(0))
    sink.candle(still_open(0))
    sink.tick()
    assert events(redis) == []
    assert cache.live(*PAIR) is None


def test_a_repeated_or_late_close_changes_nothing(redis, sink, cache):
    sink.candle(closed(0))
    sink.candle(closed(1))
    sink.candle(CandleUpdate(BTC, bar(0, volume=99.0), closed=True))
    sink.tick()
    sink.candle(closed(1))
    sink.tick()
    assert told(redis) == [(0, False), (1, False)]
    assert stored(cache) == [(0, STREAM), (1, STREAM)]


def test_one_who_comes_after_goes_on_where_the_cache_ends(redis, make, cache, rest):
    first = make()
    first.connected([PAIR])
    first.candle(closed(0))
    first.tick()
    second = make()
    second.clock(at(2) + 100)
    second.connected([PAIR])
    second.candle(closed(0))
    second.candle(closed(2))
    tick_until(second, lambda: len(told(redis)) == 3)
    assert rest.asked == [(BTC, M1, at(1), at(2))]
    assert told(redis) == [(0, False), (1, True), (2, False)]
    assert cache.coverage(*PAIR) == ((at(0), at(3)),)


def test_the_end_writes_what_there_is(redis, make, cache):
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.close()
    assert stored(cache) == [(0, STREAM)]


@pytest.mark.parametrize("runs", [True, False], ids=["reply lost", "never ran"])
def test_who_wants_to_know_of_closes_is_told_once_they_are_stored(redis, make, cache, runs):
    heard = []
    unreliable = Unreliable(redis, times=1, runs=runs)

    def on_close(symbol, candle, healed):
        assert stored(cache)[-1] == (0, candle.volume)
        heard.append((symbol, candle, healed))

    redis.script_load(flush.FLUSH)
    sink = make(unreliable, on_close=on_close)
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert heard == []
    sink.tick()
    assert heard == [(BTC, bar(0), False)]


# -- Healing


def test_what_closed_before_a_connection_is_fetched_and_told_before_what_follows(
    redis, make, cache, rest
):
    cache.write(*PAIR, [bar(-10)], ((at(-10), at(-9)),))
    rest.may_answer.clear()
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert told(redis) == []
    rest.may_answer.set()
    tick_until(sink, lambda: len(told(redis)) == 10)
    assert rest.asked == [(BTC, M1, at(-9), at(0))]
    assert told(redis) == [(number, True) for number in range(-9, 0)] + [(0, False)]
    assert cache.coverage(*PAIR) == ((at(-10), at(1)),)
    assert sink.healed == 9


def test_after_an_interruption_exactly_what_was_missed_is_fetched(redis, sink, rest):
    sink.candle(closed(0))
    sink.tick()
    sink.disconnected([PAIR])
    sink.clock(at(4) + 1)
    sink.tick()
    assert rest.asked == []
    sink.connected([PAIR])
    tick_until(sink, lambda: len(told(redis)) == 4)
    assert rest.asked == [(BTC, M1, at(1), at(4))]
    assert told(redis) == [(0, False), (1, True), (2, True), (3, True)]


def test_a_bar_whose_close_never_came_is_fetched_five_seconds_after_its_end(redis, sink, rest):
    sink.candle(still_open(0))
    sink.clock(at(1) + GRACE_MS - 1000)
    sink.tick()
    assert rest.asked == []
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: told(redis) == [(0, True)])
    sink.candle(closed(0))  # it came after all
    sink.tick()
    assert told(redis) == [(0, True)]
    assert rest.asked == [(BTC, M1, at(0), at(1))]


def test_a_stretch_without_trades_is_covered_and_nothing_is_told_of_it(redis, sink, cache, rest):
    rest.traded = [2]
    sink.clock(at(4) + GRACE_MS)
    tick_until(sink, lambda: cache.coverage(*PAIR) == ((at(0), at(4)),))
    assert told(redis) == [(2, True)]
    assert stored(cache) == [(2, REST)]


def test_while_rest_is_away_it_is_tried_ever_more_rarely_by_one_for_all(
    redis, make, rest, monkeypatch
):
    monkeypatch.setattr("warmup.live.outage.FIRST_PAUSE_SECONDS", 0.01)
    symbols = [f"S{number}-USD" for number in range(50)]
    sink = make()
    rest.error = Unreachable("no route to host")
    sink.connected(pairs_of(symbols, [M1]))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) >= 6)
    assert len(rest.asked) < 20
    assert sink.healing() == 50
    rest.error = None
    tick_until(sink, lambda: redis.xlen(keys.events(EXCHANGE)) == 50)
    assert sink.healing() == 0


def test_a_pair_that_fails_alone_keeps_no_other_from_being_asked_for(
    redis, make, rest, monkeypatch
):
    monkeypatch.setattr("warmup.live.outage.FIRST_PAUSE_SECONDS", 0.01)
    get_candles = rest.get_candles

    def one_fails(symbol, *arguments, **options):
        if symbol == "S0-USD":
            raise Unreachable("HTTP 502")
        return get_candles(symbol, *arguments, **options)

    monkeypatch.setattr(rest, "get_candles", one_fails)
    symbols = [f"S{number}-USD" for number in range(5)]
    sink = make()
    sink.connected(pairs_of(symbols, [M1]))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: redis.xlen(keys.events(EXCHANGE)) == 4)


def test_an_outage_ends_although_no_bar_is_missing_any_more(redis, make, rest, monkeypatch):
    monkeypatch.setattr("warmup.live.outage.FIRST_PAUSE_SECONDS", 0.01)
    sink = make()
    sink.connected([PAIR])
    rest.error = Unreachable("no route to host")
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: sink.is_away)
    sink.candle(closed(0))
    sink.tick()
    assert told(redis) == [(0, False)]
    rest.error = None
    tick_until(sink, lambda: not sink.is_away)
    assert len(rest.asked) <= 2


def test_calls_that_were_under_way_when_an_outage_began_make_no_pause_longer():
    outage = Outage()
    for _ in range(20):
        outage.failed(now=100.0)
    assert not outage.may_try(100.49)
    assert outage.may_try(101.0)
    assert not outage.may_try(102.0)  # that one has not ended yet
    outage.failed(now=103.0)
    assert not outage.may_try(103.9)
    assert outage.may_try(105.0)


def test_what_closes_while_one_is_missing_is_in_the_cache_at_once_and_told_after_it(
    redis, sink, cache, rest
):
    rest.may_answer.clear()
    sink.clock(at(1) + GRACE_MS)
    sink.candle(closed(1))
    sink.tick()
    assert stored(cache) == [(1, STREAM)]
    assert cache.coverage(*PAIR) == ((at(1), at(2)),)
    assert told(redis) == []
    rest.may_answer.set()
    tick_until(sink, lambda: len(told(redis)) == 2)
    assert told(redis) == [(0, True), (1, False)]
    assert cache.coverage(*PAIR) == ((at(0), at(2)),)


def late(redis):
    return [(event["timestamp"] - NOW) // M1.ms for event in events(redis) if event.get("late")]


@pytest.fixture
def impatient(sink, cache, rest, redis):
    """A sink that has told bars 1 and 2 and gave up waiting for bar 0, which REST lacks."""
    rest.traded = range(1, 100)
    rest.doubt = lambda answer: setattr(answer, "covered", ())
    sink.candle(closed(1))
    sink.clock(at(2) + PATIENCE_MS - 1)
    sink.tick()
    assert told(redis) == []
    sink.clock(at(2) + PATIENCE_MS)
    tick_until(sink, lambda: told(redis) == [(1, False)])
    sink.candle(closed(2))
    sink.tick()
    assert told(redis) == [(1, False), (2, False)]
    return sink


def test_closes_wait_for_one_that_is_missing_for_a_minute_and_no_longer(impatient, redis, cache):
    impatient.candle(closed(3))
    impatient.tick()
    assert told(redis) == [(1, False), (2, False), (3, False)]
    assert cache.coverage(*PAIR) == ((at(1), at(4)),)
    assert impatient.healing() == 1
    assert Told.load(redis.hget(keys.told(EXCHANGE), "BTC-USD:1m")) == Told(
        at(4), ((at(0), at(1)),)
    )


def test_what_was_skipped_is_told_late_when_somebody_has_written_it(impatient, redis, cache):
    impatient.mended(PAIR)
    impatient.tick()
    assert len(told(redis)) == 2
    cache.write(*PAIR, [bar(0, REST)], ((at(0), at(1)),))
    impatient.mended(PAIR)
    tick_until(impatient, lambda: len(told(redis)) == 3)
    assert told(redis)[-1] == (0, True)
    assert late(redis) == [0]
    assert impatient.healing() == 0
    impatient.mended(PAIR)
    impatient.candle(closed(3))
    impatient.tick()
    assert [number for number, _ in told(redis)] == [1, 2, 0, 3]
    assert Told.load(redis.hget(keys.told(EXCHANGE), "BTC-USD:1m")) == Told(at(4))


def test_who_comes_after_tells_late_what_was_skipped_before(impatient, redis, make, cache):
    cache.write(*PAIR, [bar(0, REST)], ((at(0), at(1)),))
    second = make()
    second.connected([PAIR])
    tick_until(second, lambda: late(redis) == [0])
    assert [number for number, _ in told(redis)] == [1, 2, 0]


def test_what_was_skipped_and_is_known_to_be_empty_is_forgotten(impatient, redis, cache):
    cache.write(*PAIR, [], ((at(0), at(1)),))
    impatient.mended(PAIR)
    impatient.tick()
    assert len(told(redis)) == 2
    assert impatient.healing() == 0


def test_who_comes_back_is_told_what_closed_meanwhile_in_order(redis, make, cache, rest):
    first = make()
    first.connected([PAIR])
    first.candle(closed(0))
    first.tick()
    first.disconnected([PAIR])
    first.forget([PAIR])
    first.tick()
    rest.hear(at(6))
    cache.write(*PAIR, [bar(n, REST) for n in (3, 4, 5)], ((at(3), at(6)),))  # as when it is added
    first.connected([PAIR])
    tick_until(first, lambda: len(told(redis)) == 6)
    assert [number for number, _ in told(redis)] == list(range(6))
    assert (BTC, M1, at(1), at(6)) in rest.asked
    assert late(redis) == []


def test_a_pair_that_was_streamed_and_never_closed_is_told_all_when_it_comes_back(
    redis, make, cache, rest
):
    first = make()
    first.connected([PAIR])
    first.tick()
    first.disconnected([PAIR])
    first.forget([PAIR])
    first.tick()
    rest.hear(at(3))
    cache.write(*PAIR, [bar(n, REST) for n in range(3)], ((at(0), at(3)),))
    first.connected([PAIR])
    tick_until(first, lambda: len(told(redis)) == 3)


def test_what_was_there_before_a_pair_was_first_streamed_is_nobodys_news(redis, make, cache):
    cache.write(*PAIR, [bar(n, REST) for n in range(-9, 0)], ((at(-9), at(0)),))
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert told(redis) == [(0, False)]


# -- What is not believed


@pytest.mark.parametrize("number", [0, 1, 5])
def test_a_bar_that_is_said_to_be_closed_before_its_end_is_not(redis, sink, cache, rest, number):
    sink.clock(at(number + 1) - 1000)
    early = CandleUpdate(BTC, bar(number, OPEN), closed=True)
    sink._sink.candle(early)
    sink.tick()
    assert number not in [each for each, _ in told(redis)]
    assert cache.live(*PAIR) == bar(number, OPEN)
    sink.candle(closed(number))
    tick_until(sink, lambda: (number, False) in told(redis))
    assert stored(cache)[-1] == (number, STREAM)


def test_a_bar_whose_only_closing_frame_came_early_is_asked_of_rest(redis, sink, rest, cache):
    sink.clock(at(1) - 1000)
    sink._sink.candle(CandleUpdate(BTC, bar(0, OPEN), closed=True))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: told(redis) == [(0, True)])
    assert stored(cache) == [(0, REST)]


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_bar_that_has_not_begun_is_not_shown(redis, sink, cache, is_closed):
    sink._sink.candle(CandleUpdate(BTC, bar(1, OPEN), closed=is_closed))
    sink.tick()
    assert cache.live(*PAIR) is None
    assert told(redis) == []


def test_of_two_versions_of_an_open_bar_the_wider_one_is_shown(sink, cache):
    def shown(*values):
        sink._sink.candle(CandleUpdate(BTC, Candle(NOW, *values, M1), closed=False))
        sink.tick()
        return tuple(cache.live(*PAIR).values()[1:])

    assert shown(10.0, 12.0, 9.0, 11.0, 5.0) == (10.0, 12.0, 9.0, 11.0, 5.0)
    assert shown(10.0, 11.0, 10.0, 10.5, 3.0) == (10.0, 12.0, 9.0, 11.0, 5.0)
    assert shown(10.0, 11.5, 8.0, 10.5, 6.0) == (10.0, 12.0, 8.0, 10.5, 6.0)
    assert shown(10.0, 12.0, 9.0, 11.0, 5.0) == (10.0, 12.0, 8.0, 10.5, 6.0)


@pytest.mark.parametrize("hole", [False, True])
def test_what_was_fetched_while_nobody_ran_is_told_and_counts_once_in_longer_open_bars(
    redis, make, cache, rest, hole
):
    five = Pair(BTC, M5)
    first = make(rolls_up_from=M5)
    first.connected(pairs_of([BTC], [M5, H1]))
    first.tick()
    first.disconnected(pairs_of([BTC], [M5, H1]))
    first.clock(at(4, M5))
    fetched = range(1 if hole else 0, 3)
    cache.write(*five, [bar(n, REST, M5) for n in fetched], ((at(fetched[0], M5), at(3, M5)),))
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, H1]))
    tick_until(sink, lambda: len(told(redis, timeframe=M5)) == 4)
    assert [number for number, _ in told(redis, timeframe=M5)] == [0, 1, 2, 3]
    sink.candle(CandleUpdate(BTC, bar(4, OPEN, M5), closed=False))
    sink.tick()
    live = cache.live(BTC, H1)
    assert live is None if hole else live.volume == 4 * REST + OPEN


@pytest.mark.parametrize("reads", [1, 2, 3, 4])
def test_a_pair_that_could_not_be_read_whole_is_read_again(redis, make, cache, reads, monkeypatch):
    five, left = Pair(BTC, M5), [reads]
    first = make(rolls_up_from=M5)
    first.connected([five])
    first.tick()
    cache.write(*five, [bar(n, REST, M5) for n in range(3)], ((at(0), at(3, M5)),))
    between = CandleCache.between

    def fail(*arguments):
        left[0] -= 1
        if left[0] == 0:
            raise RedisGone("the connection was lost")
        return between(*arguments)

    monkeypatch.setattr(CandleCache, "between", fail)
    sink = make(rolls_up_from=M5)
    sink.clock(at(3, M5))
    sink.connected(pairs_of([BTC], [M5, H1]))
    tick_until(sink, lambda: len(told(redis, timeframe=M5)) == 3)
    sink.candle(CandleUpdate(BTC, bar(3, OPEN, M5), closed=False))
    sink.tick()
    assert cache.live(BTC, H1).volume == 3 * REST + OPEN


def test_longer_open_bars_only_widen_too(make, cache):
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, M15, H1]))
    for volume, high in ((5.0, 12.0), (3.0, 11.0)):
        candle = Candle(NOW, 10.0, high, 9.0, 10.0, volume, M5)
        sink.candle(CandleUpdate(BTC, candle, closed=False))
        sink.tick()
        for timeframe in (M5, M15, H1):
            assert (cache.live(BTC, timeframe).volume, cache.live(BTC, timeframe).high) == (
                5.0,
                12.0,
            )


def unproven(answer):
    """Say of the bars of an answer that have no row only that there is none."""
    rows = union((each.timestamp, each.close_time_ms) for each in answer)
    answer.covered, answer.anchored = intersect(answer.covered, rows), True


def test_a_bar_that_the_stream_showed_to_trade_is_waited_for(redis, sink, cache, rest):
    rest.traded = ()
    sink.candle(still_open(0))
    for number in range(1, 40):
        sink.clock(at(number) + GRACE_MS)
        tick_until(sink, lambda: not sink.asking())
    assert cache.coverage(*PAIR) == ((at(1), at(39)),)
    assert told(redis) == []
    assert PAIR in sink.waiting()
    rest.traded = (0,)
    sink.clock(at(40) + GRACE_MS)
    tick_until(sink, lambda: [number for number, _ in told(redis)] == [0])
    assert sink.waiting() == []


def test_a_trade_is_evidence_for_every_timeframe(redis, make, cache, rest):
    rest.traded = ()
    sink = make()
    sink.connected(pairs_of([BTC], [M1, M5, H1]))
    sink.traded(Traded(BTC, at(0) + 5))
    sink.clock(at(1, H1) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 3 and not sink.asking())
    for timeframe in (M1, M5, H1):
        unknown = missing(cache.coverage(BTC, timeframe), NOW, at(1, H1))
        assert unknown == ((at(0, timeframe), at(1, timeframe)),)


def test_a_trade_in_the_future_is_evidence_of_nothing(make, cache, rest):
    rest.traded = ()
    sink = make()
    sink.connected([PAIR])
    sink.traded(Traded(BTC, at(3)))
    sink.clock(at(9) + GRACE_MS)
    tick_until(sink, lambda: cache.coverage(*PAIR) == ((at(0), at(9)),))


def test_an_empty_end_is_believed_when_it_is_told_again_after_the_exchange_has_settled(
    redis, sink, cache, rest
):
    rest.traded, rest.doubt = (), unproven
    sink.clock(at(3) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert cache.coverage(*PAIR) == ()
    for minute in range(4, 25):
        sink.clock(at(minute) + GRACE_MS)
        tick_until(sink, lambda: not sink.asking())
    covered = cache.coverage(*PAIR)
    assert covered[0][0] == at(0)
    assert at(3) <= covered[0][1] <= at(24) - rest.lag_ms
    assert told(redis) == []


def test_a_stretch_that_the_stream_shows_to_be_quiet_needs_no_rest(redis, sink, cache, rest):
    sink.candle(closed(0))
    rest.may_answer.clear()
    sink.clock(at(4) + 100)
    sink.quiet(Quiet(BTC, at(1) - 200, at(4) + 50))
    sink.candle(closed(4))
    sink.tick()
    assert told(redis) == [(0, False), (4, False)]
    assert cache.coverage(*PAIR) == ((at(0), at(5)),)


def test_what_the_stream_says_of_the_future_is_not_believed(redis, sink, cache):
    sink.candle(closed(0))
    sink.quiet(Quiet(BTC, at(1) - 200, at(60)))
    sink.tick()
    assert cache.coverage(*PAIR) == ((at(0), at(1)),)


def young(number, volume):
    """Let answers know a newest row that may still grow."""

    def doubt(answer):
        answer.young = bar(number, volume)
        answer[:] = [each for each in answer if each.timestamp < at(number)]
        answer.covered = subtract(answer.covered, ((at(number), at(number + 1)),))

    return doubt


@pytest.mark.parametrize("how", ["whole", "lost", "deaf"])
def test_a_row_that_may_still_grow_is_final_where_it_equals_all_that_the_stream_showed(
    redis, sink, rest, how
):
    sink.candle(closed(0))
    sink.candle(still_open(1))
    if how == "lost":  # the stream says so where frames of it are missing
        sink.clock(at(1) + 30_000)
        sink.connected([PAIR])
    rest.doubt = young(1, OPEN)
    sink.clock(at(2) + GRACE_MS)
    sink.heard(at(2) - 1 if how == "deaf" else at(2) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert told(redis) == [(0, False), (1, True)][: 2 if how == "whole" else 1]


@pytest.mark.parametrize("volume", [OPEN / 2, 2 * OPEN])
def test_a_row_that_may_still_grow_and_differs_from_what_the_stream_showed_is_not_final(
    redis, sink, cache, rest, volume
):
    sink.candle(closed(0))
    sink.candle(still_open(1))
    rest.doubt = young(1, volume)
    sink.clock(at(2) + GRACE_MS)
    sink.heard(at(2) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert told(redis) == [(0, False)]
    assert stored(cache) == [(0, STREAM)]


def test_a_row_that_shows_less_than_the_stream_did_is_not_final(redis, sink, cache, rest):
    sink.candle(still_open(0, volume=99.0))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert (told(redis), stored(cache)) == ([], [])
    # But the exchange's word counts once it has settled.
    sink.clock(at(1) + rest.lag_ms + 30_000)
    tick_until(sink, lambda: told(redis)[:1] == [(0, True)])


def test_what_a_clock_that_was_ahead_left_behind_is_asked_for_again(redis, make, cache, rest):
    cache.write(*PAIR, [bar(n, OPEN) for n in range(-20, 4)], ((at(-20), at(4)),))
    redis.hset(keys.told(EXCHANGE), "BTC-USD:1m", f"[{at(4)},[]]")
    rest.hear(at(1) + 30_000)
    sink = make()
    sink.connected([PAIR])
    sink.tick()
    assert cache.coverage(*PAIR) == ((at(-20), at(-6)),)
    assert [number for number, _ in stored(cache)] == list(range(-20, 1))
    told_now = Told.load(redis.hget(keys.told(EXCHANGE), "BTC-USD:1m"))
    assert told_now == Told(at(1), ((at(-6), at(1)),))
    cache.write(*PAIR, [bar(n, REST) for n in range(-6, 1)], ((at(-6), at(1)),))
    sink.mended(PAIR)
    tick_until(sink, lambda: late(redis) == list(range(-6, 1)))
    sink.candle(closed(1))
    sink.tick()
    assert told(redis)[-1] == (1, False)


def test_when_the_clock_is_moved_back_bars_that_it_closed_are_asked_for_again(
    redis, sink, cache, rest, monkeypatch
):
    for number in range(5):
        sink.candle(closed(number))
    sink.tick()
    assert len(told(redis)) == 5
    monkeypatch.setattr(sink_module, "SECONDS_AHEAD", 0)
    rest.time_ms = at(2) + 30_000
    for _ in range(3):
        sink.tick()
    assert cache.coverage(*PAIR) == ()
    assert [number for number, _ in stored(cache)] == [0, 1]
    sink.candle(closed(2))
    sink.tick()
    assert told(redis)[-1] == (2, False)


def test_a_gap_in_memory_longer_than_what_is_kept_is_not_fetched_as_a_whole(make, cache, rest):
    cache.write(*PAIR, [bar(-1900)], ((at(-1900), at(-1899)),))
    sink = make()
    sink.connected([PAIR])
    tick_until(sink, lambda: rest.asked)
    assert rest.asked == [(BTC, M1, at(-CANDLES_KEPT), at(0))]


# -- Failing writes


@pytest.mark.parametrize("runs", [True, False], ids=["reply lost", "never ran"])
def test_a_failed_flush_is_tried_again_and_tells_nothing_twice(redis, make, cache, listen, runs):
    unreliable = Unreliable(redis, runs=runs)
    sink = make(unreliable)
    sink.connected([PAIR])
    heard = listen(keys.close_channel(EXCHANGE, *PAIR))
    sink.candle(closed(0))
    sink.tick()
    unreliable.times = 3
    for number in range(1, 4):
        sink.candle(closed(number))
        sink.candle(still_open(number + 1))
        sink.tick()
        assert sink.pending() == number
    sink.tick()
    assert told(redis) == [(number, False) for number in range(4)]
    assert [message["timestamp"] for _, message in heard()] == [at(n) for n in range(4)]
    assert stored(cache) == [(number, STREAM) for number in range(4)]
    assert cache.live(*PAIR) == bar(4, OPEN)
    assert (sink.pending(), sink.flush_failures, sink.closes) == (0, 3, 4)


def test_of_open_bars_and_tickers_only_the_newest_state_is_kept(redis, make, cache):
    unreliable = Unreliable(redis)
    sink = make(unreliable)
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    unreliable.times = 2
    for number in range(1, 4):
        sink.candle(still_open(1, volume=float(number)))
        sink.ticker(ticker(float(number)))
        sink.tick()
    assert cache.live(*PAIR).volume == 3.0
    assert TickerCache(redis, EXCHANGE).read(BTC).price == 3.0


def test_closes_for_which_there_is_no_room_are_fetched_later(redis, make, cache, rest, monkeypatch):
    monkeypatch.setattr(sink_module, "CLOSES_HELD", 3)
    unreliable = Unreliable(redis)
    sink = make(unreliable)
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    unreliable.times = 6
    for number in range(1, 7):
        sink.candle(closed(number))
        sink.clock(at(number + 1))
        sink.tick()
    assert sink.pending() == 3
    assert rest.asked == []
    sink.clock(at(7) + GRACE_MS)
    tick_until(sink, lambda: len(told(redis)) == 7)
    assert rest.asked == [(BTC, M1, at(4), at(7))]
    assert told(redis) == [(n, False) for n in range(4)] + [(n, True) for n in range(4, 7)]
    assert cache.coverage(*PAIR) == ((at(0), at(7)),)


def test_scripts_that_redis_forgot_are_sent_again(redis, sink, cache):
    sink.candle(closed(0))
    sink.tick()
    redis.script_flush()
    sink.candle(closed(1))
    sink.tick()
    sink.candle(closed(2))
    sink.tick()
    assert told(redis) == [(0, False), (1, False), (2, False)]
    assert sink.flush_failures == 0


def test_under_a_stale_epoch_nothing_is_written(redis, sink, cache, listen):
    sink.candle(closed(0))
    sink.tick()
    heard = listen(keys.close_channel(EXCHANGE, *PAIR), keys.candle_channel(EXCHANGE, *PAIR))
    redis.set(keys.epoch(EXCHANGE), EPOCH + 1)
    for symbol_is_news in (closed(1), still_open(2)):
        sink.candle(symbol_is_news)
    sink.ticker(ticker(5.0))
    with pytest.raises(Fenced):
        sink.tick()
    assert told(redis) == [(0, False)]
    assert stored(cache) == [(0, STREAM)]
    assert cache.coverage(*PAIR) == ((at(0), at(1)),)
    assert cache.live(*PAIR) is None
    assert TickerCache(redis, EXCHANGE).read(BTC) is None
    assert heard() == []


def test_a_stale_epoch_is_noticed_by_a_redis_that_does_not_know_the_script(redis, sink):
    redis.script_flush()
    redis.set(keys.epoch(EXCHANGE), EPOCH + 1)
    sink.candle(closed(0))
    with pytest.raises(Fenced):
        sink.tick()
    assert events(redis) == []


def test_what_may_not_be_written_now_is_written_when_it_may(redis, make):
    lease = {"held": False}
    sink = make(may_write=lambda: lease["held"])
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert events(redis) == []
    lease["held"] = True
    sink.tick()
    assert told(redis) == [(0, False)]


EVENTS = st.one_of(
    st.tuples(st.sampled_from(["close", "close", "open"]), st.integers(0, 8)),
    st.tuples(st.just("lose"), st.integers(0, 3), st.booleans()),
    st.sampled_from([("tick",), ("tick",), ("down",), ("up",), ("forget",)]),
    st.tuples(st.just("later"), st.sampled_from([10, 60, 70, 200])),
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,  # some orders of events wait for seconds: the same ones in every run
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(EVENTS, max_size=40), st.sets(st.integers(0, 12)))
def test_whatever_fails_every_close_is_told_once_and_in_order(redis, cache, happens, traded):
    redis.flushall()
    redis.set(keys.epoch(EXCHANGE), EPOCH)
    rest, unreliable, now_ms = Rest(), Unreliable(redis), NOW
    rest.traded = traded
    sink = Stream(CandleSink(unreliable, EXCHANGE, rest, EPOCH))
    sink.connected([PAIR])
    for name, *arguments in [*happens, ("lose", 0, False), ("later", 3600), ("up",)]:
        match name:
            case "close" if arguments[0] in traded and at(arguments[0] + 1) <= now_ms:
                sink.candle(closed(arguments[0]))
            case "open" if arguments[0] in traded and at(arguments[0]) <= now_ms:
                sink.candle(still_open(arguments[0]))
            case "lose":
                unreliable.times, unreliable.runs = arguments
            case "tick":
                sink.tick()
            case "down":
                sink.disconnected([PAIR])
            case "up":
                sink.connected([PAIR])
            case "forget":
                redis.script_flush()
            case "later":
                now_ms += 1000 * arguments[0]
                sink.clock(now_ms)
    tick_until(sink, lambda: cache.coverage(*PAIR) == ((at(0), M1.floor(now_ms)),))
    sink.close()
    numbers = [number for number, _ in told(redis)]
    assert numbers == sorted(traded)
    assert [number for number, _ in stored(cache)] == numbers
    assert OPEN not in {volume for _, volume in stored(cache)}
    live = cache.live(*PAIR)
    assert live is None or live.timestamp >= M1.floor(now_ms)


# -- Open bars


def test_an_open_bar_is_stored_and_published_until_two_timeframes_after_it_began(
    redis, sink, cache, listen
):
    heard = listen(keys.candle_channel(EXCHANGE, *PAIR))
    sink.clock(at(0) + 20_000)
    sink.candle(still_open(0))
    sink.tick()
    assert cache.live(*PAIR) == bar(0, OPEN)
    ((_, message),) = heard()
    assert (message["timestamp"], message["volume"], message["closed"]) == (NOW, OPEN, False)
    left = redis.pttl(keys.live_candle(EXCHANGE, *PAIR))
    assert 95_000 < left <= 100_000
    assert events(redis) == []


def test_a_bar_that_closed_is_not_shown_as_open_any_more(sink, cache):
    sink.candle(still_open(0))
    sink.tick()
    sink.candle(closed(0))
    sink.tick()
    assert cache.live(*PAIR) is None
    sink.candle(still_open(0))
    sink.tick()
    assert cache.live(*PAIR) is None


def test_a_close_leaves_the_next_open_bar_alone(sink, cache):
    sink.clock(at(1) + 50)
    sink.candle(still_open(1))
    sink.tick()
    sink.candle(closed(0))
    sink.tick()
    assert cache.live(*PAIR) == bar(1, OPEN)


def test_a_late_state_of_a_closed_bar_does_not_hide_the_open_one(sink, cache):
    sink.candle(closed(0))
    sink.candle(still_open(1))
    sink.candle(still_open(0))
    sink.tick()
    assert cache.live(*PAIR) == bar(1, OPEN)


def test_an_open_bar_and_its_close_in_one_flush_leave_the_close(sink, cache):
    sink.candle(still_open(0))
    sink.candle(closed(0))
    sink.tick()
    assert stored(cache) == [(0, STREAM)]
    assert cache.live(*PAIR) is None


def test_an_open_bar_that_rest_closed_is_not_shown_as_open_any_more(redis, sink, cache):
    sink.candle(still_open(0))
    sink.tick()
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: told(redis) == [(0, True)])
    assert cache.live(*PAIR) is None


# -- Longer open bars


def test_open_bars_of_longer_timeframes_are_made_of_five_minutes(make, cache):
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, M15, H1, Timeframe.H4, D1]))
    sink.candle(closed(0, timeframe=M5))
    sink.candle(still_open(1, timeframe=M5))
    sink.tick()
    for timeframe in (M15, H1):
        candle = cache.live(BTC, timeframe)
        assert (candle.timestamp, candle.volume) == (NOW, STREAM + OPEN)
    assert cache.live(BTC, M5) == bar(1, OPEN, M5)


def test_no_longer_bar_is_made_while_a_part_of_it_is_missing(redis, make, cache, rest):
    rest.may_answer.clear()
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, M15, H1, Timeframe.H4, D1]))
    sink.clock(at(1, M5) + GRACE_MS)
    sink.candle(still_open(1, timeframe=M5))
    sink.tick()
    assert cache.live(BTC, M5) == bar(1, OPEN, M5)
    assert cache.live(BTC, M15) is None
    rest.may_answer.set()
    tick_until(sink, lambda: told(redis, timeframe=M5) == [(0, True)])
    sink.candle(still_open(1, timeframe=M5))
    sink.tick()
    assert cache.live(BTC, M15).volume == REST + OPEN


# -- Tickers


def ticker(price, symbol=BTC):
    return Ticker(symbol, price, 1.0, 2.0, 30.0, 0.5, 100.0, NOW)


def test_a_ticker_is_stored_for_a_minute_and_published(redis, sink, listen):
    heard = listen(keys.ticker_channel(EXCHANGE, BTC))
    sink.ticker(ticker(20.0))
    sink.tick()
    assert TickerCache(redis, EXCHANGE).read(BTC) == ticker(20.0)
    assert 55_000 < redis.pttl(keys.ticker(EXCHANGE, BTC)) <= 60_000
    assert [message for _, message in heard()] == [ticker(20.0).as_json()]


def test_between_two_flushes_only_the_newest_ticker_counts(redis, sink, listen):
    heard = listen(keys.ticker_channel(EXCHANGE, BTC), keys.ticker_channel(EXCHANGE, ETH))
    for price in (1.0, 2.0, 3.0):
        sink.ticker(ticker(price))
    sink.ticker(ticker(9.0, ETH))
    sink.tick()
    assert [(each["symbol"], each["price"]) for _, each in heard()] == [(BTC, 3.0), (ETH, 9.0)]
