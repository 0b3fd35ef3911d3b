"""A product that shows another's market: live from the one feed, each under its own name."""

import pytest

from exchanges.lock.control_client import ControlClient
from exchanges.lock.status import read_status
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.symbols import DEFAULT
from livermore.market import keys
from tests.warmup.runners import (
    MINUTE_MS,
    Comparison,
    events_of,
    make_row,
    running,
    serve,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ("BTC-USD", "BTC-USDC", "ETH-USD")
LISTINGS = (
    *(one for one in DEFAULT if one.symbol in NAMES),
    Listing("ETH-USDC", "3471.93", alias="ETH-USD", protocols=("coinbase",)),
    Listing("USDT-USDC", "0.999870", lot=1_000_000_000, protocols=("coinbase",)),
)


@pytest.fixture
def sandbox():
    with serve(listings=LISTINGS) as server:
        yield server


def streamed_closes(redis, row, symbol):
    """Return how many minutes of a symbol the stream itself has closed."""
    minutes = events_of(redis, row.pk).get((symbol, "1m"), [])
    return sum(not event["healed"] for event in minutes)


@pytest.mark.parametrize(
    "symbols",
    [
        ["BTC-USDC"],
        ["BTC-USD", "BTC-USDC"],
        ["BTC-USDC", "ETH-USDC", "USDT-USDC"],
        ["BTC-USD", "BTC-USDC", "ETH-USD", "ETH-USDC", "USDT-USDC"],
    ],
    ids=",".join,
)
def test_each_is_live_under_its_own_name_and_as_its_own_rest_tells_it(redis, sandbox, symbols):
    row = make_row(sandbox, "coinbase", symbols)
    truth = Comparison(redis, sandbox, row, symbols)
    with running(redis, row, symbols):
        live_ms = sandbox.clock.now_ms()
        wait_until(lambda: all(streamed_closes(redis, row, each) >= 3 for each in symbols))
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
        assert read_status(redis, row.pk).details["polledPairs"] == {}
        assert all(redis.exists(keys.ticker(row.pk, each)) for each in symbols)
    assert sandbox.streams["coinbase"].connects == 1


@pytest.mark.parametrize(("gone", "stays"), [("BTC-USDC", "BTC-USD"), ("BTC-USD", "BTC-USDC")])
def test_one_of_two_that_is_removed_leaves_the_other(redis, sandbox, gone, stays):
    row = make_row(sandbox, "coinbase", ["BTC-USD", "BTC-USDC"])
    with running(redis, row, ["BTC-USD", "BTC-USDC"]):
        wait_until(lambda: streamed_closes(redis, row, gone) >= 2)
        client = ControlClient(redis, row.pk)
        client.send("remove-symbol", symbol=gone)
        wait_until(lambda: read_status(redis, row.pk).details["symbols"] == 1)
        before = streamed_closes(redis, row, stays), len(events_of(redis, row.pk)[gone, "1m"])
        wait_until(lambda: streamed_closes(redis, row, stays) >= before[0] + 4)
        assert len(events_of(redis, row.pk)[gone, "1m"]) <= before[1] + 1
        assert {name.partition(":")[2] for name in sandbox.streams["coinbase"].subscriptions} == {
            "",
            "BTC-USD",
        }
        client.send("add-symbol", symbol=gone)
        again = streamed_closes(redis, row, gone)
        wait_until(lambda: streamed_closes(redis, row, gone) >= again + 3)
        assert read_status(redis, row.pk).details["reconnects"] == 0
