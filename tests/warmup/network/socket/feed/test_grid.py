"""What a browser sees of pairs that change: their cells, and new rows."""

import time

import pytest

from exchanges.redis.change_notifications import changed
from livermore.asgi import application
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import report_status
from tests.warmup.network.socket.feed.minutes import minutes
from tests.warmup.network.sockets import browsing, in_a_loop
from warmup.cache.candles import CandleCache

pytestmark = pytest.mark.django_db

M1 = Timeframe.M1


@in_a_loop
async def test_a_repaired_pair_changes_its_cell_alone(redis, exchange, session):
    async with browsing(application, session) as browser:
        assert browser.cards[exchange.pk]["grid"]["rows"] == ["kkkkkk", "kkkkkk"]
        end_ms = M1.floor(int(time.time() * 1000))
        stretch = ((end_ms - 110 * M1.ms, end_ms),)
        CandleCache(redis, exchange.pk).write("ETH-USD", M1, minutes(110, end_ms), stretch)
        report_status(redis, exchange, closes=1)
        message = await browser.until(lambda message: "cells" in message.get("changes", ()))
        assert message["changes"]["cells"] == [[1, 0, "c"]]
        card = browser.cards[exchange.pk]
        assert card["grid"]["rows"] == ["kkkkkk", "ckkkkk"]
        assert card["lines"]["holes"] == "11 cold of 12 pairs"


@in_a_loop
async def test_symbols_that_are_added_get_their_row(redis, exchange, session):
    async with browsing(application, session) as browser:
        await exchange.symbols.filter(symbol="SOL-USD").aupdate(is_monitored=True)
        redis.publish(*changed(exchange.pk, "action"))
        card = await browser.until_card(exchange, lambda card: len(card["grid"]["rows"]) == 3)
        assert card["grid"]["symbols"] == ["BTC-USD", "ETH-USD", "SOL-USD"]
        assert card["lines"]["symbols"] == "3 symbols"
