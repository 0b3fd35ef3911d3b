"""How many alerts are open, told by both sockets: the Network page's and that of other pages."""

import pytest
from asgiref.sync import sync_to_async

from alerts.models import Alert
from alerts.page import feed as feeds
from livermore.asgi import application
from tests.alerts.page.conftest import alert
from tests.warmup.network.operators import person
from tests.warmup.network.sockets import Browser, browsing, in_a_loop, kind, log_in
from warmup.network.socket import feed as network_feeds
from warmup.network.socket.consumer import FLOOD_MESSAGES
from warmup.network.socket.lifetime import FLOOD

PATH = "/ws/alerts/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(feeds, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(network_feeds, "POLL_SECONDS", 0.05)


@pytest.fixture
def session(row, redis, looked):
    return log_in(person("eve", "view_exchange"))


def resolve():
    Alert.objects.all().delete()


async def snapshot(browser):
    assert await browser.connect() == (True, None)
    return (await browser.next())["alerts"]


@in_a_loop
async def test_other_pages_are_told_how_many_are_open_and_each_change(row, session):
    browser = Browser(application, session, path=PATH)
    assert await snapshot(browser) == {"open": 0, "why": ""}
    await sync_to_async(alert)(row)
    told = await browser.until(kind("alerts"))
    assert told["alerts"] == {"open": 1, "why": ""}
    await sync_to_async(resolve)()
    told = await browser.until(kind("alerts"))
    assert told["alerts"]["open"] == 0
    await browser.leave()


@in_a_loop
async def test_the_network_pages_socket_tells_it_too(row, session):
    async with browsing(application, session) as browser:
        assert browser.messages[0]["alerts"] == {"open": 0, "why": ""}
        await sync_to_async(alert)(row)
        told = await browser.until(kind("alerts"))
        assert told["alerts"] == {"open": 1, "why": ""}


@in_a_loop
async def test_who_asks_is_told_again_and_nonsense_is_ignored(session):
    browser = Browser(application, session, path=PATH)
    await snapshot(browser)
    for text in ("nonsense", "[]", '{"type": "seen", "count": 77}', '{"type": "open-signals"}'):
        await browser.say_text(text)
    await browser.say(type="refresh")
    assert (await browser.next())["type"] == "snapshot"
    await browser.leave()


@in_a_loop
async def test_who_says_too_much_is_cut_off(session):
    browser = Browser(application, session, path=PATH)
    await snapshot(browser)
    for _ in range(FLOOD_MESSAGES + 1):
        await browser.say_text("{}")
    assert await browser.until_closed() == FLOOD


@pytest.mark.parametrize("permission", ["", "view_symbol"])
def test_who_may_not_see_exchanges_is_not_let_in(row, permission):
    session = log_in(person("other", permission)) if permission else None

    @in_a_loop
    async def refused():
        connected, code = await Browser(application, session, path=PATH).connect()
        return connected, code

    assert refused() == (False, 4403 if permission else 4401)
