"""A runner that goes on where another one died, without looking through everything first."""

import orjson
import pytest
from django.db import connections

from exchanges.lock.status import State, Status
from livermore.market import keys
from tests.warmup.network.operators import holder_of
from tests.warmup.runners import Comparison, Running, make_row, serve
from warmup.runner import runner as runner_module

pytestmark = pytest.mark.django_db(transaction=True)


class GoingOn(Running):
    def _run(self):
        try:
            self.runner.run(goes_on=True)
        except Exception as error:
            self.error = error
        finally:
            connections.close_all()


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_who_goes_on_streams_at_once_and_tells_what_closed_meanwhile(redis, monkeypatch, name):
    with serve(speed=20) as sandbox:
        row = make_row(sandbox, name)
        truth = Comparison(redis, sandbox, row)
        dead = Running(redis, row).wait_until_live()
        truth.wait(sandbox.clock.now_ms())
        holder = holder_of(redis, row)
        dead.stop()
        last = Status(State.ACTIVE, "streaming", holder=holder)  # as one that was killed leaves it
        redis.set(keys.status(row.pk), orjson.dumps(last.as_json()), px=45_000)
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
