"""The ? of the page and the documents behind it, in a real browser."""

import pytest
from selenium.webdriver.common.keys import Keys

from exchanges.models import Exchange
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, listed_exchange, person

pytestmark = pytest.mark.django_db(transaction=True)

OPEN = "return [...document.querySelectorAll(':popover-open.word')].map((each) => each.id)"
# Opens what explains a mark, and tells where it begins and ends.
EXPLAINED = """
arguments[0].scrollIntoView({block: "center"});
arguments[0].click();
const {left, right} = document.querySelector(":popover-open.word").getBoundingClientRect();
return [left, right];
"""


@pytest.fixture
def page(browser, web, redis):
    Exchange.objects.exclude(name="sandbox").delete()
    row = listed_exchange()
    held_by(redis, row, state="active", phase="streaming")
    one = browsers.Page(browser, web)
    one.log_in(person("ada", "operate_exchange", "view_exchange"))
    yield one
    one.reset()


def focus(page, css):
    page.js("document.querySelector(arguments[0]).focus()", css)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_question_mark_opens_by_keys_and_closes_by_escape(page, scripts):
    page.disable_scripts(not scripts)
    page.open(live=scripts)
    mark = page.one(".card .what[popovertarget=what-weight]")
    mark.send_keys(Keys.ENTER)
    page.wait(lambda: page.one("#what-weight").is_displayed())
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("href").endswith(
        "/docs/network/#request-weight"
    )
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: not page.one("#what-weight").is_displayed())


def test_its_link_leads_to_the_place_in_the_documents(page):
    page.open()
    page.click(".card .what[popovertarget=what-holes]")
    page.click("#what-holes a")
    page.wait_for("h2#holes", "Holes")
    assert page.driver.current_url.endswith("/docs/network/#holes")


def test_in_a_dialog_it_opens_too(page):
    page.open()
    page.click("[data-button=add-symbols]")
    page.wait_for("dialog[open] h2", "Symbols of")
    page.click("dialog .what[popovertarget=what-undo-here]")
    page.wait(lambda: page.js(OPEN) == ["what-undo-here"])


def test_an_explanation_stays_within_the_window(page):
    page.open()
    for width in (1280, 400):
        page.be_wide(width)
        for mark in page.all("#network .what"):
            if mark.is_displayed():
                left, right = page.js(EXPLAINED, mark)
                which = width, mark.get_attribute("popovertarget")
                assert (left >= 0, right <= width) == (True, True), which


def test_a_document_is_no_wider_than_a_phone(page):
    page.be_wide(400)
    for name in ("readme", "operations", "network", "venues"):
        page.open(f"/docs/{name}/", live=False)
        more = page.js(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert (name, more, page.complaints()) == (name, 0, [])


def test_words_in_a_wide_table_stay_whole(page):
    page.be_wide(1280)
    page.open("/docs/venues/", live=False)
    lines = page.js(
        "const lines = (cell) => {"
        "  const range = document.createRange();"
        "  range.selectNodeContents(cell);"
        "  return range.getClientRects().length;"
        "};"
        "const heads = [...document.querySelectorAll('th')];"
        "return heads.filter((th) => !/\\s/.test(th.textContent)).map(lines);"
    )
    assert lines == [1] * len(lines) != []
