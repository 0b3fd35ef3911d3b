from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.sandbox.market.bars import Bar
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.walk import DAY_MS
from exchanges.sandbox.symbols import listings
from livermore.market.timeframe import MINUTE_MS, Timeframe

M1 = Timeframe.M1
MARKET = Market(7, listings())
SYMBOLS = st.sampled_from([one.symbol for one in MARKET.listings.values()])
TIMEFRAMES = st.sampled_from(Timeframe)
TIMES = st.integers(1_700_000_000_000, 1_900_000_000_000)


def aggregated(bars, open_ms):
    traded = [bar for bar in bars if bar.trades] or bars[:1]
    return Bar(
        open_ms,
        traded[0].open,
        max(bar.high for bar in traded),
        min(bar.low for bar in traded),
        traded[-1].close,
        sum(bar.volume for bar in bars),
        sum(bar.trades for bar in bars),
        sum(bar.quote for bar in bars),
        traded[0].first_id,
        sum(bar.taken for bar in bars),
        sum(bar.paid for bar in bars),
    )


@given(SYMBOLS, TIMEFRAMES, TIMES)
def test_a_longer_bar_is_the_aggregation_of_its_traded_minutes(symbol, timeframe, time_ms):
    open_ms = timeframe.floor(time_ms)
    symbol_market = MARKET.of(symbol)
    minutes = symbol_market.bars(M1, open_ms, open_ms + timeframe.ms)
    assert symbol_market.bars(timeframe, open_ms, open_ms + 1) == [aggregated(minutes, open_ms)]


@given(SYMBOLS, TIMES)
def test_a_minute_is_the_aggregation_of_its_trades(symbol, time_ms):
    minute_ms = M1.floor(time_ms)
    symbol_market = MARKET.of(symbol)
    (bar,) = symbol_market.bars(M1, minute_ms, minute_ms + 1)
    trades = symbol_market.trades(minute_ms)
    assert bar.trades == len(trades)
    assert bar.volume == sum(trade.size for trade in trades)
    assert bar.quote == sum(trade.size * trade.price for trade in trades)
    taken = [trade for trade in trades if trade.buyer_took]
    assert bar.taken == sum(trade.size for trade in taken)
    assert bar.paid == sum(trade.size * trade.price for trade in taken)
    if trades:
        prices = [trade.price for trade in trades]
        assert (bar.open, bar.close) == (prices[0], prices[-1])
        assert (bar.high, bar.low) == (max(prices), min(prices))
        assert [t.id for t in trades] == list(range(bar.first_id, bar.first_id + len(trades)))
        times = [trade.time_ms for trade in trades]
        assert times == sorted(times)
        assert minute_ms <= times[0] <= times[-1] < minute_ms + MINUTE_MS


@given(SYMBOLS, TIMES)
def test_prices_are_positive_ordered_and_continuous_over_days(symbol, time_ms):
    symbol_market = MARKET.of(symbol)
    midnight_ms = Timeframe.D1.floor(time_ms)
    bars = symbol_market.bars(Timeframe.H1, midnight_ms - DAY_MS, midnight_ms + DAY_MS)
    assert all(0 < b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in bars)
    assert all(before.close == after.open for before, after in pairwise(bars))
    assert all((bar.trades > 0) == (bar.volume > 0) for bar in bars)


@given(SYMBOLS, TIMES)
def test_trade_ids_have_no_gap_at_midnight(symbol, time_ms):
    midnight_ms = Timeframe.D1.floor(time_ms)
    before, after = MARKET.of(symbol).bars(Timeframe.D1, midnight_ms - DAY_MS, midnight_ms + 1)
    assert before.first_id + before.trades == after.first_id


@given(SYMBOLS, TIMEFRAMES, TIMES, st.integers(0, 3_600_000))
def test_the_open_bar_only_grows(symbol, timeframe, time_ms, later_ms):
    symbol_market = MARKET.of(symbol)
    close_ms = timeframe.floor(time_ms) + timeframe.ms - 1
    now = symbol_market.open_bar(timeframe, time_ms)
    later = symbol_market.open_bar(timeframe, min(time_ms + later_ms, close_ms))
    assert later.open == now.open
    assert later.high >= now.high
    assert later.low <= now.low
    assert later.volume >= now.volume


@given(SYMBOLS, TIMEFRAMES, TIMES)
def test_the_open_bar_at_its_last_millisecond_is_the_closed_one(symbol, timeframe, time_ms):
    open_ms = timeframe.floor(time_ms)
    symbol_market = MARKET.of(symbol)
    assert [symbol_market.open_bar(timeframe, open_ms + timeframe.ms - 1)] == symbol_market.bars(
        timeframe, open_ms, open_ms + 1
    )


@given(SYMBOLS, TIMES)
def test_the_open_minute_is_made_of_the_trades_so_far(symbol, time_ms):
    symbol_market = MARKET.of(symbol)
    so_far = [t for t in symbol_market.trades(M1.floor(time_ms)) if t.time_ms <= time_ms]
    bar = symbol_market.open_bar(M1, time_ms)
    assert (bar.trades, bar.volume) == (len(so_far), sum(t.size for t in so_far))
    if so_far:
        assert bar.close == so_far[-1].price


@given(SYMBOLS, TIMEFRAMES, TIMES, st.integers(0, 700), st.integers(0, 700))
def test_a_range_is_the_same_however_it_is_cut(symbol, timeframe, time_ms, before, after):
    symbol_market, cut_ms = MARKET.of(symbol), timeframe.floor(time_ms)
    start_ms, end_ms = cut_ms - before * timeframe.ms, cut_ms + after * timeframe.ms
    whole = symbol_market.bars(timeframe, start_ms, end_ms)
    assert [bar.open_ms for bar in whole] == list(range(start_ms, end_ms, timeframe.ms))
    assert whole == symbol_market.bars(timeframe, start_ms, cut_ms) + symbol_market.bars(
        timeframe, cut_ms, end_ms
    )


