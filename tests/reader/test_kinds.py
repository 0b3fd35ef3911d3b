"""Perpetuals and names in small letters, read over Redis and over `serve`."""

import json

import livermore_reader
import pytest
from livermore_reader.asking import names_of, spelled

from livermore.market import keys
from tests.conftest import SERVER
from tests.reader.conftest import TOLD
from tests.serving.conftest import Filled, FixedDirectory, say_streamed
from tests.serving.serving import served
from tests.serving.test_kinds import MIXED

SYMBOLS = ["BTC-USDT", "BTC-USDT-PERP", "kPEPE-USDT-PERP"]


@pytest.fixture(params=["redis", "http"])
def reader(request, redis):
    say_streamed(redis)
    redis.hset(keys.exchanges(), "sandbox", json.dumps(TOLD | {"symbols": SYMBOLS}))
    if request.param == "redis":
        with livermore_reader.connect(SERVER.url) as found:
            yield found
        return
    with (
        served(redis, directory=FixedDirectory(MIXED)) as url,
        livermore_reader.connect(url) as found,
    ):
        yield found


@pytest.mark.parametrize("name", ["kPEPE-USDT-PERP", "kpepe/usdt/perp", "KPEPEUSDT_PERP"])
def test_it_is_found_by_each_of_its_names(redis, reader, name):
    filled = Filled(redis, "kPEPE-USDT-PERP")
    found = reader.read("sandbox", name, "1h", 3)
    assert found.symbol == "kPEPE-USDT-PERP"
    assert found.rows[-1][0] == filled.candles[-1].timestamp


def test_a_word_is_the_spot_market(redis, reader):
    Filled(redis, "BTC-USDT")
    assert reader.read("sandbox", "btcusdt", "1h", 3).symbol == "BTC-USDT"


def test_of_two_that_differ_in_letters_alone_neither_is_guessed():
    names = names_of(["kPEPE-USD", "KpEPE-USD"])
    assert spelled("kpepe-usd", names) is None
    assert spelled("kPEPE-USD", names) == "kPEPE-USD"
