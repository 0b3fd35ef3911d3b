"""What a browser sees while Redis is away, hangs, or moves to another server."""

import pytest

from exchanges.models import Exchange
from livermore.asgi import application
from livermore.market.timeframe import Timeframe
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.network.operators import listed_exchange, person, report_status
from tests.warmup.network.sockets import (
    Browser,
    browsing,
    in_a_loop,
    kind,
    log_in,
    state_is,
    subscribers,
    wait_until,
)
from warmup.network.socket import feed, sockets
from warmup.network.socket.feed import current_feed

pytestmark = pytest.mark.django_db

M1 = Timeframe.M1


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.1)


@pytest.fixture
def exchange(db):
    Exchange.objects.exclude(name="sandbox").update(is_active=False)
    return listed_exchange()


@pytest.fixture
def session(exchange):
    return log_in(person("ada", "operate_exchange"))


@pytest.fixture
def serve_by(settings):
    """Return what lets the web side have its Redis at another address."""

    def serve_by(url):
        settings.REDIS_URL = url
        layer = settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"url": url}}
        settings.CHANNEL_LAYERS = {"default": layer}
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": [url]}}

    return serve_by


@pytest.fixture
def own_redis(tmp_path, serve_by):
    """Serve the web side by a Redis that the test may take away."""
    with OwnRedis(tmp_path) as own_redis:
        serve_by(own_redis.server.url)
        yield own_redis


async def goes_on(redis, browser, exchange):
    """Wait until changes come through again."""
    await browser.until_card(exchange, lambda card: card["state"] != "stale")
    await wait_until(lambda: subscribers(redis))
    report_status(redis, exchange, framesPerSecond=7)
    await browser.until_card(exchange, lambda card: card["lines"]["rate"] == "7.0 frames/s")


@in_a_loop
async def test_when_redis_goes_the_page_says_so_and_when_it_is_back_it_goes_on(
    own_redis, exchange, session
):
    with own_redis.client() as redis:
        report_status(redis, exchange)
    async with browsing(application, session, may_miss=True) as browser:
        before = current_feed()
        assert browser.cards[exchange.pk]["state"] == "active"
        own_redis.stop()
        card = await browser.until_card(exchange, state_is("stale"))
        assert card["stateText"] == "Stale: Redis does not answer"
        assert card["lines"]["host"] == "host-1", "what was known stays"
        own_redis.start()
        with own_redis.client() as redis:
            await goes_on(redis, browser, exchange)
        assert current_feed() is before


@in_a_loop
async def test_a_redis_that_hangs_is_one_that_is_gone(own_redis, exchange, session, monkeypatch):
    monkeypatch.setattr(feed, "READ_SECONDS", 0.2)
    monkeypatch.setattr(sockets, "SEND_SECONDS", 0.2)
    async with browsing(application, session, may_miss=True) as browser:
        with own_redis.hanging():
            await browser.until_card(exchange, state_is("stale"))
            await browser.say(
                type="open-pair", exchangeId=exchange.pk, symbol="BTC-USD", timeframe="1m"
            )
        await browser.until(kind("pair"))
        with own_redis.client() as redis:
            await goes_on(redis, browser, exchange)


@in_a_loop
async def test_without_redis_nobody_is_let_in_and_nothing_breaks(own_redis, session):
    own_redis.stop()
    assert await Browser(application, session).connect() == (False, 4503)
    own_redis.start()
    async with browsing(application, session):
        pass
