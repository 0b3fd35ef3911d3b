from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from exchanges.lock.acquire import ExchangeLock
from exchanges.management.commands import symbols
from exchanges.symbols.volumes import current_volumes
from livermore.command import UsageError
from livermore.market import keys
from tests.warmup.runners import events_of, make_row, running, serve, wait_until


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(transactional_db, redis, sandbox):
    return make_row(sandbox)


def run(*arguments):
    output = StringIO()
    call_command("symbols", "sandbox", *arguments, stdout=output)
    return output.getvalue()


def test_whoever_runs_the_exchange_streams_what_is_monitored_from_now_on(redis, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    with running(redis, row, ["BTC-USD"]):
        assert "its runner was told" in run("--monitor", "SOL-USD")
        wait_until(lambda: events_of(redis, row.pk).get(("SOL-USD", "1m")))
        assert "its runner was told" in run("--unmonitor", "SOL-USD")


def test_it_says_that_what_is_new_is_streamed_and_fetched(redis, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    with running(redis, row, ["BTC-USD"]):
        said = run("--monitor", "SOL-USD")
    assert "its runner was told: SOL-USD streamed now, history fetched\n" in said


def test_it_says_that_the_history_waits_where_the_exchange_refuses(redis, row, sandbox):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    with running(redis, row, ["BTC-USD"]):
        sandbox.faults.add("status", status=503)
        said = run("--monitor", "SOL-USD")
        assert (
            "SOL-USD streamed now, history of SOL-USD fetched once the exchange answers (" in said
        )
        assert "(HTTP 503)" in said
        sandbox.faults.clear()


def test_it_says_what_does_not_trade(redis, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False, status="halted")
    with running(redis, row, ["BTC-USD"]):
        assert "SOL-USD is halted: streamed once it trades" in run("--monitor", "SOL-USD")
    assert "SOL-USD │ SOLUSD │ spot │ halted" in run()


def test_where_the_holder_does_not_answer_it_says_when_it_will(redis, row, monkeypatch):
    monkeypatch.setattr(symbols, "SECONDS_UNTIL_REPLY", 0.2)
    with ExchangeLock(redis, row.pk).acquire():
        said = run("--unmonitor", "SOL-USD")
    assert "its runner was told, and does it as soon as it streams\n" in said


def test_a_sync_says_what_of_the_monitored_symbols_has_ended(redis, row, sandbox):
    sandbox.scenarios.add("halted", symbol="SOL-USD")
    said = run("--sync")
    assert "sandbox lists 3 symbols: 0 added, 1 changed, 0 delisted, 0 newly monitored\n" in said
    assert "monitored, and asked for nothing until they trade: SOL-USD (halted)\n" in said


def test_where_nobody_runs_it_nothing_is_told(redis, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    assert run("--monitor", "SOL-USD") == "sandbox: 1 of 1 newly monitored\n"
    assert not redis.exists(keys.control(row.pk))


def kept_warm(row):
    return set(row.symbols.kept_warm().values_list("symbol", flat=True))


def test_the_most_traded_of_a_quote_are_added_and_named(redis, row, sandbox):
    row.symbols.update(is_monitored=False)
    ranked = current_volumes(redis, row).by_symbol
    first, second, _ = sorted(ranked, key=ranked.get, reverse=True)
    row.symbols.filter(symbol=first).update(is_monitored=True)
    said = run("--top", "2", "--quote", "usd")
    assert said == f"sandbox: the 2 most traded in USD; 1 newly monitored: {second}\n"
    assert kept_warm(row) == {first, second}
    assert "sandbox: the 1 most traded in USD; 0 newly monitored\n" in run(
        "--top", "1", "--quote", "USD"
    )
    assert kept_warm(row) == {first, second}, "nothing is taken away"


def test_more_than_there_are_are_all_there_are(row):
    row.symbols.update(is_monitored=False)
    said = run("--top", "25", "--quote", "USD")
    assert said.startswith("sandbox: all 3 that were traded in USD in 24 hours; 3 newly monitored")


def test_the_listing_is_fetched_first_where_there_is_none(row):
    row.symbols.all().delete()
    assert "the 1 most traded in USD" in run("--top", "1", "--quote", "USD")
    assert row.symbols.count() == 3


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--top", "5"], "--top N and --quote USDT are given together, or neither"),
        (["--quote", "USD"], "--top N and --quote USDT are given together, or neither"),
        (["--top", "0", "--quote", "USD"], "from 1 to 1,000 symbols are chosen at once, not 0"),
        (["--top", "1001", "--quote", "USD"], "from 1 to 1,000 symbols are chosen at once, not 1,"),
        (
            ["--top", "5", "--quote", "EUR"],
            "nothing trades in EUR on sandbox; its quote currencies",
        ),
    ],
)
def test_what_can_not_be_chosen_is_told_in_a_line(row, arguments, line):
    before = kept_warm(row)
    with pytest.raises(UsageError) as found:
        run(*arguments)
    assert line in str(found.value)
    assert "\n" not in str(found.value)
    assert kept_warm(row) == before


def test_an_exchange_that_is_away_is_told_in_a_line(row, sandbox):
    sandbox.stop()
    with pytest.raises(CommandError) as found:
        run("--top", "5", "--quote", "USD")
    assert "\n" not in str(found.value)


def test_whoever_runs_it_is_told_of_the_most_traded(redis, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    with running(redis, row, ["BTC-USD", "ETH-USD"]):
        assert "its runner was told: SOL-USD streamed now" in run("--top", "3", "--quote", "USD")
