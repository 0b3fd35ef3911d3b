import time

import pytest
import requests

from exchanges.sandbox.binance.limits import ODD_LIMITS
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE_MS = NOW_MS - NOW_MS % 60_000
WINDOW = {"start": MINUTE_MS // 1000 - 600, "end": MINUTE_MS // 1000}


def test_a_fault_ends_after_its_times(sandbox, klines):
    fault = sandbox.faults.add("status", status=429, retry_after=3, times=2)
    replies = [klines(sandbox, limit=1) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [429, 429, 200]
    assert replies[0].headers["Retry-After"] == "3"
    assert replies[0].json()["code"] == -1003
    assert fault.hits == 2


def test_a_fault_meets_only_the_requests_it_names(sandbox, klines, candles):
    sandbox.faults.add("status", symbol="ETH-USD", timeframe="5m", protocol="binance")
    assert klines(sandbox, "ETHUSD", "5m").status_code == 500
    assert klines(sandbox, "ETHUSD", "1m").status_code == 200
    assert klines(sandbox, "BTCUSD", "5m").status_code == 200
    assert candles(sandbox, "ETH-USD", "FIVE_MINUTE", **WINDOW).status_code == 200


@pytest.mark.parametrize(
    ("status", "form", "text"),
    [
        (403, "text/html", "Forbidden"),
        (418, "application/json", "IP banned until"),
        (451, "application/json", '"code":0'),
        (500, "application/json", "-1000"),
        (503, "text/html", "503"),
    ],
)
def test_each_status_has_the_body_it_has_in_the_wild(sandbox, klines, status, form, text):
    sandbox.faults.add("status", status=status, retry_after=1)
    reply = klines(sandbox)
    assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith(form)
    assert text in reply.text


def test_a_page_can_say_anything_with_any_status(sandbox, klines, candles):
    sandbox.faults.add("status", status=403, text="configured to block access from your country")
    for reply in (klines(sandbox), candles(sandbox, **WINDOW)):
        assert reply.status_code == 403
        assert reply.headers["Content-Type"].startswith("text/html")
        assert "from your country" in reply.text


def test_a_page_can_come_with_status_200(sandbox, klines):
    sandbox.faults.add("html200")
    reply = klines(sandbox)
    assert reply.status_code == 200
    assert reply.text.startswith("<html>")


def test_a_truncated_body_is_noticed_by_the_client(sandbox, klines):
    sandbox.faults.add("truncated")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        klines(sandbox)


def test_json_can_be_cut_inside_a_complete_body(sandbox, klines):
    sandbox.faults.add("truncated", cut="json")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        klines(sandbox).json()


@pytest.mark.parametrize("broken", [{"kind": "html200"}, {"kind": "truncated", "cut": "json"}])
def test_what_one_fault_has_broken_another_leaves_as_it_is(sandbox, klines, broken):
    sandbox.faults.add(**broken)
    sandbox.faults.add("bad_rows")
    assert klines(sandbox).status_code == 200


def test_a_connection_can_be_reset_in_mid_body(sandbox, klines):
    sandbox.faults.add("reset", times=1)
    with pytest.raises(requests.RequestException, match="reset by peer"):
        klines(sandbox)
    assert klines(sandbox).status_code == 200
    assert [request.status for request in sandbox.requests.candles] == [0, 200]


def test_a_slow_reply_outlasts_a_short_timeout(sandbox):
    sandbox.faults.add("slow", seconds=30, times=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{sandbox.url}/api/v3/ping", timeout=0.05)


def test_latency_delays_each_reply(start, get):
    sandbox = start(latency_ms=50)
    began = time.monotonic()
    get(sandbox, "/api/v3/ping")
    assert time.monotonic() - began >= 0.05


def test_holes_are_missing_from_both_protocols(sandbox, klines, candles):
    hole_ms = MINUTE_MS - 180_000
    sandbox.faults.add("holes", open_times=[hole_ms])
    rows = klines(sandbox, limit=5).json()
    assert [row[0] for row in rows] == [MINUTE_MS - 60_000 * n for n in (4, 2, 1, 0)]
    seconds = [int(row["start"]) for row in candles(sandbox, **WINDOW).json()["candles"]]
    assert len(seconds) == 10
    assert hole_ms // 1000 not in seconds


@pytest.mark.parametrize(
    ("way", "spoilt"),
    [
        ("low_above_high", lambda row: float(row[3]) > float(row[2])),
        ("nan", lambda row: row[4] == "NaN"),
        ("infinity", lambda row: row[2] == "Infinity"),
        ("text", lambda row: row[1] == "n/a"),
        ("null", lambda row: row[4] is None),
        ("zero_price", lambda row: row[3] == "0"),
        ("negative_volume", lambda row: float(row[5]) < 0),
        ("missing_field", lambda row: len(row) == 11),
        ("off_boundary", lambda row: row[0] % 60_000),
        ("seconds", lambda row: row[0] < 10**10),
        ("microseconds", lambda row: row[0] > 10**15),
    ],
)
def test_one_row_of_a_reply_can_be_spoilt(sandbox, klines, way, spoilt):
    sandbox.faults.add("bad_rows", way=way)
    rows = klines(sandbox, limit=5).json()
    assert [bool(spoilt(row)) for row in rows] == [False, False, True, False, False]


def test_a_row_can_come_twice_or_out_of_order(sandbox, klines):
    sandbox.faults.add("bad_rows", way="duplicate", times=1)
    times = [row[0] for row in klines(sandbox, limit=5).json()]
    assert len(times) == 6
    assert len(set(times)) == 5
    sandbox.faults.add("bad_rows", way="out_of_order", times=1)
    times = [row[0] for row in klines(sandbox, limit=5).json()]
    assert times != sorted(times)
    assert len(set(times)) == 5


def test_coinbase_rows_are_spoilt_the_same_way(sandbox, candles):
    sandbox.faults.add("bad_rows", way="milliseconds", row=0)
    first, second, *_ = candles(sandbox, **WINDOW).json()["candles"]
    assert first["start"] == str(MINUTE_MS)
    assert second["start"] == str(MINUTE_MS // 1000 - 60)


def test_signed_calls_alone_can_be_refused(sandbox, get):
    fault = sandbox.faults.add("refused_key")
    assert get(sandbox, "/api/v3/brokerage/market/products").status_code == 200
    assert get(sandbox, "/api/v3/exchangeInfo").status_code == 200
    assert fault.hits == 0
    reply = get(sandbox, "/api/v3/brokerage/products")
    assert (reply.status_code, reply.text, fault.hits) == (401, "Unauthorized", 1)


@pytest.mark.parametrize("way", ODD_LIMITS)
def test_the_limits_can_be_told_in_another_form(sandbox, get, way):
    good = get(sandbox, "/api/v3/exchangeInfo").json()
    fault = sandbox.faults.add("limits", way=way)
    odd = get(sandbox, "/api/v3/exchangeInfo").json()
    assert odd.pop("rateLimits", None) != good.pop("rateLimits")
    assert odd == good
    get(sandbox, "/api/v3/ping")
    assert fault.hits == 1


def test_the_exchange_clock_can_be_wrong_until_the_fault_ends(sandbox, get):
    sandbox.faults.add("skew_ms", ms=-90_000)
    assert get(sandbox, "/api/v3/time").json()["serverTime"] == NOW_MS - 90_000
    sandbox.faults.clear()
    assert get(sandbox, "/api/v3/time").json()["serverTime"] == NOW_MS


def test_an_unknown_fault_is_refused(sandbox):
    with pytest.raises(ValueError, match="unknown fault"):
        sandbox.faults.add("flood")
    with pytest.raises(ValueError, match="unknown way"):
        sandbox.faults.add("bad_rows", way="upside_down")
    with pytest.raises(ValueError, match="unknown way"):
        sandbox.faults.add("limits", way="nan")
