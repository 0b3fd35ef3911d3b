"""From an exchange that goes wrong to a message at a receiver: each once, and its end once."""

import threading

import pytest

from alerts.evaluating.service import AlertService
from alerts.events.candles import Candles
from alerts.events.server import Server
from alerts.models import AlertRule, Delivery
from exchanges.models import Exchange
from livermore.market import keys
from tests.warmup.runners import make_row, running, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def evaluated(redis):
    """Evaluate in a thread, often."""
    service = AlertService(redis, [Server(), Candles(0)], step_seconds=0.1)
    thread = threading.Thread(target=service.run)
    thread.start()
    yield service
    service.stop()
    thread.join(10)


def test_holes_ring_once_and_their_end_once(redis, channel, receiver, no_rules, evaluated):
    AlertRule.objects.create(what="hole", threshold=0, cool_down=0, channel=channel)
    with serve(speed=0) as sandbox:
        row = make_row(sandbox)
        Exchange.objects.filter(pk=row.pk).update(wanted="running")
        wait_until(lambda: receiver.told)  # it is cold, and nobody runs it yet
        with running(redis, row):
            wait_until(lambda: len(receiver.told) == 2)
            redis.set(keys.coverage(row.pk, "BTC-USD", "1h"), b"[]")  # the runner heals that
            wait_until(lambda: len(receiver.told) == 4)
    cold, warm, broken, healed = receiver.messages
    assert cold.startswith("18 pairs of sandbox have holes: BTC-USD 15m, BTC-USD 1d, ")
    assert warm.startswith("Over after ") and warm.endswith(cold)
    assert broken == "sandbox: BTC-USD 1h: 100 candles missing"
    assert healed.startswith("Over after ") and healed.endswith(broken)
    wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 4)
    assert len({key for key, _ in receiver.told}) == 4
