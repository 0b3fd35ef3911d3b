"""What the Signals page comes with."""

import orjson
import pytest
from redis.exceptions import ConnectionError

from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.network.views.addresses import JSON, url
from warmup.network.signals import snapshot

pytestmark = pytest.mark.django_db


def told(browser, row):
    """Return what is told of an exchange."""
    answer = browser.get(url("signals"), headers={"Accept": JSON}).json()
    [found] = [each for each in answer["exchanges"] if each["exchangeId"] == row.pk]
    return found


def test_it_comes_with_all_that_is_known(redis, row, browser):
    now_ms = redis.time()[0] * 1000
    opened = Timeframe.H1.floor(now_ms) - Timeframe.H1.ms
    stored = {"value": 12.34, "stage": "ranging", "timestamp": opened}
    redis.set(keys.indicator(row.pk, "ETH-USD", "1h"), orjson.dumps(stored))
    found = told(browser, row)
    assert found["symbols"] == ["BTC-USD", "ETH-USD"]
    assert found["cells"][0] == [[None, ""]] * 6
    assert found["cells"][1][3] == [12.3, "gp"]
    assert (found["prices"], found["away"], found["version"]) == ({}, False, 0)
    page = browser.get(url("signals"))
    assert page.context["signals"]["exchanges"]
    assert b'id="signals-data"' in page.content


def test_without_redis_nothing_is_known(row, browser, monkeypatch):
    def fail(*arguments, **options):
        raise ConnectionError("gone")

    for name in ("read_agents", "read_exchange"):
        monkeypatch.setattr(snapshot, name, fail)
    found = told(browser, row)
    assert found["away"] is True
    assert found["cells"] == [[[None, ""]] * 6] * 2
    assert browser.get(url("signals")).status_code == 200


def test_what_nobody_expects_of_one_exchange_is_that_ones_alone(row, browser, monkeypatch):
    def fail(*arguments, **options):
        raise ValueError("what is this")

    monkeypatch.setattr(snapshot, "read_exchange", fail)
    found = told(browser, row)
    assert (found["away"], found["symbols"]) == (True, ["BTC-USD", "ETH-USD"])
    assert "a fault of Livermore's own" in found["stateText"]
