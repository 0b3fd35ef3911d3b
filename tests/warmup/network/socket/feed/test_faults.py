"""What a browser sees where the database is away, or a fault of ours costs a card."""

from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from exchanges.redis.unreadable import OnceAnHour
from livermore.asgi import application
from tests.warmup.network.operators import report_status
from tests.warmup.network.sockets import browsing, in_a_loop, kind, state_is
from warmup.network.page import snapshot
from warmup.network.page.snapshot import read_network
from warmup.network.socket import card_feed, feed

pytestmark = pytest.mark.django_db


@in_a_loop
async def test_a_database_that_is_away_is_told_and_that_it_is_back(
    redis, exchange, session, monkeypatch
):
    def fail():
        raise OperationalError("database is locked")

    async with browsing(application, session) as browser:
        assert browser.messages[0]["databaseAway"] is False
        with monkeypatch.context() as patch:
            patch.setattr(feed, "read_rows", fail)
            patch.setattr(feed, "Exchange", SimpleNamespace(objects=SimpleNamespace(exists=fail)))
            assert (await browser.until(kind("database")))["away"]
            report_status(redis, exchange)  # what is in Redis goes on
            await browser.until_card(exchange, state_is("active"))
            await browser.say(type="refresh")
            assert (await browser.until(kind("snapshot")))["databaseAway"]
        assert not (await browser.until(kind("database")))["away"]


@in_a_loop
async def test_a_fault_of_ours_costs_one_card_alone_until_it_is_over(
    redis, exchange, session, monkeypatch, caplog
):
    right, is_over = card_feed.read_exchange, []

    def faulty(redis, row, *arguments):
        if row.pk == exchange.pk and not is_over:
            raise OverflowError("cannot convert float infinity to integer")
        return right(redis, row, *arguments)

    monkeypatch.setattr(card_feed, "_news", OnceAnHour())
    monkeypatch.setattr(card_feed, "read_exchange", faulty)
    monkeypatch.setattr(snapshot, "read_exchange", faulty)
    texts = {c["name"]: c["stateText"] for c in await read_page(redis)}
    fault = "Can't be shown: a fault of Livermore's own"
    assert [name for name, text in texts.items() if text == fault] == ["sandbox"]
    async with browsing(application, session) as browser:
        found = {card["name"]: card["stateText"] for card in browser.cards.values()}
        assert found == texts
        is_over.append(True)
        await browser.until_card(exchange, lambda card: card["stateText"] != fault)
    [said] = [r for r in caplog.records if "card.failed" in r.getMessage()]
    assert said.exc_info and "exchange=sandbox" in said.getMessage()


@sync_to_async
def read_page(redis):
    return read_network(redis, None)["cards"]
