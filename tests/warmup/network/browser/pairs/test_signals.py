"""The Signals page: what stands there, how it moves, and what is found in it."""

import time

import orjson
import pytest
from selenium.webdriver.common.keys import Keys

from exchanges.models import Exchange, Symbol
from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.timeframe import Timeframe
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, listed_exchange, person
from warmup.cache.candles import CandleCache
from warmup.cache.tickers import TickerCache

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = f"{browsers.NETWORK}signals/"
H1 = Timeframe.H1
MANY = 1000


@pytest.fixture
def row(redis):
    Exchange.objects.exclude(name="sandbox").delete()
    found = listed_exchange(("BTC-USD", "ETH-USD", "SOL-USD"), display_name="Sandbox")
    held_by(redis, found, state="active", phase="streaming")
    return found


@pytest.fixture
def page(browser, web, row):
    one = browsers.Page(browser, web)
    one.log_in(person("eve", "view_exchange"))
    yield one
    one.reset()


def write(redis, row, symbol, value, stage, closes=1):
    """Have so many closed hours lately, and the MACD-V of the newest one."""
    end_ms = H1.floor(int(time.time() * 1000))
    times = range(end_ms - 100 * H1.ms, end_ms, H1.ms)
    candles = [Candle(at, 1.0, 2.0, 0.5, 1.5, 3.0, H1) for at in times]
    CandleCache(redis, row.pk).write(symbol, H1, candles, ((times[0], end_ms),))
    told = end_ms - closes * H1.ms
    stored = {"value": value, "stage": stage, "timestamp": told, "coverageComplete": True}
    redis.set(keys.indicator(row.pk, symbol, "1h"), orjson.dumps(stored))


def ticker(redis, row, symbol, price, change):
    one = Ticker(symbol, price, 1.0, change, price, price, 10.0, int(time.time() * 1000))
    TickerCache(redis, row.pk).write_many([one])


def cell(page, symbol, timeframe="1h"):
    """Return what a cell is said to be, and how far it is to be trusted."""
    css = f"a.signal[aria-label^='{symbol} {timeframe}: ']"
    label = page.attribute(css, "aria-label")
    return label and (label.partition(": ")[2], page.attribute(css, "data-trust"))


def order(page):
    """Return the symbols from above to below."""
    script = """
    const rows = [...document.querySelectorAll(".signal-row")];
    rows.sort((one, other) => one.ariaRowIndex - other.ariaRowIndex);
    return rows.map((row) => row.querySelector("b").textContent);
    """
    return page.js(script)


def test_a_perpetuals_name_stands_beside_its_exchanges(page, row):
    Exchange.objects.filter(pk=row.pk).update(display_name="Binance USD-M")
    row.symbols.filter(symbol="BTC-USD").update(symbol="BTC-USDT-PERP", kind="perpetual")
    page.open(PAGE)
    (name, *_) = page.js("return [...document.querySelectorAll('.signal-name')].map(each => "
                         "[each.textContent, each.scrollWidth <= each.clientWidth])")  # fmt: skip
    assert name == ["BTC-USDT-PERPBinance USD-M", True]


def test_values_prices_and_what_they_are_worth_move_without_a_reload(page, redis, row):
    write(redis, row, "BTC-USD", 87.13, "rallying")
    write(redis, row, "ETH-USD", -180.0, "oversold", closes=3)
    ticker(redis, row, "BTC-USD", 67012.5, 1.5)
    page.open(PAGE)
    assert cell(page, "BTC-USD") == ("87.1 rallying", "f")
    assert cell(page, "ETH-USD") == ("−180.0 oversold, stale: of an older close", "s")
    assert cell(page, "SOL-USD") == ("not known", "")
    assert page.text(".signal-price .last-price") == "67012.5"
    write(redis, row, "BTC-USD", -12.0, "retracing")
    page.wait(lambda: cell(page, "BTC-USD") == ("−12.0 retracing", "f"))
    redis.delete(keys.ticker(row.pk, "BTC-USD"))
    page.wait(lambda: page.text(".signal-price .last-price") == "–")
    held_by(redis, row, state="active", phase="streaming")
    page.wait_for("#states", "Sandbox: Active: streaming")
    assert page.is_the_same
    assert page.complaints() == []


