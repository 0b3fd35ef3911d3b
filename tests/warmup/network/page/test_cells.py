import pytest

from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache, CandleWrite
from warmup.cache.pair_state import PairState
from warmup.network.page.cells import GRACE_MS, Grid, Work, cell

M1 = Timeframe.M1
MINUTE = M1.ms
NOW = 1_795_046_400_000 + GRACE_MS  # what closed at midnight is to be there now
END = NOW - GRACE_MS


def state(count=100, covered=((100, 0),), oldest=None):
    """Return a pair's state; times are in minutes before the newest bar's end."""
    coverage = tuple((END - start * MINUTE, END - end * MINUTE) for start, end in covered)
    return PairState(count, END - (oldest or count) * MINUTE if count else None, coverage)


def letter(of, newest=1, repairing=False, healing=False, now=NOW):
    newest_ms = None if newest is None else END - newest * MINUTE
    return cell(of, M1, now, newest_ms, repairing, healing)


def test_all_there_is_complete():
    assert letter(state()) == "c"


def test_a_hole_in_the_middle_is_a_hole():
    assert letter(state(99, [(100, 50), (49, 0)], oldest=100)) == "h"


def test_a_stale_end_is_a_hole():
    assert letter(state(99, [(100, 1)], oldest=100), newest=2) == "h"


def test_what_closed_a_moment_ago_is_not_missed_yet():
    late = state(100, [(101, 1)], oldest=101)
    assert letter(late, newest=2, now=NOW - 1) == "c"
    assert letter(late, newest=2, now=NOW) == "h"


def test_a_pair_is_whole_as_soon_as_its_newest_bar_is_there():
    assert letter(state(), now=END + 1) == "c"


@pytest.mark.parametrize("of", [state(0, []), state(59, [(59, 0)])], ids=["none", "59"])
def test_fewer_than_60_are_cold(of):
    assert letter(of, newest=None) == "k"


def test_a_young_symbol_of_which_all_is_there_is_not_cold():
    assert letter(state(5, [(1000, 0)])) == "c"


def test_candles_of_which_nothing_is_known_are_a_hole_and_not_complete():
    assert letter(state(100, [])) == "h"


@pytest.mark.parametrize(("newest", "expected"), [(1, "c"), (2, "c"), (3, "q"), (60, "q")], ids=str)
def test_two_bars_without_a_trade_are_quiet(newest, expected):
    assert letter(state(80, [(100, 0)], oldest=100), newest=newest) == expected


def test_work_shows_on_what_lacks_something_alone():
    assert letter(state(), repairing=True) == "c"
    assert letter(state(0, []), newest=None, repairing=True) == "r"
    assert letter(state(99, [(100, 50), (49, 0)], oldest=100), repairing=True) == "r"


def test_a_stream_that_heals_repairs_late_ends_and_no_holes():
    assert letter(state(99, [(100, 1)], oldest=100), healing=True) == "r"
    assert letter(state(99, [(100, 50), (49, 0)], oldest=100), healing=True) == "h"
    assert letter(state(20, [(20, 1)]), healing=True) == "k"


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (Work(), False),
        (Work(None), True),
        (Work(["BTC-USD"]), True),
        (Work(["ETH-USD"]), False),
        (Work(None, ["1m"]), True),
        (Work(["BTC-USD"], ["1h"]), False),
    ],
    ids=str,
)
def test_work_is_at_the_pairs_it_names(work, expected):
    assert work.is_at(Pair("BTC-USD", M1)) is expected


def fill(redis, symbol, count=100, covered=100, ends=END):
    """Store every timeframe of a symbol, complete up to `ends`."""
    writes = []
    for timeframe in Timeframe:
        end = timeframe.floor(ends)
        times = range(end - count * timeframe.ms, end, timeframe.ms)
        candles = [Candle(time, 1.0, 2.0, 0.5, 1.5, 3.0, timeframe) for time in times]
        stretch = ((end - covered * timeframe.ms, end),)
        writes.append(CandleWrite(symbol, timeframe, candles, stretch))
    CandleCache(redis, 7).write_many(writes)


def test_the_grid_has_a_row_for_each_symbol_and_a_letter_for_each_timeframe(redis):
    fill(redis, "BTC-USD")
    fill(redis, "ETH-USD", covered=70)
    grid = Grid(7).read(redis, ["BTC-USD", "ETH-USD", "SOL-USD"], NOW, Work())
    assert grid == {
        "timeframes": ["1m", "5m", "15m", "1h", "4h", "1d"],
        "symbols": ["BTC-USD", "ETH-USD", "SOL-USD"],
        "rows": ["cccccc", "hhhhhh", "kkkkkk"],
    }


def test_what_does_not_trade_is_neither_holed_nor_complete(redis):
    fill(redis, "BTC-USD")
    fill(redis, "ETH-USD", covered=70)
    idle = {"BTC-USD": "halted", "ETH-USD": "delisted", "SOL-USD": "renamed to POL-USD"}
    grid = Grid(7)
    symbols = [*idle, "XRP-USD"]
    rows = grid.read(redis, symbols, NOW, Work(None), idle)["rows"]
    assert rows == ["xxxxxx", "dddddd", "dddddd", "rrrrrr"]
    assert grid.read(redis, symbols[:1], NOW, Work(), {})["rows"] == ["cccccc"]


def test_the_grid_follows_candles_time_and_work(redis):
    grid = Grid(7)

    def rows(now=NOW, work=None):
        return grid.read(redis, ["BTC-USD"], now, work or Work())["rows"]

    assert rows() == ["kkkkkk"]
    assert rows(work=Work(None, ["1m"])) == ["rkkkkk"]
    fill(redis, "BTC-USD")
    assert rows() == ["cccccc"]
    assert rows(NOW + 5 * MINUTE) == ["hhcccc"]
    fill(redis, "BTC-USD", ends=END + 5 * MINUTE)
    assert rows(NOW + 5 * MINUTE) == ["cccccc"]


def test_the_pairs_of_added_symbols_are_repaired_while_they_are_fetched(redis):
    work = Work(["BTC-USD"], ["1m"], fetching=("ETH-USD",))
    symbols = ["BTC-USD", "ETH-USD", "SOL-USD"]
    assert Grid(7).read(redis, symbols, NOW, work)["rows"] == ["rkkkkk", "rrrrrr", "kkkkkk"]


def test_the_grid_of_symbols_that_went_away_is_forgotten(redis):
    grid = Grid(7)
    grid.read(redis, ["BTC-USD", "ETH-USD"], NOW, Work())
    assert grid.read(redis, ["ETH-USD"], NOW, Work())["symbols"] == ["ETH-USD"]
    fill(redis, "BTC-USD")
    assert grid.read(redis, ["BTC-USD"], NOW, Work())["rows"] == ["cccccc"]


def test_a_grid_without_symbols_is_empty(redis):
    assert Grid(7).read(redis, [], NOW, Work())["rows"] == []


def test_a_thousand_symbols_are_read_whole(redis):
    fill(redis, "S999-USD")
    grid = Grid(7).read(redis, [f"S{number}-USD" for number in range(1000)], NOW, Work())
    assert grid["rows"] == ["kkkkkk"] * 999 + ["cccccc"]
