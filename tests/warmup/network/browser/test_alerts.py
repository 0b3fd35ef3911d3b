"""How many alerts are open, on all pages, and the drawer that says which: in a real browser."""

from datetime import timedelta

import pytest
from django.utils import timezone
from selenium.webdriver.common.keys import Keys

from alerts.models import Alert, AlertProgress
from exchanges.models import Exchange
from tests.alerts.page.conftest import alert
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import listed_exchange, person

pytestmark = pytest.mark.django_db(transaction=True)

INDEX = "/admin/"
SIGNALS = f"{browsers.NETWORK}signals/"
HOSTILE = '"><img/src=x/onerror=window.hurt=1><script>window.hurt=1</script>'
MANY = 1000
SOON = timedelta(minutes=10)  # so long the tests need nobody to evaluate


@pytest.fixture
def row(redis):
    Exchange.objects.exclude(name="sandbox").delete()
    AlertProgress.objects.update_or_create(pk=1, defaults={"looked_at": timezone.now() + SOON})
    return listed_exchange(display_name="Sandbox")


@pytest.fixture
def page(browser, web, row):
    one = browsers.Page(browser, web)
    one.log_in(person("eve", "view_exchange"))
    yield one
    one.reset()


def counted(page):
    return page.text("#open-alerts b")


def is_open(page):
    return page.js("return document.getElementById('alerts-drawer')?.open === true")


def focused(page):
    return page.js("return document.activeElement.id || document.activeElement.textContent")


def opened(page):
    page.click("#open-alerts")
    page.wait_for("#alerts-drawer", "Over, of the last day")


def test_the_number_moves_without_a_reload(page, row):
    for path in (INDEX, browsers.NETWORK, "/docs/alerts/"):
        page.open(path, live=path == browsers.NETWORK)
        page.js("window.mark = true")
        page.wait(lambda: counted(page) == "0")
        alert(row)
        page.wait(lambda: counted(page) == "1")
        Alert.objects.update(resolved_at=timezone.now())
        page.wait(lambda: counted(page) == "0")
        assert (path, page.is_the_same, page.complaints()) == (path, True, [])


def test_the_drawer_opens_and_closes_by_keys_and_the_focus_comes_back(page, row):
    alert(row, text="sandbox: BTC-USD 1h: 3 candles missing")
    page.open(INDEX, live=False)
    page.one("#open-alerts").send_keys(Keys.ENTER)
    page.wait_for("#alerts-drawer article", "3 candles missing")
    assert page.attribute("#open-alerts", "aria-expanded") == "true"
    assert focused(page) == "Close"
    page.click("#alerts-drawer summary")
    href = page.attribute("#alerts-drawer details a", "href")
    assert href == f"/admin/network/{row.pk}/pairs/BTC-USD/1h/"
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: not is_open(page))
    assert focused(page) == "open-alerts"
    assert page.attribute("#open-alerts", "aria-expanded") == "false"
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    page.wait(lambda: is_open(page))


def test_an_open_drawer_goes_on_and_what_one_unfolded_stays(page, row):
    alert(row, text="the first")
    page.open(SIGNALS)
    page.click("#signals [data-alerts]")
    page.wait_for("#alerts-drawer article", "the first")
    page.click("#alerts-drawer summary")
    alert(row, text="the second")
    page.wait_for("#alerts-drawer article", "the second")
    assert page.count("#alerts-drawer details[open]") == 1
    assert page.js("return document.activeElement.matches('details[open] > summary')")


def test_what_a_listing_calls_itself_is_text(page, row):
    alert(row, text=HOSTILE, members={f"{HOSTILE} 1h": HOSTILE})
    Exchange.objects.update(display_name=HOSTILE)
    page.ignore_policy()  # which would hide it
    page.open(INDEX, live=False)
    opened(page)
    page.click("#alerts-drawer summary")
    assert HOSTILE in page.text("#alerts-drawer article")
    assert page.attribute("#alerts-drawer details a", "href").endswith("%3C%2Fscript%3E/1h/")
    assert page.js("return window.hurt") is None
    assert page.count("#alerts-drawer article img") == 0


def test_a_thousand_are_counted_and_few_are_drawn(page, row):
    now = timezone.now()
    Alert.objects.bulk_create(
        Alert(what="hole", exchange=row, text=f"n{n}", first_seen=now, last_seen=now)
        for n in range(MANY)
    )
    page.open(INDEX, live=False)
    assert counted(page) == str(MANY)
    opened(page)
    assert page.count("#alerts-drawer article") < 60
    assert "and 950 more that are open" in page.text("#alerts-drawer")


def test_where_nobody_evaluates_or_nothing_comes_it_says_so_in_place_of_a_number(page, row):
    page.open(INDEX, live=False)
    page.wait(lambda: counted(page) == "0")
    AlertProgress.objects.update(looked_at=timezone.now() - SOON)
    page.wait(lambda: counted(page) == "?")
    assert "nobody has evaluated alerts since" in page.attribute("#open-alerts", "title")
    opened(page)
    assert "It is not known what is open now" in page.text("#alerts-drawer")
    AlertProgress.objects.update(looked_at=timezone.now() + SOON)
    page.wait(lambda: counted(page) == "0")
    page.js("document.dispatchEvent(new CustomEvent('livermore:link', {detail: {state: 'stale'}}))")
    assert counted(page) == "?"


def test_without_scripts_it_is_a_page(page, row):
    alert(row, text="sandbox: something is wrong")
    page.disable_scripts()
    page.open(INDEX, live=False)
    assert counted(page) == "1"
    page.click("#open-alerts")
    page.wait_for(".alerts-list", "something is wrong")


def test_it_fits_whatever_the_width(page, row):
    members = {f"S{n}-USD 1h": "x" * 300 for n in range(20)}
    alert(row, text="y" * 500, members=members)
    page.open(SIGNALS)
    opened(page)
    page.click("#alerts-drawer summary")
    fits = "const e = document.querySelector(arguments[0]); return e.scrollWidth <= e.clientWidth"
    for width in (1200, 400):
        page.be_wide(width)
        for css in ("html", "#alerts-drawer", "#alerts-drawer article"):
            assert page.js(fits, css), (width, css)
