"""Perpetuals and names in small letters, read over Redis and over `serve`."""

import json

import livermore_reader
import pytest
from livermore_reader.asking import names_of, spelled

from exchanges.models import Exchange
from exchanges.redis.directory import publish_exchanges
from history.places.folder import Folder
from history.store import HistoryStore
from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
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


@pytest.mark.parametrize("symbol", ["GONE-USD", "kGONE-USD"])
def test_what_is_not_kept_any_more_is_read_by_its_name(redis, symbol):
    redis.hset(keys.exchanges(), "sandbox", json.dumps(TOLD))
    Filled(redis, symbol)
    typed = symbol.lower() if symbol.isupper() else symbol
    with livermore_reader.connect(SERVER.url) as lm:
        assert lm.read("sandbox", typed, "1h", 2).symbol == symbol


@pytest.mark.django_db(transaction=True)
def test_files_of_history_are_found_by_the_letters_of_a_name(redis, tmp_path, settings):
    settings.HISTORY = str(tmp_path)
    row = Exchange.objects.get(name="sandbox")
    names = {"symbol": "kPEPE-USDT-PERP", "native_symbol": "kPEPE"}
    row.symbols.create(**names, base="kPEPE", quote="USDT", is_monitored=True)
    past = Filled(redis, "aside")
    pair = Pair("kPEPE-USDT-PERP", Timeframe.H1)
    store = HistoryStore(Folder(tmp_path), row)
    store.write(pair, past.candles, ((past.first_ms, past.open_ms),))
    say_streamed(redis, row.pk)
    publish_exchanges(redis)
    with livermore_reader.connect(SERVER.url, history=tmp_path) as lm:
        found = lm.read("sandbox", "kpepe-usdt-perp", "1h", 2, start=past.first_ms)
    assert (found.symbol, found.rows[0][0]) == ("kPEPE-USDT-PERP", past.first_ms)
