"""A reversal drawn into an exchange's prices rings, once, on the close where it is by hand."""

import itertools
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from alerts.evaluating.service import AlertService
from alerts.models import AlertRule, SignalState
from alerts.signals.source import Signals
from exchanges.models import Exchange
from livermore.market.timeframe import MINUTE_MS
from tests.warmup.runners import MIDNIGHT_MS, make_row, running, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

START_MS = MIDNIGHT_MS + 6 * 3_600_000
BEFORE, UNTIL_DROP, AFTER = 200, 15, 40  # minutes
# The price goes to and fro by 1, drops from about 100 to 90, and goes to and fro there.
CLOSES = [100.0 + at % 2 for at in range(BEFORE + UNTIL_DROP)]
CLOSES += [90.0 + at % 2 for at in range(AFTER)]
FIRST_MS = START_MS - BEFORE * MINUTE_MS


def by_hand(closes):
    """Yield MACD-V, its signal and the histogram of each close from the 35th on.

    A bar goes from the close before to its own, so the true range is the distance between them.
    """
    fast, slow = sum(closes[:12]) / 12, sum(closes[:26]) / 26
    for close in closes[12:26]:
        fast += (close - fast) * 2 / 13
    ranges = [abs(after - before) for before, after in itertools.pairwise(closes)]
    atr = sum(ranges[:26]) / 26  # as of the 27th close
    values, signal = [], None
    for at in range(26, len(closes)):
        fast += (closes[at] - fast) * 2 / 13
        slow += (closes[at] - slow) * 2 / 27
        if at > 26:
            atr += (ranges[at - 1] - atr) / 26
        value = 100 * (fast - slow) / atr
        values.append(value)
        if len(values) == 9:
            signal = sum(values) / 9
        elif signal is not None:
            signal += (value - signal) * 2 / 10
        if signal is not None:
            yield at, value, signal, value - signal


def expected():
    """Return when -150, -200 and the reversal are, as messages say it."""
    found, numbers = {}, list(by_hand(CLOSES))
    for (_, before, *_, histogram_before), (at, value, _, histogram) in itertools.pairwise(numbers):
        for level in (-150, -200):
            if before >= level > value:
                found.setdefault(level, at)
        turned = histogram > 0.05 * abs(value) and histogram_before <= 0.05 * abs(before)
        if value < -150 and turned:
            found.setdefault("turns", at)
    times = {
        name: datetime.fromtimestamp((FIRST_MS + (at + 1) * MINUTE_MS) / 1000, UTC)
        for name, at in found.items()
    }
    return {name: f"closed {time:%Y-%m-%d %H:%M} UTC" for name, time in times.items()}


@contextmanager
def evaluated(redis):
    service = AlertService(redis, [Signals()], step_seconds=0.1)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield
    finally:
        service.stop()
        thread.join(10)


def test_a_reversal_drawn_into_the_prices_rings_where_it_is_by_hand(
    redis, channel, receiver, no_rules
):
    for what in ("level", "reversal"):
        AlertRule.objects.create(
            what=what, symbols=["BTC-USD"], timeframes=["1m"], cool_down=0, channel=channel
        )
    with serve(speed=150, start_ms=START_MS) as sandbox:
        sandbox.market.draw("BTC-USD", FIRST_MS, CLOSES)
        row = make_row(sandbox, symbols=["BTC-USD"])
        Exchange.objects.filter(pk=row.pk).update(wanted="running")
        with running(redis, row, ["BTC-USD"]):
            with evaluated(redis):
                wait_until(SignalState.objects.exists)
                assert sandbox.clock.now_ms() < START_MS + UNTIL_DROP * MINUTE_MS
                wait_until(lambda: len(receiver.told) == 2)
            with evaluated(redis):  # another one takes over
                wait_until(lambda: len(receiver.told) == 3)
                turned_ms = sandbox.clock.now_ms()
                wait_until(lambda: sandbox.clock.now_ms() > turned_ms + 3 * MINUTE_MS)
    at = expected()
    first, second, third = receiver.messages
    assert first.startswith("sandbox: BTC-USD 1m: MACD-V is beyond -150") and at[-150] in first
    assert second.startswith("sandbox: BTC-USD 1m: MACD-V is beyond -200") and at[-200] in second
    assert (
        third.startswith("sandbox: BTC-USD 1m: the extreme move turns up") and at["turns"] in third
    )
    assert all("inputs complete" in message for message in receiver.messages)
    assert all(len(pictures) == 1 for pictures in receiver.pictures)
