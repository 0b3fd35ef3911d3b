"""What is monitored is what runs, whatever happens in between."""

import itertools
import threading

import pytest
from django.core.management import call_command
from django.db import DatabaseError

from exchanges.lock.control_client import ControlClient
from exchanges.lock.status import read_status
from exchanges.models import SymbolQuerySet
from exchanges.rest.pacing.host import host_of
from exchanges.sandbox.symbols import listings
from livermore.market import keys
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    Comparison,
    events_of,
    hurry,
    make_row,
    running,
    serve,
    step_often,
    stored,
    wait_for_time,
    wait_until,
)
from warmup.cache.candles import CandleCache

pytestmark = pytest.mark.django_db(transaction=True)

BTC, ETH, SOL = "BTC-USD", "ETH-USD", "SOL-USD"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    step_often(monkeypatch)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture(params=["sandbox", "coinbase"])
def row(request, redis, sandbox):
    """Return an exchange of which BTC-USD alone is monitored."""
    return make_row(sandbox, request.param, [BTC])


@pytest.fixture
def ask(redis, row):
    def ask(command, seconds=20, **arguments):
        client = ControlClient(redis, row.pk)
        return client.wait(client.send(command, **arguments), seconds)

    return ask


def details(redis, row):
    return read_status(redis, row.pk).details


def told(redis, row, symbol, timeframe="1m"):
    return events_of(redis, row.pk).get((symbol, timeframe), [])


def monitor(row, *symbols, on=True):
    row.symbols.filter(symbol__in=symbols).update(is_monitored=on)


# -- Added while REST is away


@pytest.mark.parametrize("status", [503, 429, 418, 451])
def test_what_is_added_while_rest_refuses_is_streamed_at_once_and_fetched_once_that_can_be_done(
    redis, sandbox, row, ask, status
):
    truth = Comparison(redis, sandbox, row, [BTC, ETH])
    with running(redis, row, [BTC]):
        truth_of_btc = Comparison(redis, sandbox, row, [BTC])
        truth_of_btc.wait(sandbox.clock.now_ms())
        sandbox.faults.add("status", status=status, retry_after=3600 if status != 503 else 1)
        reply = ask("add-symbol", symbol=ETH)
        assert (reply.ok, reply.result["added"]) == (True, [ETH])
        assert reply.result["waiting"] == [ETH]
        assert reply.result["reason"]
        wait_until(lambda: told(redis, row, ETH))
        assert len(stored(redis, row.pk, ETH, Timeframe.H1)[0]) < 2  # what the stream told
        sandbox.faults.clear()
        redis.hdel(keys.pacing(host_of(row.rest_url)), "held_until", "banned_until")
        wait_until(lambda: len(stored(redis, row.pk, ETH, Timeframe.H1)[0]) >= 100, 30)
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert truth.faults() == []


def test_with_rest_at_hand_the_reply_comes_when_all_is_fetched(redis, sandbox, row, ask):
    with running(redis, row, [BTC]):
        wait_for_time(sandbox, MIDNIGHT_MS)  # else the stream may tell one day more
        reply = ask("bulk-add-symbols", symbols=[ETH, SOL])
        assert reply.result["pairs"] == 12
        assert (reply.result["waiting"], reply.result["reason"]) == ([], "")
        for symbol in (ETH, SOL):
            assert len(stored(redis, row.pk, symbol, Timeframe.D1)[0]) == 100


@pytest.mark.parametrize(("times", "is_repaired"), [(12, True), (None, False)])
def test_a_hole_in_what_is_added_is_tried_again_but_not_for_ever(
    redis, sandbox, row, ask, monkeypatch, times, is_repaired
):
    monkeypatch.setattr(
        "warmup.runner.added_symbols.reconnect_delays", lambda: itertools.repeat(0.05)
    )
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 0.1)
    with running(redis, row, [BTC]):
        ask("add-symbol", symbol=ETH)
        ask("remove-symbol", symbol=ETH)
        key = keys.candles(row.pk, ETH, Timeframe.D1)
        (_, first), *_, (_, last) = redis.zrange(key, 40, 49, withscores=True)
        redis.zremrangebyrank(key, 40, 49)
        spans = stored(redis, row.pk, ETH, Timeframe.D1)[1]
        end = int(last) + Timeframe.D1.ms
        cut = [[spans[0][0], int(first)], [end, spans[0][1]]]
        redis.set(keys.coverage(row.pk, ETH, Timeframe.D1), str(cut))
        fault = sandbox.faults.add("status", times=times, symbol=ETH, timeframe="1d")
        reply = ask("add-symbol", symbol=ETH)
        assert (reply.ok, reply.result["waiting"]) == (True, [ETH])
        wait_until(lambda: details(redis, row)["historiesWaiting"] == 0, 60)
        assert fault.hits >= 8
        known = stored(redis, row.pk, ETH, Timeframe.D1)[1]
        assert (len(known) == 1) is is_repaired


