"""Commands to an exchange that is live, over its control stream."""

import signal

import pytest
from django.db import connections

from exchanges.lock.control_client import ControlClient
from exchanges.lock.status import State, read_status
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    Running,
    end,
    events_of,
    make_row,
    processes,
    running,
    serve,
    stored,
    wait_for_time,
    wait_until,
    with_short_lease,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox)


@pytest.fixture
def ask(redis, row):
    """Send a command; return its final reply."""

    def ask(command, **arguments):
        client = ControlClient(redis, row.pk)
        progress = arguments.pop("progress", [])
        return client.wait(
            client.send(command, **arguments), 20, lambda reply: progress.append(reply.result)
        )

    return ask


def monitored(row):
    return sorted(row.symbols.kept_warm().values_list("symbol", flat=True))


def subscribed(sandbox, native):
    return sandbox.streams["binance"].subscriptions[f"{native}@kline_1m"]


@pytest.mark.parametrize(
    ("command", "arguments", "added"),
    [
        ("add-symbol", {"symbol": "ETH-USD"}, ["ETH-USD"]),
        (
            "bulk-add-symbols",
            {"symbols": ["SOL-USD", "ETH-USD", "BTC-USD"]},
            ["SOL-USD", "ETH-USD"],
        ),
    ],
)
def test_added_symbols_are_fetched_streamed_and_monitored(
    redis, sandbox, ask, command, arguments, added
):
    row = make_row(sandbox, symbols=["BTC-USD"])
    everything = ["BTC-USD", *added]
    truth = Comparison(redis, sandbox, row, everything)
    with running(redis, row, ["BTC-USD"]):
        progress = []
        reply = ask(command, **arguments, progress=progress)
        assert (reply.ok, reply.result["added"]) == (True, added)
        assert reply.result["pairs"] == 6 * len(added)
        assert progress[-1]["total"] == 6 * len(added)
        assert monitored(row) == sorted(everything)
        truth.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
        assert truth.faults() == []
        assert subscribed(sandbox, "ethusd") == 1
        assert sandbox.streams["binance"].connects == 1


def test_on_coinbase_a_symbol_is_added_too(redis, sandbox):
    row = make_row(sandbox, "coinbase", ["BTC-USD"])
    client = ControlClient(redis, row.pk)
    truth = Comparison(redis, sandbox, row, ["BTC-USD", "ETH-USD"])
    with running(redis, row, ["BTC-USD"]):
        assert client.wait(client.send("add-symbol", symbol="ETH-USD"), 20).ok
        truth.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
        assert truth.faults() == []


def test_a_removed_symbol_is_streamed_no_longer_and_the_others_are_not_touched(
    redis, sandbox, row, ask
):
    with running(redis, row):
        reply = ask("remove-symbol", symbol="ETH-USD")
        assert (reply.ok, reply.result) == (True, {"removed": ["ETH-USD"]})
        assert monitored(row) == ["BTC-USD", "SOL-USD"]
        wait_until(lambda: not subscribed(sandbox, "ethusd"))
        before = stored(redis, row.pk, "ETH-USD", Timeframe.M1)
        others = Comparison(redis, sandbox, row, ["BTC-USD", "SOL-USD"])
        others.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
        assert others.faults() == []
        assert stored(redis, row.pk, "ETH-USD", Timeframe.M1) == before
        assert sandbox.streams["binance"].connects == 1


@pytest.mark.parametrize("command", ["add-symbol", "remove-symbol"])
def test_an_unknown_symbol_is_an_error_that_names_it_and_changes_nothing(
    redis, sandbox, row, ask, command
):
    with running(redis, row):
        reply = ask(command, symbols=["ETH-USD", "ETH-EURO"])
        assert not reply.ok
        assert "sandbox does not list ETH-EURO" in reply.error
        assert monitored(row) == SYMBOLS
        assert subscribed(sandbox, "ethusd") == 1


WITHOUT_SENSE = [
    ("add-symbol", {}),
    ("add-symbol", {"symbol": 5}),
    ("bulk-add-symbols", {"symbols": ["BTC-USD", None]}),
    ("remove-symbol", {"symbols": {"BTC-USD": 1}}),
    ("force-backfill", {"timeframes": ["2h"]}),
    ("force-backfill", {"timeframes": 5}),
    ("force-backfill", {"count": "many"}),
    ("force-backfill", {"count": 0}),
    ("force-backfill", {"count": None}),
    ("repair", {"timeframes": [["1h"]]}),
    ("warmup", {"symbols": "BTC-USD", "timeframes": [{}]}),
]


