"""Who reads, on the page in a real browser, as it changes."""

import pytest

from exchanges.models import Exchange
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, listed_exchange, person
from warmup.network.readers import Reader, Report, tell_readers, withdraw

pytestmark = pytest.mark.django_db(transaction=True)

TABLE, NOBODY = "#readers", "[data-no-readers]"


@pytest.fixture
def page(browser, web, redis):
    Exchange.objects.exclude(name="sandbox").delete()
    row = listed_exchange()
    held_by(redis, row, state="active", phase="streaming")
    one = browsers.Page(browser, web)
    one.log_in(person("ada", "operate_exchange", "view_exchange"))
    yield one
    one.reset()


def test_readers_come_move_and_go_without_a_reload(page, redis):
    page.open()
    assert not page.one(TABLE).is_displayed()
    assert page.text(NOBODY).startswith("Nobody now.")
    seen_ms = redis.time()[0] * 1000
    bot = Reader("freqtrade-1", "sandbox", 60, 59, 60, 6001, 2, 12, seen_ms)
    tell_readers(
        redis, Report("one", "s", readers=(bot, Reader("", "sandbox", 3, seen_at=seen_ms)))
    )
    page.wait_for(f"{TABLE} tbody tr:nth-child(2)", "freqtrade-1")
    cells = "return [...document.querySelectorAll('#readers tbody tr:nth-child(2) > *')]"
    found = page.js(f"{cells}.map((each) => each.innerText)")
    assert found[:7] == ["freqtrade-1", "sandbox", "60", "98 %", "6001", "2", "12 ms"]
    assert found[7].endswith("s ago")
    first = page.text(f"{TABLE} tbody tr:nth-child(1)").split("\t")
    assert (first[0], first[6]) == ("without a token", "< 1 ms")
    assert not page.one(NOBODY).is_displayed()
    withdraw(redis, "one")
    page.wait(lambda: not page.one(TABLE).is_displayed())
    assert page.one(NOBODY).is_displayed()
    assert page.is_the_same
    assert page.complaints() == []


def test_a_new_token_can_be_read_whole_on_a_narrow_screen(page):
    page.log_in(person("eve", "add_apiclient", "view_apiclient"))
    page.be_wide(400)
    page.open("/admin/serving/apiclient/add/", live=False)
    page.type("[name=name]", "freqtrade-1")
    page.click("[name=_save]")
    page.wait_for("#content h1", "The token, shown this once")
    assert page.text(".token").startswith("lm_")
    assert page.js("return document.documentElement.scrollWidth") <= 400
