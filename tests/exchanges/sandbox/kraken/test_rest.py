from itertools import pairwise

import pytest

from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE = Timeframe.M1.floor(NOW_MS)
UNKNOWN = ["EQuery:Unknown asset pair"]


@pytest.fixture
def ohlc(get):
    """Return the whole answer to a request for candles."""

    def ohlc(server, pair="BTC/USD", **params):
        reply = get(server, "/0/public/OHLC", pair=pair, **params)
        assert reply.status_code == 200
        return reply.json()

    return ohlc


def rows_of(answer):
    """Return the rows of an answer, whatever they are called."""
    return next(each for each in answer["result"].values() if isinstance(each, list))


@pytest.mark.parametrize("since", [None, 0, MINUTE // 1000 - 2000 * 60])
def test_there_are_the_newest_720_rows_and_the_open_one_whatever_is_asked_for(sandbox, ohlc, since):
    answer = ohlc(sandbox, **({} if since is None else {"since": since}))
    opened = [row[0] * 1000 for row in rows_of(answer)]
    assert opened == list(range(MINUTE - 720 * MINUTE_MS, MINUTE + 1, MINUTE_MS))
    assert answer["result"]["last"] * 1000 == MINUTE - MINUTE_MS


def test_since_is_exclusive(sandbox, ohlc):
    since = MINUTE - 3 * MINUTE_MS
    rows = rows_of(ohlc(sandbox, since=since // 1000))
    assert [row[0] * 1000 for row in rows] == [since + at * MINUTE_MS for at in (1, 2, 3)]


@pytest.mark.parametrize(("interval", "timeframe"), [(1, "1m"), (240, "4h"), (1440, "1d")])
def test_rows_are_the_truth_with_their_volume_behind_an_average(sandbox, ohlc, interval, timeframe):
    told = rows_of(ohlc(sandbox, "XBTUSD", interval=interval))[-2]
    opened = told[0] * 1000
    (truth,) = sandbox.market.closed_rows("BTC-USD", Timeframe(timeframe), opened, opened + 1)
    assert [float(text) for text in (*told[1:5], told[6])] == truth[1:6]
    assert told[3] <= told[5] <= told[2]
    assert told[7] == truth[7]


def test_a_minute_without_a_trade_stands_at_the_close_before_it(sandbox, ohlc):
    rows = rows_of(ohlc(sandbox, "AERO/USD"))
    quiet = [(before, row) for before, row in pairwise(rows) if not row[7]]
    assert quiet
    for before, row in quiet:
        assert row[1:5] == [before[4]] * 4
        assert row[5:] == ["0.0", "0.00000000", 0]


@pytest.mark.parametrize(
    ("pair", "key"),
    [("BTC/USD", "BTC/USD"), ("XBTUSD", "XXBTZUSD"), ("XXBTZUSD", "XXBTZUSD"), ("XDGUSD",) * 2],
)
def test_the_answer_goes_by_the_name_that_was_asked_for(sandbox, ohlc, pair, key):
    assert list(ohlc(sandbox, pair)["result"]) == [key, "last"]


@pytest.mark.parametrize("pair", ["XBT/USD", "XDG/USD", "NOPE/USD", "btc/usd", "BTC-USDT-PERP"])
def test_an_unknown_pair_is_refused_with_http_200_as_the_listings_own_name_is(sandbox, ohlc, pair):
    assert ohlc(sandbox, pair) == {"error": UNKNOWN, "result": None}


@pytest.mark.parametrize("params", [{"interval": 3}, {"interval": "1m"}, {"since": "x"}])
def test_wrong_arguments_are_refused_with_http_200(sandbox, ohlc, params):
    assert ohlc(sandbox, **params) == {"error": ["EGeneral:Invalid arguments"]}


def test_the_time_is_told_in_whole_seconds(sandbox, get):
    told = get(sandbox, "/0/public/Time").json()["result"]
    assert told == {"unixtime": NOW_MS // 1000, "rfc1123": "Mon, 21 Sep 26 14:15:23 +0000"}
    assert get(sandbox, "/0/public/SystemStatus").json()["result"]["status"] == "online"


def test_the_listing_has_old_names_and_says_what_trades(sandbox, get):
    rows = get(sandbox, "/0/public/AssetPairs").json()["result"]
    assert (rows["XXBTZUSD"]["wsname"], rows["XXBTZUSD"]["altname"]) == ("XBT/USD", "XBTUSD")
    assert rows["XDGUSD"]["wsname"] == "XDG/USD"
    assert rows["SOLUSD"]["wsname"] == "SOL/USD"
    assert {row["status"] for row in rows.values()} == {"online", "cancel_only"}
    assert not any("PERP" in name for name in rows)


def test_tickers_tell_todays_numbers_beside_those_of_24_hours(sandbox, get):
    told = get(sandbox, "/0/public/Ticker").json()["result"]["XXBTZUSD"]
    day = sandbox.market.of("BTC-USD").day_before(NOW_MS)
    assert float(told["v"][1]) == pytest.approx(day.volume / 1e8)
    assert set(told) == set("abcvptlho")


def test_who_calls_too_fast_gets_empty_bodies(start, get):
    server = start(kraken_calls=3)
    bodies = [get(server, "/0/public/Time") for _ in range(4)]
    assert [body.status_code for body in bodies] == [200] * 4
    assert [len(body.content) > 0 for body in bodies] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "EAPI:Rate limit exceeded"),
        (418, "EGeneral:Temporary lockout"),
        (503, "EService:Unavailable"),
    ],
)
def test_refusals_come_with_http_200(sandbox, ohlc, status, code):
    sandbox.faults.add("status", status=status, protocol="kraken")
    assert ohlc(sandbox) == {"error": [code]}


def test_pages_of_others_keep_their_status(sandbox, get):
    sandbox.faults.add("status", status=403, protocol="kraken")
    assert get(sandbox, "/0/public/Time").status_code == 403


def test_faults_find_the_rows_whatever_they_are_called(sandbox, ohlc, get):
    hole = MINUTE - 5 * MINUTE_MS
    sandbox.faults.add("holes", open_times=[hole], protocol="kraken")
    assert hole // 1000 not in [row[0] for row in rows_of(ohlc(sandbox, "XBTUSD"))]
    sandbox.faults.clear()
    sandbox.faults.add("listing", way="short", chance=1, protocol="kraken")
    assert len(get(sandbox, "/0/public/AssetPairs").json()["result"]) == 1
    sandbox.faults.clear()
    sandbox.faults.add("listing", way="halted", protocol="kraken")
    rows = get(sandbox, "/0/public/AssetPairs").json()["result"].values()
    assert {row["status"] for row in rows} == {"cancel_only"}
