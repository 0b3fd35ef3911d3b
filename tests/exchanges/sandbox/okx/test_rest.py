import pytest

from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE = Timeframe.M1.floor(NOW_MS)
HOUR_MS = Timeframe.H1.ms


@pytest.fixture
def history(get):
    def history(server, name="BTC-USDT", bar="1m", path="history-candles", **params):
        reply = get(server, f"/api/v5/market/{path}", instId=name, bar=bar, **params)
        assert reply.status_code == 200
        assert reply.json()["code"] == "0"
        return reply.json()["data"]

    return history


@pytest.fixture
def instruments(get):
    def instruments(server, kind):
        body = get(server, "/api/v5/public/instruments", instType=kind).json()
        return {row["instId"]: row for row in body["data"]}

    return instruments


def opens(rows):
    return [int(row[0]) for row in rows]


def test_rows_come_newest_first_with_the_open_one_unconfirmed(sandbox, history):
    rows = history(sandbox, limit=3)
    assert opens(rows) == [MINUTE, MINUTE - MINUTE_MS, MINUTE - 2 * MINUTE_MS]
    assert [row[8] for row in rows] == ["0", "1", "1"]
    assert {len(row) for row in rows} == {9}
    assert all(isinstance(text, str) for row in rows for text in row)


@pytest.mark.parametrize(
    ("name", "symbol", "base"), [("BTC-USDT", "BTC-USDT", 5), ("BTC-USDT-SWAP", "BTC-USDT-PERP", 6)]
)
@pytest.mark.parametrize(("bar", "timeframe"), [("1m", "1m"), ("4H", "4h"), ("1Dutc", "1d")])
def test_rows_are_the_truth_and_a_swaps_volume_is_in_contracts_first(
    sandbox, history, name, symbol, base, bar, timeframe
):
    (told,) = history(sandbox, name, bar, limit=1, after=Timeframe(timeframe).floor(NOW_MS))
    (truth,) = sandbox.market.closed_rows(
        symbol, Timeframe(timeframe), int(told[0]), int(told[0]) + 1
    )
    assert [float(text) for text in told[1:5]] == truth[1:5]
    assert (float(told[base]), float(told[7])) == (truth[5], truth[6])
    if base == 6:
        assert float(told[5]) == pytest.approx(100 * truth[5])  # a contract is 0.01 BTC


def test_before_and_after_are_exclusive_and_the_other_way_round(sandbox, history):
    window = {"before": MINUTE - 300_000, "after": MINUTE}
    assert opens(history(sandbox, **window)) == [MINUTE - n * MINUTE_MS for n in (1, 2, 3, 4)]
    assert opens(history(sandbox, after=MINUTE - 60_000, limit=1)) == [MINUTE - 120_000]
    newest = opens(history(sandbox, before=MINUTE - 10 * HOUR_MS, limit=2))
    assert newest == [MINUTE, MINUTE - MINUTE_MS]  # and not those next to it


@pytest.mark.parametrize(("asked", "rows"), [({}, 100), ({"limit": 7}, 7), ({"limit": 500}, 300)])
def test_there_are_300_rows_at_most_whatever_is_asked_for(sandbox, history, asked, rows):
    assert len(history(sandbox, **asked)) == rows


def test_the_endpoint_of_the_newest_is_empty_before_its_window(sandbox, history):
    old = {"after": MINUTE - 2000 * MINUTE_MS}
    assert history(sandbox, path="candles", **old) == []
    assert len(history(sandbox, **old)) == 100


def test_a_plain_day_begins_at_16_utc(sandbox, history):
    (plain,), (utc,) = (history(sandbox, bar=bar, limit=1) for bar in ("1D", "1Dutc"))
    assert int(plain[0]) % Timeframe.D1.ms == 16 * HOUR_MS
    assert int(utc[0]) % Timeframe.D1.ms == 0
    assert plain[1:] != utc[1:]


def test_minutes_without_trades_have_rows(sandbox, history):
    rows = history(sandbox, "DASH-USD", limit=300)
    assert opens(rows) == [MINUTE - n * MINUTE_MS for n in range(300)]
    assert "0" in {row[5] for row in rows}


def test_an_unknown_instrument_is_refused_with_200_and_a_bad_parameter_with_400(sandbox, get):
    path = "/api/v5/market/history-candles"
    for name in ("NOPE-USDT", "BTC-USD-SWAP"):
        reply = get(sandbox, path, instId=name, bar="1m")
        assert reply.status_code == 200
        assert reply.json()["code"] == "51001"
        assert reply.json()["data"] == []
    for bad in ({"bar": "8H"}, {"bar": "1m", "after": "soon"}, {"bar": "1m", "limit": "0"}):
        reply = get(sandbox, path, instId="BTC-USDT", **bad)
        assert (reply.status_code, reply.json()["code"]) == (400, "51000")


