"""All exchanges that are known from the start, live at once and cut every minute of their time,
know of every candle, and told every close once and in order.

Each has what it lists of three coins, one of them quiet, as spot and as perpetuals where it has
both, in six timeframes, from one sandbox, whose protocols differ and whose prices are the same. A
new one is among them as soon as a venue has a preset of it. Ten minutes of theirs are one of ours,
and they are called at the pace that they publish for ours.
`tests/exchanges/venues/test_both.py` has what is true of candles of each in every run of the tests.
"""

from collections import Counter

import pytest

from exchanges.lock.status import read_status
from exchanges.presets import presets
from exchanges.stream import connection, lane
from exchanges.venues import VENUES
from livermore.market.timeframe import Timeframe
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    Comparison,
    Running,
    chosen,
    events_of,
    hurry,
    make_row,
    serve,
    wait_for_time,
)

QUICK = {"minutes": 2, "names": ["binance"], "speed": 20}
COINS = ["BTC-USD", "ETH-USD", "AERO-USD"]
BASES = ("BTC", "ETH", "AERO")
NOT_REAL = "sandbox"
LEAD_MS = 2 * MINUTE_MS
LIVE_WITHIN_SECONDS, HEALS_WITHIN_SECONDS = 240, 120
CUT_EVERY_SECONDS = 57  # of theirs: it falls upon every moment of a minute
SILENCE_SECONDS = 5  # a heartbeat comes each second of ours
GOOD_LIFE_SECONDS = 1  # as they are cut so often, delays may begin anew so early


def run(redis, folder, minutes=60, names=None, speed=10):
    names = names or [name for name in presets() if name != NOT_REAL]
    numbers, faults, started = {}, [], []
    with pytest.MonkeyPatch.context() as patch, _served(patch, speed) as sandbox:
        try:
            started += [Live(redis, sandbox, name) for name in names]
            for live in started:
                faults += faults_of(live.name, live.begin)
            cut = sandbox.scenarios.add("drop", every=CUT_EVERY_SECONDS / speed)
            wait_for_time(sandbox, sandbox.clock.now_ms() + minutes * MINUTE_MS, 120 * minutes)
            numbers["cuts"] = cut.hits
            sandbox.scenarios.clear()
            for live in started:
                faults += faults_of(live.name, live.compare)
                numbers |= live.numbers()
        finally:
            for live in started:
                live.running.stop()
    return Outcome(
        f"A runner each of {', '.join(names)}, for {minutes} minutes of their time, midnight among "
        "them; all connections were cut each minute of it.",
        numbers,
        faults,
    )


def _served(patch, speed):
    hurry(patch)
    patch.setattr(lane, "GOOD_LIFE_SECONDS", GOOD_LIFE_SECONDS)
    patch.setattr(lane, "LEAST_SILENCE_SECONDS", SILENCE_SECONDS)
    patch.setattr(connection, "SILENCE_SECONDS", SILENCE_SECONDS)
    begins_ms = MIDNIGHT_MS - 20 * MINUTE_MS
    return serve(start_ms=begins_ms, speed=speed, listings=chosen(COINS))


class Live:
    """One exchange, live in threads of this process, and what it should have."""

    def __init__(self, redis, sandbox, name):
        self.name = name
        self._redis, self._sandbox = redis, sandbox
        self._row = make_row(sandbox, name)
        if calls := VENUES[self._row.venue].calls:
            self._row.batch_size, self._row.batch_delay_ms = calls.batch_size, calls.batch_delay_ms
            self._row.save()
        listed = self._row.symbols.filter(status="trading", base__in=BASES)
        self._symbols = sorted(listed.values_list("symbol", flat=True))
        self._row.symbols.filter(symbol__in=self._symbols).update(is_monitored=True)
        self._truth = Comparison(redis, sandbox, self._row, self._symbols)
        self._live_ms = 0
        self.running = Running(redis, self._row, self._symbols)

    def begin(self):
        """Wait until it is live and complete."""
        self.running.wait_until_live(LIVE_WITHIN_SECONDS)
        self._truth.wait(self._sandbox.clock.now_ms(), LIVE_WITHIN_SECONDS)
        self._live_ms = self._sandbox.clock.now_ms()
        return []

    def compare(self):
        """Wait until all is healed; return what is not so."""
        self._truth.wait(self._sandbox.clock.now_ms() + MINUTE_MS, HEALS_WITHIN_SECONDS)
        return self._truth.faults(since_ms=self._live_ms)

    def numbers(self):
        told, healed = Counter(), 0
        for (_, timeframe), events in events_of(self._redis, self._row.pk).items():
            told[timeframe] += len(events)
            healed += sum(event["healed"] for event in events)
        details = read_status(self._redis, self._row.pk).details
        return {
            f"{self.name}: symbols": len(self._symbols),
            f"{self.name}: closes told": told.total(),
            f"{self.name}: of these of a day": told[str(Timeframe.D1)],
            f"{self.name}: healed": healed,
            f"{self.name}: reconnects": details["reconnects"],
        }
