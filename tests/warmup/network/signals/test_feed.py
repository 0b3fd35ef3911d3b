"""Signals on the socket: whole to who opens them, then what changes, and no cards."""

import time

import orjson
import pytest
from channels.db import database_sync_to_async

from exchanges.models import Exchange
from exchanges.redis.change_notifications import changed as told_of
from livermore.asgi import application
from livermore.market import keys
from livermore.market.candle import Ticker
from tests.warmup.network.operators import listed_exchange, report_status
from tests.warmup.network.sockets import browsing, in_a_loop, kind
from warmup.cache.tickers import TickerCache
from warmup.network.signals import feed as signal_feed
from warmup.network.socket.feed import _plain, current_feed
from warmup.network.socket.outbox import merge

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _all_prices_at_once(monkeypatch):
    monkeypatch.setattr(signal_feed, "seconds_between", lambda symbols: 0)


def write(redis, row, value):
    stored = {"value": value, "stage": "rallying", "timestamp": int(time.time() * 1000)}
    redis.set(keys.indicator(row.pk, "BTC-USD", "1h"), orjson.dumps(stored))


async def changed(browser, name):
    """Return the next change of that name."""
    message = await browser.until(
        lambda message: message["type"] == "signals" and name in message["changes"]
    )
    return message["changes"][name]


@in_a_loop
async def test_signals_are_told_whole_and_then_by_what_changes(redis, exchange, session):
    write(redis, exchange, 60.0)
    async with browsing(application, session) as browser:
        await browser.say(type="open-signals")
        first = await browser.until(kind("signals"))
        assert (first["exchangeId"], first["since"]) == (exchange.pk, 0)
        changes = first["changes"]
        assert changes["symbols"] == ["BTC-USD", "ETH-USD"]
        assert changes["cells"][0][3] == [60.0, "lp"]  # the pair has no candles
        assert (changes["prices"], changes["away"]) == ({}, False)
        assert changes["name"] == "sandbox"
        write(redis, exchange, 70.0)
        assert await changed(browser, "cellChanges") == [[0, 3, [70.0, "lp"]]]
        ticker = Ticker("ETH-USD", 2000.0, 1.0, 1.5, 1.0, 1.0, 10.0, int(time.time() * 1000))
        TickerCache(redis, exchange.pk).write_many([ticker])
        assert await changed(browser, "priceChanges") == {"ETH-USD": ["2000.0", 1.5, 20000.0]}
        redis.delete(keys.ticker(exchange.pk, "ETH-USD"))
        assert await changed(browser, "priceChanges") == {"ETH-USD": None}


@in_a_loop
async def test_who_sees_signals_is_told_of_the_state_and_no_card(redis, exchange, session):
    async with browsing(application, session) as browser:
        await browser.say(type="open-signals")
        await browser.until(kind("signals"))
        before = len(browser.messages)
        report_status(redis, exchange, closes=5)
        assert await changed(browser, "stateText") == "Active: streaming"
        kinds = {message["type"] for message in browser.messages[before:]}
        assert "card" not in kinds


@in_a_loop
async def test_an_exchange_that_is_new_comes_and_one_that_ended_goes(redis, exchange, session):
    async with browsing(application, session) as browser:
        await browser.say(type="open-signals")
        await browser.until(kind("signals"))
        other = await _in_thread(listed_exchange, ("SOL-USD",), "binance", is_active=True)
        redis.publish(*told_of(other.pk, "row"))
        new = await browser.until(
            lambda message: message["type"] == "signals" and message["exchangeId"] == other.pk
        )
        assert (new["since"], new["changes"]["symbols"]) == (0, ["SOL-USD"])
        await _in_thread(Exchange.objects.filter(pk=other.pk).update, is_active=False)
        redis.publish(*told_of(other.pk, "row"))
        gone = await browser.until(kind("gone"))
        assert gone["exchangeId"] == other.pk


async def _in_thread(function, *arguments, **values):
    return await database_sync_to_async(function)(*arguments, **values)


@in_a_loop
async def test_nothing_new_is_confirmed(redis, exchange, session, monkeypatch):
    monkeypatch.setattr(signal_feed, "CONFIRM_SECONDS", 0.05)
    async with browsing(application, session) as browser:
        await browser.say(type="open-signals")
        first = await browser.until(kind("signals"))
        again = await browser.until(
            lambda message: message["type"] == "signals" and not message["changes"]
        )
        assert again["since"] == again["version"] >= first["version"]


@in_a_loop
async def test_without_redis_they_are_said_to_be_away(redis, exchange, session, monkeypatch):
    async with browsing(application, session) as browser:
        await browser.say(type="open-signals")
        await browser.until(kind("signals"))

        def fail(*arguments):
            raise signal_feed.RedisError("gone")

        monkeypatch.setattr(signal_feed.SignalReader, "read", fail)
        assert await changed(browser, "away") is True
        monkeypatch.undo()
        assert await changed(browser, "away") is False


class _Counting:
    """In place of an exchange's feed: how often it was read."""

    def __init__(self, card):
        self.card, self.polls = card, 0

    async def poll(self):
        self.polls += 1


@in_a_loop
async def test_of_many_exchanges_a_browser_is_told_in_turn():
    feeds, most = [], signal_feed.MOST_A_POLL
    cards = {number: object() for number in range(2 * most)}
    signals = signal_feed.OpenSignals(
        lambda card: feeds.append(_Counting(card)) or feeds[-1], cards
    )
    await signals.open()
    assert [each.polls for each in feeds] == [1] * len(cards)  # all of them, for who just came
    await signals.poll()
    assert sum(each.polls for each in feeds) == len(cards) + most
    await signals.poll()
    assert [each.polls for each in feeds] == [2] * len(cards)
    cards[99] = object()
    await signals.poll()
    assert feeds[-1].polls == 1  # a new one at once


@in_a_loop
async def test_who_sees_signals_is_not_told_what_other_pages_show(exchange, session):
    async with browsing(application, session) as browser:
        await browser.say(type="open-signals")
        await browser.until(kind("signals"))
        for told in ("agents", "readers", "alerts"):
            await current_feed()._send(current_feed().everybody, _plain(told, **{told: []}))
        await browser.until(kind("alerts"))
        assert not {"agents", "readers"} & {message["type"] for message in browser.messages}


def test_what_a_slow_browser_has_not_taken_is_one_message():
    def message(since, changes):
        text = orjson.dumps({"since": since, "version": since + 1, "changes": changes}).decode()
        return {"kind": "signals", "since": since, "version": since + 1, "text": text}

    first = message(3, {"cellChanges": [[0, 1, [1.0, "lf"]]]})
    both = merge(first, message(4, {"cellChanges": [[0, 2, [2.0, "lf"]]], "state": "active"}))
    assert (both["since"], both["version"]) == (3, 5)
    assert orjson.loads(both["text"])["changes"] == {
        "cellChanges": [[0, 1, [1.0, "lf"]], [0, 2, [2.0, "lf"]]],
        "state": "active",
    }
    lost = message(7, {"state": "stale"})
    assert merge(first, lost) == lost
