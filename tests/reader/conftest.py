"""A reader of the tests' Redis, in which an exchange is told as an agent tells it."""

import json

import livermore_reader
import pytest

from exchanges.venues import VENUES
from livermore.market import keys
from tests.conftest import SERVER
from tests.serving.conftest import ROW

TOLD = {
    "id": ROW.exchange_id,
    "displayName": "Sandbox",
    "venue": "binance",
    "lagMs": VENUES["binance"].lag_ms,
    "symbols": ["BTC-USD", "ETH-USD"],
}


@pytest.fixture
def told(redis):
    redis.hset(keys.exchanges(), ROW.name, json.dumps(TOLD))
    return TOLD


@pytest.fixture
def lm(redis, told):
    with livermore_reader.connect(SERVER.url) as reader:
        yield reader
