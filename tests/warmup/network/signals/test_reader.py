"""What a cell of the Signals page says, and what it is worth."""

import orjson
import pytest

from livermore.market import keys
from livermore.market.candle import Ticker
from livermore.market.indicators import Stage
from livermore.market.timeframe import Timeframe
from warmup.cache.tickers import TickerCache
from warmup.network.page.cells import GRACE_MS
from warmup.network.signals.reader import (
    STAGES,
    UNKNOWN,
    SignalReader,
    Signals,
    cell,
    joined,
    read_prices,
)

H1 = Timeframe.H1
NOW_MS = 1_795_046_400_000 + 10 * 60_000  # ten past
NEWEST_MS = 1_795_046_400_000 - H1.ms


def value(**changes):
    usual = {"value": 51.27, "stage": "rallying", "reason": None, "timestamp": NEWEST_MS}
    return usual | {"coverageComplete": True} | changes


def shown(value, letter="c", newest_ms=NEWEST_MS, now_ms=NOW_MS):
    return cell(value, letter, newest_ms, H1.floor(now_ms - GRACE_MS) - H1.ms)


def test_every_stage_has_a_letter():
    assert list(STAGES) and set(STAGES) == set(Stage)
    assert len(set(STAGES.values())) == len(STAGES)


def test_what_is_of_the_newest_close_is_fresh():
    assert shown(value()) == (51.3, "lf")


def test_a_quiet_market_does_not_make_it_stale():
    long_ago = NEWEST_MS - 5 * H1.ms
    assert shown(value(timestamp=long_ago), "q", long_ago) == (51.3, "lf")


def test_what_is_of_an_older_close_is_stale_but_for_the_moment_it_takes():
    late = value(timestamp=NEWEST_MS - H1.ms)
    assert shown(late) == (51.3, "ls")
    assert shown(late, now_ms=NEWEST_MS + H1.ms + 5000) == (51.3, "lf")


@pytest.mark.parametrize("letter", ["h", "k", "r", "w", "-"])
def test_what_lacks_candles_is_partial_and_stale_once_a_bar_has_closed_since(letter):
    assert shown(value(), letter) == (51.3, "lp")
    assert shown(value(), letter, now_ms=NOW_MS + H1.ms) == (51.3, "ls")


def test_what_stands_on_a_window_with_a_hole_is_partial():
    assert shown(value(coverageComplete=False)) == (51.3, "lp")


def test_no_value_says_why():
    empty = {"value": None, "stage": None}
    assert shown(None) == UNKNOWN == (None, "")
    assert shown(value(**empty, reason="low trading activity")) == (None, "2f")
    assert shown(value(**empty, reason="what nobody knows")) == (None, "0f")
    assert shown(value(stage="soaring")) == (None, "0f")
    assert shown(value(timestamp=None)) == (51.3, "ls")


def test_an_exchanges_cells_are_read_at_once(redis):
    redis.set(keys.indicator(7, "BTC-USD", "1h"), orjson.dumps(value()))
    redis.set(keys.indicator(7, "BTC-USD", "1d"), b"not JSON")
    reader, grid = SignalReader(7), {"symbols": ["BTC-USD"], "rows": ["cccccc"]}

    def read(grid):
        return reader.read(redis, ["BTC-USD"], grid, lambda pair: NEWEST_MS, NOW_MS)

    nothing = [UNKNOWN] * 3
    assert read(grid) == ((*nothing, (51.3, "lf"), *nothing[:2]),)
    assert read(None) == ((*nothing, (51.3, "lp"), *nothing[:2]),)  # nobody knows what it lacks
    redis.set(keys.indicator(7, "BTC-USD", "1h"), orjson.dumps(value(value=-1.0)))
    assert read(grid)[0][3] == (-1.0, "lf")
    assert reader.read(redis, [], grid, lambda pair: None, NOW_MS) == ()


def test_a_price_has_its_volume_in_the_quote_currency(redis):
    ticker = Ticker("BTC-USD", 50_000.5, 1.0, -1.256, 1.0, 1.0, 10.0, NOW_MS)
    TickerCache(redis, 7).write_many([ticker])
    assert read_prices(redis, 7, ["BTC-USD", "ETH-USD"]) == {"BTC-USD": ("50000.5", -1.26, 5e5)}


FIRST = Signals(("A", "B"), (((1.0, "lf"), UNKNOWN), (UNKNOWN, UNKNOWN)), {"A": ("1", 0.0, 2.0)})
SECOND = Signals(("A", "B"), (((2.0, "lf"), UNKNOWN), (UNKNOWN, (3.0, "of"))), {"B": ("4", 0, 1)})


def test_only_what_changed_is_told():
    assert FIRST.since(FIRST) == {}
    assert SECOND.since(FIRST) == {
        "cellChanges": [[0, 0, (2.0, "lf")], [1, 1, (3.0, "of")]],
        "priceChanges": {"A": None, "B": ("4", 0, 1)},
    }
    assert FIRST.since(Signals()) == FIRST.as_json()


def test_two_changes_are_one():
    def plain(changes):
        return orjson.loads(orjson.dumps(changes))

    whole, change = plain(FIRST.as_json()), plain(SECOND.since(FIRST))
    assert joined(whole, change) == plain(SECOND.as_json())
    assert joined(change, whole)["cells"] == whole["cells"]
    back = plain(FIRST.since(SECOND))
    both = joined(change | {"state": "active"}, back)
    assert both["state"] == "active"
    assert both["cellChanges"] == [[0, 0, [1.0, "lf"]], [1, 1, [None, ""]]]
    assert both["priceChanges"] == {"A": ["1", 0.0, 2.0], "B": None}
