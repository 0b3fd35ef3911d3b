"""Longer bars, of which the cache keeps too few shorter ones, up to the open one."""

import pytest
import requests

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.derived import DERIVED, join
from serving.candles.selection import GRACE_MS
from tests.serving.serving import klines, served
from tests.warmup.runners import SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)
STARTS = {"the newest": None, "from a start on": 430}


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as started:
        yield started


@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_bars_made_of_more_than_is_kept_are_told_up_to_the_open_one(redis, sandbox, name, starts):
    made = DERIVED["12h"]
    make_row(sandbox, name=name)
    open_ms = made.floor(sandbox.clock.now_ms() - GRACE_MS)
    count = STARTS[starts]
    params = {} if count is None else {"startTime": open_ms - count * made.ms, "limit": 1000}
    with served(redis) as url:
        assert klines(url, interval="4h", exchange=name, limit=200).status_code == 200
        answer = klines(url, interval="12h", exchange=name, **params)
        assert answer.status_code == 200, answer.text
    times = [row[0] for row in answer.json()]
    closed = 499 if count is None else count
    assert times == list(range(open_ms - closed * made.ms, open_ms + 1, made.ms))
    assert answer.headers["X-Livermore-Source"] == "derived"
    assert answer.headers["X-Livermore-Complete"] == "1"
    assert answer.headers["Cache-Status"] == "livermore; fwd=partial"


def test_what_an_exchange_can_be_asked_for_itself_is_made_of_shorter_bars_too(redis, sandbox):
    make_row(sandbox, name="sandbox")
    made = DERIVED["6h"]
    last_ms = made.floor(sandbox.clock.now_ms()) - 300 * made.ms
    with served(redis) as url:
        answer = klines(url, interval="6h", limit=3, endTime=last_ms)
        assert answer.status_code == 200, answer.text
    rows = sandbox.market.closed_rows(
        "BTC-USD", made.base, last_ms - 2 * made.ms, last_ms + made.ms
    )
    true = [join(rows[at : at + 6], rows[at][0]) for at in range(0, len(rows), 6)]
    assert [row[:1] + [float(each) for each in row[1:6]] for row in answer.json()] == [
        row[:6] for row in true
    ]


def test_our_own_interface_tells_the_open_one_beside_them(redis, sandbox):
    make_row(sandbox, name="coinbase")
    made = DERIVED["12h"]
    open_ms = made.floor(sandbox.clock.now_ms() - GRACE_MS)
    sent = {"exchange": "coinbase", "symbol": "BTC-USD", "timeframe": "12h", "limit": 400}
    with served(redis) as url:
        answer = requests.get(f"{url}/v1/candles", sent | {"open": 1}, timeout=30)
        since = sent | {"start": open_ms - 450 * made.ms}
        page = requests.get(f"{url}/v1/candles", since | {"open": 1}, timeout=30).json()
    told = answer.json()
    assert [row[0] for row in told["candles"]] == list(
        range(open_ms - 400 * made.ms, open_ms, made.ms)
    )
    assert told["open"][0] == open_ms
    assert told["source"] == "derived"
    assert (len(page["candles"]), page["open"]) == (400, None)
    assert page["next"] == open_ms - 50 * made.ms
