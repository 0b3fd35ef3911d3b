import logging
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from exchanges.errors import BadPayload, UnknownSymbol
from exchanges.models import Exchange, Symbol
from exchanges.symbols.listed import PERPETUAL, SPOT, ListedSymbol, canonical, kind_of
from exchanges.symbols.listing import SyncReport, sync_symbols
from exchanges.symbols.monitoring import monitor, unmonitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def exchange():
    return Exchange.objects.create(name="somewhere", display_name="Somewhere", venue="binance")


def listed(symbol, native=None, is_trading=True):
    base, _, quote = symbol.partition("-")
    return ListedSymbol(symbol, native or base + quote, base, quote, is_trading)


def statuses(exchange):
    return dict(exchange.symbols.values_list("symbol", "status"))


def natives(exchange):
    return dict(exchange.symbols.values_list("symbol", "native_symbol"))


def monitored(exchange):
    return {row.symbol for row in exchange.symbols.filter(is_monitored=True)}


def test_a_first_sync_adds_every_symbol_unmonitored(exchange):
    report = sync_symbols(exchange, [listed("BTC-USD"), listed("OLD-USD", is_trading=False)])
    assert report == SyncReport(added=2, changed=0, delisted=0, monitored=0)
    assert statuses(exchange) == {"BTC-USD": "trading", "OLD-USD": "halted"}
    assert not monitored(exchange)


def test_what_a_symbol_is_an_alias_of_is_kept_as_it_is_listed(exchange):
    def aliases():
        return dict(exchange.symbols.values_list("symbol", "alias"))

    plain = listed("BTC-USDC")
    sync_symbols(exchange, [plain])
    assert aliases() == {"BTC-USDC": ""}
    for alias in ("BTC-USD", "BTC-USDT", ""):
        assert sync_symbols(exchange, [replace(plain, alias=alias)]).changed == 1
        assert aliases() == {"BTC-USDC": alias}


@pytest.mark.parametrize("alias", ["BTC:USD", "BTC USD", "B" * 101, "BTC\n", None, 7])
def test_an_alias_that_is_no_name_spoils_no_symbol(exchange, alias):
    sync_symbols(exchange, [replace(listed("BTC-USDC"), alias=alias), listed("ETH-USD")])
    assert dict(exchange.symbols.values_list("symbol", "alias")) == {"BTC-USDC": "", "ETH-USD": ""}


def test_the_same_listing_again_changes_nothing(exchange):
    sync_symbols(exchange, [listed("BTC-USD")])
    before = exchange.symbols.get()
    assert sync_symbols(exchange, [listed("BTC-USD")]) == SyncReport(0, 0, 0, 0)
    assert exchange.symbols.get().updated_at == before.updated_at


@pytest.mark.parametrize("is_trading", [True, False, None])
def test_a_symbol_that_the_exchange_calls_delisted_is_that(exchange, is_trading):
    sync_symbols(exchange, [listed("BTC-USD"), listed("ETH-USD")])
    gone = replace(listed("ETH-USD", is_trading=is_trading), is_delisted=True)
    assert sync_symbols(exchange, [listed("BTC-USD"), gone]) == SyncReport(0, 0, 1, 0)
    assert statuses(exchange)["ETH-USD"] == "delisted"
    assert sync_symbols(exchange, [listed("BTC-USD"), gone]) == SyncReport(0, 0, 0, 0)


def test_what_the_listing_does_not_say_stays_as_it_was(exchange):
    unsaid = [listed("BTC-USD", is_trading=None), listed("ETH-USD"), listed("NEW-USD")]
    sync_symbols(exchange, [listed("BTC-USD"), listed("ETH-USD", is_trading=False)])
    unsaid[1] = listed("ETH-USD", is_trading=None)
    sync_symbols(exchange, unsaid)
    assert statuses(exchange) == {
        "BTC-USD": "trading", "ETH-USD": "halted", "NEW-USD": "trading"
    }  # fmt: skip


