"""A pair's page and its data."""

from datetime import UTC, datetime

import pytest

from livermore.market import keys
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
