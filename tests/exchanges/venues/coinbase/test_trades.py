"""What the newest trades prove of bars that ended a short time ago, compared with the truth."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.errors import BadPayload
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import CandleReply, QuietBars
from exchanges.venues.coinbase.trades import LATE_MS, ORDER_MS, NewestTrades, Trade, read_trades
from livermore.market.coverage import missing
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.conftest import NOW_MS, values

M1 = Timeframe.M1
BEGIN = 1_795_046_400_000
BARS, LAG_MS = 15, 10 * M1.ms
END_MS = BEGIN + BARS * M1.ms
SIZES = st.integers(1, 500).map(lambda size: Decimal(size) / 100)
PRICES = st.integers(9_000, 11_000).map(lambda price: price / 100)


@st.composite
def markets(draw):
    """All trades of a while, oldest first, one before it among them, and what time it is then."""
    times = sorted(draw(st.lists(st.integers(BEGIN, END_MS + 50_000), max_size=40)))
    made = [BEGIN - 3_600_000, *times]
    trades = [Trade(100 + at, time, draw(PRICES), draw(SIZES)) for at, time in enumerate(made)]
    return trades, END_MS + draw(st.integers(LATE_MS, 50_000))


def bars_of(trades, until_ms):
    """Return the rows of bars, as somebody sees them who knows no later trade."""
    rows = {}
    for each in trades:
        if BEGIN <= each.time_ms <= until_ms:
            rows.setdefault(M1.floor(each.time_ms), []).append(each)
    return [
        (
            opened,
            found[0].price,
            max(each.price for each in found),
            min(each.price for each in found),
            found[-1].price,
            float(sum(each.size for each in found)),
        )
        for opened, found in sorted(rows.items())
    ]


def answered(rows, now_ms):
    reply = CandleReply(
        M1, lambda row: row[0], lambda row, timeframe: (*row[1:], timeframe, None),
        QuietBars.OMITS, LAG_MS,
    )  # fmt: skip
    reply.add_page(rows, BEGIN, M1.floor(now_ms))
    return reply.result(BEGIN, END_MS, now_ms)


@given(
    markets(),
    st.integers(0, LAG_MS),  # how late the candles are
    st.booleans(),
    st.integers(0, LATE_MS),  # how late the trades
    st.integers(1, 40),
)
def test_what_is_proven_is_the_truth_however_late_candles_are(market, late, whole, delay, count):
    trades, now_ms = market
    rows = bars_of(trades, now_ms - late)
    if whole:  # an answer may lack a bar, or tell a part of it
        rows = [row for row in rows if row[0] + M1.ms <= now_ms - late]
    found = answered(rows, now_ms)
    seen = [each for each in trades if each.time_ms <= now_ms - delay]
    NewestTrades(seen[-count:], now_ms).prove(found, M1, now_ms, LAG_MS)
    truth = {row[0]: row for row in bars_of(trades, END_MS - 1)}
    told = {each.timestamp: tuple(each.values()) for each in found}
    for opened in range(BEGIN, END_MS, M1.ms):
        if not missing(found.covered, opened, opened + M1.ms):
            assert told.get(opened) == truth.get(opened)
    assert not any(missing(found.covered, each, each + M1.ms) for each in told)


@given(markets())
def test_of_a_market_that_hardly_trades_all_is_proven_at_once(market):
    trades, now_ms = market
    found = answered(bars_of(trades, now_ms), now_ms)
    NewestTrades(trades, now_ms).prove(found, M1, now_ms, LAG_MS)
    assert found.covered == ((BEGIN, END_MS),)
    assert found.young is None


OPENED = END_MS - M1.ms


def of_last_bar(row, *times, lag_ms=LAG_MS):
    """Return an answer with a row of the last bar, held against trades of these times."""
    now_ms = END_MS + LATE_MS
    found = answered([(OPENED, *row)], now_ms)
    trades = [Trade(9 + at, OPENED + time, 10.0, Decimal(1)) for at, time in enumerate(times)]
    NewestTrades(trades, now_ms).prove(found, M1, now_ms, lag_ms)
    return found


@pytest.mark.parametrize(
    "row", [(10, 10, 10, 10, 2), (10, 10, 10, 10, 1), (10, 11, 10, 10, 3), (10, 10, 9, 10, 3)]
)
def test_a_row_that_is_not_what_its_trades_make_up_is_not_whole(row):
    times = (-9_000, 9_000, 20_000, 59_000)
    assert of_last_bar((10, 10, 10, 10, 3), *times).young is None
    found = of_last_bar(row, *times)
    assert found.young
    assert missing(found.covered, OPENED, END_MS)
    assert list(found) == []


def test_a_row_of_more_trades_than_are_told_is_whole_where_none_was_made_lately():
    row = (10, 12, 9, 10, 400)
    assert of_last_bar(row, 5_000, 10_000, lag_ms=30_000).young is None
    assert of_last_bar(row, 5_000, 10_000, 59_000, lag_ms=30_000).young
    assert of_last_bar(row, 40_000, 41_000, lag_ms=30_000).young


def row(trade_id, time="2026-09-21T14:15:00.123456Z", **changes):
    told = {"trade_id": str(trade_id), "product_id": "A-B", "price": "10.5", "size": "0.25"}
    return told | {"time": time, "side": "BUY"} | changes


def test_trades_are_read_as_far_back_as_none_is_missing():
    found = read_trades({"trades": [row(9), row(8), row(6), row(5)]}, "A-B", NOW_MS)
    made_ms = 1_790_000_100_123
    assert [each.trade_id for each in found.within(made_ms, made_ms + 1)] == [8, 9]
    assert (found.from_ms, found.until_ms) == (made_ms + ORDER_MS, NOW_MS - LATE_MS)
    none = read_trades({"trades": []}, "A-B", NOW_MS)
    assert none.from_ms > none.until_ms


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"trades": None},
        {"trades": [None]},
        {"trades": [row(1, product_id="A-C")]},
        {"trades": [row(1, price="0")]},
        {"trades": [row(1, price="inf")]},
        {"trades": [row(1, size="-1")]},
        {"trades": [row(1, time="soon")]},
        {"trades": [row("x")]},
    ],
)
def test_what_is_no_list_of_trades_is_refused(body):
    with pytest.raises(BadPayload, match="the trades are not in Coinbase's form"):
        read_trades(body, "A-B", NOW_MS)


# Over REST


def truth(sandbox, symbol, timeframe, start_ms, end_ms):
    window = (symbol, timeframe, start_ms, end_ms)
    return sandbox.market.closed_candles(*window, traded_only=True)


def newest(coinbase, symbol, timeframe, lane=Lane.SERVE):
    end_ms = timeframe.floor(NOW_MS)
    start_ms = end_ms - 60 * timeframe.ms
    return coinbase.get_candles(symbol, timeframe, start_ms, lane=lane), start_ms, end_ms


@pytest.mark.parametrize("symbol", ["AERO-USD", "DASH-USD"])
def test_who_waits_is_told_all_that_is_over_of_a_market_that_hardly_trades(
    coinbase, sandbox, symbol
):
    for timeframe in (Timeframe.M1, Timeframe.M5, Timeframe.M15):
        got, start_ms, end_ms = newest(coinbase, symbol, timeframe)
        assert got.covered[-1][1] == end_ms
        assert values(got) == truth(sandbox, symbol, timeframe, start_ms, end_ms)
    assert sandbox.requests.counts["coinbase.ticker"] == 1  # for all that ended together


def test_who_does_not_wait_asks_for_no_trades(coinbase, sandbox):
    got, _, end_ms = newest(coinbase, "DASH-USD", Timeframe.M1, Lane.BACKFILL)
    assert got.covered[-1][1] < end_ms
    assert sandbox.requests.counts["coinbase.ticker"] == 0


def test_nor_does_who_has_all_proven_already(coinbase, sandbox):
    got, _, end_ms = newest(coinbase, "BTC-USD", Timeframe.M5)
    assert got.covered[-1][1] == end_ms
    assert sandbox.requests.counts["coinbase.ticker"] == 0


@pytest.mark.parametrize("way", ["missing", "stale"])
@pytest.mark.parametrize("seconds", [30, 90, 200, 500])
def test_of_what_candles_are_late_with_nothing_is_believed(coinbase, sandbox, seconds, way):
    sandbox.faults.add("late", seconds=seconds, way=way)
    for symbol in ("AERO-USD", "DASH-USD", "ETH-USD"):
        got, start_ms, end_ms = newest(coinbase, symbol, Timeframe.M1)
        told = {each.timestamp: tuple(each.values()) for each in got}
        for opened, *rest in truth(sandbox, symbol, Timeframe.M1, start_ms, end_ms):
            if not missing(got.covered, opened, opened + M1.ms):
                assert told[opened] == (opened, *rest)


def test_without_trades_an_answer_proves_what_it_proves_alone(coinbase, sandbox):
    alone, *_ = newest(coinbase, "DASH-USD", Timeframe.M1, Lane.BACKFILL)
    sandbox.faults.add("html200", endpoint="ticker")
    got, *_ = newest(coinbase, "DASH-USD", Timeframe.M1)
    assert (list(got), got.covered) == (list(alone), alone.covered)