def test_since_when_a_symbol_is_what_it_is_is_kept(exchange):
    sync_symbols(exchange, [listed("BTC-USD"), listed("ETH-USD")])
    first = exchange.symbols.get(symbol="ETH-USD").status_since
    sync_symbols(exchange, [listed("BTC-USD"), listed("ETH-USD", "OTHER")])
    assert exchange.symbols.get(symbol="ETH-USD").status_since == first
    sync_symbols(exchange, [listed("BTC-USD"), listed("ETH-USD", "OTHER", is_trading=False)])
    halted = exchange.symbols.get(symbol="ETH-USD").status_since
    sync_symbols(exchange, [listed("BTC-USD")])
    assert first < halted < exchange.symbols.get(symbol="ETH-USD").status_since


def test_what_was_renamed_stays_so_until_it_trades_again_under_its_old_name(exchange):
    sync_symbols(exchange, [listed("POL-USD"), listed("MATIC-USD", is_trading=False)])
    row = exchange.symbols.get(symbol="MATIC-USD")
    row.status, row.renamed_to = "renamed", "POL-USD"
    row.save()
    for still in ([], [listed("MATIC-USD", is_trading=False)]):
        sync_symbols(exchange, [listed("POL-USD"), *still])
        row.refresh_from_db()
        assert (row.status, row.renamed_to) == ("renamed", "POL-USD")
    sync_symbols(exchange, [listed("POL-USD"), listed("MATIC-USD")])
    row.refresh_from_db()
    assert (row.status, row.renamed_to) == ("trading", "")


def test_that_monitored_symbols_stop_and_come_back_is_said_once(exchange, caplog):
    caplog.set_level(logging.INFO, "exchanges.symbols.listing")
    both = [listed("BTC-USD"), listed("ETH-USD")]
    sync_symbols(exchange, both)
    monitor(exchange, ["ETH-USD"])
    halted = [both[0], listed("ETH-USD", is_trading=False)]
    for listing in (halted, halted, both, both):
        sync_symbols(exchange, listing)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [each for each in told if "synced" not in each[1]] == [
        ("WARNING", "symbols.stopped exchange=somewhere count=1 symbols=ETH-USD (halted)"),
        ("INFO", "symbols.resumed exchange=somewhere count=1 symbols=ETH-USD"),
    ]


def test_a_symbol_that_is_gone_is_delisted_and_comes_back_monitored(exchange):
    both = [listed("BTC-USD"), listed("ETH-USD")]
    sync_symbols(exchange, both)
    monitor(exchange, ["ETH-USD"])
    assert sync_symbols(exchange, both[:1]) == SyncReport(0, 0, delisted=1, monitored=0)
    assert statuses(exchange)["ETH-USD"] == "delisted"
    assert not exchange.symbols.kept_warm()
    assert sync_symbols(exchange, both[:1]).delisted == 0
    assert sync_symbols(exchange, both).changed == 1
    assert [row.symbol for row in exchange.symbols.kept_warm()] == ["ETH-USD"]


def test_a_changed_symbol_keeps_its_row(exchange):
    sync_symbols(exchange, [listed("BTC-USD")])
    before = exchange.symbols.get()
    report = sync_symbols(exchange, [listed("BTC-USD", "XBTUSD", is_trading=False)])
    after = exchange.symbols.get()
    assert report.changed == 1
    assert (after.pk, after.created_at) == (before.pk, before.created_at)
    assert (after.native_symbol, after.status) == ("XBTUSD", "halted")


def test_two_symbols_may_exchange_their_native_names(exchange):
    sync_symbols(exchange, [listed("A-USD", "X"), listed("B-USD", "Y")])
    sync_symbols(exchange, [listed("A-USD", "Y"), listed("B-USD", "X")])
    assert natives(exchange) == {"A-USD": "Y", "B-USD": "X"}
    assert set(statuses(exchange).values()) == {"trading"}


def test_a_native_name_may_pass_to_a_new_symbol(exchange):
    sync_symbols(exchange, [listed("LUNA-USD", "LUNAUSD")])
    report = sync_symbols(exchange, [listed("LUNA2-USD", "LUNAUSD")])
    assert report == SyncReport(added=1, changed=0, delisted=1, monitored=0)
    assert statuses(exchange) == {"LUNA-USD": "delisted", "LUNA2-USD": "trading"}


