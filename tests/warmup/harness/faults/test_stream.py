"""A stream that says nothing, something else, or refuses."""

import re
import time

import pytest

from exchanges.sandbox.symbols import DEFAULT
from exchanges.stream.events import CandleUpdate, Clock
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.warmup.harness.conftest import (
    HALF_A_DAY_MS,
    failures,
    move,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.faults.told import PORT_OF_NOBODY, TICKER, lines
from tests.warmup.runners import MIDNIGHT_MS, serve, wait_until
from warmup.harness.report import Failed
from warmup.harness.steps import subscription

pytestmark = pytest.mark.django_db


def test_what_is_told_of_before_is_no_live_candle():
    received = subscription.Received("BTC-USD", {Timeframe.M1})
    minute = Timeframe.M1.ms
    received.take(Clock(MIDNIGHT_MS))
    for age in (-1, 2, 3):  # what is to come, and what ended more than a bar ago
        received.take(update(MIDNIGHT_MS - age * minute))
    assert not received.candles
    for age in (0, 1):
        received.take(update(MIDNIGHT_MS - age * minute))
    received.take(update(MIDNIGHT_MS, "ETH-USD"))
    assert received.candles == {Timeframe.M1: 2}
    assert not received.complete


def update(opened, symbol="BTC-USD"):
    return CandleUpdate(symbol, Candle(opened, 1.0, 2.0, 1.0, 2.0, 3.0, Timeframe.M1), False)


def test_frames_of_long_ago_are_no_live_ones():
    received = subscription.Received("BTC-USD", {Timeframe.M1}, ahead_ms=0)
    listener = subscription.Listener([], received)
    day_ago = int(time.time() * 1000) - Timeframe.D1.ms
    received.take(Clock(day_ago))
    received.take(update(Timeframe.M1.floor(day_ago)))
    received.take(TICKER)
    assert received.complete  # by its own clock
    with pytest.raises(Failed, match="youngest frame was 86400 s old"):
        listener.refuse_stale()
    received.take(Clock(int(time.time() * 1000)))
    listener.refuse_stale()


def test_frames_of_another_day_are_told_by_the_clock_of_rest(redis, in_another_day, checked):
    report = checked(in_another_day)
    assert failures(report) == ["subscription"]
    text = lines(step_of(report, "subscription"))
    assert re.search(r"youngest frame was 1\d{5} s ahead by", text)


@pytest.fixture
def in_another_day(sandbox, db, redis, short_timeouts, monkeypatch):
    """Return a row whose stream is of an exchange two days ahead."""
    monkeypatch.setattr(subscription, "LONGEST_LAG_MS", 86_400_000)
    with serve(start_ms=MIDNIGHT_MS + 3 * HALF_A_DAY_MS, listings=DEFAULT, speed=240) as other:
        yield move(row_of(sandbox, "sandbox"), ws_url=other.ws_url)


@pytest.mark.parametrize(("name", "lacking"), [("sandbox", "4h"), ("coinbase", "5m")])
def test_candles_of_every_timeframe_that_is_streamed_have_to_come(
    sandbox, checked, monkeypatch, name, lacking
):
    monkeypatch.setattr(subscription, "TIMEOUT_SECONDS", 1.5)
    row = row_of(sandbox, name)
    sandbox.scenarios.add("silent_symbol", symbol="BTC-USD", timeframe=lacking)
    report = checked(row)
    assert failures(report) == ["subscription"]
    assert f"and none of {lacking}; tickers: " in lines(step_of(report, "subscription"))


def test_frames_that_were_lost_are_noted(sandbox, coinbase, checked):
    sandbox.scenarios.add("loss", symbol="BTC-USD", chance=0.5)
    report = checked(coinbase, seconds=1.5)
    assert report.passed
    assert " were lost" in step_of(report, "subscription").detail
    assert "frames were lost on the way" in step_of(report, "subscription").remedy


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
@pytest.mark.parametrize(
    ("drill", "says"),
    [
        ({"kind": "silence"}, "not even an answer"),
        ({"kind": "refuse"}, "Handshake status 503 Service Unavailable |"),
        ({"kind": "ack_without_data"}, "not all came that was asked for"),
        ({"kind": "malformed", "chance": 1, "way": "types"}, "could not be read"),
        ({"kind": "drop", "every": 0.3}, "the connection ended: "),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_stream_that_is_out_of_order_fails_there_alone(
    sandbox, checked, monkeypatch, name, drill, says
):
    if drill["kind"] == "ack_without_data":
        monkeypatch.setattr(subscription, "TIMEOUT_SECONDS", 0.3)
    if drill["kind"] == "silence":
        monkeypatch.setattr(subscription, "ACK_SECONDS", 0.3)
    row = row_of(sandbox, name)

    def begin(step):
        if step.name == "warmup":
            sandbox.scenarios.add(**drill)

    seconds = 1.0 if drill["kind"] in ("drop", "malformed") else 0.1
    report = checked(row, seconds=seconds, on_step=begin)
    assert failures(report) == ["subscription"]
    assert says in lines(step_of(report, "subscription"))
    assert results(report)["keys"] == "SKIP"
    wait_until(lambda: not sandbox.streams[row.venue].open)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ws://127.0.0.1:{port}/nowhere", "Handshake status 404 Not Found"),
        (f"ws://127.0.0.1:{PORT_OF_NOBODY}", "cannot connect: [Errno 111] Connection refused"),
    ],
)
def test_a_wrong_address_of_the_stream_is_told(sandbox, row, checked, address, says):
    port = sandbox.url.rpartition(":")[2]
    report = checked(move(row, ws_url=address.format(port=port)))
    assert failures(report) == ["subscription"]
    assert says in lines(step_of(report, "subscription"))
    assert "WebSocket address" in step_of(report, "subscription").remedy


@pytest.mark.parametrize(
    ("name", "limit", "says"),
    [
        ("sandbox", {"ws_streams": 3}, "code 4: Too many subscriptions"),
        ("coinbase", {"coinbase_messages_per_second": 1}, "rate limit exceeded"),
    ],
)
def test_a_subscription_that_is_refused_is_told(redis, checked, name, limit, says):
    with serve(**limit) as sandbox:
        report = checked(row_of(sandbox, name))
    assert failures(report) == ["subscription"]
    assert f"refused the subscription: {says}" in lines(step_of(report, "subscription"))


def test_a_product_that_shows_anothers_book_is_received_under_its_own_name(coinbase, checked):
    report = checked(coinbase, "BTC-USDC")
    assert report.passed
    assert report.symbol == "BTC-USDC"


@pytest.mark.parametrize("way", ["silent", "left_out"])
def test_a_subscription_that_is_never_confirmed_is_told(sandbox, coinbase, checked, way):
    sandbox.scenarios.add("refuse_subscription", way=way, symbol="BTC-USD", timeframe="5m")
    report = checked(coinbase)
    assert failures(report) == ["subscription"]
    text = lines(step_of(report, "subscription"))
    assert "the exchange did not confirm candles:BTC-USD" in text
    assert "market_trades" not in text


def test_a_symbol_that_is_quiet_for_a_while_is_waited_for(sandbox, row, checked):
    quiet = []

    def hush(step):
        if step.name == "warmup":
            quiet.append(sandbox.scenarios.add("silent_symbol", symbol="BTC-USD", seconds=1))

    assert checked(row, on_step=hush).passed
    assert quiet[0].hits
