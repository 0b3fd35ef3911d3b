"""Candles of an exchange that tells of its newest bars alone, as programs ask for them."""

from dataclasses import replace

import pytest

from livermore.market.timeframe import Timeframe
from serving.fetching.holes import Fetched
from tests.serving.conftest import KLINES, ROW, Filled, FixedDirectory, get, opened
from warmup.cache.candles import CandleCache

H1 = Timeframe.H1
DEPTH = 300  # bars
SHALLOW = FixedDirectory(replace(ROW, depth_rows=DEPTH))
V1 = "/v1/candles?exchange=sandbox&symbol=BTC-USD&timeframe=1h"


@pytest.fixture
def filled(redis):
    return Filled(redis, count=200)


@pytest.fixture
def fetched(redis, ask, monkeypatch):
    """Let whoever fetches find all that the exchange tells; return which stretches were asked."""
    asked = []

    def fetch(redis, exchange_id, holes):
        more = Filled(redis, count=DEPTH)
        CandleCache(redis, exchange_id).write(
            "BTC-USD", H1, more.candles, ((more.first_ms, more.open_ms),)
        )
        asked.extend(stretch for hole in holes for stretch in hole.ranges)
        return Fetched()

    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fetch)
    return asked


def test_of_the_newest_there_are_as_many_as_are_to_be_had(filled, ask, fetched):
    told_ms = filled.open_ms - DEPTH * H1.ms
    [(status, content)] = get(ask, f"{KLINES}&limit=500", directory=SHALLOW)
    assert (status, opened(content)[0], len(content)) == (200, told_ms, DEPTH + 1)
    assert fetched == [(told_ms, filled.first_ms)]
    [(status, said)] = get(ask, f"{V1}&limit=500", directory=SHALLOW)
    assert (status, len(said["candles"])) == (200, DEPTH)
    assert len(fetched) == 1


def test_from_a_time_on_that_is_older_nothing_is_made_up(filled, ask, fetched):
    start = filled.open_ms - 400 * H1.ms
    paths = (f"{KLINES}&startTime={start}", f"{V1}&start={start}")
    (klines, said), (own, told) = get(ask, *paths, directory=SHALLOW)
    assert (klines, own) == (400, 404)
    assert "no history before " in said["msg"]
    assert said["msg"] == told["error"]
    assert told["missing"] == [[start, filled.open_ms - DEPTH * H1.ms]]
    assert fetched == []


def test_what_there_is_of_it_is_told_to_who_takes_a_part(filled, ask, fetched):
    start = filled.open_ms - 400 * H1.ms
    [(status, said)] = get(ask, f"{V1}&start={start}&partial=1&limit=400", directory=SHALLOW)
    assert (status, said["complete"], said["candles"][0][0]) == (200, False, filled.first_ms)
