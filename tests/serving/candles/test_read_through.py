"""What the cache lacks is fetched first: once, and by whoever may write it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from exchanges.lock.acquire import ExchangeLock
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market import keys
from livermore.market.derived import DERIVED, join
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.selection import GRACE_MS
from tests.serving.serving import klines, served
from tests.warmup.runners import SYMBOLS, chosen, make_row, running
from warmup.cache.candles import CandleCache

pytestmark = pytest.mark.django_db(transaction=True)
H1 = Timeframe.H1


@pytest.fixture
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as started:
        yield started


@pytest.fixture
def row(sandbox):
    return make_row(sandbox)


def truth(sandbox, symbol, first_ms, last_ms):
    return sandbox.market.closed_rows(symbol, H1, first_ms, last_ms + H1.ms)


def told(answer):
    """Return the rows of an answer as they are stored: with the other columns, where all tell."""
    return [[row[0], *map(float, row[1:6]), *_columns(row[7:11])] for row in answer.json()]


def _columns(columns):
    if columns == [None] * 4:
        return []
    quote, trades, taken, paid = columns
    return [float(quote), trades, float(taken), float(paid)]


def test_a_cold_pair_is_fetched_and_kept(redis, sandbox, row):
    last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
    with served(redis) as url:
        first = klines(url, limit=50, endTime=last_ms)
        assert first.status_code == 200, first.text
        again = klines(url, limit=50, endTime=last_ms)
    assert first.headers["Cache-Status"] == "livermore; fwd=miss"
    assert again.headers["Cache-Status"] == "livermore; hit"
    assert first.headers["X-Livermore-Source"] == again.headers["X-Livermore-Source"] == "rest"
    assert told(first) == told(again) == truth(sandbox, "BTC-USD", last_ms - 49 * H1.ms, last_ms)
    ((start_ms, end_ms),) = CandleCache(redis, row.pk).coverage("BTC-USD", H1)
    assert start_ms <= last_ms - 49 * H1.ms
    assert end_ms == last_ms + H1.ms
    assert not ExchangeLock(redis, row.pk).holder()


@pytest.mark.parametrize("older", [True, False])
def test_of_what_was_there_in_part_the_rest_is_fetched(redis, sandbox, row, older):
    last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
    with served(redis) as url:
        klines(url, limit=50, endTime=last_ms - (0 if older else 40 * H1.ms))
        answer = klines(url, limit=80, endTime=last_ms)
        assert answer.status_code == 200, answer.text
        again = klines(url, limit=80, endTime=last_ms)
        beside = klines(url, limit=20, endTime=last_ms - 200 * H1.ms)
    assert answer.headers["Cache-Status"] == "livermore; fwd=partial"
    assert told(answer) == truth(sandbox, "BTC-USD", last_ms - 79 * H1.ms, last_ms)
    assert again.headers["Cache-Status"] == "livermore; hit"
    assert beside.headers["Cache-Status"] == "livermore; fwd=miss"


def test_many_that_ask_together_cost_one_fetch_a_pair(redis, sandbox, row):
    last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
    before = len(sandbox.requests.candles)
    with served(redis) as url, ThreadPoolExecutor(30) as pool:
        asked = [f"{symbol.replace('-', '')}" for symbol in SYMBOLS] * 10
        answers = list(pool.map(lambda each: klines(url, each, limit=90, endTime=last_ms), asked))
    assert [each.status_code for each in answers] == [200] * 30
    calls = [each.symbol for each in sandbox.requests.candles[before:]]
    assert sorted(calls) == sorted(SYMBOLS)


def test_while_a_runner_has_the_exchange_it_fetches(redis, sandbox, row):
    with running(redis, row), served(redis) as url:
        epoch = redis.get(keys.epoch(row.pk))
        pair = Pair("BTC-USD", H1)
        newest = CandleCache(redis, row.pk).coverage(*pair)[-1][1]
        answer = klines(url, limit=400, endTime=newest - 1)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cache-Status"] == "livermore; fwd=partial"  # it was warm
        assert told(answer) == truth(sandbox, "BTC-USD", newest - 400 * H1.ms, newest - H1.ms)
        assert redis.get(keys.epoch(row.pk)) == epoch


def test_a_banned_exchange_gives_what_is_complete_and_503_for_the_rest(redis, sandbox, row):
    last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
    with served(redis) as url:
        assert klines(url, limit=50, endTime=last_ms).status_code == 200
        sandbox.faults.add("status", status=418, retry_after=300)
        assert klines(url, limit=50, endTime=last_ms).status_code == 200
        refused = klines(url, "ETHUSD", limit=50, endTime=last_ms)
    assert refused.status_code == 503
    content = refused.json()
    assert content["code"] == -1001
    assert "sandbox ETH-USD 1h: candles from " in content["msg"]
    assert "banned this address until" in content["msg"]
    assert 200 < int(refused.headers["Retry-After"]) <= 300


def test_what_is_older_than_the_cache_keeps_is_passed_on_and_not_kept(redis, sandbox, row):
    first_ms = H1.floor(sandbox.clock.now_ms()) - 1500 * H1.ms
    with served(redis, server_id="one of several") as url:
        answer = klines(url, limit=100, startTime=first_ms)
        assert answer.status_code == 200, answer.text
    (shared,) = redis.keys(f"exchange:{row.pk}:passed:*")
    assert redis.pttl(shared) > 10_000  # these bars change no more
    assert answer.headers["X-Livermore-Source"] == "rest"
    assert told(answer) == truth(sandbox, "BTC-USD", first_ms, first_ms + 99 * H1.ms)
    assert not CandleCache(redis, row.pk).newest("BTC-USD", H1, 10)


def test_older_bars_say_how_old_the_newest_one_is_that_is_kept(redis, sandbox, row):
    closed_ms = H1.floor(sandbox.clock.now_ms())
    with served(redis) as url:
        assert klines(url, limit=10).status_code == 200
        found = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h", "limit": 10}
        older = requests.get(
            f"{url}/v1/candles", found | {"end": closed_ms - 1500 * H1.ms}, timeout=30
        )
    assert older.status_code == 200, older.text
    assert older.json()["newestClose"] == closed_ms
    assert older.headers["X-Livermore-Newest-Close"] == str(closed_ms)
    assert int(older.headers["Age"]) < 3600


@pytest.mark.parametrize("sent", ["start", "end", "between"])
def test_what_is_older_comes_together_with_what_the_cache_has(redis, sandbox, sent):
    make_row(sandbox, name="coinbase")
    closed_ms = H1.floor(sandbox.clock.now_ms())
    first_ms, last_ms = closed_ms - 1080 * H1.ms, closed_ms - 481 * H1.ms
    params = {
        "start": {"startTime": first_ms - 1, "limit": 600},
        "end": {"endTime": last_ms, "limit": 600},
        "between": {"startTime": first_ms - 7, "endTime": last_ms + 5, "limit": 1000},
    }[sent]
    with served(redis) as url:
        newest = klines(url, exchange="coinbase", limit=500, endTime=closed_ms - 1)
        assert newest.status_code == 200, newest.text
        answer = klines(url, exchange="coinbase", **params)
        assert answer.status_code == 200, answer.text
    true = truth(sandbox, "BTC-USD", first_ms, last_ms)
    assert told(answer) == [row[:6] for row in true]


def test_older_bars_that_are_made_of_others_begin_anywhere(redis, sandbox):
    make_row(sandbox, name="coinbase")
    three = DERIVED["3m"]
    first_ms = three.floor(sandbox.clock.now_ms()) - 2000 * three.ms
    sent = {"interval": "3m", "startTime": first_ms - 60_000, "limit": 5}
    with served(redis) as url:
        answer = klines(url, exchange="coinbase", **sent)
        assert answer.status_code == 200, answer.text
        calls = len(sandbox.requests.candles)
        again = klines(url, exchange="coinbase", **sent)
    assert [row[0] for row in answer.json()] == [first_ms + n * three.ms for n in range(5)]
    assert again.json() == answer.json()
    assert len(sandbox.requests.candles) == calls
    assert answer.headers["Cache-Status"] == "livermore; fwd=miss"
    assert again.headers["Cache-Status"] == "livermore; hit"


def test_of_an_exchange_that_nobody_streams_the_open_candle_is_its_own_word(redis, sandbox, row):
    with served(redis) as url:
        answer = klines(url, limit=2)
        assert answer.status_code == 200, answer.text
    open_ms = H1.floor(sandbox.clock.now_ms())
    assert [row[0] for row in answer.json()] == [open_ms - H1.ms, open_ms]


@pytest.mark.parametrize("interval", ["3m", "30m", "2h", "6h", "8h", "12h"])
def test_other_timeframes_are_made_of_complete_bars(redis, sandbox, row, interval):
    made = DERIVED[interval]
    end_ms = made.floor(sandbox.clock.now_ms() - 2 * GRACE_MS)
    with served(redis) as url:
        answer = klines(url, interval=interval, limit=20, endTime=end_ms - 1)
        assert answer.status_code == 200, answer.text
    assert answer.headers["X-Livermore-Source"] == "derived"
    first_ms = end_ms - 20 * made.ms
    rows = sandbox.market.closed_rows("BTC-USD", made.base, first_ms, end_ms)
    count = made.ms // made.base.ms
    expected = [join(rows[at : at + count], rows[at][0]) for at in range(0, len(rows), count)]
    assert told(answer) == expected
