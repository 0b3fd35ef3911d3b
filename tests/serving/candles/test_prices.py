"""Last prices that no stream has told, of exchanges that speak another protocol."""

import pytest
import requests

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from tests.serving.serving import served
from tests.warmup.runners import SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS), coinbase_rate=1000)) as started:
        yield started


def test_a_price_that_no_stream_tells_is_the_exchanges_own_word(redis, sandbox):
    make_row(sandbox, name="coinbase")
    with served(redis) as url:
        asked = f"{url}/coinbase/api/v3/ticker/price"
        one = requests.get(asked, {"symbol": "BTCUSD"}, timeout=30)
        some = requests.get(asked, {"symbols": '["ETHUSD","BTCUSD"]'}, timeout=30)
        sandbox.faults.add("status", status=418, retry_after=300)
        unknown = requests.get(asked, {"symbol": "SOLUSD"}, timeout=30)
        day = requests.get(f"{url}/coinbase/api/v3/ticker/24hr", {"symbol": "BTCUSD"}, timeout=30)
    minute = sandbox.market.of("BTC-USD").day_before(sandbox.clock.now_ms())
    assert one.status_code == 200, one.text
    assert one.json().keys() == {"symbol", "price"}
    assert abs(float(one.json()["price"]) / (minute.close / 100) - 1) < 0.01
    assert (one.headers["X-Livermore-Source"], one.headers["Age"]) == ("rest", "0")
    assert one.headers["Cache-Status"] == "livermore; fwd=miss"
    assert [each["symbol"] for each in some.json()] == ["ETHUSD", "BTCUSD"]
    assert some.headers["Cache-Status"].startswith("livermore; ")
    assert (unknown.status_code, day.status_code) == (503, 503)
    assert unknown.json()["code"] == -1001
