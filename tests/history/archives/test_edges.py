"""Two months that meet ask REST once."""

import threading

import pytest

from exchanges.errors import Unreachable
from exchanges.rest.reply import Candles
from history.archives.edges import KEPT, Edges
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

PAIR = Pair("BTC-USD", Timeframe.M1)
BORDER_MS = 10_000 * PAIR.timeframe.ms


class Rest:
    """Takes its time to answer, so that others come meanwhile."""

    candles_per_call = 1000

    def __init__(self):
        self.asked = []
        self.may_answer = threading.Event()

    def get_candles(self, symbol, timeframe, start_ms, end_ms, *, lane):
        self.asked.append((start_ms // 60_000, end_ms // 60_000))
        self.may_answer.wait(5)
        if start_ms < 0:
            raise Unreachable("no")
        return Candles()


@pytest.fixture
def rest():
    return Rest()


def test_who_wants_the_same_meanwhile_waits_for_it(rest):
    edges, found = Edges(rest, (0, 2 * BORDER_MS)), []
    ask = lambda: found.append(edges.around(PAIR, BORDER_MS))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    rest.may_answer.set()
    for thread in threads:
        thread.join()
    assert rest.asked == [(9500, 10_500)]
    assert found[0][0] is found[1][0]
    assert sorted(is_news for _, is_news in found) == [False, True]


def test_nothing_is_asked_beyond_what_is_wanted(rest):
    rest.may_answer.set()
    Edges(rest, (BORDER_MS, BORDER_MS + 60_000)).around(PAIR, BORDER_MS)
    assert rest.asked == [(10_000, 10_001)]


def test_a_failure_is_told_to_both(rest):
    rest.may_answer.set()
    edges = Edges(rest, (-(10**9), BORDER_MS))
    for _ in range(2):
        with pytest.raises(Unreachable):
            edges.around(PAIR, 0)
    assert len(rest.asked) == 1


def test_of_what_nobody_wanted_again_little_is_kept(rest):
    rest.may_answer.set()
    edges = Edges(rest, (0, 10**12))
    for number in range(KEPT + 1):
        edges.around(PAIR, BORDER_MS + number * 60_000)
    assert edges.around(PAIR, BORDER_MS)[1]
    assert not edges.around(PAIR, BORDER_MS + KEPT * 60_000)[1]
