"""The four columns behind a candle's six numbers: known all together, or not at all."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.columns import read_columns, sum_columns

TOLD = ["2434.19055334", 308, "1756.87402397", "28.46694368"]
KNOWN = (2434.19055334, 308, 1756.87402397, 28.46694368)


def test_columns_are_read_as_an_exchange_writes_them_and_as_they_are_stored():
    assert read_columns(TOLD) == read_columns(tuple(TOLD)) == KNOWN
    assert read_columns(KNOWN) == KNOWN
    assert read_columns([0, 0, 0, 0]) == (0.0, 0, 0.0, 0.0)  # known: nothing was traded


@pytest.mark.parametrize("place", [0, 2, 3])
@pytest.mark.parametrize(
    "odd",
    [
        None,
        "",
        "n/a",
        "NaN",
        "-1",
        "1e999",
        "1_0",
        True,
        [],
        {},
        nan,
        inf,
        -1.0,
        10**400,
    ],
    ids=repr,
)
def test_where_one_volume_is_no_number_none_of_the_four_is_known(place, odd):
    told = list(TOLD)
    told[place] = odd
    assert read_columns(told) is None


@pytest.mark.parametrize("odd", [None, "308", 308.0, True, -1, 2**53 + 1, [], {}])
def test_trades_are_counted_in_whole_numbers(odd):
    assert read_columns([TOLD[0], odd, *TOLD[2:]]) is None


@pytest.mark.parametrize("told", [None, [], TOLD[:3], [*TOLD, "0"], 5, {}])
def test_more_or_fewer_than_four_are_none(told):
    assert read_columns(told) is None


volumes = st.decimals(0, 10**6, places=8).map(float)
columns = st.tuples(volumes, st.integers(0, 10**6), volumes, volumes)


@given(st.lists(columns, min_size=1, max_size=8))
def test_those_of_the_whole_are_the_sums_of_all_parts(parts):
    for found, of_parts in zip(sum_columns(parts), zip(*parts, strict=True), strict=True):
        assert found == pytest.approx(sum(of_parts))


def test_columns_add_up_as_people_add_them():
    assert sum_columns([(0.1, 1, 0.1, 0.1), (0.2, 2, 0.2, 0.2)]) == (0.3, 3, 0.3, 0.3)


@pytest.mark.parametrize("parts", [[None], [KNOWN, None], [None, KNOWN, KNOWN], []])
def test_where_one_part_has_none_the_whole_has_none(parts):
    assert sum_columns(parts) is None
