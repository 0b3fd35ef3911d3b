"""Filling from bulk files over real sockets: equal to the truth, whatever is wrong with them."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command

from history.store.store import HistoryStore
from livermore.command import UsageError
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import chosen, make_row, serve

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOL = "BTC-USD"
PAIR = Pair(SYMBOL, Timeframe.M15)
YEAR = "2025-11-01", "2026-11-01"
YEAR_CALLS_OVER_REST = 1 + 36  # of days, and of quarters of an hour
BY_ARCHIVE = 1 + 13  # at each border of twelve months


def ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def shared():
    listings = chosen([SYMBOL])
    with serve(speed=0, start_ms=ms("2026-12-02T10:00"), listings=listings) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared):
    shared.reset()
    return shared


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox, "sandbox", [SYMBOL], archive_url=sandbox.url)


def history(row, *arguments):
    """Return what the command says."""
    output = StringIO()
    call_command("history", row.name, "--json", *arguments, stdout=output, stderr=StringIO())
    return json.loads(output.getvalue())


def fill(row, since, until, *arguments, timeframe="15m"):
    return history(row, "--since", since, "--until", until, "--timeframes", timeframe, *arguments)


def is_true(sandbox, folder, row, since, until, timeframe=Timeframe.M15, symbol=SYMBOL):
    """Say whether history holds exactly what the sandbox's market had."""
    found = HistoryStore(folder, row).read(Pair(symbol, timeframe), ms(since), ms(until))
    assert found.covered == ((ms(since), ms(until)),)
    return found.rows == sandbox.market.closed_rows(symbol, timeframe, ms(since), ms(until))


def test_a_year_comes_from_twelve_files_and_few_calls(sandbox, folder, row):
    plan = history(row, "--since", YEAR[0], "--until", YEAR[1], "--timeframes", "15m", "--plan")
    assert plan["restAlone"]["calls"] == YEAR_CALLS_OVER_REST
    assert (plan["calls"], plan["archives"]["files"]) == (BY_ARCHIVE, 12)
    assert plan["archives"]["savesCalls"] == YEAR_CALLS_OVER_REST - BY_ARCHIVE
    told = fill(row, *YEAR)
    assert (told["failures"], told["unknown"], told["differences"]) == ([], [], [])
    assert told["candleCalls"] == BY_ARCHIVE
    assert told["archives"]["files"] == 12
    assert told["archives"]["candles"] == plan["candles"] - 365
    assert told["candles"] == plan["candles"]
    assert told["archives"]["bytes"] < plan["archives"]["downloadBytes"]
    assert told["weight"] == 2 * BY_ARCHIVE
    assert 0 < told["bytesWritten"] < plan["bytes"]
    assert is_true(sandbox, folder, row, *YEAR)
    assert fill(row, *YEAR)["candleCalls"] == 0


def test_perpetuals_have_files_of_their_own_with_a_header_and_rows_missing(redis, sandbox, folder):
    symbol, stretch = "BTC-USDT-PERP", ("2026-03-01", "2026-05-01")
    urls = {"archive_url": sandbox.url, "is_active": True}
    row = make_row(sandbox, "binance_usdm", [symbol], **urls)
    fault = sandbox.faults.add("archive", way="missing_rows", open_times=[ms("2026-04-02")])
    told = fill(row, *stretch)
    assert (told["failures"], told["unknown"], told["differences"]) == ([], [], [])
    assert (told["archives"]["files"], told["archives"]["refused"]) == (2, [])
    assert fault.hits
    assert is_true(sandbox, folder, row, *stretch, symbol=symbol)


# What is wrong with a month, and what is said of its file; "" where it is taken all the same.
FAULTS = {
    "2026-03": (("header", "missing_day"), ""),
    "2026-04": (("milliseconds", "off_grid", "bad_row"), ""),
    "2026-05": (("missing_month",), ""),
    "2026-06": (("wrong_checksum",), "its checksum is another's"),
    "2026-07": (("missing_checksum",), "it has no checksum"),
    "2026-08": (("truncated",), "it is no zip"),
    "2026-09": (("bomb",), "would unpack to 20,000,000"),
    "2026-10": (("twice", "missing_rows"), ""),
}


def test_whatever_is_wrong_with_a_month_what_is_kept_is_true(sandbox, folder, row):
    stretch = "2026-03-01", "2026-11-01"
    for month, (ways, _) in FAULTS.items():
        for way in ways:
            sandbox.faults.add("archive", way=way, open_times=[ms(f"{month}-02")])
    told = fill(row, *stretch)
    assert (told["failures"], told["unknown"], told["differences"]) == ([], [], [])
    refused = {each["file"][-11:-4]: each["reason"] for each in told["archives"]["refused"]}
    expected = {month: reason for month, (_, reason) in FAULTS.items() if reason}
    assert refused.keys() == expected.keys()
    assert all(reason in refused[month] for month, reason in expected.items())
    assert told["archives"]["refusedRows"] == 1 + 2  # both that are of one bar
    assert told["archives"]["files"] == 3
    assert told["candleCalls"] <= 8 * 3 + 2
    assert is_true(sandbox, folder, row, *stretch)


