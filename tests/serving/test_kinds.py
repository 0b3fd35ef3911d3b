"""Perpetuals beside spot markets, and names in small letters: what programs call them."""

import pytest

from exchanges.models import Exchange, Symbol
from exchanges.symbols.listed import PERPETUAL, SPOT
from serving.binance.streams import topic_of
from serving.directory import Directory, ServedExchange, ServedSymbol, by_name, with_perpetuals
from tests.serving.conftest import Filled, FixedDirectory, get, say_streamed
from tests.serving.serving import served

NUMBER = 4


def served_symbol(symbol, is_monitored=True):
    base, quote, *perpetual = symbol.split("-")
    kind = PERPETUAL if perpetual else SPOT
    word = (base + quote).upper()
    return ServedSymbol(symbol, word, base, quote, True, is_monitored, kind)


def row_of(*symbols, venue="toy"):
    names = by_name([served_symbol(each) for each in symbols])
    return with_perpetuals(ServedExchange(NUMBER, "sandbox", venue, True, names))


MIXED = row_of("BTC-USDT", "BTC-USDT-PERP", "kPEPE-USDT-PERP")


def words(row):
    return sorted({each.word for each in row.symbols.values()})


def test_a_perpetual_is_told_apart_where_there_are_spot_markets():
    assert words(MIXED) == ["BTCUSDT", "BTCUSDT_PERP", "KPEPEUSDT_PERP"]
    assert MIXED.find("BTCUSDT").symbol == "BTC-USDT"
    assert MIXED.find("btcusdt_perp").symbol == "BTC-USDT-PERP"
    assert MIXED.find("kpepe-usdt-perp").symbol == "kPEPE-USDT-PERP"
    assert MIXED.find("KPEPEUSDT") is None


def test_a_row_of_perpetuals_calls_them_as_an_exchange_of_these_does():
    row = row_of("BTC-USDT-PERP", "kPEPE-USDT-PERP")
    assert words(row) == ["BTCUSDT", "KPEPEUSDT"]
    assert row.find("BTCUSDT") is row.find("BTCUSDT_PERP") is row.find("BTC-USDT-PERP")


def test_what_two_are_called_is_known_by_canonical_names_alone():
    row = row_of("kPEPE-USDT-PERP", "KPEPE-USDT-PERP", "A-BC", "AB-C")
    assert row.find("KPEPEUSDT") is None
    assert row.find("ABC") is None
    assert row.find("kPEPE-USDT-PERP").base == "kPEPE"
    assert row.find("KPEPE-USDT-PERP").base == "KPEPE"


def test_streams_are_named_as_programs_name_them_in_small_letters():
    for name, symbol in (
        ("btcusdt@kline_1m", "BTC-USDT"),
        ("btcusdt_perp@kline_1m", "BTC-USDT-PERP"),
        ("kpepeusdt_perp@miniTicker", "kPEPE-USDT-PERP"),
    ):
        assert topic_of(MIXED, name).symbol == symbol


def test_candles_of_a_perpetual_are_its_own_in_both_protocols(ask, redis):
    say_streamed(redis)
    filled = Filled(redis, "kPEPE-USDT-PERP")
    paths = (
        "/sandbox/api/v3/klines?symbol=KPEPEUSDT_PERP&interval=1h&limit=2",
        "/v1/candles?exchange=sandbox&symbol=kPEPE-USDT-PERP&timeframe=1h&limit=2",
        "/v1/candles?exchange=sandbox&symbol=KPEPE-usdt-perp&timeframe=1h&limit=2",
        "/sandbox/api/v3/klines?symbol=KPEPEUSDT&interval=1h&limit=2",
    )
    klines, ours, typed, unknown = get(ask, *paths, directory=FixedDirectory(MIXED))
    assert klines[0] == ours[0] == typed[0] == 200
    assert klines[1][-1][0] == filled.open_ms
    assert ours[1]["symbol"] == typed[1]["symbol"] == "kPEPE-USDT-PERP"
    assert unknown == (400, {"code": -1121, "msg": "Invalid symbol."})


def test_programs_are_told_what_kind_a_market_is(ask):
    paths = (
        "/sandbox/api/v3/exchangeInfo",
        "/sandbox/api/v3/exchangeInfo?permissions=SPOT",
        "/v1/symbols?exchange=sandbox",
    )
    all_told, spot, ours = (told for _, told in get(ask, *paths, directory=FixedDirectory(MIXED)))
    kinds = {each["symbol"]: each.get("contractType") for each in all_told["symbols"]}
    assert kinds == {
        "BTCUSDT": None, "BTCUSDT_PERP": "PERPETUAL", "KPEPEUSDT_PERP": "PERPETUAL",
    }  # fmt: skip
    assert [each["symbol"] for each in spot["symbols"]] == ["BTCUSDT"]
    assert [each["kind"] for each in ours["symbols"]] == [SPOT, PERPETUAL, PERPETUAL]


def test_the_addresses_of_futures_have_perpetuals_alone(ask, redis):
    say_streamed(redis)
    filled = Filled(redis, "BTC-USDT-PERP")
    base = "/sandbox/fapi/v1"
    klines, told, unknown = get(
        ask,
        f"{base}/klines?symbol=BTCUSDT&interval=1h&limit=2",
        f"{base}/exchangeInfo",
        f"{base}/klines?symbol=ETHUSDT&interval=1h",
        directory=FixedDirectory(MIXED),
    )
    assert klines[1][-1][0] == filled.open_ms
    assert [each["symbol"] for each in told[1]["symbols"]] == ["BTCUSDT", "KPEPEUSDT"]
    assert unknown == (400, {"code": -1121, "msg": "Invalid symbol."})
    [(status, said)] = get(ask, f"{base}/ping", directory=FixedDirectory(row_of("BTC-USDT")))
    assert (status, said["msg"]) == (404, "sandbox lists no perpetuals")


def test_ccxt_reads_swaps_there(ccxt, redis):
    say_streamed(redis)
    filled = Filled(redis, "BTC-USDT-PERP")
    program = ccxt.binance({"options": {"fetchMarkets": {"types": ["linear"]}}})
    program.has["fetchCurrencies"] = False
    with served(redis, directory=FixedDirectory(MIXED)) as url:
        program.urls["api"]["fapiPublic"] = f"{url}/sandbox/fapi/v1"
        rows = program.fetch_ohlcv("BTC/USDT:USDT", "1h", limit=2)
    assert sorted(program.markets) == ["BTC/USDT:USDT", "KPEPE/USDT:USDT"]
    assert rows[-1][0] == filled.open_ms


@pytest.mark.django_db
def test_the_directory_reads_kinds_from_the_database():
    row = Exchange.objects.get(name="binance")
    for kind, symbol in ((SPOT, "BTC-USDT"), (PERPETUAL, "BTC-USDT-PERP")):
        Symbol.objects.create(
            exchange=row,
            symbol=symbol,
            native_symbol="BTCUSDT",
            base="BTC",
            quote="USDT",
            kind=kind,
        )
    directory = Directory()
    directory.load()
    assert words(directory.exchanges["binance"]) == ["BTCUSDT", "BTCUSDT_PERP"]
