"""Everything that the sandbox can make go wrong, each with the same ending."""

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    SYMBOLS,
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

SPEED = 120
CUT = {"kind": "drop", "every": 0.2, "times": 1}
REFUSED = {"kind": "refuse_subscription", "symbol": "BTC-USD"}
BINANCE = {
    "drop": [{"kind": "drop", "every": 0.7}],
    "refuse": [{"kind": "refuse"}, CUT],
    "silence": [{"kind": "silence"}],
    "pong-only": [{"kind": "pong_only"}],
    "answers-only": [{"kind": "answers_only"}],
    "early-cut": [{"kind": "early_cut", "every": 0.2, "times": 1, "delay": 0.5}],
    "rest-429": [{"kind": "rest_429"}, CUT],
    "rest-418": [{"kind": "rest_418"}, CUT],
    "rest-403": [{"kind": "rest_403"}, CUT],
    "rest-holes": [{"kind": "rest_holes", "chance": 0.2}],
    "slow": [{"kind": "slow", "delay": 0.4}, CUT],
    "skew-ahead": [{"kind": "skew", "ms": 5000}],
    "skew-behind": [{"kind": "skew", "ms": -5000}],
    "silent-symbol": [{"kind": "silent_symbol"}],
    "malformed": [{"kind": "malformed", "chance": 0.3}],
    "loss": [{"kind": "loss", "chance": 0.3}],
    "duplicates": [{"kind": "duplicates", "chance": 0.5}],
    "reordering": [{"kind": "reordering", "chance": 0.5}],
    "late-close": [{"kind": "late_close"}],
    "missing-close": [{"kind": "missing_close"}],
    "ack-without-data": [{"kind": "ack_without_data"}, CUT],
    "ack-without-data-of-one": [{"kind": "ack_without_data", "symbol": "ETH-USD"}, CUT],
    "halted": [{"kind": "halted"}],
    "delisted": [{"kind": "delisted"}],
    "halted-and-cut": [{"kind": "halted"}, CUT, {"kind": "slow", "delay": 0.2}],
    "refused": [REFUSED | {"way": "error"}, CUT],
    "refused-silently": [REFUSED | {"way": "silent"}, CUT],
    "left-out": [REFUSED | {"way": "left_out"}, CUT],
    "no-tickers": [{"kind": "no_tickers"}],
    "rest-empty": [{"kind": "rest_empty", "chance": 0.3}, CUT],
    "rest-late": [{"kind": "rest_late"}, CUT],
    "rest-late-stale": [{"kind": "rest_late", "way": "stale"}, CUT],
    "frame-time": [{"kind": "frame_time", "chance": 0.1}],
    "early-close": [{"kind": "early_close"}],
    "early-close-of-the-next": [{"kind": "early_close", "way": "later"}],
    "versions": [{"kind": "versions"}],
    "no-untraded-close": [{"kind": "no_untraded_close"}],
    "nothing-to-trust": [
        {"kind": "drop", "every": 1.1},
        {"kind": "rest_empty", "chance": 0.3},
        {"kind": "rest_late"},
        {"kind": "frame_time", "chance": 0.1},
        {"kind": "early_close"},
        {"kind": "versions"},
        {"kind": "late_close", "symbol": "SOL-USD"},
    ],
    "all-at-once": [
        {"kind": "drop", "every": 1.1},
        {"kind": "loss", "chance": 0.1},
        {"kind": "malformed", "chance": 0.1},
        {"kind": "reordering", "chance": 0.3},
        {"kind": "duplicates", "chance": 0.3},
        {"kind": "late_close", "symbol": "SOL-USD"},
        {"kind": "slow", "delay": 0.1},
    ],
}
VENUES = {"sandbox": "binance", "coinbase": "coinbase"}
RECONNECTS = {"drop", "refuse", "silence", "pong-only", "early-cut", "ack-without-data"}
NOTICED = {"silence", "pong-only"}  # only after a while
COINBASE = [
    *("drop", "silence", "silent-symbol", "malformed", "loss", "reordering", "skew-ahead"),
    *("halted", "delisted", "rest-403"),
    *("pong-only", "answers-only", "refused", "refused-silently", "left-out"),
    *("rest-empty", "rest-late", "rest-late-stale", "frame-time"),
]
# The latter two are not traded in the third and the fourth minute of the day.
QUIET = ["BTC-USD", "AERO-USD", "DASH-USD"]


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    hurry(monkeypatch)