def test_a_row_that_differs_is_told_and_rest_wins(sandbox, folder, row):
    sandbox.faults.add("archive", way="differs")
    told = fill(row, "2026-08-01", "2026-09-01")
    (difference,) = told["differences"]
    assert (difference["symbol"], difference["timeframe"]) == (SYMBOL, "15m")
    assert difference["timestamp"] == ms("2026-08-31T23:45")
    last = sandbox.market.closed_rows(
        SYMBOL, Timeframe.M15, difference["timestamp"], difference["timestamp"] + 1
    )
    assert [difference["rest"]] == last
    assert difference["archive"] != difference["rest"]
    assert told["archives"]["files"] == 1
    assert is_true(sandbox, folder, row, "2026-08-01", "2026-09-01")


def test_a_month_of_which_many_rows_differ_is_fetched_over_rest(sandbox, folder, row):
    sandbox.faults.add("archive", way="differs", chance=0.1)
    told = fill(row, "2026-08-01", "2026-09-01")
    (refused,) = told["archives"]["refused"]
    assert refused["file"] == "2026-08"
    assert "of 1000 bars that were compared differ" in refused["reason"]
    assert told["archives"]["candles"] == 0
    assert len(told["differences"]) == told["archives"]["different"] > 50
    assert is_true(sandbox, folder, row, "2026-08-01", "2026-09-01")


def test_days_stand_in_for_a_month_that_is_not_there_yet(sandbox, folder, row):
    stretch = "2026-11-28", "2026-12-02"
    told = fill(row, *stretch, timeframe="1m")
    assert told["archives"]["files"] == 4
    assert told["candleCalls"] <= 1 + 4  # days; the borders of two months, one of them twice
    assert is_true(sandbox, folder, row, *stretch, Timeframe.M1)


def test_what_rest_lacks_comes_from_bulk_and_what_bulk_lacks_from_rest(sandbox, folder, row):
    hole = ms("2026-08-15T12:00")
    sandbox.faults.add("holes", open_times=[hole])
    sandbox.faults.add("archive", way="missing_day")
    assert fill(row, "2026-08-01", "2026-09-01")["unknown"] == []
    assert is_true(sandbox, folder, row, "2026-08-01", "2026-09-01")


def test_only_what_is_published_in_bulk_may_be_taken(sandbox, folder, row):
    told = fill(row, "2026-08-01", "2026-11-10", "--archives", "only", timeframe="1h")
    hours = [each for each in told["unknown"] if each["timeframe"] == "1h"]
    assert [(each["from"], each["to"]) for each in hours] == []
    assert {request.timeframe for request in sandbox.requests.candles} == {"1d", "1h"}
    assert told["archives"]["candles"] == (31 + 30 + 31 + 9) * 25  # hours, and days
    assert is_true(sandbox, folder, row, "2026-08-01", "2026-11-10", Timeframe.H1)
    sandbox.faults.add("archive", way="missing_file")
    told = fill(row, "2026-07-01", "2026-08-01", "--archives", "only", timeframe="1h")
    assert (told["candles"], len(told["unknown"])) == (0, 2)


def test_bulk_files_are_left_alone_where_nobody_wants_them(sandbox, folder, row):
    told = fill(row, "2026-08-01", "2026-09-01", "--archives", "no")
    assert told["archives"]["files"] == 0
    assert sandbox.requests.counts["binance.archive"] == 0
    us = make_row(sandbox, "binance_us", [SYMBOL])
    with pytest.raises(UsageError, match="binance_us publishes no candles in bulk"):
        fill(us, "2026-08-01", "2026-09-01", "--archives", "only")


def test_a_host_that_is_away_costs_no_candle(sandbox, folder, row, monkeypatch):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 0.001)
    sandbox.faults.add("status", status=503, endpoint="archive")
    told = fill(row, "2026-05-01", "2026-11-01")
    assert "HTTP 503" in told["archives"]["trouble"]
    assert (told["failures"], told["unknown"]) == ([], [])
    assert is_true(sandbox, folder, row, "2026-05-01", "2026-11-01")


def test_people_are_told_what_is_saved_and_what_was_not_believed(sandbox, folder, row):
    def said(*arguments):
        output, errors = StringIO(), StringIO()
        wanted = ["--since", "2026-08-01", "--until", "2026-10-01", "--timeframes", "15m"]
        call_command("history", row.name, *wanted, *arguments, stdout=output, stderr=errors)
        return output.getvalue()

    assert "archives save 3 calls, 0.0 minutes of 7 calls" in said("--plan")
    sandbox.faults.add("archive", way="differs", open_times=[ms("2026-08-02")])
    sandbox.faults.add("archive", way="truncated", open_times=[ms("2026-09-02")])
    text = said()
    assert "2,976 from 1 bulk files" in text.replace("2,975", "2,976")
    assert "not believed: BTC-USD 15m BTCUSD-15m-2026-09.zip: it is no zip" in text
    assert "differs: BTC-USD 15m 2026-08-31 23:45 UTC: " in text