def test_arguments_without_sense_are_an_error_and_the_next_command_is_done(redis, row, ask):
    with running(redis, row):
        for command, arguments in WITHOUT_SENSE:
            assert not ask(command, **arguments).ok, (command, arguments)
            assert ask("repair", symbols=["BTC-USD"], timeframes=["1d"]).ok


def test_backfills_while_live_neither_swallow_nor_double_a_close(redis, sandbox, row, ask):
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        until_ms = live_ms + 4 * MINUTE_MS
        while sandbox.clock.now_ms() < until_ms:
            assert ask("force-backfill", symbols=SYMBOLS, timeframes=["1m"], count=10).ok
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []


def test_a_repair_without_arguments_repairs_whatever_is_live(redis, sandbox, row, ask):
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms())
        for symbol in ("BTC-USD", "SOL-USD"):
            redis.zremrangebyrank(keys.candles(row.pk, symbol, Timeframe.H4), 20, 29)
            redis.delete(keys.coverage(row.pk, symbol, Timeframe.H4))
        reply = ask("repair")
        assert (reply.ok, reply.result["failures"]) == (True, [])
        assert truth.faults() == []


def test_a_warmup_fetches_what_is_short_and_nothing_else(redis, sandbox, row, ask):
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms())
        redis.delete(keys.candles(row.pk, "ETH-USD", Timeframe.D1))
        redis.delete(keys.coverage(row.pk, "ETH-USD", Timeframe.D1))
        reply = ask("warmup")
        assert reply.ok
        [entry] = reply.result["schedule"]["entries"]
        assert (entry["symbol"], entry["timeframe"]) == ("ETH-USD", "1d")
        assert reply.result["stats"]["status"] == "complete"
        assert truth.faults() == []


def test_changing_symbols_waits_for_no_other_command(redis, sandbox, row):
    with running(redis, row) as one:
        sandbox.faults.add("slow", seconds=3, symbol="BTC-USD")
        client = ControlClient(redis, row.pk)
        slow = client.send("force-backfill", symbols=["BTC-USD"], timeframes=["1h"], count=10)
        wait_until(lambda: read_status(redis, row.pk).details["order"])
        assert client.wait(client.send("remove-symbol", symbol="ETH-USD"), 2).ok
        assert client.wait(client.send("add-symbol", symbol="ETH-USD"), 2).ok
        assert read_status(redis, row.pk).details["order"], "that one is still at work"
        assert client.wait(slow, 20).ok
        assert not one.ended


@pytest.mark.parametrize("command", ["stop", "takeover"])
def test_told_to_stop_it_answers_and_ends(redis, row, ask, command):
    one = Running(redis, row).wait_until_live()
    assert ask(command).ok
    wait_until(lambda: one.ended, 5)
    assert one.error is None
    assert read_status(redis, row.pk).state is State.STOPPED
    assert not redis.exists(keys.lock(row.pk))


def test_a_stop_that_was_meant_for_the_one_before_is_refused(redis, row):
    client = ControlClient(redis, row.pk)
    request = client.send("stop")
    sent = redis.time()
    wait_until(lambda: redis.time() > (sent[0], sent[1] + 2000))
    with running(redis, row) as one:
        reply = client.wait(request, 20)
        assert "meant for the holder before" in reply.error
        assert not one.ended


def test_a_command_that_was_done_is_not_done_again_by_the_next_one(redis, sandbox, row, ask):
    with running(redis, row):
        assert ask("force-backfill", symbols=["BTC-USD"], timeframes=["1h"], count=77).ok
    sandbox.requests.reset()
    with running(redis, row):
        assert ask("repair", timeframes=["1d"]).ok  # all before it were looked at
    again = [call for call in sandbox.requests.candles if call.limit == 77 + 2]
    assert again == []


def test_a_command_whose_reader_is_killed_is_done_by_the_next_one(redis, sandbox, row):
    client = ControlClient(redis, row.pk)
    with processes() as manage:
        first = manage(code=with_short_lease("start", "sandbox"))
        wait_until(lambda: read_status(redis, row.pk).state is State.ACTIVE)
        sandbox.scenarios.add("slow", delay=3)
        request = client.send("force-backfill", symbols=["BTC-USD"], timeframes=["1h"], count=77)
        wait_until(lambda: redis.xpending(keys.control(row.pk), "holder")["pending"])
        end(first, signal.SIGKILL)
    sandbox.scenarios.clear()
    wait_until(lambda: not redis.exists(keys.lock(row.pk)))
    with running(redis, row):
        reply = client.wait(request, 20)
        assert (reply.ok, reply.result["candles"]) == (True, 77)
    replies = [
        fields[b"message"]
        for _, fields in redis.xrange(keys.control(row.pk))
        if fields[b"kind"] == b"reply" and b'"final":true' in fields[b"message"]
    ]
    assert len(replies) == 1


