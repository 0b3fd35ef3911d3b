"""Redis goes away, hangs, comes back empty: that is told, what else can be seen is told too."""

import threading

import pytest
from django.db import connections

from alerts.evaluating.service import AlertService
from alerts.events.sources import all_sources
from alerts.models import AlertRule
from exchanges.redis.client import make_client
from livermore.market import keys
from tests.alerts.test_killed import add_symbols, become
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.runners import end, processes, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own_redis(tmp_path):
    with OwnRedis(tmp_path) as found:
        yield found


def evaluate(service):
    try:
        service.run()
    finally:
        connections.close_all()


@pytest.fixture
def service(own_redis):
    with make_client(own_redis.server.url) as client:
        found = AlertService(client, all_sources(), step_seconds=0.1)
        thread = threading.Thread(target=evaluate, args=(found,))
        thread.start()
        wait_until(lambda: not found.why_not_well())
        yield found
        found.stop()
        thread.join(15)


def test_a_redis_that_is_gone_is_told_and_what_the_database_knows_too(
    own_redis, service, channel, receiver, no_rules
):
    for what in ("redis_away", "halted", "lock_lost"):
        AlertRule.objects.create(what=what, channel=channel, threshold=0, cool_down=0)
    add_symbols()
    own_redis.stop()
    wait_until(lambda: len(receiver.told) == 1)
    become("halted", "BTC-USD")
    wait_until(lambda: len(receiver.told) == 2)
    own_redis.start()
    wait_until(lambda: len(receiver.told) == 3)
    away, halted, back = receiver.messages
    assert away.startswith("Livermore: Redis does not answer: ")
    assert halted == "sandbox: BTC-USD: it is halted"
    assert back.startswith("Over after ") and back.endswith(away)


def test_it_ends_in_order_and_gives_its_turn_back(redis, db):
    with processes() as start:
        evaluator = start("alerts")
        wait_until(lambda: redis.exists(keys.alerts_turn()))
        status, said, fault = end(evaluator)
    assert (status, fault) == (0, "")
    assert said.startswith("Alerts: looking at what there is to tell")
    assert not redis.exists(keys.alerts_turn())
