"""What Redis keeps of many pairs, which is read together, and of each as if it were alone."""

import pytest
from livermore_reader.sources.redis.pair import Stored, read_pairs

MINUTE = 60_000
SOUND = Stored(b"[[0,120000]]", [b"[0,1,1,1,1,1]", b"[60000,1,1,1,1,1]"], b"[[0,120000]]", None)
ROWS = [[0, 1, 1, 1, 1, 1, *[None] * 4], [MINUTE, 1, 1, 1, 1, 1, *[None] * 4]]


def read(*stored):
    found = read_pairs(stored, [MINUTE] * len(stored), 0)
    return [(list(each.rows), each.known) for each in found]


@pytest.mark.parametrize(
    "members",
    [
        [b"nonsense"], [b"[0,1,1,1,1,1"], [b"1],[2"], [b"[[0,1,1,1,1,1]"], [b"1", b"2"],
        [b'{"a":1}'], [b"[0,1,1,1,1,1],[60000,1,1,1,1,1]"], [b"\xff"], [],
    ],
)  # fmt: skip
def test_what_is_no_candle_is_of_its_pair_alone(members):
    damaged = SOUND._replace(members=members)
    assert read(SOUND, damaged, SOUND) == [(ROWS, ((0, 120000),)), ([], ()), (ROWS, ((0, 120000),))]


@pytest.mark.parametrize(
    "text", [b"nonsense", b"[[1,2]", b"1],[2", b"[1,2]", b'{"a":1}', b"\xff", None]
)
def test_coverage_that_cannot_be_read_is_of_its_pair_alone(text):
    damaged = SOUND._replace(coverage=text, coverage_after=text)
    assert read(damaged, SOUND) == [(ROWS, ()), (ROWS, ((0, 120000),))]


def test_coverage_is_what_was_so_before_the_candles_and_behind_them():
    grown = SOUND._replace(coverage_after=b"[[60000,180000]]")
    assert read(grown, SOUND)[0] == (ROWS, ((60000, 120000),))