def after_it_is_lifted(redis, name, drill, symbols=SYMBOLS):
    """Play a drill over midnight; return what is wrong a minute or two after it ended."""

    def look(sandbox, played):
        assert all(each.hits for each in played)
        assert (sandbox.streams[VENUES[name]].connects > 1) >= (drill in RECONNECTS)

    def is_over(sandbox):
        return drill not in NOTICED or sandbox.streams[VENUES[name]].connects > 1

    return after_playing(redis, name, BINANCE[drill], symbols, is_over=is_over, look=look)


def after_playing(
    redis,
    name,
    scenarios,
    symbols,
    *,
    restarts=False,
    is_over=lambda sandbox: True,
    look=lambda sandbox, played: None,
):
    """Play scenarios until `is_over`; `restarts`: the runner ends meanwhile, and another goes on.

    `look` gets the sandbox, and the scenarios that were in force.
    """
    with serve(speed=SPEED, listings=chosen(symbols)) as sandbox, ExitStack() as runner:
        row = make_row(sandbox, name, symbols)
        truth = Comparison(redis, sandbox, row, symbols)
        runner.enter_context(running(redis, row, symbols))
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        played = [sandbox.scenarios.add(**each) for each in scenarios]
        until_ms = max(MIDNIGHT_MS, live_ms + MINUTE_MS) + 3 * MINUTE_MS // 2
        if symbols == QUIET:
            until_ms = max(until_ms, MIDNIGHT_MS + 9 * MINUTE_MS // 2)
        if restarts:
            wait_for_time(sandbox, until_ms - MINUTE_MS)
            runner.close()
            runner.enter_context(running(redis, row, symbols))
        wait_for_time(sandbox, until_ms)
        wait_until(lambda: is_over(sandbox))
        latest_ms = sandbox.clock.now_ms()  # of a clock that may be about to go back
        sandbox.scenarios.clear()
        truth.wait(latest_ms + MINUTE_MS)
        look(sandbox, played)
        return truth.faults(since_ms=live_ms)


@pytest.mark.parametrize("drill", BINANCE)
def test_binance_ends_complete_and_true(redis, drill):
    symbols = QUIET if drill == "no-untraded-close" else SYMBOLS
    assert after_it_is_lifted(redis, "sandbox", drill, symbols) == []


@pytest.mark.parametrize("drill", COINBASE)
def test_coinbase_ends_complete_and_true(redis, drill):
    assert after_it_is_lifted(redis, "coinbase", drill, QUIET) == []


# What may come together with anything else: it ends, and lets a runner begin.
DRAWN = {
    "sandbox": [
        *("drop", "rest-empty", "rest-late", "rest-late-stale", "frame-time", "early-close"),
        *("early-close-of-the-next", "versions", "loss", "malformed", "reordering", "duplicates"),
        *("late-close", "missing-close", "silent-symbol", "left-out", "no-tickers", "slow"),
    ],
    "coinbase": [
        *("drop", "rest-empty", "rest-late", "rest-late-stale", "frame-time", "loss", "malformed"),
        *("reordering", "silent-symbol", "left-out", "slow"),
    ],
}


@st.composite
def nights(draw):
    """Draw an exchange and what goes wrong on it."""
    name = draw(st.sampled_from(sorted(DRAWN)))
    drills = draw(st.lists(st.sampled_from(DRAWN[name]), min_size=2, max_size=5, unique=True))
    return name, drills, draw(st.booleans())


# To shrink a night that failed would take minutes: nights are played in real time, and short.
PHASES = [phase for phase in Phase if phase is not Phase.shrink]


@pytest.mark.timeout(300)  # a night takes up to half a minute, and is played again where it fails
@settings(max_examples=8, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(nights())
def test_whatever_comes_together_with_cuts_and_restarts_it_ends_complete_and_true(redis, night):
    name, drills, restarts = night
    redis.flushall()
    scenarios = [scenario for drill in drills for scenario in BINANCE[drill]]
    symbols = QUIET if name == "coinbase" else SYMBOLS
    assert after_playing(redis, name, scenarios, symbols, restarts=restarts) == []
