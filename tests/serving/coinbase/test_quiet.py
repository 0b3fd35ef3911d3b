"""Pairs that hardly trade: all that is over is known at once, and nothing that may still change."""

import pytest
import requests

from exchanges.lock.status import State
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.serving.conftest import say_streamed
from tests.serving.serving import klines, served
from tests.warmup.runners import MIDNIGHT_MS, chosen, make_row, running

pytestmark = pytest.mark.django_db(transaction=True)
QUIET = ["AERO-USD", "DASH-USD"]
M1, M5, M15 = Timeframe.M1, Timeframe.M5, Timeframe.M15
# In the last minute neither was traded, but in those before.
NOW_MS = MIDNIGHT_MS - 103 * MINUTE_MS + 30_000
ON_ITS_WAY_MS = 6000  # what ended a moment ago may be left out


@pytest.fixture
def sandbox():
    settings = {"listings": chosen(QUIET), "coinbase_rate": 10**6, "start_ms": NOW_MS}
    with SandboxServer(SandboxConfig(**settings)) as started:
        yield started


@pytest.fixture
def row(sandbox):
    return make_row(sandbox, name="coinbase", symbols=QUIET)


def check(sandbox, url, symbol, timeframe):
    """Compare an answer with the truth, where there is one; return its HTTP status."""
    asked_ms = sandbox.clock.now_ms()
    answer = klines(url, symbol.replace("-", ""), str(timeframe), "coinbase", limit=20)
    if answer.status_code != 200:
        return answer.status_code
    end_ms = timeframe.floor(sandbox.clock.now_ms())
    found = {row[0]: [row[0], *map(float, row[1:6])] for row in answer.json() if row[0] < end_ms}
    window = (symbol, timeframe, min(found), end_ms)
    truth = sandbox.market.closed_candles(*window, traded_only=True)
    due_ms = asked_ms - ON_ITS_WAY_MS - timeframe.ms
    assert {opened for opened, *_ in truth if opened <= due_ms} <= found.keys()
    assert list(found.values()) == [list(each) for each in truth if each[0] in found]
    return 200


def test_their_newest_bars_are_told_where_nobody_streams_them(redis, sandbox, row):
    say_streamed(redis, row.pk, State.IDLE, exchangeTime=sandbox.clock.now_ms())
    with served(redis) as url:
        for symbol in QUIET:
            for timeframe in (M1, M5, M15):
                assert check(sandbox, url, symbol, timeframe) == 200


def test_their_newest_bars_are_told_a_moment_after_a_stream_began(redis, sandbox, row):
    with running(redis, row, QUIET), served(redis) as url:
        for symbol in QUIET:
            for timeframe in (M1, M5, M15):
                assert check(sandbox, url, symbol, timeframe) == 200


@pytest.mark.parametrize("way", ["missing", "stale"])
@pytest.mark.parametrize("seconds", [70, 200, 500])
def test_where_candles_are_late_what_is_told_is_the_truth_all_the_same(
    redis, sandbox, row, seconds, way
):
    """A stream that is whole by now says nothing of what was traded before it was."""
    sandbox.faults.add("late", seconds=seconds, way=way)
    now_ms = sandbox.clock.now_ms()
    say_streamed(redis, row.pk, exchangeTime=now_ms, connections=1, silent=0)
    with served(redis) as url:
        for symbol in QUIET:
            assert check(sandbox, url, symbol, M1) in (200, 503)


def test_of_older_bars_there_are_as_many_as_are_asked_for_and_the_next_page_is_named(
    redis, sandbox, row
):
    """Bars without a trade are none: a page that ends early is taken for the last one."""
    start_ms = M1.floor(sandbox.clock.now_ms()) - 1500 * M1.ms
    end_ms = start_ms + 120 * M1.ms
    window = QUIET[0], M1, start_ms, end_ms
    true = [each[0] for each in sandbox.market.closed_candles(*window, traded_only=True)]
    assert len(true) < 100
    asked = {"exchange": "coinbase", "symbol": QUIET[0], "timeframe": "1m"}
    with served(redis) as url:
        word, limit = QUIET[0].replace("-", ""), 20
        answer = klines(url, word, "1m", "coinbase", startTime=start_ms, limit=limit)
        assert [each[0] for each in answer.json()] == true[:limit]
        pages, next_ms = [], start_ms
        while next_ms:
            page = {"start": next_ms, "end": end_ms, "limit": limit}
            found = requests.get(f"{url}/v1/candles", params=asked | page, timeout=20).json()
            pages.append([each[0] for each in found["candles"]])
            next_ms = found["next"]
    assert [each for page in pages for each in page] == true
