import pytest

from livermore.market.pair import pairs_of
from livermore.market.timeframe import SHORTEST_FIRST, Timeframe


def test_pairs_go_from_the_longest_timeframe_to_the_shortest():
    pairs = pairs_of(["A-USD", "B-USD"])
    assert len(pairs) == 12
    assert pairs[:2] == [("A-USD", "1d"), ("B-USD", "1d")]
    assert [timeframe for _, timeframe in pairs[::2]] == ["1d", "4h", "1h", "15m", "5m", "1m"]


def test_symbols_keep_the_order_they_came_in():
    assert [symbol for symbol, _ in pairs_of(["B", "C", "A"], ["1h"])] == ["B", "C", "A"]


def test_only_the_wanted_timeframes_are_paired_in_the_order_of_all():
    pairs = pairs_of(["A"], ["1m", "1d"])
    assert pairs == [("A", Timeframe.D1), ("A", Timeframe.M1)]
    assert pairs_of(["A"], [Timeframe.M1, Timeframe.D1]) == pairs


def test_another_order_may_be_asked_for():
    assert pairs_of(["A"], None, SHORTEST_FIRST)[0].timeframe == "1m"


def test_symbols_may_come_from_an_iterator():
    assert len(pairs_of(iter(["A", "B"]), ["1h", "1d"])) == 4


def test_no_symbols_or_no_timeframes_make_no_pairs():
    assert pairs_of([]) == pairs_of(["A"], []) == []


@pytest.mark.parametrize("unknown", ["2h", "1M", "", "1h "])
def test_a_timeframe_that_is_none_is_refused(unknown):
    with pytest.raises(ValueError, match=f"unknown timeframe '{unknown}'; known are 1m 5m"):
        pairs_of(["A"], ["1h", unknown])
