"""Filling history over real sockets: all that the exchange has, once, and what nobody knows."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime
from io import StringIO

import pytest
from django.core.management import call_command

from history.following import follower as follower_module
from history.following.follower import HistoryFollower
from history.models import HistoryFile
from history.store.store import HistoryStore
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.warmup.runners import MIDNIGHT_MS, chosen, make_row, serve, true_rows
from warmup.cache.unconfirmed import SECOND_LOOK_MS

pytestmark = pytest.mark.django_db(transaction=True)

DAY_MS = Timeframe.D1.ms
SINCE, SINCE_MS = "2026-11-16", MIDNIGHT_MS - 3 * DAY_MS
SYMBOLS = ["BTC-USD", "ETH-USD"]


@pytest.fixture
def sandbox():
    with serve(speed=1, start_ms=MIDNIGHT_MS + 7 * 60_000) as sandbox:
        yield sandbox


def ms_of(day):
    return int(datetime.fromisoformat(f"{day}T00:00Z").timestamp() * 1000)


def fill(row, *arguments):
    """Return what the command says."""
    output, errors = StringIO(), StringIO()
    call_command("history", row.name, "--json", *arguments, stdout=output, stderr=errors)
    return json.loads(output.getvalue())


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_all_is_fetched_once_and_equals_the_truth(redis, sandbox, folder, name):
    row = make_row(sandbox, name, SYMBOLS)
    told = fill(row, "--since", SINCE)
    assert told["failures"] == []
    store = HistoryStore(folder, row)
    for pair in pairs_of(SYMBOLS, LONGEST_FIRST):
        end_ms = pair.timeframe.floor(MIDNIGHT_MS - 1)
        found = store.read(pair, SINCE_MS, end_ms)
        assert found.covered == ((SINCE_MS, end_ms),), pair
        expected = true_rows(sandbox, row, *pair, SINCE_MS, end_ms)
        assert found.rows == [list(each) for each in expected], pair
    assert HistoryFile.objects.count() == len(SYMBOLS) * len(LONGEST_FIRST)
    again = fill(row, "--since", SINCE)
    assert again["candleCalls"] <= len(SYMBOLS) * len(LONGEST_FIRST)  # the newest bars
    before = [each for each in told["unknown"] if each["to"] <= MIDNIGHT_MS - DAY_MS]
    assert before == []


def test_what_lies_before_a_symbol_began_is_unknown_until_it_was_told_twice(redis, folder):
    began_ms = MIDNIGHT_MS - DAY_MS
    listing = replace(chosen(["BTC-USD"])[0], listed_ms=began_ms)
    with serve(speed=1, start_ms=MIDNIGHT_MS + 7 * 60_000, listings=(listing,)) as sandbox:
        row = make_row(sandbox, "sandbox", ["BTC-USD"])
        told = fill(row, "--since", "2018-01-01", "--timeframes", "1d,1h")
        assert told["candleCalls"] <= 15  # of hours nothing is asked before the first day
        empty = {"symbol": "BTC-USD", "from": ms_of("2018-01-01"), "to": began_ms}
        assert told["unknown"] == [
            empty | {"timeframe": "1d", "reason": "empty"},
            empty | {"timeframe": "1h", "reason": None},
        ]
        sandbox.clock.advance(SECOND_LOOK_MS)
        told = fill(row, "--since", "2018-01-01", "--timeframes", "1d,1h")
        assert told["unknown"] == []
        assert told["candleCalls"] <= 15


@pytest.mark.parametrize("followed", [False, True])
def test_what_is_left_out_between_others_is_looked_at_a_second_time(
    redis, sandbox, folder, monkeypatch, followed
):
    monkeypatch.setattr(follower_module, "time_now_ms", lambda *_: sandbox.clock.now_ms())
    row, hour = make_row(sandbox, "coinbase", ["BTC-USD"]), Pair("BTC-USD", Timeframe.H1)
    hole_ms = SINCE_MS + 30 * Timeframe.H1.ms  # with a trade, as the truth says
    hole = sandbox.faults.add("holes", open_times=[hole_ms])
    expected = true_rows(sandbox, row, *hour, SINCE_MS, MIDNIGHT_MS)
    fill(row, "--since", SINCE, "--timeframes", "1h")
    store = HistoryStore(folder, row)
    lacking = store.read(hour, SINCE_MS, MIDNIGHT_MS)
    assert lacking.rows == [each for each in expected if each[0] != hole_ms]
    sandbox.faults.remove(hole)
    sandbox.clock.advance(SECOND_LOOK_MS)
    calls = Counter()
    for _ in range(2):
        if followed:
            HistoryFollower(redis, row).step()
        else:
            fill(row)
        assert store.read(hour, SINCE_MS, MIDNIGHT_MS).rows == expected
        assert store.unconfirmed(hour) == ()
        calls, before = sandbox.requests.counts, calls
    assert calls - before <= Counter(dict.fromkeys(calls, 2))  # the newest bars at the most