# -- Rows that somebody changed


def test_a_row_that_is_switched_on_or_off_elsewhere_is_followed(redis, sandbox, row):
    with running(redis, row, [BTC]):
        monitor(row, ETH)
        truth = Comparison(redis, sandbox, row, [ETH])
        wait_until(lambda: not truth.behind(sandbox.clock.now_ms() - 2 * MINUTE_MS))
        wait_until(lambda: told(redis, row, ETH))
        monitor(row, BTC, on=False)
        wait_until(lambda: details(redis, row)["symbols"] == 1)
        counts = sandbox.streams[row.venue].subscriptions
        wait_until(lambda: not any("btc" in name.lower() for name in counts))
        monitor(row, BTC, SOL)
        Comparison(redis, sandbox, row, [BTC, ETH, SOL]).wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert sandbox.streams[row.venue].connects == 1


def test_what_the_listing_names_anew_is_streamed_under_its_new_name(redis, sandbox, row):
    with running(redis, row, [BTC]):
        native = row.symbols.get(symbol=ETH).native_symbol
        row.symbols.filter(symbol=ETH).update(native_symbol="GONE")
        row.symbols.filter(symbol=BTC).update(native_symbol=native)  # as if it were that market
        counts = sandbox.streams[row.venue].subscriptions
        wait_until(lambda: any("eth" in name.lower() for name in counts))
        wait_until(lambda: not any("btc" in name.lower() for name in counts))


def test_a_database_that_is_away_is_survived(redis, sandbox, row, monkeypatch, caplog):
    away = threading.Event()
    original = SymbolQuerySet.monitored

    def monitored(self):
        if away.is_set() and threading.current_thread() is not threading.main_thread():
            raise DatabaseError("the database is away")
        return original(self)

    monkeypatch.setattr(SymbolQuerySet, "monitored", monitored)
    with running(redis, row, [BTC]):
        away.set()
        wait_until(lambda: [text for text in caplog.messages if "monitored.not_read" in text])
        monitor(row, ETH)
        closes = details(redis, row)["closes"]
        wait_until(lambda: details(redis, row)["closes"] > closes)
        assert not told(redis, row, ETH)
        away.clear()
        wait_until(lambda: told(redis, row, ETH))
        warned = [text for text in caplog.messages if "monitored.not_read" in text]
        assert len(warned) == 1, "once while it lasts"


def test_symbols_that_are_named_at_the_start_are_those_and_no_others(redis, sandbox, row, ask):
    monitor(row, SOL)
    with running(redis, row, [BTC], only=True):
        assert ask("add-symbol", symbol=ETH).result["added"] == [ETH]
        wait_until(lambda: told(redis, row, ETH))
        wait_until(lambda: details(redis, row)["symbols"] == 2)
        assert not told(redis, row, SOL)


# -- Gone and back


def test_a_symbol_that_comes_back_is_complete_and_what_closed_meanwhile_was_told(
    redis, sandbox, row, ask
):
    monitor(row, ETH)
    truth = Comparison(redis, sandbox, row, [BTC, ETH])
    with running(redis, row, [BTC, ETH]):
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        assert ask("remove-symbol", symbol=ETH).result == {"removed": [ETH]}
        wait_for_time(sandbox, live_ms + 3 * MINUTE_MS)
        assert ask("add-symbol", symbol=ETH).result["added"] == [ETH]
        truth.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []


def test_gone_and_back_in_a_moment_nothing_is_lost(redis, sandbox, row, ask):
    monitor(row, ETH)
    truth = Comparison(redis, sandbox, row, [BTC, ETH])
    with running(redis, row, [BTC, ETH]):
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        client = ControlClient(redis, row.pk)
        for times in (1, 5):
            for _ in range(times):
                client.send("remove-symbol", symbol=ETH)
                last = client.send("add-symbol", symbol=ETH)
            assert client.wait(last, 20).ok
            truth.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
            assert truth.faults(since_ms=live_ms) == [], times