def test_the_closes_of_an_added_symbol_begin_where_its_history_ends(redis, sandbox, ask):
    row = make_row(sandbox, symbols=["BTC-USD"])
    with running(redis, row, ["BTC-USD"]):
        ask("add-symbol", symbol="ETH-USD")
        truth = Comparison(redis, sandbox, row, ["ETH-USD"])
        truth.wait(sandbox.clock.now_ms() + 3 * MINUTE_MS)
        told = events_of(redis, row.pk)[("ETH-USD", "1m")]
        rows, _ = stored(redis, row.pk, "ETH-USD", Timeframe.M1)
        told = [event["timestamp"] for event in told]
        times = [row[0] for row in rows]
        history = times.index(told[0])
        assert history >= 100  # one more where a bar closed while it was fetched
        assert told == times[history : history + len(told)]


def test_a_backfill_replaces_what_was_wrong(redis, sandbox, row, ask):
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms())
        rows, _ = stored(redis, row.pk, "BTC-USD", Timeframe.H1)
        key, time = keys.candles(row.pk, "BTC-USD", Timeframe.H1), rows[-5][0]
        redis.zremrangebyscore(key, time, time)
        redis.zadd(key, {f"[{time},1,1,1,1,1]": time})
        progress = []
        reply = ask("force-backfill", symbols=["BTC-USD"], timeframes=["1h"], progress=progress)
        assert reply.error is None
        assert (reply.result["candles"], reply.result["failures"]) == (100, [])
        assert progress == [{"done": 1, "total": 1}]
        assert truth.faults() == []


def test_a_removed_symbol_can_be_backfilled(redis, sandbox, row, ask):
    truth = Comparison(redis, sandbox, row, ["ETH-USD"], [Timeframe.M1])
    with running(redis, row):
        ask("remove-symbol", symbol="ETH-USD")
        wait_until(lambda: not subscribed(sandbox, "ethusd"))
        wait_for_time(sandbox, sandbox.clock.now_ms() + 3 * MINUTE_MS)
        asked_ms = sandbox.clock.now_ms()
        reply = ask("force-backfill", symbols=["ETH-USD"], timeframes=["1m"], count=100)
        assert reply.result["candles"] == 100
        assert truth.behind(asked_ms - 5_000) == []


def test_a_database_that_is_locked_is_an_error_and_the_next_command_is_done(
    redis, sandbox, row, ask, monkeypatch
):
    import sqlite3

    from tests.warmup.runners import database_url

    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", 1)
    with running(redis, row):
        other = sqlite3.connect(database_url().removeprefix("sqlite:///"))
        other.execute("BEGIN IMMEDIATE")
        client = ControlClient(redis, row.pk)
        request = client.send("remove-symbol", symbol="ETH-USD")
        try:
            reply = client.wait(request, 30)
        finally:
            other.rollback()
        assert not reply.ok
        assert ask("repair", timeframes=["1d"]).ok


def test_a_stop_that_comes_with_the_start_of_a_backfill_ends_it_all_within_five_seconds(
    redis, sandbox, row
):
    one = Running(redis, row).wait_until_live()
    sandbox.scenarios.add("slow", delay=12)
    client = ControlClient(redis, row.pk)
    client.send("force-backfill", symbols=SYMBOLS, timeframes=["1h"], count=10)
    wait_until(lambda: redis.xpending(keys.control(row.pk), "holder")["pending"])
    one.stop()
    assert not redis.exists(keys.lock(row.pk))


def test_a_stop_behind_a_long_backfill_is_done_at_once(redis, sandbox, row):
    one = Running(redis, row).wait_until_live()
    sandbox.scenarios.add("slow", delay=12)
    client = ControlClient(redis, row.pk)
    client.send("force-backfill", symbols=SYMBOLS, timeframes=["1h"], count=10)
    assert client.wait(client.send("stop"), 5).ok
    wait_until(lambda: one.ended, 5)
