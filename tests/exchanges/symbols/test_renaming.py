"""Which symbols may have taken another name, by their rows."""

from datetime import timedelta

import pytest
from django.utils import timezone

from exchanges.errors import UnknownSymbol
from exchanges.models import Exchange
from exchanges.symbols.listed import ListedSymbol
from exchanges.symbols.listing import sync_symbols
from exchanges.symbols.monitoring import monitor
from exchanges.symbols.renaming import check_rename, rename, rename_offers

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def exchange():
    return Exchange.objects.create(name="somewhere", display_name="Somewhere", venue="binance")


def listed(symbol, is_trading=True):
    base, _, quote = symbol.partition("-")
    return ListedSymbol(symbol, base + quote, base, quote, is_trading)


def sync(exchange, *symbols):
    sync_symbols(exchange, [listed(symbol) for symbol in symbols])


@pytest.fixture
def matic(exchange):
    """Return an exchange on which MATIC-USD, monitored for long, ended, and POL-USD came."""
    sync(exchange, "BTC-USD", "MATIC-USD")
    exchange.symbols.update(created_at=timezone.now() - 300 * DAY)
    monitor(exchange, ["MATIC-USD"])
    sync(exchange, "BTC-USD", "POL-USD")
    return exchange


def date(exchange, symbol, **ago):
    at = timezone.now() - timedelta(**ago)
    exchange.symbols.filter(symbol=symbol).update(created_at=at)


def offered(exchange):
    return {offer.symbol: offer.names for offer in rename_offers(exchange)}


def test_what_was_listed_about_when_a_monitored_symbol_ended_is_offered(matic):
    (offer,) = rename_offers(matic)
    assert (offer.symbol, offer.status, offer.names) == ("MATIC-USD", "delisted", ("POL-USD",))
    assert offer.commands == ["./run symbols somewhere --rename MATIC-USD POL-USD"]
    assert offer.commands[0] in str(offer)


def test_where_the_old_name_is_only_halted_it_is_offered_too(exchange):
    sync(exchange, "BTC-USD", "MATIC-USD")
    exchange.symbols.update(created_at=timezone.now() - 300 * DAY)
    monitor(exchange, ["MATIC-USD"])
    halted = listed("MATIC-USD", is_trading=False)
    sync_symbols(exchange, [listed("BTC-USD"), halted, listed("POL-USD")])
    assert offered(exchange) == {"MATIC-USD": ("POL-USD",)}


@pytest.mark.parametrize(("days", "is_offered"), [(6, True), (8, False), (200, False)])
def test_what_was_listed_long_before_or_after_is_not_offered(matic, days, is_offered):
    date(matic, "POL-USD", days=days)
    assert bool(offered(matic)) is is_offered
    date(matic, "POL-USD", days=-days)
    assert bool(offered(matic)) is is_offered


@pytest.mark.parametrize(
    "change",
    [{"quote": "EUR"}, {"kind": "perpetual"}, {"status": "halted"}, {"status": "delisted"}],
    ids=["another quote", "another kind", "halted", "delisted"],
)
def test_what_cannot_be_it_is_not_offered(matic, change):
    matic.symbols.filter(symbol="POL-USD").update(**change)
    assert offered(matic) == {}


def test_nothing_is_offered_for_what_nobody_monitors_or_still_trades(matic):
    matic.symbols.filter(symbol="MATIC-USD").update(is_monitored=False)
    assert offered(matic) == {}
    matic.symbols.filter(symbol="MATIC-USD").update(is_monitored=True, status="trading")
    assert offered(matic) == {}


def test_what_the_exchange_had_from_the_first_look_on_is_no_new_name(exchange):
    sync(exchange, "BTC-USD", "MATIC-USD", "POL-USD")
    monitor(exchange, ["MATIC-USD"])
    sync(exchange, "BTC-USD", "POL-USD")
    assert offered(exchange) == {}


def test_of_several_the_nearest_in_time_come_first(matic):
    sync(matic, "BTC-USD", "POL-USD", "A-USD", "B-USD", "C-USD", "D-USD")
    for name, days in (("A", 5), ("B", 1), ("C", 6), ("D", 3), ("POL", 2)):
        date(matic, f"{name}-USD", days=days)
    assert offered(matic) == {"MATIC-USD": ("B-USD", "POL-USD", "D-USD")}


def test_a_name_that_was_taken_is_offered_no_more(matic):
    sync(matic, "BTC-USD", "POL-USD")
    rename(matic, "MATIC-USD", "POL-USD")
    monitor(matic, ["BTC-USD"])
    sync(matic, "POL-USD")
    assert offered(matic) == {}


# -- The rows


def test_a_rename_moves_that_it_is_monitored(matic):
    assert rename(matic, "MATIC-USD", "POL-USD") is True
    old, new = (matic.symbols.get(symbol=name) for name in ("MATIC-USD", "POL-USD"))
    assert (old.status_text, old.is_monitored) == ("renamed to POL-USD", False)
    assert (new.status, new.is_monitored) == ("trading", True)


def test_what_was_renamed_before_leads_to_the_newest_name(matic):
    rename(matic, "MATIC-USD", "POL-USD")
    sync(matic, "BTC-USD", "LAST-USD")
    rename(matic, "POL-USD", "LAST-USD")
    assert matic.symbols.get(symbol="MATIC-USD").renamed_to == "LAST-USD"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("MATIC-USDD", "POL-USD", "does not list MATIC-USDD (close: MATIC-USD"),
        ("MATIC-USD", "POLL-USD", "does not list POLL-USD (close: POL-USD"),
        ("BTC-USD", "POL-USD", "still trades BTC-USD"),
        ("MATIC-USD", "MATIC-USD", "does not list MATIC-USD (delisted)"),
        ("MATIC-USD", "POL-EUR", "different currencies"),
        ("PAST-USD", "POL-USD", "was renamed to BTC-USD already"),
    ],
)
def test_what_cannot_be_a_rename_is_refused_with_the_reason(matic, old, new, reason):
    sync(matic, "BTC-USD", "POL-USD", "POL-EUR", "PAST-USD")
    matic.symbols.filter(symbol="PAST-USD").update(status="renamed", renamed_to="BTC-USD")
    with pytest.raises(UnknownSymbol) as refused:
        check_rename(matic, old, new)
    assert reason in str(refused.value)


def test_a_rename_that_was_broken_off_may_be_done_again(matic):
    rename(matic, "MATIC-USD", "POL-USD")
    check_rename(matic, "MATIC-USD", "POL-USD")
    assert rename(matic, "MATIC-USD", "POL-USD") is True


def test_a_perpetual_is_no_new_name_of_a_spot_symbol(matic):
    matic.symbols.filter(symbol="POL-USD").update(kind="perpetual")
    with pytest.raises(UnknownSymbol, match="is spot and POL-USD is perpetual"):
        check_rename(matic, "MATIC-USD", "POL-USD")