@given(TIMEFRAMES, st.integers(0, 3000))
def test_a_bar_around_the_listing_holds_only_what_came_after_it(timeframe, minutes):
    listed_ms = 1_780_012_800_000 + minutes * MINUTE_MS
    for quiet in (False, True):
        symbol_market = Market(
            1, [Listing("NEW-USD", "1.00000", quiet=quiet, listed_ms=listed_ms)]
        ).of("NEW-USD")
        open_ms = timeframe.floor(listed_ms)
        since = symbol_market.bars(M1, 0, open_ms + timeframe.ms)
        assert since[0].open_ms == listed_ms
        (first,) = symbol_market.bars(timeframe, 0, open_ms + 1)
        assert first == aggregated(since, open_ms)
        assert symbol_market.open_bar(timeframe, listed_ms - 1) is None or timeframe is not M1


def test_a_quiet_day_has_empty_minutes_and_hours_and_a_busy_one_has_none():
    start_ms = 1_790_035_200_000

    def empty(symbol, timeframe):
        bars = MARKET.of(symbol).bars(timeframe, start_ms, start_ms + DAY_MS)
        return sum(not bar.trades for bar in bars) / len(bars)

    assert 0.3 <= empty("DASH-USD", M1) <= 0.7
    assert empty("DASH-USD", Timeframe.H1) > 0
    assert empty("BTC-USD", M1) == 0


def test_seeds_and_symbols_differ_and_the_same_seed_repeats():
    def day(seed, symbol):
        market = Market(seed, listings())
        return market.closed_candles(symbol, M1, 1_790_035_200_000, 1_790_121_600_000)

    assert day(1, "BTC-USD") == day(1, "BTC-USD")
    assert day(1, "BTC-USD") != day(2, "BTC-USD")
    assert day(1, "BTC-USD") != day(1, "BTC-USDT")


def test_truth_skips_untraded_minutes_when_asked():
    span = (1_790_035_200_000, 1_790_121_600_000)
    every = MARKET.closed_candles("DASH-USD", M1, *span)
    traded = MARKET.closed_candles("DASH-USD", M1, *span, traded_only=True)
    assert len(every) == 1440
    assert traded == [candle for candle in every if candle[5] > 0]


def test_nothing_is_true_before_the_listing():
    assert MARKET.candle("BTC-USD", Timeframe.D1, 1_500_000_000_000) is None
    assert MARKET.candle("BTC-USD", Timeframe.D1, 1_789_948_800_000)[0] == 1_789_948_800_000


@pytest.mark.parametrize("trading", [1, 5, 17, 18, 60, 200])
@pytest.mark.parametrize("protocol", ["binance", "coinbase", "okx"])
def test_the_number_of_trading_symbols_can_be_chosen(trading, protocol):
    found = [one for one in listings(trading) if one.status == "TRADING" and one.is_on(protocol)]
    assert len(found) == trading


def test_each_spot_symbol_of_all_has_a_perpetual_at_its_prices_in_a_market_of_its_own():
    perpetuals = [
        one for one in MARKET.listings.values() if one.kind == "perpetual" and not one.protocols
    ]
    assert len(perpetuals) == sum(not one.protocols for one in listings())
    named = {one.symbol: (one.walks_as, one.base, one.quote) for one in perpetuals}
    assert named["BTC-USDT-PERP"] == ("BTC-USDT", "BTC", "USDT")
    assert named["BTC-USDC-PERP"] == ("BTC-USD", "BTC", "USDC")
    assert named["SOL-USDT-PERP"] == ("SOL-USD", "SOL", "USDT")
    for symbol, (spot, _, _) in named.items():
        at = (Timeframe.H1, 1_790_035_200_000)
        assert MARKET.candle(symbol, *at) == MARKET.candle(spot, *at)
        assert MARKET.listings[symbol].is_on("any", "perpetual")
        assert not MARKET.listings[symbol].is_on("any")


def test_a_name_that_only_ends_like_a_perpetuals_is_spot():
    listing = Listing("PERP-PERP", "1.00000")
    assert (listing.kind, listing.base, listing.quote) == ("spot", "PERP", "PERP")


def test_a_price_too_coarse_for_the_walk_is_refused():
    with pytest.raises(ValueError, match="needs more decimals"):
        Listing("BAD-USD", "1.50")


@given(SYMBOLS, TIMES)
def test_the_columns_of_a_true_row_are_sums_of_its_trades(symbol, time_ms):
    minute_ms = M1.floor(time_ms)
    listing = MARKET.of(symbol).listing
    trades = MARKET.trades(symbol, minute_ms)
    taken = [trade for trade in trades if trade.buyer_took]
    (row,) = MARKET.closed_rows(symbol, M1, minute_ms, minute_ms + 1)
    assert row[:6] == list(MARKET.candle(symbol, M1, minute_ms))
    volume = 10.0**-8
    worth = volume / 10**listing.decimals
    assert row[6:] == [
        pytest.approx(sum(trade.price * trade.size for trade in trades) * worth, abs=1e-8),
        len(trades),
        pytest.approx(sum(trade.size for trade in taken) * volume),
        pytest.approx(sum(trade.price * trade.size for trade in taken) * worth, abs=1e-8),
    ]