def test_rows_are_sorted_filtered_and_remembered(page, redis, row):
    write(redis, row, "BTC-USD", 87.0, "rallying")
    write(redis, row, "ETH-USD", 200.0, "overbought")
    page.open(PAGE)
    assert order(page) == ["BTC-USD", "ETH-USD", "SOL-USD"]
    page.click("[data-sort='1h']")
    page.wait(lambda: order(page) == ["ETH-USD", "BTC-USD", "SOL-USD"])
    page.click("[data-sort='1h']")
    page.wait(lambda: order(page) == ["BTC-USD", "ETH-USD", "SOL-USD"])
    sorting = "[role=columnheader]:has([data-sort='1h'])"
    assert page.attribute(sorting, "aria-sort") == "ascending"
    page.click("[data-stage-filter=b]")
    page.wait(lambda: order(page) == ["ETH-USD"])
    assert page.text("[data-stage-filter=l] b") == "1"
    page.wait_for("[data-shown]", "1 of 3 symbols")
    address = page.driver.current_url.partition("?")[2]
    assert address == "stage=overbought&sort=1h"
    page.open(f"{PAGE}?{address}")
    assert order(page) == ["ETH-USD"]
    page.click("[data-stage-filter=b]")
    page.type("[data-wanted=text]", "sol")
    page.wait(lambda: order(page) == ["SOL-USD"])
    page.type("[data-wanted=text]", "nothing")
    page.wait_for("#none", "No symbol fits")


def test_a_cell_is_reached_by_keys_and_opens_its_pair(page, redis, row):
    page.open(PAGE)
    page.js("document.querySelector('a.signal[tabindex=\"0\"]').focus()")
    keyed = [Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT]
    for key in keyed:
        page.driver.switch_to.active_element.send_keys(key)
    label = page.driver.switch_to.active_element.get_attribute("aria-label")
    assert label.startswith("ETH-USD 1h")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: page.driver.current_url.endswith(f"/{row.pk}/pairs/ETH-USD/1h/"))
    page.wait_for("h1", "ETH-USD")


def test_of_a_thousand_symbols_only_those_in_sight_are_there(page, redis, row):
    row.symbols.bulk_create(
        Symbol(
            exchange=row, symbol=f"S{n:04}-USD", native_symbol=f"S{n}",
            base=f"S{n}", quote="USD", is_monitored=True,
        )
        for n in range(MANY)
    )  # fmt: skip
    page.open(PAGE)
    page.wait_for("[data-shown]", f"{MANY + 3} symbols")
    ticker(redis, row, "BTC-USD", 67012.5, 1.5)
    page.wait(lambda: page.text(".signal-price .last-price") == "67012.5")
    assert page.count(".signal-row") < 60
    page.js("document.querySelector('.signals-scroll').scrollTop = 1e6")
    page.wait(lambda: f"S{MANY - 1:04}-USD" in order(page))
    assert page.count(".signal-row") < 60
    page.js("document.querySelector('.signal-row a').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.CONTROL, Keys.HOME)
    page.wait(lambda: "BTC-USD" in order(page))
    label = page.driver.switch_to.active_element.get_attribute("aria-label")
    assert label.startswith("BTC-USD 1m")


def test_it_fits_whatever_the_width(page, redis, row):
    write(redis, row, "BTC-USD", -287.0, "oversold")
    ticker(redis, row, "BTC-USD", 4.1e-7, -12.34)
    page.open(PAGE)
    fits = "const e = document.querySelector(arguments[0]); return e.scrollWidth <= e.clientWidth"
    for width in (1280, 400):
        page.be_wide(width)
        for css in ("html", ".signals-scroll", "a.signal[data-stage=o]"):
            assert page.js(fits, css), (width, css)


def test_the_cards_and_the_header_lead_to_it(page, redis, row):
    page.open()
    assert page.text(".to-pages").split()[:2] == ["Network", "Signals"]
    assert page.attribute(".card [data-signals]", "href").endswith(f"{PAGE}?exchange=sandbox")