def test_of_two_native_names_for_one_symbol_the_trading_one_is_taken(exchange):
    sync_symbols(exchange, [listed("BTC-USD", "OLD", is_trading=False), listed("BTC-USD", "NEW")])
    assert natives(exchange) == {"BTC-USD": "NEW"}


def test_of_two_trading_native_names_the_known_one_is_kept(exchange):
    sync_symbols(exchange, [listed("BTC-USD", "SECOND")])
    sync_symbols(exchange, [listed("BTC-USD", "FIRST"), listed("BTC-USD", "SECOND")])
    assert natives(exchange) == {"BTC-USD": "SECOND"}


def test_a_native_name_listed_twice_is_taken_once(exchange):
    assert sync_symbols(exchange, [listed("A-USD", "X"), listed("B-USD", "X")]).added == 1


@pytest.mark.parametrize("bad", ["", "A:B-USD", "A B-USD", "A\n-USD", "A" * 101, "-"])
def test_a_symbol_that_would_break_a_key_is_left_out(exchange, bad):
    sync_symbols(exchange, [listed("BTC-USD"), listed(bad)])
    assert [*statuses(exchange)] == ["BTC-USD"]


@pytest.mark.parametrize("native", [5, True, ["XUSD"], {"X": "USD"}])
def test_a_name_that_is_no_text_is_left_out(exchange, native):
    sync_symbols(exchange, [listed("BTC-USD"), listed("X-USD", native)])
    assert [*statuses(exchange)] == ["BTC-USD"]


@pytest.mark.parametrize("listing", [[], [listed("")]])
def test_a_listing_without_symbols_is_refused_and_delists_nothing(exchange, listing):
    sync_symbols(exchange, [listed("BTC-USD")])
    with pytest.raises(BadPayload, match="somewhere"):
        sync_symbols(exchange, listing)
    assert statuses(exchange) == {"BTC-USD": "trading"}


def test_the_first_sync_of_a_preset_monitors_its_default_symbols_that_trade():
    exchange = Exchange.objects.get(name="binance_us")
    listing = [listed("BTC-USD"), listed("ETH-USD", is_trading=False), listed("ADA-USD")]
    assert sync_symbols(exchange, listing).monitored == 1
    assert monitored(exchange) == {"BTC-USD"}


def test_a_later_sync_monitors_nothing_by_itself():
    exchange = Exchange.objects.get(name="binance_us")
    sync_symbols(exchange, [listed("BTC-USD")])
    unmonitor(exchange, ["BTC-USD"])
    assert sync_symbols(exchange, [listed("BTC-USD"), listed("ETH-USD")]).monitored == 0
    assert not monitored(exchange)


def test_the_sandbox_monitors_all_that_trades():
    exchange = Exchange.objects.get(name="sandbox")
    sync_symbols(exchange, [listed("A-USD"), listed("B-USD"), listed("C-USD", is_trading=False)])
    assert monitored(exchange) == {"A-USD", "B-USD"}


def test_exchanges_do_not_touch_each_other(exchange):
    other = Exchange.objects.create(name="other", venue="coinbase")
    sync_symbols(exchange, [listed("BTC-USD")])
    sync_symbols(other, [listed("ETH-USD", "BTCUSD")])
    assert statuses(exchange) == {"BTC-USD": "trading"}


def test_five_thousand_symbols_take_few_queries(exchange):
    listing = [listed(f"S{number}-USD") for number in range(5000)]
    with CaptureQueriesContext(connection) as queries:
        assert sync_symbols(exchange, listing).added == 5000
    assert len(queries) < 100
    halted = [listed(item.symbol, is_trading=False) for item in listing]
    assert sync_symbols(exchange, halted).changed == 5000
    assert sync_symbols(exchange, [listed("BTC-USD")]) == SyncReport(1, 0, 5000, 0)


def test_monitoring_counts_what_was_not_monitored(exchange):
    sync_symbols(exchange, [listed("BTC-USD"), listed("ETH-USD")])
    assert monitor(exchange, ["BTC-USD"]) == 1
    assert monitor(exchange, ["BTC-USD", "ETH-USD"]) == 1
    assert unmonitor(exchange, ["BTC-USD"]) == 1
    assert monitored(exchange) == {"ETH-USD"}


