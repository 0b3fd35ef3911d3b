"""What a browser sees while Redis is away, hangs, or moves to another server."""

import asyncio
import time

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from alerts.models import AlertProgress
from alerts.page import feed as alerts_feed
from exchanges.models import Exchange
from exchanges.redis.client import make_client
from livermore.asgi import application
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.fixtures.sentinels import Sentinels
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.network.operators import listed_exchange, person, report_status
from tests.warmup.network.sockets import (
    Browser,
    browsing,
    in_a_loop,
    kind,
    log_in,
    open_pair,
    state_is,
    subscribers,
    wait_until,
)
from warmup.cache.candles import CandleCache
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


@in_a_loop
async def test_without_redis_how_many_alerts_are_open_is_told_as_before(
    own_redis, exchange, session, monkeypatch
):
    monkeypatch.setattr(alerts_feed, "POLL_SECONDS", 0.1)
    other = Browser(application, session, path="/ws/alerts/")  # of a page that has no other socket
    async with browsing(application, session, may_miss=True) as browser:
        own_redis.stop()
        assert await other.connect() == (True, None)
        looked = {"looked_at": timezone.now()}
        await database_sync_to_async(AlertProgress.objects.update_or_create)(pk=1, defaults=looked)
        for each in (browser, other):
            told = await each.until(lambda message: message.get("alerts", {}).get("open") == 0)
            assert told["alerts"]["why"] == ""
        await other.leave()
        own_redis.start()


# -- A failover


def shown(browser, exchange):
    """Return the states of an exchange as they were shown, one after the other."""
    found = []
    for message in browser.messages:
        cards = message.get("cards") or [message | message.get("changes", {})]
        for card in cards:
            is_it = card.get("exchangeId") == exchange.pk and "state" in card
            if is_it and found[-1:] != [card["state"]]:
                found.append(card["state"])
    return found


@in_a_loop
async def test_a_page_says_that_its_master_is_gone_and_follows_the_next_one_by_itself(
    tmp_path, serve_by, exchange, session
):
    with Sentinels(tmp_path) as watched, make_client(watched.url) as redis:
        serve_by(watched.url)
        report_status(redis, exchange, framesPerSecond=5)
        async with browsing(application, session, may_miss=True) as browser:
            before = current_feed()
            await open_pair(browser, exchange)
            old = watched.master()
            old.kill()
            card = await browser.until_card(exchange, state_is("stale"))
            assert card["stateText"] == "Stale: Redis does not answer"
            assert card["lines"]["rate"] == "5.0 frames/s", "what was known stays"
            await asyncio.to_thread(watched.wait_for_another, old)
            await goes_on(redis, browser, exchange)
            assert shown(browser, exchange) == ["active", "stale", "active"]
            new = Candle(M1.floor(int(time.time() * 1000)), 1.0, 2.0, 0.5, 1.5, 3.0, M1)
            CandleCache(redis, exchange.pk).set_live("BTC-USD", new)
            redis.publish(keys.candle_channel(exchange.pk, "BTC-USD", M1), b"{}")
            assert (await browser.until(kind("pair")))["live"] == new.values()
            assert current_feed() is before


@in_a_loop
async def test_a_page_follows_the_next_master_while_the_former_stays_up(
    tmp_path, serve_by, exchange, session
):
    with Sentinels(tmp_path) as watched, make_client(watched.url) as redis:
        serve_by(watched.url)
        report_status(redis, exchange)
        async with browsing(application, session, may_miss=True) as browser:
            await asyncio.to_thread(watched.fail_over)
            report_status(redis, exchange, framesPerSecond=7)
            await browser.until_card(exchange, lambda card: card["lines"]["rate"] == "7.0 frames/s")
