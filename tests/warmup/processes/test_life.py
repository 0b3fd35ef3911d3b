"""One exchange's life, of a runner that is played."""

import pytest

from exchanges.lock.lease import LostByRedis
from exchanges.models import Exchange, Symbol
from warmup.processes import life as life_module
from warmup.processes.life import Life, Order
from warmup.runner.moving import losses

pytestmark = pytest.mark.django_db


@pytest.fixture
def begun(monkeypatch):
    """Return the runners that were begun: each has the exchange for a turn, then Redis loses it."""
    begun = []

    class Runner:
        instance_id = "held"

        def __init__(self, *_arguments, **_options):
            begun.append(self)

        def turns(self, *_arguments):
            yield False
            raise LostByRedis("Redis lost it")

        def leave(self):
            """It streams: it goes on until somebody else has it."""

        def stop(self):
            """Nothing but turns goes on."""

    monkeypatch.setattr(life_module, "ExchangeRunner", Runner)
    monkeypatch.setattr(losses, "SECONDS_BETWEEN_TRIES", 0)
    return begun


@pytest.fixture
def life(redis):
    row = Exchange.objects.get(name="sandbox")
    Symbol.objects.create(
        exchange=row,
        symbol="BTC-USD",
        native_symbol="BTCUSD",
        base="BTC",
        quote="USD",
        is_monitored=True,
    )
    return Life(redis, row, Order(), lambda text: None)


def test_what_redis_lost_is_begun_anew(life, begun):
    turns = life.turns(0)
    assert [next(turns), next(turns), next(turns)] == [False, True, False]
    assert len(begun) == 2


def test_what_redis_loses_while_it_is_left_to_others_is_not_begun_anew(life, begun):
    turns = life.turns(0)
    assert next(turns) is False
    life.leave()
    assert list(turns) == [True]
    assert len(begun) == 1