def test_gone_and_back_while_nothing_is_connected_nothing_is_lost(
    redis, sandbox, row, ask, monkeypatch
):
    hurry(monkeypatch)
    monitor(row, ETH)
    truth = Comparison(redis, sandbox, row, [BTC, ETH])
    with running(redis, row, [BTC, ETH]):
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        for scenario in ("refuse", "drop"):
            sandbox.scenarios.add(scenario)
        wait_until(lambda: details(redis, row)["connections"] == 0)
        assert ask("remove-symbol", symbol=ETH).ok
        wait_for_time(sandbox, live_ms + 2 * MINUTE_MS)
        assert ask("add-symbol", symbol=ETH).result["added"] == [ETH]
        sandbox.scenarios.clear()
        truth.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS, 60)
        assert truth.faults(since_ms=live_ms) == []


def test_of_a_removed_symbol_nothing_stands_in_the_way_of_a_backfill(
    redis, sandbox, row, ask, monkeypatch
):
    hurry(monkeypatch)
    monitor(row, ETH)
    truth = Comparison(redis, sandbox, row, [ETH], [Timeframe.M1])
    with running(redis, row, [BTC, ETH]):
        truth.wait(sandbox.clock.now_ms())
        slow = sandbox.scenarios.add("slow", delay=1)  # an answer is on its way
        sandbox.scenarios.add("drop", times=1)
        assert ask("remove-symbol", symbol=ETH).ok
        wait_until(lambda: slow.hits)
        sandbox.scenarios.clear()
        asked_ms = sandbox.clock.now_ms()
        wait_for_time(sandbox, asked_ms + 3 * MINUTE_MS)
        wait_until(
            lambda: (
                ask("force-backfill", symbols=[ETH], timeframes=["1m"]).ok
                and not truth.behind(asked_ms + 2 * MINUTE_MS)
            )
        )


# -- Many at once


def traded_now(sandbox, symbols):
    """Return those that have traded in the open five minutes, and when these opened."""
    now_ms = sandbox.clock.now_ms()
    bars = {name: sandbox.market.of(name).open_bar(Timeframe.M5, now_ms) for name in symbols}
    return {name: bar.open_ms for name, bar in bars.items() if bar and bar.trades}


def enough(found, more_than):
    return found if len(found) > more_than else None


def without_an_open_candle(redis, row, traded):
    """Return those of which none was seen yet that opened when they traded, or later."""
    cache = CandleCache(redis, row.pk)
    for name, opened_ms in list(traded.items()):
        candle = cache.live(name, Timeframe.M5)
        if candle and candle.timestamp >= opened_ms:
            del traded[name]
    return traded


def test_two_hundred_symbols_are_live_in_seconds_and_no_other_command_waits(redis):
    early_ms = MIDNIGHT_MS + MINUTE_MS // 2  # in five minutes, which take half of one
    with serve(listings=listings(210), speed=10, start_ms=early_ms) as sandbox:
        row = make_row(sandbox, symbols=[BTC])
        trading = row.symbols.trading().exclude(symbol=BTC)
        added = list(trading.values_list("symbol", flat=True))[:200]
        client = ControlClient(redis, row.pk)
        with running(redis, row, [BTC]):
            request = client.send("bulk-add-symbols", symbols=added)
            assert client.wait(client.send("repair", symbols=[BTC]), 5).ok
            subscribed = sandbox.streams["binance"].subscriptions
            wait_until(lambda: len(subscribed) == 6 * 201 + 1, 20)  # more than one connection takes
            reply = client.wait(request, 60)
            assert (reply.result["pairs"], reply.result["failures"]) == (1200, [])
            # The others have not traded in this bar yet.
            traded = wait_until(lambda: enough(traded_now(sandbox, added), 130), 60)
            wait_until(lambda: not without_an_open_candle(redis, row, traded))


# -- Symbols that end


@pytest.mark.parametrize("how", ["halted", "delisted"])
def test_a_symbol_that_ends_is_asked_for_a_handful_of_times_and_then_no_more(
    redis, sandbox, row, how
):
    monitor(row, ETH)
    sandbox.clock.advance(10 * Timeframe.H1.ms)  # where minutes end alone
    with running(redis, row, [BTC, ETH]):
        Comparison(redis, sandbox, row, [BTC, ETH]).wait(sandbox.clock.now_ms())
        sandbox.requests.reset()
        sandbox.scenarios.add(how, symbol=ETH)
        wait_until(lambda: details(redis, row)["idle"] == {ETH: how}, 30)
        asked = [call for call in sandbox.requests.candles if call.symbol == ETH]
        assert len(asked) <= 12
        sandbox.requests.reset()
        Comparison(redis, sandbox, row, [BTC]).wait(sandbox.clock.now_ms() + 5 * MINUTE_MS)
        assert not [call for call in sandbox.requests.candles if call.symbol == ETH]
        assert not any("eth" in name.lower() for name in sandbox.streams[row.venue].subscriptions)


