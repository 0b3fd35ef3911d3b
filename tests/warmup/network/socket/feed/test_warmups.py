"""A warmup, whoever started it, as a browser sees it."""

from io import StringIO

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command

from livermore.asgi import application
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import report_status
from tests.warmup.network.sockets import browsing, in_a_loop, state_is
from warmup.scanner import CandleStatusResult
from warmup.schedule import WarmupScheduleBuilder
from warmup.stats import WarmupStats, WarmupStatsPublisher

pytestmark = pytest.mark.django_db

M1 = Timeframe.M1
in_thread = sync_to_async(thread_sensitive=True)


@in_a_loop
async def test_a_warmup_by_the_command_is_followed_from_its_start_to_its_end(
    redis, exchange, session, sandbox
):
    sandbox.scenarios.add("slow", delay=0.3)  # else it may be over before it is told
    exchange.rest_url = sandbox.url
    await exchange.asave()
    async with browsing(application, session) as browser:
        assert browser.cards[exchange.pk]["warmup"] is None
        await in_thread(call_command)("warmup", "sandbox", stdout=StringIO(), stderr=StringIO())
        card = await browser.until_card(
            exchange, lambda card: card["warmup"] and card["warmup"]["status"] == "complete"
        )
        assert card["warmup"]["counts"] == "12 done, 0 skipped, 0 failed of 12"
        assert dict(card["warmup"]["schedule"]) == dict.fromkeys(Timeframe, 2)
        await browser.until_card(exchange, lambda card: "k" not in "".join(card["grid"]["rows"]))
        told = [message.get("changes", {}).get("state") for message in browser.messages]
        assert "warming" in told


@in_a_loop
async def test_the_schedule_of_the_next_warmup_takes_the_place_of_the_last(
    redis, exchange, session
):
    def schedule(*timeframes):
        results = [CandleStatusResult("BTC-USD", each, 0, sufficient=False) for each in timeframes]
        WarmupScheduleBuilder(redis, exchange.pk).build_and_persist(results)

    async with browsing(application, session) as browser:
        with WarmupStatsPublisher(redis, WarmupStats(exchange.pk)):
            for timeframes in ([M1], [Timeframe.H4, M1]):
                schedule(*timeframes)
                expected = [[each, 1] for each in timeframes]
                await browser.until_card(exchange, has_schedule(expected))


def has_schedule(expected):
    return lambda card: card["warmup"] and card["warmup"]["schedule"] == expected


@in_a_loop
async def test_progress_ends_with_the_warmup_and_the_result_stays(redis, exchange, session):
    stats = WarmupStats(exchange.pk)
    async with browsing(application, session) as browser:
        with WarmupStatsPublisher(redis, stats):
            await browser.until_card(exchange, lambda card: card["warmup"])
            assert browser.cards[exchange.pk]["warmup"]["alive"]
            stats.finish(error="the exchange is gone")
        done = await browser.until_card(exchange, lambda card: card["warmup"]["error"])
        report_status(redis, exchange)
        card = await browser.until_card(exchange, state_is("active"))
        assert card["warmup"] == done["warmup"]
        assert (card["warmup"]["status"], card["warmup"]["alive"]) == ("error", False)
