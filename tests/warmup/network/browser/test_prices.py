"""Prices on the grid, as they move in a real browser."""

import pytest

from exchanges.models import Exchange, Symbol
from livermore.market import keys
from livermore.market.candle import Ticker
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, listed_exchange, person
from warmup.cache.tickers import TickerCache

pytestmark = pytest.mark.django_db(transaction=True)

NOW_MS = 1_790_000_040_000
FIRST, SECOND = ".pairs:not(.grid-head) .price", "[role=rowgroup] .pairs:nth-child(2) .price"


@pytest.fixture
def row(redis):
    Exchange.objects.exclude(name="sandbox").delete()
    found = listed_exchange()
    held_by(redis, found, state="active", phase="streaming")
    return found


@pytest.fixture
def page(browser, web, row):
    one = browsers.Page(browser, web)
    one.log_in(person("ada", "operate_exchange", "view_exchange"))
    yield one
    one.reset()


def write(redis, row, price, change, symbol="BTC-USD"):
    ticker = Ticker(symbol, price, 1.0, change, price, price, 5.0, NOW_MS)
    TickerCache(redis, row.pk).write_many([ticker])


def test_prices_come_move_and_go_without_a_reload(page, redis, row):
    page.open()
    assert (page.text(FIRST), page.text(SECOND)) == ("–", "–")
    write(redis, row, 67012.37, 1.5)
    page.wait_for(FIRST, "67012.37 +1.50 %")
    assert page.text(SECOND) == "–"
    write(redis, row, 66000.5, -0.25)
    page.wait_for(FIRST, "66000.5 −0.25 %")
    assert page.count(".change.down") == 1
    redis.delete(keys.ticker(row.pk, "BTC-USD"))
    page.wait(lambda: page.text(FIRST) == "–")
    assert page.is_the_same


def test_a_symbol_that_is_added_comes_with_its_price(page, redis, row):
    write(redis, row, 158.431, 0.1, "SOL-USD")
    page.open()
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=True)
    page.wait_for("[role=rowgroup] .pairs:nth-child(3) .price", "158.431 +0.10 %", 30)


def test_the_page_without_scripts_has_them(page, redis, row):
    write(redis, row, 67012.37, 1.5)
    page.disable_scripts()
    page.open(live=False)
    assert page.one(FIRST).text == "67012.37 +1.50 %"


def test_a_small_price_fits(page, redis, row):
    write(redis, row, 4.1e-7, -12.34)
    page.open()
    for width in (1280, 400):
        page.be_wide(width)
        found = page.js(
            "const cell = document.querySelector(arguments[0]);"
            "const grid = document.querySelector('.grid');"
            "return [cell.scrollWidth <= cell.clientWidth, grid.scrollWidth <= grid.clientWidth]",
            FIRST,
        )
        assert (width, found) == (width, [True, True])


def test_a_thousand_prices_do_not_hold_the_page_up(page, redis, row):
    Symbol.objects.bulk_create(
        Symbol(
            exchange=row, symbol=f"S{n:04}-USD", native_symbol=f"S{n}",
            base=f"S{n}", quote="USD", is_monitored=True,
        )
        for n in range(1000)
    )  # fmt: skip
    page.open()
    for n in range(1000):
        write(redis, row, 10.0 + n, 1.0, f"S{n:04}-USD")
    page.wait(lambda: page.count(".last-price") == 1000, 30)
