"""Bybit's markets of one name kept live over midnight: in the end all is there, and true."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from exchanges.venues.bybit.stream import BybitStream
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    Comparison,
    chosen,
    hurry,
    make_row,
    running,
    serve,
    wait_for_time,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)

# The first two have one native name; the others are not traded in each minute.
SYMBOLS = ["BTC-USDT", "BTC-USDT-PERP", "DASH-USD", "DASH-USDT-PERP"]
LISTED = ["BTC-USDT", "DASH-USD"]
CUT = {"kind": "drop", "every": 0.2, "times": 1}
BAD_FRAMES = [
    {"kind": "drop", "every": 0.9},
    {"kind": "loss", "chance": 0.1},
    {"kind": "malformed", "chance": 0.1},
    {"kind": "reordering", "chance": 0.3},
    {"kind": "duplicates", "chance": 0.3},
    {"kind": "early_close", "chance": 0.3},
    {"kind": "late_close", "symbol": "BTC-USDT"},
]
DRILLS = {
    "bad frames": BAD_FRAMES,
    "silence": [{"kind": "silence"}],
    "a delisted perpetual": [{"kind": "delisted", "symbol": "BTC-USDT-PERP"}, CUT],
    "a refused name": [
        {"kind": "refuse_subscription", "symbol": "BTC-USDT-PERP", "way": "error"},
        CUT,
    ],
}


class TradedTruth(Comparison):
    """Beside the truth of an exchange that has no rows of minutes without a trade."""

    def _truth(self, symbol, timeframe, start_ms, end_ms):
        rows = self._sandbox.market.closed_candles(
            symbol, timeframe, start_ms, end_ms, traded_only=True
        )
        return [list(each) for each in rows]


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    hurry(monkeypatch)
    quick = {"seconds_between_messages": 0.02, "seconds_between_connects": 0.05}
    limits = replace(BybitStream.limits, ping_seconds=0.2, **quick)
    monkeypatch.setattr(BybitStream, "limits", limits)


def after(redis, scenarios, truth_of=Comparison, minutes=2, **settings):
    """Play scenarios over midnight; return what is wrong a minute or two after they ended."""
    listings = chosen(LISTED)
    # Who does not ping is cut after a second.
    quick = {"bybit_calls": 10**6, "bybit_silence_seconds": 1.0}
    with serve(listings=listings, **quick, **settings) as sandbox, ExitStack() as runner:
        row = make_row(sandbox, "bybit", SYMBOLS, is_active=True)
        truth = truth_of(redis, sandbox, row, SYMBOLS)
        runner.enter_context(running(redis, row, SYMBOLS))
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        played = [sandbox.scenarios.add(**each) for each in scenarios]
        wait_for_time(sandbox, max(MIDNIGHT_MS, live_ms) + minutes * MINUTE_MS)
        if {"kind": "silence"} in scenarios:
            wait_until(lambda: sandbox.streams["bybit"].connects > 2)
        latest_ms = sandbox.clock.now_ms()
        sandbox.scenarios.clear()
        truth.wait(latest_ms + MINUTE_MS)
        assert all(each.hits for each in played), played
        return truth.faults(since_ms=live_ms)


@pytest.mark.parametrize("drill", DRILLS)
def test_whatever_goes_wrong_it_ends_complete_and_true(redis, drill):
    assert after(redis, DRILLS[drill]) == []


def test_minutes_without_rows_and_frames_are_no_holes_in_the_end(redis):
    """As the sandbox has it by default is tried above: rows and frames of all minutes."""
    quiet = {"bybit_fills": False, "bybit_streams_quiet": False}
    assert after(redis, [CUT], TradedTruth, minutes=5, **quiet) == []
