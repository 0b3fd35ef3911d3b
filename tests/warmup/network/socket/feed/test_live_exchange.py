"""A live exchange as a browser sees it, all of it."""

import pytest

from exchanges.lock.control_client import ControlClient
from livermore.asgi import application
from livermore.market import keys
from tests.warmup.network.operators import person
from tests.warmup.network.sockets import browsing, in_a_loop, log_in
from tests.warmup.runners import make_row, running, serve
from warmup.live import background_repair
from warmup.network.socket import card_feed

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_a_live_exchange_is_shown_as_it_is_and_its_holes_while_they_are_repaired(
    redis, monkeypatch
):
    monkeypatch.setattr(card_feed, "GRID_KEPT_MS", 100)
    monkeypatch.setattr(background_repair, "STEP_SECONDS", 60)  # it repairs before it is seen
    with serve(speed=1) as sandbox:
        row = make_row(sandbox)
        with running(redis, row):
            session = log_in(person("ada", "operate_exchange"))
            in_a_loop(_look_at_live_exchange)(redis, row, session)


async def _look_at_live_exchange(redis, row, session):
    def of_day(letter):
        return lambda card: card["grid"]["rows"][0][-1] == letter

    async with browsing(application, session) as browser:
        card = await browser.until_card(
            row, lambda card: card["stateText"] == "Active: streaming" and card["sparkline"]
        )
        assert card["lines"]["symbols"] == "3 symbols, 19 streams on 1 connection"
        assert card["lines"]["rate"].endswith("frames/s")
        assert card["warmup"]["line"] == "Warmup complete"
        await browser.until_card(row, lambda card: card["grid"]["rows"] == ["cccccc"] * 3)
        redis.delete(keys.coverage(row.pk, "BTC-USD", "1d"))
        await browser.until_card(row, of_day("h"))
        # In batches of five with a second between, the days last: long enough to be seen.
        ControlClient(redis, row.pk).send("force-backfill")
        await browser.until_card(row, of_day("r"))
        await browser.until_card(row, of_day("c"))
