"""Longer bars from shorter ones, compared with the sandbox's, which makes all of one market."""

from hypothesis import given
from hypothesis import strategies as st

from livermore.market.coverage import missing, union
from livermore.market.derived import DERIVED, derive
from livermore.market.timeframe import Timeframe

BEGIN = 1_795_046_400_000
M1 = Timeframe.M1
THREE = DERIVED["3m"]


def bar(at, volume=0.1):
    return [BEGIN + at * M1.ms, 10.0 + at, 20.0 + at, 5.0 - at / 100, 11.0 + at, volume]


def test_a_bar_opens_with_its_first_part_and_closes_with_its_last():
    made, coverage = derive([bar(0), bar(1), bar(2)], ((BEGIN, BEGIN + 3 * M1.ms),), THREE)
    assert made == [[BEGIN, 10.0, 22.0, 4.98, 13.0, 0.3]]
    assert coverage == ((BEGIN, BEGIN + 3 * M1.ms),)


def test_columns_are_summed_where_all_parts_have_them():
    parts = [[*bar(at), 0.1, 2, 0.1, 0.5] for at in range(3)]
    whole = ((BEGIN, BEGIN + 3 * M1.ms),)
    assert derive(parts, whole, THREE)[0][0][6:] == [0.3, 6, 0.3, 1.5]
    for at in range(3):
        six = [*parts[:at], bar(at), *parts[at + 1 :]]
        assert derive(six, whole, THREE)[0] == derive([bar(0), bar(1), bar(2)], whole, THREE)[0]


def test_what_has_no_part_makes_no_bar_and_is_known():
    made, coverage = derive([bar(4)], ((BEGIN, BEGIN + 6 * M1.ms),), THREE)
    assert [row[0] for row in made] == [BEGIN + 3 * M1.ms]
    assert coverage == ((BEGIN, BEGIN + 6 * M1.ms),)


@given(st.lists(st.sampled_from(["candle", "empty", "unknown"]), min_size=1, max_size=40))
def test_no_bar_is_made_of_a_period_that_is_not_known_as_a_whole(kinds):
    rows = [bar(at) for at, kind in enumerate(kinds) if kind == "candle"]
    known = union(
        (BEGIN + at * M1.ms, BEGIN + (at + 1) * M1.ms)
        for at, kind in enumerate(kinds)
        if kind != "unknown"
    )
    made, coverage = derive(rows, known, THREE)
    for start, end in coverage:
        assert not missing(known, start, end)
        assert start % THREE.ms == end % THREE.ms == 0
    assert all(not missing(coverage, row[0], row[0] + THREE.ms) for row in made)
    periods = {THREE.floor(row[0]) for row in rows}
    assert [row[0] for row in made] == sorted(
        each for each in periods if not missing(known, each, each + THREE.ms)
    )


def test_each_length_is_a_whole_number_of_bars():
    lengths = {text: each.ms // 60_000 for text, each in DERIVED.items()}
    assert lengths == {"3m": 3, "30m": 30, "2h": 120, "6h": 360, "8h": 480, "12h": 720}
    assert all(each.ms % each.base.ms == 0 for each in DERIVED.values())
