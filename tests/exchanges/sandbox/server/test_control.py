import pytest
import requests

from livermore.market.timeframe import Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE_MS = NOW_MS - NOW_MS % 60_000


def post(sandbox, path, content=None):
    return requests.post(f"{sandbox.url}/sandbox/{path}", json=content, timeout=5)


def test_every_exchange_request_is_counted_and_control_is_not(sandbox, get, klines, candles):
    klines(sandbox, "ETHUSD", "5m", startTime=MINUTE_MS, limit=7)
    candles(sandbox, start=MINUTE_MS // 1000, end=MINUTE_MS // 1000 + 60)
    get(sandbox, "/api/v3/ping")
    get(sandbox, "/sandbox/requests")
    told = get(sandbox, "/sandbox/requests").json()
    assert told["counts"] == {"binance.klines": 1, "coinbase.candles": 1, "binance.ping": 1}
    assert told["log"] == [
        {
            "protocol": "binance",
            "symbol": "ETH-USD",
            "timeframe": "5m",
            "start_ms": MINUTE_MS,
            "end_ms": None,
            "limit": 7,
            "arrived_ms": NOW_MS,
            "status": 200,
            "weight": 2,
        },
        {
            "protocol": "coinbase",
            "symbol": "BTC-USD",
            "timeframe": "1m",
            "start_ms": MINUTE_MS,
            "end_ms": MINUTE_MS + 60_000,
            "limit": None,
            "arrived_ms": NOW_MS,
            "status": 200,
            "weight": None,
        },
    ]
    assert sandbox.requests.counts.total() == 3


def test_the_log_keeps_only_the_last_requests(start, klines):
    sandbox = start(log_size=2)
    for limit in (1, 2, 3):
        klines(sandbox, limit=limit)
    assert [request.limit for request in sandbox.requests.candles] == [2, 3]
    assert sandbox.requests.counts["binance.klines"] == 3


def test_reset_forgets_counts_bans_and_faults(start, get, klines):
    sandbox = start(weight_limit=2, strikes=0)
    sandbox.faults.add("html200")
    assert [klines(sandbox).status_code for _ in range(2)] == [200, 200]
    sandbox.faults.clear()
    assert klines(sandbox).status_code == 418
    post(sandbox, "reset")
    assert sandbox.requests.counts.total() == 0
    assert klines(sandbox).status_code == 200


def test_faults_can_be_set_and_seen_over_http(sandbox, get, klines):
    post(sandbox, "faults", [{"kind": "status", "status": 503, "times": 1}])
    post(sandbox, "faults", {"kind": "html200"})
    assert klines(sandbox).status_code == 200
    shown = get(sandbox, "/sandbox/faults").json()
    assert [(fault["kind"], fault["hits"]) for fault in shown] == [("status", 1), ("html200", 1)]
    assert post(sandbox, "faults", []).json() == []
    assert klines(sandbox).headers["Content-Type"].startswith("application/json")


def test_a_fault_that_makes_no_sense_is_refused_and_changes_nothing(sandbox, get):
    sandbox.faults.add("html200")
    assert post(sandbox, "faults", [{"kind": "flood"}]).status_code == 400
    assert post(sandbox, "faults", [{"kind": "status", "colour": "red"}]).status_code == 400
    assert post(sandbox, "faults", 5).status_code == 400
    assert len(get(sandbox, "/sandbox/faults").json()) == 1


def test_truth_tells_closed_candles_only(sandbox, get):
    window = {"start": MINUTE_MS - 120_000, "end": MINUTE_MS + 120_000}
    reply = get(sandbox, "/sandbox/truth", symbol="BTC-USD", timeframe="1m", **window)
    expected = sandbox.market.closed_candles("BTC-USD", Timeframe.M1, window["start"], MINUTE_MS)
    assert reply.json() == [list(candle) for candle in expected]
    assert len(expected) == 2
    stretch = ("BTC-USD", Timeframe.M1, window["start"], MINUTE_MS)
    whole = get(
        sandbox, "/sandbox/truth", symbol="BTC-USD", timeframe="1m", columns="1", **window
    ).json()
    assert whole == sandbox.market.closed_rows(*stretch)
    assert [row[:6] for row in whole] == reply.json()
    assert {len(row) for row in whole} == {10}


def test_truth_refuses_what_it_cannot_read(sandbox, get):
    def ask(**params):
        query = {"symbol": "BTC-USD", "timeframe": "1m", "start": 0, "end": 1} | params
        return get(sandbox, "/sandbox/truth", **query).status_code

    assert ask() == 200
    assert ask(symbol="NOPE") == ask(timeframe="2m") == ask(start="x") == ask(end=None) == 400


def test_the_clock_is_told(sandbox, get):
    assert get(sandbox, "/sandbox/clock").json() == {"now_ms": NOW_MS, "speed": 0, "skew_ms": 0}


def test_prices_can_be_drawn_over_http(sandbox, get):
    from_ms = MINUTE_MS - 3 * 60_000
    drawn = {"symbol": "BTC-USD", "from": from_ms, "closes": [100, 90, 95.5]}
    assert post(sandbox, "prices", drawn).json() == {}
    stretch = {"symbol": "BTC-USD", "timeframe": "1m", "start": from_ms, "end": MINUTE_MS}
    assert [row[4] for row in get(sandbox, "/sandbox/truth", **stretch).json()] == [100, 90, 95.5]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"symbol": "NO-USD", "from": MINUTE_MS, "closes": [1]}, "missing or unknown: NO-USD"),
        ({"symbol": "BTC-USD", "closes": [1]}, "missing or unknown: from"),
        ({"symbol": "BTC-USD", "from": MINUTE_MS, "closes": ["high"]}, "could not convert"),
        ({"symbol": "BTC-USD", "from": MINUTE_MS, "closes": [0]}, "has prices above 0"),
        ({"symbol": "BTC-USD", "from": MINUTE_MS, "closes": ["inf"]}, "finite"),
        ([1], "list indices"),
    ],
)
def test_prices_that_can_not_be_drawn_are_refused(sandbox, content, said):
    answer = post(sandbox, "prices", content)
    assert answer.status_code == 400 and said in answer.json()["error"]
