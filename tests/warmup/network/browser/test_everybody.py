"""Everybody can use the page: without scripts, on a phone, by keyboard, with weak eyes."""

import re

import pytest
from selenium.webdriver.common.keys import Keys

from exchanges.lock.status import State
from exchanges.models import Exchange, Symbol
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, live

pytestmark = pytest.mark.django_db(transaction=True)

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, level AA


def test_without_scripts_it_shows_all_and_its_buttons_work(page, redis, row):
    held_by(redis, row, state="active", phase="streaming", obeys=True, connections=1)
    page.disable_scripts()
    page.open(live=False)
    assert "Active: streaming" in page.one(".pill").text
    assert len(page.all(".pairs a")) == 18
    assert not page.one(".grid-tools").is_displayed()
    page.click("[data-button=stop]")
    page.wait(lambda: "shall not run" in "".join(each.text for each in page.all(".messagelist")))
    page.click("[aria-label^='BTC-USD 1h']")
    page.wait(lambda: "No candle is cached yet" in "".join(each.text for each in page.all("td")))
    assert Exchange.objects.get(pk=row.pk).wanted == Exchange.Wanted.STOPPED


def test_nothing_is_wider_than_a_narrow_screen(page, redis, row, two_accounts):
    live(redis, row)
    page.be_wide(400)
    for path in (browsers.NETWORK, f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/"):
        page.open(path)
        assert page.js("return document.documentElement.scrollWidth") <= 400
    page.open()
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "Setup: Sandbox")
    assert page.js("return document.querySelector('dialog').scrollWidth") <= 400


def test_on_a_narrow_screen_the_header_and_the_symbols_can_be_read(page, redis, row):
    row.symbols.create(
        symbol="1000SATS-FDUSD",
        native_symbol="1000SATSFDUSD",
        base="1000SATS",
        quote="FDUSD",
        is_monitored=True,
    )
    live(redis, row)
    page.be_wide(400)
    page.open()
    page.wait(lambda: page.count("[role=rowheader]"))
    page.js("document.querySelector('[role=rowheader]').scrollIntoView({block: 'center'})")
    page.wait_for("[role=rowheader]", "1000SATS-FDUSD")
    name, link = (
        page.js(f"return document.querySelector('{each}').getBoundingClientRect().toJSON()")
        for each in ("#site-name", ".to-network")
    )
    assert link["left"] - name["right"] >= 10
    cut = page.js(
        "return [...document.querySelectorAll('[role=rowheader]')].filter((each) =>"
        " each.scrollWidth > each.clientWidth"
        " || each.scrollHeight > each.parentElement.clientHeight).map((each) => each.textContent)"
    )
    assert cut == []


def test_a_thousand_symbols_can_be_filtered_scrolled_and_walked_through(page, redis, row):
    names = [f"C{number:03}-USD" for number in range(997)]
    Symbol.objects.bulk_create(
        Symbol(exchange=row, symbol=n, native_symbol=n, base=n[:4], quote="USD", is_monitored=True)
        for n in names
    )
    page.open()
    assert page.count(".pairs a") == 6000
    page.type("[data-filter]", "c99")
    page.wait_for("[data-shown]", "7 of 1000 symbols")
    assert page.count(".pairs:not([hidden]) a") == 7 * 6
    page.type("[data-filter]", "btc")
    page.wait_for("[data-shown]", "1 of 1000 symbols")
    page.js("document.querySelector('.pairs:not([hidden]) a').focus()")
    page.one("[aria-label^='BTC-USD 1m']").send_keys(2 * Keys.RIGHT)
    assert page.js("return document.activeElement.ariaLabel") == "BTC-USD 15m: cold"
    page.one("[data-filter]").send_keys(3 * Keys.BACKSPACE)
    page.wait(lambda: page.count(".pairs[hidden]") == 0)
    page.js("document.querySelector('.chunks').lastElementChild.lastElementChild.scrollIntoView()")
    last = "document.querySelector('[aria-label^=\"SOL-USD 1d\"]')"
    assert page.js(f"return {last}.checkVisibility({{contentVisibilityAuto: true}})")
    page.click("[data-problems]")
    assert page.count(".pairs:not([hidden]) a") == 6000  # all are cold
    assert page.count(".pairs a[tabindex='0']") == 1


# Texts, their colour and the colour behind them, as the browser computed both.
COLOURS = """
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!/rgba\\(.*, 0\\)/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("#content *")]
  .filter((each) => each.checkVisibility() && !each.closest(":disabled, svg, .chart"))
  .filter((each) => [...each.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
  .map((each) => [each.innerText.slice(0, 40), getComputedStyle(each).color, behind(each)]);
"""


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def weak(page):
    """Return the texts that are hard to read."""
    found = page.js(COLOURS)
    assert len(found) > 20
    return [each for each in found if contrast(*each[1:]) < LEAST_CONTRAST]


def test_contrast_is_measured_as_the_standard_says():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(page, redis, row, two_accounts, theme):
    held_by(redis, row, state="active", phase="streaming")
    page.look(theme)
    page.open()
    for state in [*State, "stale"]:
        page.js("document.querySelector('.card').dataset.state = arguments[0]", state)
        assert (state, weak(page)) == (state, [])
    for code in "crqhk":
        page.js("document.querySelector('.pairs a').dataset.code = arguments[0]", code)
        assert (code, weak(page)) == (code, [])
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    assert weak(page) == []
