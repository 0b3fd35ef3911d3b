"""A runner that goes on where another one died, without looking through everything first."""

import orjson
import pytest
from django.db import connections

from exchanges.lock.status import Holder, State, Status
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import holder_of
from tests.warmup.runners import (
    MIDNIGHT_MS,
    SYMBOLS,
    Comparison,
    Running,
    events_of,
    make_row,
    serve,
    wait_until,
)
from warmup.runner import runner as runner_module
from warmup.runner.runner import ExchangeRunner

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = Holder("before", 1, "elsewhere", "10.0.0.2", 1, MIDNIGHT_MS)


class GoingOn(Running):
    def _run(self):
        try:
            self.runner.run(goes_on=True)
        except Exception as error:
            self.error = error
        finally:
            connections.close_all()


def leave_status(redis, row, holder):
    """Write the last word of a holder that was killed while it streamed."""
    last = Status(State.ACTIVE, "streaming", holder=holder)
    redis.set(keys.status(row.pk), orjson.dumps(last.as_json()), px=45_000)


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_who_goes_on_streams_at_once_and_tells_what_closed_meanwhile(redis, monkeypatch, name):
    with serve(speed=20) as sandbox:
        row = make_row(sandbox, name)
        truth = Comparison(redis, sandbox, row)
        dead = Running(redis, row).wait_until_live()
        truth.wait(sandbox.clock.now_ms())
        holder = holder_of(redis, row)
        dead.stop()
        leave_status(redis, row, holder)
        truth_ms = sandbox.clock.now_ms()
        monkeypatch.setattr(runner_module, "SmartWarmupService", None)  # it is not to be called
        one = GoingOn(redis, row)
        try:
            one.wait_until_live()
            truth.wait(truth_ms + 2 * 60_000)
            assert truth.faults() == []
        finally:
            one.stop()
        assert one.error is None


def test_at_another_pace_no_close_right_after_it_went_on_is_left_to_rest(redis, monkeypatch):
    go_on, ends_ms = ExchangeRunner._go_on, []

    def go_on_just_before_a_close(self, *arguments):
        ends_ms.append(Timeframe.M1.ceil(sandbox.clock.now_ms() + 5000))
        wait_until(lambda: sandbox.clock.now_ms() >= ends_ms[0] - 5000)
        return go_on(self, *arguments)

    def closes():
        pairs = events_of(redis, row.pk).items()
        return [e for (_, timeframe), events in pairs if timeframe == "1m" for e in events]

    monkeypatch.setattr(ExchangeRunner, "_go_on", go_on_just_before_a_close)
    with serve(speed=5, start_ms=MIDNIGHT_MS - 10_000) as sandbox:
        row = make_row(sandbox)
        leave_status(redis, row, BEFORE)
        one = GoingOn(redis, row)
        try:
            wait_until(lambda: len(closes()) == len(SYMBOLS))
        finally:
            one.stop()
    assert {each["timestamp"] for each in closes()} == {ends_ms[0] - Timeframe.M1.ms}
    assert not any(each["healed"] for each in closes())


def test_told_to_stop_before_the_exchange_has_answered_it_ends(redis):
    with serve() as sandbox:
        row = make_row(sandbox)
        leave_status(redis, row, BEFORE)
        slow = sandbox.scenarios.add("slow", delay=12)
        one = GoingOn(redis, row)
        wait_until(lambda: slow.hits)
        one.stop()
    assert one.error is None
