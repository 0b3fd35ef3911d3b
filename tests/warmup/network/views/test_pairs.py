"""A pair's page and its data."""

from datetime import UTC, datetime

import orjson
import pytest

from exchanges.models import Exchange
from exchanges.venues.binance.rest import BinanceRest
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import listed_exchange, person
from tests.warmup.network.views.addresses import (
    JSON,
    url,
)

pytestmark = pytest.mark.django_db


def test_the_page_of_a_pair_that_does_not_trade_says_so_and_offers_no_repair(row, browser):
    address = url("pair", row, "BTC-USD", "1h")
    assert "Repair now" in browser.get(address).content.decode()
    at = datetime(2026, 11, 19, 12, 5, tzinfo=UTC)
    row.symbols.filter(symbol="BTC-USD").update(status="halted", status_since=at)
    text = browser.get(address).content.decode()
    assert "<b>BTC-USD is halted</b> since 2026-11-19 12:05 UTC: nothing is asked for it" in text
    assert "Repair now" not in text


def test_a_pairs_page_and_its_data(row, browser):
    address = url("pair", row, "BTC-USD", "1h")
    assert "BTC-USD" in browser.get(address).content.decode()
    data = browser.get(address, headers={"Accept": JSON}).json()
    assert (data["exchangeId"], data["symbol"], data["timeframe"]) == (row.pk, "BTC-USD", "1h")
    assert data["candles"] == []


def test_the_page_says_where_what_is_missing_is_not_to_be_had(row, browser, monkeypatch):
    address = url("pair", row, "BTC-USD", "1h")
    assert "not to be had" not in browser.get(address).content.decode()
    monkeypatch.setattr(BinanceRest, "depth_rows", 720)
    text = browser.get(address).content.decode()
    assert f"older than its newest 720 {row} tells nothing any more" in text


def test_a_symbol_with_a_slash_has_a_page_too(row, browser):
    row.symbols.filter(symbol="BTC-USD").update(symbol="A/B-USD")
    assert browser.get(url("pair", row, "A/B-USD", "1h")).status_code == 200
    assert browser.get(f"/admin/network/{row.pk}/pairs/A%2FB-USD/1h/").status_code == 200


def test_a_key_of_the_wrong_type_is_named_in_a_line(redis, row, browser):
    redis.set(keys.candles(row.pk, "BTC-USD", "1h"), "oops")
    answer = browser.get(url("pair", row, "BTC-USD", "1h"), headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
    assert "Redis refused a command" in answer.json()["text"]
    assert "WRONGTYPE" in answer.json()["text"]


# -- What is older


@pytest.fixture
def hours(redis, row):
    """Have 700 closed hours, of which the third and the last but three had no trade."""
    first = 1_795_046_400_000
    times = [first + at * Timeframe.H1.ms for at in range(700)]
    traded = [at for at in times if at not in (times[2], times[-4])]
    rows = {orjson.dumps([at, 1, 3, 1, 2, 5]): at for at in traded}
    redis.zadd(keys.candles(row.pk, "BTC-USD", "1h"), rows)
    spans = [[first, times[-1] + Timeframe.H1.ms]]
    redis.set(keys.coverage(row.pk, "BTC-USD", "1h"), orjson.dumps(spans))
    return times


def test_what_is_older_than_the_page_came_with_is_asked_for(row, browser, hours):
    def older(before):
        address = f"{url('pair', row, 'BTC-USD', '1h')}?before={before}"
        return browser.get(address, headers={"Accept": JSON}).json()

    page = browser.get(url("pair", row, "BTC-USD", "1h"))
    assert [each[0] for each in page.context["pair"]["candles"]] == [
        at for at in hours[-301:] if at != hours[-4]
    ]
    found = older(hours[600])
    assert [each[0] for each in found["candles"]] == hours[100:600]
    assert [each[0] for each in found["macdv"]] == hours[100:600]
    assert found["quiet"] == []
    oldest = older(hours[100])
    assert [each[0] for each in oldest["candles"]] == [*hours[:2], *hours[3:100]]
    assert oldest["quiet"] == [hours[2]]
    assert older(hours[0]) == {"candles": [], "macdv": [], "quiet": []}


@pytest.mark.parametrize("before", ["soon", "-1", "9" * 30])
def test_before_is_a_time(row, browser, before):
    address = f"{url('pair', row, 'BTC-USD', '1h')}?before={before}"
    answer = browser.get(address, headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["ok"]) == (400, False)


# -- Where else it is


def test_a_pairs_page_leads_to_the_same_elsewhere(row, browser, settings):
    settings.LIVERMORE_SERVE_URL = "https://candles.example.org"
    other = listed_exchange(name="binance")
    text = browser.get(url("pair", row, "BTC-USD", "1h")).content.decode()
    assert url("pair", other, "BTC-USD", "1h") in text
    asked = "exchange=sandbox&amp;symbol=BTC-USD&amp;timeframe=1h"
    assert f'href="https://candles.example.org/v1/candles?{asked}"' in text
    assert f'<code id="copy-key">{keys.candles(row.pk, "BTC-USD", "1h")}</code>' in text
    Exchange.objects.filter(pk=other.pk).update(is_active=False)
    assert (
        url("pair", other, "BTC-USD", "1h")
        not in browser.get(url("pair", row, "BTC-USD", "1h")).content.decode()
    )


def test_where_serve_is_not_known_its_path_is_no_link(row, browser):
    text = browser.get(url("pair", row, "BTC-USD", "1h")).content.decode()
    assert '<code id="copy-api">/v1/candles?' in text
    assert 'href="/v1/' not in text


def test_the_admin_is_linked_for_who_may_see_symbols_there(row, client):
    symbol = row.symbols.get(symbol="BTC-USD")
    address = f"/admin/exchanges/symbol/{symbol.pk}/change/"
    for name, permission, linked in (("eve", "view_exchange", False), ("bob", "view_symbol", True)):
        client.force_login(person(name, "view_exchange", permission))
        text = client.get(url("pair", row, "BTC-USD", "1h")).content.decode()
        assert (address in text) is linked


def test_the_library_of_the_chart_is_named_with_its_maker(row, browser):
    text = browser.get(url("pair", row, "BTC-USD", "1h")).content.decode()
    assert '<a href="https://www.tradingview.com/"' in text
    assert "TradingView Lightweight Charts™, © 2025 TradingView, Inc." in text
