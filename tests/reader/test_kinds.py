"""Perpetuals and names in small letters, read over Redis and over `serve`."""

import json
from contextlib import ExitStack, contextmanager

import livermore_reader
import pytest
from livermore_reader import BadRequest
from livermore_reader.asking import names_of, spelled

from exchanges.models import Exchange
from exchanges.redis.directory import publish_exchanges
from history.places.folder import Folder
from history.store.store import HistoryStore
from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.conftest import SERVER
from tests.reader.conftest import TOLD
from tests.reader.ways import WAYS
from tests.serving.conftest import Filled, FixedDirectory, say_streamed
from tests.serving.serving import served
from tests.serving.test_kinds import MIXED, row_of

PERPETUALS = row_of("BTC-USDT-PERP", "kPEPE-USDT-PERP")


@contextmanager
def reading(way, redis, row):
    """Read what is kept of an exchange's row, as agents tell it, by one of the ways."""
    say_streamed(redis)
    listed = {each.symbol: each.kind for each in row.symbols.values()}
    kept = {"symbols": sorted(listed), "kinds": sorted({*listed.values()})}
    redis.hset(keys.exchanges(), "sandbox", json.dumps(TOLD | kept))
    with ExitStack() as opened:
        url = SERVER.url
        if way == "http":
            url = opened.enter_context(served(redis, directory=FixedDirectory(row)))
        yield opened.enter_context(livermore_reader.connect(url))


@pytest.fixture(params=WAYS)
def reader(request, redis):
    with reading(request.param, redis, MIXED) as found:
        yield found


@pytest.fixture(params=WAYS)
def of_perpetuals(request, redis):
    with reading(request.param, redis, PERPETUALS) as found:
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


@pytest.mark.parametrize("name", ["KPEPEUSDT", "kpepeusdt", "BTCUSDTPERP", "BTCUSDT-PERP"])
def test_a_perpetual_is_not_guessed_where_there_are_spot_markets(redis, reader, name):
    for symbol in ("BTC-USDT-PERP", "kPEPE-USDT-PERP"):
        Filled(redis, symbol)
    with pytest.raises(BadRequest):
        reader.read("sandbox", name, "1h", 3)
    with pytest.raises(BadRequest):
        reader.follow("sandbox", name)


@pytest.mark.parametrize("name", ["kPEPE-USDT-PERP", "KPEPEUSDT", "kpepeusdt", "kpepeusdt_perp"])
def test_a_word_is_a_perpetual_where_all_are(redis, of_perpetuals, name):
    filled = Filled(redis, "kPEPE-USDT-PERP")
    found = of_perpetuals.read("sandbox", name, "1h", 3)
    assert found.symbol == "kPEPE-USDT-PERP"
    assert found.rows[-1][0] == filled.candles[-1].timestamp
    assert [each.symbol for each in of_perpetuals.newest("sandbox", name, "1h")] == [found.symbol]
    of_perpetuals.follow("sandbox", name).close()


def test_a_spot_market_that_is_not_kept_is_no_perpetual():
    assert spelled("BTCUSDT", names_of(["BTC-USDT-PERP"], ["perpetual", "spot"])) is None
    assert spelled("BTCUSDT", names_of(["BTC-USDT-PERP"], [])) is None  # nobody tells


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
