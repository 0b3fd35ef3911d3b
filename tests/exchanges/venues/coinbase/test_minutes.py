"""Minutes built from trades against minutes added up from all trades there were."""

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.stream.events import CandleUpdate, Quiet, Traded
from exchanges.venues.coinbase.minutes import MinuteBuilder
from livermore.market.candle import Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe

M1 = Timeframe.M1
START_MS = M1.floor(1_790_000_123_456)


@st.composite
def markets(draw):
    """Draw all trades of some minutes: `(id, time, price, size)`, ids without a gap."""
    steps = st.sampled_from([0, 1, 7_000, 29_000, 59_999, MINUTE_MS, 3 * MINUTE_MS])
    prices, sizes = st.integers(1, 9), st.integers(1, 10**9)
    time_ms, trades = START_MS + 30_000, []
    drawn = draw(st.lists(st.tuples(steps, prices, sizes), min_size=1, max_size=25))
    for trade_id, (step, price, size) in enumerate(drawn, start=1000):
        time_ms += step
        trades.append((trade_id, time_ms, float(price), Decimal(size).scaleb(-8)))
    return trades


def added_up(trades):
    prices = [price for _, _, price, _ in trades]
    volume = float(sum(size for *_, size in trades))
    opened = M1.floor(trades[0][1])
    return Candle(opened, prices[0], max(prices), min(prices), prices[-1], volume, M1)


def by_minute(trades):
    minutes = defaultdict(list)
    for trade in trades:
        minutes[M1.floor(trade[1])].append(trade)
    return minutes


def build(batches):
    """Return the closed and the open candles that come of batches, each by id as the venue does."""
    builder = MinuteBuilder("BTC-USD")
    told = [each for batch in batches for trade in sorted(batch) for each in builder.add(*trade)]
    candles = [each for each in told if isinstance(each, CandleUpdate)]
    closed = [each.candle for each in candles if each.closed]
    return closed, [each.candle for each in candles if not each.closed]


def evidence(batches):
    """Return in which minutes trades were seen, and where it was seen that none were."""
    builder = MinuteBuilder("BTC-USD")
    told = [each for batch in batches for trade in sorted(batch) for each in builder.add(*trade)]
    traded = {M1.floor(each.time_ms) for each in told if isinstance(each, Traded)}
    traded |= {each.candle.timestamp for each in told if isinstance(each, CandleUpdate)}
    quiet = [(each.from_ms, each.to_ms) for each in told if isinstance(each, Quiet)]
    return traded, quiet


def trade(number, second, price=10.0, size="1"):
    return (number, START_MS + round(1000 * second), price, Decimal(size))


@given(markets(), st.data())
def test_whatever_comes_of_a_market_each_trade_is_seen_and_no_quiet_stretch_holds_one(trades, data):
    batches = data.draw(st.lists(st.lists(st.sampled_from(trades), max_size=12), max_size=12))
    traded, quiet = evidence(batches)
    newest, new = -1, []
    for batch in batches:
        for each in sorted(batch):
            if each[0] > newest:
                newest = each[0]
                new.append(each)
    assert traded == {M1.floor(each[1]) for each in new}
    for start_ms, end_ms in quiet:
        assert end_ms - start_ms >= M1.ms
        assert not [each for each in trades if start_ms <= each[1] < end_ms]


def test_between_two_trades_that_follow_upon_each_other_nothing_was_traded():
    trades = [trade(1, 10), trade(2, 20), trade(3, 500), trade(5, 900)]
    _, quiet = evidence([trades])
    assert quiet == [(START_MS + 20_001, START_MS + 500_000)]


@given(markets(), st.data())
def test_whatever_is_lost_doubled_or_late_a_closed_minute_is_exactly_right(trades, data):
    batches = data.draw(st.lists(st.lists(st.sampled_from(trades), max_size=12), max_size=12))
    in_order = [[each] for each in trades if data.draw(st.integers(0, 9))]
    at = data.draw(st.integers(0, len(batches)))
    closed, still_open = build(batches[:at] + in_order + batches[at:])
    truth = by_minute(trades)
    assert all(candle == added_up(truth[candle.timestamp]) for candle in closed)
    assert all(a.timestamp < b.timestamp for a, b in pairwise(closed))
    for candle in still_open:
        minute = truth[candle.timestamp]
        assert candle in [added_up(minute[: count + 1]) for count in range(len(minute))]


@given(markets(), st.integers(0, 24), st.data())
def test_from_wherever_one_joins_every_minute_after_the_first_is_told(trades, joined_at, data):
    trades = trades[min(joined_at, len(trades) - 1) :]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(trades)))) | {0, len(trades)})
    overlap = data.draw(st.integers(0, 5))  # a snapshot repeats what came before
    batches = [trades[max(0, start - overlap) : end] for start, end in pairwise(cuts)]
    for batch in batches:
        data.draw(st.randoms()).shuffle(batch)
    closed, still_open = build(batches)
    minutes = list(by_minute(trades).values())
    assert closed == [added_up(minute) for minute in minutes[1:-1]]
    assert len(minutes) == 1 or still_open[-1] == added_up(minutes[-1])


def test_the_minute_in_which_one_joins_is_never_told():
    closed, still_open = build([[trade(7, 10), trade(8, 20)], [trade(9, 65)]])
    assert closed == []
    assert [candle.timestamp for candle in still_open] == [START_MS + MINUTE_MS]


def test_a_missing_trade_spoils_its_minute_and_leaves_the_next_but_one():
    seen = [trade(1, 30), trade(2, 60), trade(3, 70), trade(5, 90), trade(6, 121), trade(7, 181)]
    closed, _ = build([seen])
    assert [candle.timestamp for candle in closed] == [START_MS + 2 * MINUTE_MS]


def test_a_trade_missing_at_the_turn_of_a_minute_spoils_both():
    seen = [trade(1, 30), trade(2, 60), trade(3, 119), trade(5, 121), trade(6, 150), trade(7, 181)]
    closed, still_open = build([seen])
    assert closed == []
    assert still_open[-1].timestamp == START_MS + 3 * MINUTE_MS


def test_a_time_that_goes_back_a_minute_while_the_id_rises_spoils_the_minute():
    closed, _ = build([[trade(1, 30), trade(2, 61), trade(3, 59), trade(4, 62), trade(5, 121)]])
    assert closed == []


def test_volumes_add_up_as_the_exchange_adds_them():
    tenths = [trade(number, 60 + number, size="0.1") for number in range(2, 12)]
    closed, _ = build([[trade(1, 30), *tenths, trade(12, 121)]])
    assert [candle.volume for candle in closed] == [1.0]
    assert sum([0.1] * 10) != 1.0


@pytest.mark.parametrize("seconds", [59.999, 60, 119.999])
def test_a_minute_begins_at_its_first_millisecond(seconds):
    closed, _ = build([[trade(1, -1), trade(2, 0), trade(3, seconds), trade(4, 200)]])
    expected = [START_MS] if seconds < 60 else [START_MS, START_MS + MINUTE_MS]
    assert [candle.timestamp for candle in closed] == expected
