"""The page of an exchange's past, as a person reaches and reads it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from exchanges.models import Episode, Exchange
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, listed_exchange, person

pytestmark = pytest.mark.django_db(transaction=True)

NARROW = 400


@pytest.fixture
def row(redis):
    Exchange.objects.exclude(name="sandbox").delete()
    found = listed_exchange(("BTC-USD",), display_name="Sandbox")
    held_by(redis, found, state="active", phase="streaming")
    return found


@pytest.fixture
def page(browser, web, row):
    one = browsers.Page(browser, web)
    one.log_in(person("eve", "view_exchange"))
    yield one
    one.reset()


def remember(row, now, kind, tone, text, since, until=None, **fields):
    """Have an episode that began and ended so many hours ago; `until` None: it goes on."""
    ended_at = None if until is None else now - timedelta(hours=until)
    Episode.objects.create(
        exchange=row, kind=kind, tone=tone, text=text, began_at=now - timedelta(hours=since),
        ended_at=ended_at, seen_at=ended_at or now, **fields,
    )  # fmt: skip


@pytest.fixture
def night(row):
    """A month of which ten hours ago something broke."""
    now, holder = timezone.now(), "trading-1 (10.0.0.1), process 4711"
    remember(row, now, "run", "good", holder, 700, 10, ending="ended without a word")
    remember(row, now, "run", "good", "trading-2 (10.0.0.2), process 12", 9.5)
    remember(row, now, "state", "good", "Active: streaming", 700, 60)
    remember(
        row, now, "state", "bad", "Error: api.example.org cannot be reached: timed out", 60, 57
    )
    remember(row, now, "state", "good", "Active: streaming", 57, 10)
    remember(row, now, "state", "bad", "Stale: no sign of life, was active", 10, 9.8)
    remember(row, now, "state", "bad", "Offline: waits for an agent", 9.8, 9.5)
    remember(row, now, "state", "busy", "Warming: repairing", 9.5, 9.4)
    remember(row, now, "state", "good", "Active: streaming", 9.4)
    remember(row, now, "holes", "bad", "Pairs with holes", 9.5, 9.3, count=14)


def test_a_card_leads_there_and_keys_lead_from_day_to_day(page, row, night):
    page.open()
    page.click(f"#exchange-{row.pk} .to-past")
    page.wait_for("h1", "Past of Sandbox")
    assert "1 break, 30 min in all" in page.text("[data-summary]")
    assert "ended without a word; last seen at" in page.text("#episodes")
    assert page.count(".days .strip") == 30
    page.js("document.querySelector('.days a').focus()")
    ActionChains(page.driver).send_keys(Keys.TAB, Keys.ENTER).perform()
    page.wait(lambda: page.attribute(".days a[aria-current]", "href") is not None)
    assert page.count("#episodes tbody tr") >= 1
    assert page.complaints() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone_in_both_themes(page, row, night, theme):
    page.look(theme)
    page.be_wide(NARROW)
    page.open(f"{browsers.NETWORK}{row.pk}/past/", live=False)
    page.wait_for("h1", "Past of Sandbox")
    assert page.js("return document.documentElement.scrollWidth") <= NARROW
    assert page.js("return document.querySelector('#episodes').scrollWidth") < NARROW
    colors = page.js(
        "return ['good', 'bad'].map((tone) => getComputedStyle("
        "document.querySelector(`rect.tone-${tone}`)).fill)"
    )
    assert len(set(colors)) == 2