def test_an_unknown_symbol_is_named_with_close_ones_and_nothing_changes(exchange):
    sync_symbols(exchange, [listed("BTC-USDT"), listed("ETH-USDT")])
    with pytest.raises(UnknownSymbol) as caught:
        monitor(exchange, ["ETH-USDT", "btc-usdt", "NOPE"])
    assert "NOPE" in str(caught.value)
    assert "btc-usdt (close: BTC-USDT" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not monitored(exchange)


def test_many_unknown_symbols_still_make_a_short_line(exchange):
    sync_symbols(exchange, [listed("BTC-USDT")])
    with pytest.raises(UnknownSymbol, match="and 90 more"):
        monitor(exchange, [f"X{number}" for number in range(100)])


def test_an_exchange_without_symbols_says_to_sync(exchange):
    with pytest.raises(UnknownSymbol, match="sync"):
        monitor(exchange, ["BTC-USD"])


def test_a_delisted_symbol_can_be_unmonitored_but_not_monitored(exchange):
    sync_symbols(exchange, [listed("BTC-USD"), listed("OLD-USD")])
    monitor(exchange, ["OLD-USD"])
    sync_symbols(exchange, [listed("BTC-USD")])
    assert unmonitor(exchange, ["OLD-USD"]) == 1
    with pytest.raises(UnknownSymbol, match="OLD-USD"):
        monitor(exchange, ["OLD-USD"])
    exchange.symbols.filter(symbol="OLD-USD").update(status="renamed", renamed_to="NEW-USD")
    with pytest.raises(UnknownSymbol, match="OLD-USD was renamed to NEW-USD"):
        monitor(exchange, ["OLD-USD"])
    exchange.symbols.filter(symbol="OLD-USD").update(status="delisted")
    assert Symbol.objects.get(symbol="OLD-USD").status == "delisted"


def perpetual(symbol, native=None):
    return replace(listed(symbol, native), symbol=f"{symbol}-PERP", kind=PERPETUAL)


def test_a_native_name_may_stand_for_a_market_of_each_kind(exchange):
    both = [listed("BTC-USDT"), perpetual("BTC-USDT")]
    assert sync_symbols(exchange, both) == SyncReport(2, 0, 0, 0)
    kinds = exchange.symbols.values_list("symbol", "native_symbol", "kind")
    assert set(kinds) == {
        ("BTC-USDT", "BTCUSDT", "spot"),
        ("BTC-USDT-PERP", "BTCUSDT", "perpetual"),
    }
    assert sync_symbols(exchange, both) == SyncReport(0, 0, 0, 0)


def test_of_two_perpetuals_of_one_native_name_one_is_taken(exchange):
    sync_symbols(exchange, [perpetual("BTC-USDT"), perpetual("ETH-USDT", "BTCUSDT")])
    assert natives(exchange) == {"BTC-USDT-PERP": "BTCUSDT"}


def test_a_kind_that_nobody_knows_is_not_kept(exchange):
    sync_symbols(exchange, [listed("BTC-USDT"), replace(listed("X-USDT"), kind="dated")])
    assert natives(exchange) == {"BTC-USDT": "BTCUSDT"}


def test_letters_of_a_base_stay_as_they_are(exchange):
    names = [listed("kPEPE-USDC"), listed("KPEPE-USDC"), listed("AAPLx-USD")]
    sync_symbols(exchange, names)
    assert set(natives(exchange)) == {"kPEPE-USDC", "KPEPE-USDC", "AAPLx-USD"}


@pytest.mark.parametrize("symbol", ["BTC-USDT", "BTC-PERP", "PERP-USDT", "A-B-USDT"])
def test_what_has_no_kind_in_its_name_is_spot(symbol):
    assert kind_of(symbol) == SPOT


def test_a_canonical_name_tells_the_kind():
    assert canonical("1000PEPE", "USDT", PERPETUAL) == "1000PEPE-USDT-PERP"
    assert kind_of("1000PEPE-USDT-PERP") == PERPETUAL
    assert canonical("BTC", "USDT", SPOT) == canonical("BTC", "USDT") == "BTC-USDT"
