"""Whatever goes wrong with a stream, afterwards every candle is there and true, and every close
was told once and in order; of a cut of any length, too.

The sandbox plays each of its scenarios over midnight, when bars of all six timeframes close, and
then cuts the streams for as long as it says, midnight somewhere within the cut; the long ones are
slept through by its clock, which leaps. What is stored and told is compared with its truth.
Coinbase's protocol has no closing frames, and there a row that REST leaves out says that nothing
was traded, so scenarios of these are played in Binance's alone.
`tests/warmup/live/test_scenarios.py` plays the scenarios in every run of the tests, and
`tests/warmup/live/test_outages.py` a cut of fifteen hours.
"""

from collections import Counter
from random import Random

import pytest

from exchanges.models import Exchange
from livermore.market.timeframe import Timeframe
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.live.test_scenarios import BINANCE, after_it_is_lifted
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    chosen,
    events_of,
    hurry,
    make_row,
    running,
    serve,
    wait_for_time,
    wait_until,
)

QUICK = {"drills": [], "venues": ["coinbase"], "cuts": [40]}
BINANCE_ALONE = ("rest-holes", "late-close", "missing-close", "all-at-once")
SEED = 20261123
VENUES = {"sandbox": SYMBOLS, "coinbase": ["BTC-USD", "ETH-USD", "AERO-USD"]}  # one of them quiet
# How long, in seconds of the exchange's time.
CUTS = [1, 5, 15, 40, 60, 90, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600]
LONGEST_UNSLEPT_SECONDS = 120
LEAD_MS = 9 * MINUTE_MS  # of the clock, for a runner to be live; what is left of it is leapt over


def run(redis, folder, drills=None, venues=tuple(VENUES), cuts=CUTS):
    faults, counted, rng, lasted = [], Counter(), Random(SEED), []
    drills = list(BINANCE) if drills is None else drills
    played = 0
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        for name in venues:
            for drill in [each for each in drills if _is_there(each, name)]:
                played += 1
                redis.flushall()
                title = f"{drill}, {name}"
                faults += faults_of(title, after_it_is_lifted, redis, name, drill, VENUES[name])
                counted += _closes(redis)
            for seconds in cuts:
                redis.flushall()
                title = f"cut of {seconds} s, {name}"
                faults += faults_of(title, cut, redis, name, seconds, rng.random(), lasted)
                counted += _closes(redis)
    return Outcome(
        f"Three symbols in six timeframes, {' and '.join(venues)}. Scenarios: "
        f"{', '.join(drills) or 'none'}. Cuts, in seconds of the exchange's time: "
        f"{', '.join(map(str, cuts)) or 'none'}.",
        {"scenarios played": played, "cuts": len(lasted)}
        | numbers_of(lasted)
        | {f"closes told, {timeframe}": counted[str(timeframe)] for timeframe in Timeframe}
        | {"of these healed": counted["healed"]},
        faults,
    )


def numbers_of(lasted):
    """Return what is known of cuts: how long one was to last, when it began and when it ended."""
    if not lasted:
        return {}
    shares = [(end_ms - begin_ms) / 1000 / seconds for seconds, begin_ms, end_ms in lasted]
    over_midnight = [begin_ms < MIDNIGHT_MS <= end_ms for _, begin_ms, end_ms in lasted]
    return {
        "of these over midnight": sum(over_midnight),
        "shortest cut, as a share of what it was to last": min(shares),
        "longest cut, as a share of what it was to last": max(shares),
    }


def _is_there(drill, name):
    return name == "sandbox" or drill not in BINANCE_ALONE


def cut(redis, name, seconds, before, lasted):
    """Cut the streams so long; return what is wrong after it.

    The share `before` of the cut is over at midnight. How it was is added to `lasted`.
    """
    speed = min(60, max(2, seconds / 2))
    begins_ms = MIDNIGHT_MS - int(1000 * seconds * before)
    ends_ms = begins_ms + 1000 * seconds
    symbols = VENUES[name]
    with serve(start_ms=begins_ms - LEAD_MS, speed=speed, listings=chosen(symbols)) as sandbox:
        row = make_row(sandbox, name, symbols)
        truth = Comparison(redis, sandbox, row, symbols)
        with running(redis, row, symbols):
            truth.wait(sandbox.clock.now_ms())
            live_ms = sandbox.clock.now_ms()
            sandbox.clock.advance(max(0, begins_ms - live_ms - int(1000 * speed)))
            assert sandbox.clock.now_ms() < begins_ms, "this machine is too slow for it"
            wait_for_time(sandbox, begins_ms)
            lasted.append((seconds, *_keep_away(sandbox, row, ends_ms, seconds)))
            truth.wait(ends_ms + MINUTE_MS)
            return truth.faults(since_ms=live_ms)


def _keep_away(sandbox, row, ends_ms, seconds):
    """Cut all connections and refuse new ones until the exchange's clock says `ends_ms`.

    Returns when there was no connection any more, and when there was one again.
    """
    streams = sandbox.streams[row.venue]
    sandbox.scenarios.add("refuse")
    sandbox.scenarios.add("drop")
    wait_until(lambda: not streams.open)
    began_ms = sandbox.clock.now_ms()
    if seconds > LONGEST_UNSLEPT_SECONDS:
        sandbox.clock.advance(ends_ms - sandbox.clock.now_ms() - MINUTE_MS)
    wait_for_time(sandbox, ends_ms)
    sandbox.scenarios.clear()
    wait_until(lambda: streams.open)
    ended_ms = sandbox.clock.now_ms()
    sandbox.clock.advance(MINUTE_MS)  # so that what is slow by now takes no minute of ours
    return began_ms, ended_ms


def _closes(redis):
    """Count what was told of all exchanges, by timeframe."""
    counted = Counter()
    for row in Exchange.objects.all():
        for (_, timeframe), events in events_of(redis, row.pk).items():
            counted[timeframe] += len(events)
            counted["healed"] += sum(event["healed"] for event in events)
    return counted
