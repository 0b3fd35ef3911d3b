"""Choosing symbols in a real browser, with an exchange of fifteen hundred."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from exchanges.models import Exchange
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.sandbox.symbols import listings
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import person
from tests.warmup.runners import make_row

pytestmark = pytest.mark.django_db(transaction=True)

TRADING = 60


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(SandboxConfig(listings=listings(TRADING))) as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    Exchange.objects.exclude(name="sandbox").delete()
    return make_row(sandbox, symbols=["BTC-USD"], display_name="Sandbox", wanted="stopped")


@pytest.fixture
def page(browser, web, row):
    one = browsers.Page(browser, web)
    one.log_in(person("ada", "operate_exchange", "view_exchange"))
    yield one
    one.reset()


def monitored(row):
    return set(row.symbols.monitored().values_list("symbol", flat=True))


def open_dialog(page):
    page.open()
    page.click("[data-button=add-symbols]")
    page.wait_for("dialog[open] h2", "Symbols of Sandbox")


def search(page, text):
    page.type("dialog[open] [name=q]", text)


def shown(page):
    return page.js(
        "return [...document.querySelectorAll('dialog [data-results] tbody input')]"
        ".map((box) => box.value)"
    )


def box(page, symbol):
    return page.one(f"dialog[open] input[value='{symbol}']")


def test_the_most_traded_are_added_in_one_click_and_undone_in_another(page, row):
    open_dialog(page)
    page.type("dialog[open] [name=count]", "5")
    page.driver.find_element(By.XPATH, "//dialog//button[text()='Add most traded']").click()
    page.wait_for("dialog[open] .said", "the 5 most traded in USD")
    assert len(monitored(row)) in (5, 6)
    assert page.js("return document.activeElement.textContent") == "Undo"
    page.click("dialog[open] .said button")
    page.wait_for("dialog[open] .said", "Undone: ")
    assert monitored(row) == {"BTC-USD"}
    assert page.is_the_same


def test_volumes_come_by_themselves_after_the_dialog_has_opened(page, row):
    open_dialog(page)
    page.wait(lambda: "24 h volumes:" in page.text("dialog [data-volumes]"))
    page.wait_for("dialog [data-volumes]", "ago")
    texts = page.js(
        "return [...document.querySelectorAll('dialog tbody .number')].map((td) => td.textContent)"
    )
    assert [each for each in texts if each != "–"]


def test_what_was_chosen_stays_chosen_through_searches(page, row):
    open_dialog(page)
    search(page, "eth-u")
    page.wait(lambda: "ETH-USD" in shown(page) and "BTC-USD" not in shown(page))
    box(page, "ETH-USD").click()
    search(page, "sol")
    page.wait(lambda: shown(page) == ["SOL-USD"])
    box(page, "SOL-USD").click()
    page.wait_for("dialog [data-chosen]", "2 chosen: ETH-USD, SOL-USD")
    page.type("dialog[open] input[data-listing]", "xrp-usd")
    page.click("dialog[open] form[data-change] button.primary")
    page.wait_for("dialog[open] .said", "3 of 3 newly monitored")
    assert monitored(row) == {"BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD"}


def test_it_works_by_keys_alone(page, row):
    open_dialog(page)
    page.wait_for("dialog [data-volumes]", "ago")
    assert page.js("return document.activeElement.name") == "q"
    page.driver.switch_to.active_element.send_keys("s00")
    page.wait(lambda: len(shown(page)) == 9)
    tabs = 0
    while page.js("return document.activeElement.closest('tbody') === null"):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        tabs += 1
        assert tabs < 8
    first, second = shown(page)[:2]
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    page.wait_for("dialog [data-chosen]", f"2 chosen: {first}, {second}")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait_for("dialog[open] .said", "2 of 2 newly monitored")
    assert monitored(row) == {"BTC-USD", first, second}


def test_a_wrong_name_keeps_what_was_chosen(page, row):
    open_dialog(page)
    search(page, "sol")
    page.wait(lambda: shown(page) == ["SOL-USD"])
    box(page, "SOL-USD").click()
    page.type("dialog[open] input[data-listing]", "not-there")
    page.click("dialog[open] form[data-change] button.primary")
    page.wait_for("#toasts", "does not list NOT-THERE")
    assert "1 chosen: SOL-USD" in page.text("dialog [data-chosen]")
    assert monitored(row) == {"BTC-USD"}


def test_it_works_without_scripts(page, row):
    page.disable_scripts()
    page.open(live=False)
    page.click("[data-button=add-symbols]")
    page.type("[name=q]", "sol")
    page.click(".choose .no-js")
    page.wait(lambda: len(page.all("tbody input")) == 1)
    page.click("input[value='SOL-USD']")
    page.click("form[data-change] button.primary")
    page.wait(lambda: monitored(row) == {"BTC-USD", "SOL-USD"})
    page.wait(lambda: page.all(".said button"))
    assert "1 of 1 newly monitored" in page.one(".said").text
    page.click(".said button")
    page.wait(lambda: monitored(row) == {"BTC-USD"})


def test_on_a_phone_nothing_is_wider_than_the_screen(page, row):
    page.be_wide(400, 800)
    open_dialog(page)
    page.wait_for("dialog [data-volumes]", "ago")
    wide = page.js(
        "const d = document.querySelector('dialog[open]');"
        "return [d.scrollWidth - d.clientWidth, document.querySelector('.choices').scrollWidth"
        " - document.querySelector('.choices').clientWidth]"
    )
    assert wide == [0, 0]
