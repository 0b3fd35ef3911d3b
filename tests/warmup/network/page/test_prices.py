"""Last prices on the grid: which are known, what of them is told, and how they look."""

import orjson
import pytest
from django.template import engines

from livermore.asgi import application
from livermore.market import keys
from livermore.market.candle import Ticker
from tests.warmup.network.operators import held_by, listed_exchange, person
from tests.warmup.network.sockets import browsing, in_a_loop, log_in
from warmup.cache.tickers import TickerCache
from warmup.network.page.prices import price_changes, read_prices, seconds_between, with_changes
from warmup.network.page.snapshot import read_network
from warmup.network.socket import card_feed, feed
from warmup.network.socket.outbox import merge

pytestmark = pytest.mark.django_db

NOW_MS = 1_790_000_040_000


@pytest.fixture
def row(redis):
    found = listed_exchange()
    held_by(redis, found, state="active", phase="streaming")
    return found


@pytest.fixture
def session(row):
    return log_in(person("ada", "view_exchange"))


def write(redis, row, price, change=1.234, symbol="BTC-USD"):
    ticker = Ticker(symbol, price, 1.0, change, price, price, 5.0, NOW_MS)
    TickerCache(redis, row.pk).write_many([ticker])


def test_prices_are_read_with_their_change_and_without_an_exponent(redis, row):
    write(redis, row, 4.1e-7, -0.005)
    assert read_prices(redis, row.pk, ["BTC-USD", "ETH-USD"]) == {
        "BTC-USD": ("0.00000041", pytest.approx(-0.01, abs=0.006))
    }
    assert read_prices(redis, row.pk, []) == {}


def test_a_price_is_gone_with_its_ticker(redis, row):
    write(redis, row, 5.0)
    redis.pexpire(keys.ticker(row.pk, "BTC-USD"), 1)
    while redis.exists(keys.ticker(row.pk, "BTC-USD")):
        pass
    assert read_prices(redis, row.pk, ["BTC-USD"]) == {}


@pytest.mark.parametrize("stored", [b"x", b"[]", b"7", b"{}", b'{"symbol": "BTC-USD"}', b"\xff"])
def test_an_unreadable_ticker_costs_its_own_price(redis, row, stored):
    write(redis, row, 5.0, symbol="ETH-USD")
    redis.set(keys.ticker(row.pk, "BTC-USD"), stored)
    assert list(read_prices(redis, row.pk, ["BTC-USD", "ETH-USD"])) == ["ETH-USD"]
    redis.delete(keys.ticker(row.pk, "BTC-USD"))
    redis.lpush(keys.ticker(row.pk, "BTC-USD"), "x")
    assert list(read_prices(redis, row.pk, ["BTC-USD", "ETH-USD"])) == ["ETH-USD"]


def test_only_what_changed_is_told():
    before = {"A": ("1", 0.0), "B": ("2", 0.0), "C": ("3", 0.0)}
    after = {"A": ("1", 0.0), "B": ("2", 0.5), "D": ("4", 0.0)}
    changes = price_changes(after, before)
    assert changes == {"B": ("2", 0.5), "C": None, "D": ("4", 0.0)}
    assert with_changes(before, changes) == after


def test_the_more_symbols_the_slower_their_prices_are_told():
    assert (seconds_between(10), seconds_between(1000)) == (2.0, 5.0)


def test_what_a_slow_browser_missed_of_prices_is_merged():
    def message(since, **changes):
        text = orjson.dumps({"version": since + 1, "changes": changes}).decode()
        return {"kind": "card", "exchange": 4, "since": since, "version": since + 1, "text": text}

    def told(*messages):
        found = messages[0]
        for each in messages[1:]:
            found = merge(found, each)
        return orjson.loads(found["text"])["changes"]

    some, more = {"A": ["1", 0], "B": None}, {"B": ["2", 0], "C": ["3", 0]}
    whole = {"A": ["9", 0]}
    first, second = message(1, priceChanges=some), message(2, priceChanges=more)
    assert told(first, second) == {"priceChanges": some | more}
    assert told(message(1, prices=whole), message(2, priceChanges=some)) == {
        "prices": {"A": ["1", 0]}
    }
    assert told(first, message(2, prices=whole)) == {"prices": whole}


def test_the_page_is_drawn_with_them(redis, row, client):
    write(redis, row, 67012.37, -1.2)
    client.force_login(person("viewer", "view_exchange"))
    text = client.get("/admin/network/").content.decode()
    assert (
        '<span class="last-price">67012.37</span> <span class="change down">−1.20 %</span>' in text
    )
    assert '<span role="gridcell" class="price">–</span>' in text, "of ETH-USD nothing is known"


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.0, 'class="change ">0.00 %'), (0.3, 'up">+0.30 %'), (-12.0, 'down">−12.00 %')],
)
def test_a_change_has_a_sign_and_a_colour(redis, row, change, text):
    write(redis, row, 5.0, change)
    card = next(c for c in read_network(redis, None)["cards"] if c["exchangeId"] == row.pk)
    template = engines["django"].from_string("{% load network %}{% grid_rows card %}")
    assert text in template.render({"card": card})


@in_a_loop
async def test_they_are_told_live_and_gone_when_they_expire(redis, row, session, monkeypatch):
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(card_feed, "seconds_between", lambda symbols: 0.0)

    async with browsing(application, session) as browser:
        write(redis, row, 5.5, 2.0)
        await browser.until(
            lambda m: m.get("changes", {}).get("priceChanges") == {"BTC-USD": ["5.5", 2.0]}
        )
        redis.delete(keys.ticker(row.pk, "BTC-USD"))
        await browser.until(lambda m: m.get("changes", {}).get("priceChanges") == {"BTC-USD": None})