def test_each_endpoint_has_a_limit_of_its_own(start, get):
    server = start()
    path = "/api/v5/market/history-candles"

    def codes(path, count, **params):
        replies = [get(server, path, **params) for _ in range(count)]
        return [(reply.status_code, reply.json()["code"]) for reply in replies]

    wanted = {"instId": "BTC-USDT", "limit": 1}
    assert codes(path, 21, **wanted) == 20 * [(200, "0")] + [(429, "50011")]
    assert codes("/api/v5/market/candles", 41, **wanted)[-2:] == [(200, "0"), (429, "50011")]
    for kind in ("SPOT", "SWAP"):
        assert codes("/api/v5/public/instruments", 1, instType=kind) == [(200, "0")]
    assert codes("/api/v5/public/time", 11)[-2:] == [(200, "0"), (429, "50011")]
    server.clock.advance(2_000)
    assert codes(path, 1, **wanted) == [(200, "0")]


def test_spot_and_swaps_are_listed_apart_and_swaps_name_no_currencies(sandbox, instruments):
    spot, swaps = (instruments(sandbox, kind) for kind in ("SPOT", "SWAP"))
    assert (spot["BTC-USDT"]["baseCcy"], spot["BTC-USDT"]["quoteCcy"]) == ("BTC", "USDT")
    row = swaps["BTC-USDT-SWAP"]
    assert (row["baseCcy"], row["quoteCcy"], row["instFamily"]) == ("", "", "BTC-USDT")
    assert (row["ctVal"], row["ctValCcy"], row["settleCcy"]) == ("0.01", "BTC", "USDT")
    assert (spot["LUNA-USD"]["state"], spot["MATIC-USD"]["state"]) == ("suspend", "post_only")
    assert not spot.keys() & swaps.keys()


def test_inverse_dated_and_unfinished_contracts_are_listed_too(sandbox, instruments):
    swaps = instruments(sandbox, "SWAP")
    assert (swaps["BTC-USD-SWAP"]["ctType"], swaps["BTC-USD-SWAP"]["settleCcy"]) == (
        "inverse",
        "BTC",
    )
    assert swaps["SOON-USDT-SWAP"]["ruleType"] == "pre_market"
    assert swaps["TSLA-USDT-SWAP"]["instCategory"] == "3"
    assert swaps["LUNA-USDT-SWAP"]["state"] == "suspend"
    assert "BTC-USD_UM-261225" in instruments(sandbox, "FUTURES")


def test_tickers_tell_24_hours_a_swaps_in_contracts(sandbox, get):
    def ticker(kind, name):
        rows = get(sandbox, "/api/v5/market/tickers", instType=kind).json()["data"]
        return next(row for row in rows if row["instId"] == name)

    spot, swap = ticker("SPOT", "BTC-USDT"), ticker("SWAP", "BTC-USDT-SWAP")
    assert spot["last"] == swap["last"]
    assert spot["vol24h"] == swap["volCcy24h"]
    assert float(swap["vol24h"]) == pytest.approx(100 * float(spot["vol24h"]))
    assert float(spot["volCcy24h"]) == pytest.approx(
        float(spot["vol24h"]) * float(spot["last"]), rel=0.1
    )
    (one,) = get(sandbox, "/api/v5/market/ticker", instId="BTC-USDT").json()["data"]
    assert one == spot


def test_a_row_of_the_listing_can_lose_its_state(sandbox, instruments):
    sandbox.faults.add("listing", way="bad_row", listed="BTC-USDT-PERP")
    assert "state" not in instruments(sandbox, "SWAP")["BTC-USDT-SWAP"]
    assert "state" in instruments(sandbox, "SPOT")["BTC-USDT"]


def test_what_ends_is_suspended_or_gone_or_has_another_name(start, instruments, history, get):
    server = start()
    for kind, symbol, more in (
        ("halted", "ETH-USDT", {}),
        ("delisted", "BTC-USDT-PERP", {}),
        ("renamed", "BTC-USDT", {"to": "XBT-USDT"}),
    ):
        server.scenarios.add(kind, symbol=symbol, **more)
    server.send_due()
    server.clock.advance(3 * MINUTE_MS)
    server.send_due()
    spot = instruments(server, "SPOT")
    assert spot["ETH-USDT"]["state"] == "suspend"
    assert "XBT-USDT" in spot
    assert "BTC-USDT" not in spot
    assert "BTC-USDT-SWAP" not in instruments(server, "SWAP")
    assert opens(history(server, "ETH-USDT", limit=1)) == [MINUTE]  # its last one
    path = "/api/v5/market/history-candles"
    gone = get(server, path, instId="BTC-USDT-SWAP", bar="1m").json()
    assert gone["code"] == "51001"