def look_is_due(row):
    type(row).objects.filter(pk=row.pk).update(listed_at=None)


def test_what_has_ended_is_not_even_warmed_where_the_listing_was_old(redis, sandbox, row):
    monitor(row, ETH)
    sandbox.scenarios.add("delisted", symbol=ETH)
    look_is_due(row)
    sandbox.requests.reset()
    with running(redis, row, [BTC, ETH]):
        assert not [call for call in sandbox.requests.candles if call.symbol == ETH]
        wait_until(lambda: details(redis, row)["idle"] == {ETH: "delisted"})


def test_the_listing_is_looked_at_again_while_it_is_live(redis, sandbox, row):
    monitor(row, ETH)
    with running(redis, row, [BTC, ETH]):
        row.symbols.filter(symbol=ETH).update(status="halted")  # a minute ago, but it is no more
        wait_until(lambda: details(redis, row)["idle"] == {ETH: "halted"})
        look_is_due(row)
        wait_until(lambda: details(redis, row)["idle"] == {})
        wait_until(lambda: details(redis, row)["symbols"] == 2)


@pytest.mark.parametrize("way", ["halted", "short", "bad_row"])
def test_a_broken_listing_stops_nothing_that_is_live(redis, sandbox, row, monkeypatch, way, caplog):
    hurry(monkeypatch)
    monitor(row, ETH, SOL)
    truth = Comparison(redis, sandbox, row, [BTC, ETH, SOL])
    endpoint = {"binance": "exchangeInfo", "coinbase": "products"}[row.venue]
    with running(redis, row, [BTC, ETH, SOL]):
        truth.wait(sandbox.clock.now_ms())
        spoilt = {"way": way, "chance": 0.99, "listed": ETH, "endpoint": endpoint}
        fault = sandbox.faults.add("listing", times=1, **spoilt)
        look_is_due(row)
        wait_until(lambda: fault.hits)
        wait_until(lambda: type(row).objects.get(pk=row.pk).listed_at)
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert details(redis, row)["symbols"] == 3
        assert not [text for text in caplog.messages if "symbols.stopped" in text]


def test_where_nothing_trades_it_waits_until_something_does(redis, sandbox, row):
    row.symbols.update(status="halted")
    with running(redis, row, [BTC]):
        assert details(redis, row)["symbols"] == 0
        assert not sandbox.requests.candles
        row.symbols.update(status="trading")
        Comparison(redis, sandbox, row, [BTC]).wait(sandbox.clock.now_ms() + MINUTE_MS)


def test_a_halted_symbol_that_somebody_adds_is_streamed_once_it_trades(redis, sandbox, row, ask):
    row.symbols.filter(symbol=ETH).update(status="halted")
    with running(redis, row, [BTC]):
        reply = ask("add-symbol", symbol=ETH)
        assert (reply.ok, reply.result["added"], reply.result["streamed"]) == (True, [], [])
        assert reply.result["idle"] == {ETH: "halted"}
        row.symbols.filter(symbol=ETH).update(status="trading")
        wait_until(lambda: told(redis, row, ETH))


def test_no_command_asks_for_what_does_not_trade(redis, sandbox, row, ask):
    row.symbols.filter(symbol=ETH).update(status="halted")
    with running(redis, row, [BTC]):
        sandbox.requests.reset()
        for command in ("repair", "force-backfill", "warmup"):
            assert ask(command, symbols=[BTC, ETH], timeframes=["1d"]).ok
            reply = ask(command, symbols=[ETH], timeframes=["1d"])
            assert "nothing that does not trade: ETH-USD (halted)" in reply.error
            assert not [call for call in sandbox.requests.candles if call.symbol == ETH], command


def test_a_halted_symbol_comes_back_by_itself_and_what_it_missed_is_fetched_and_told(
    redis, sandbox, row
):
    monitor(row, ETH)
    truth = Comparison(redis, sandbox, row, [BTC, ETH])
    with running(redis, row, [BTC, ETH]):
        wait_until(lambda: len(CandleCache(redis, row.pk).told(pairs_of([ETH]))) == 6)
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        scenario = sandbox.scenarios.add("halted", symbol=ETH)
        call_command("symbols", row.name, "--sync")
        wait_until(lambda: details(redis, row)["idle"] == {ETH: "halted"})
        sandbox.clock.advance(7 * MINUTE_MS)
        assert scenario.hits
        sandbox.scenarios.clear()
        sandbox.clock.advance(5 * MINUTE_MS)
        call_command("symbols", row.name, "--sync")
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
        wait_until(lambda: details(redis, row)["idle"] == {})
