"""Changes of keys, as a real server tells them."""

import pytest

from serving.candles.tracking import Tracking
from tests.warmup.runners import wait_until


@pytest.fixture
def tracked(redis):
    told = []
    tracking = Tracking(redis, ("candles:", "coverage:"), told.append)
    tracking.start()
    wait_until(lambda: tracking.is_live)
    yield tracking, told
    tracking.close()


def test_every_change_of_a_key_is_told_whoever_writes_it(redis, tracked):
    _, told = tracked
    assert told == [None]  # nobody knows what was before
    redis.zadd("candles:4:BTC-USD:1h", {"x": 1})
    redis.set("coverage:4:BTC-USD:1h", "[]", px=50)
    redis.set("ticker:4:BTC-USD", "[]")
    wait_until(lambda: len(told) == 4)  # the last as it expired
    assert told[1:] == [[b"candles:4:BTC-USD:1h"], *[[b"coverage:4:BTC-USD:1h"]] * 2]
    redis.flushall()
    wait_until(lambda: told[-1] is None)


def test_it_goes_on_after_its_connection_is_cut_and_says_that_all_may_have_changed(redis, tracked):
    tracking, told = tracked
    redis.client_kill_filter(_type="pubsub")
    wait_until(lambda: told[1:] == [None])
    wait_until(lambda: tracking.is_live)
    redis.set("coverage:4:BTC-USD:1h", "[]")
    wait_until(lambda: told[-1] == [b"coverage:4:BTC-USD:1h"])


@pytest.fixture
def quick(monkeypatch):
    """Let it be as quick to doubt as a test is to end."""
    monkeypatch.setattr("serving.candles.tracking.PING_SECONDS", 0.4)
    monkeypatch.setattr("serving.candles.tracking.SILENCE_SECONDS", 1.2)


def test_it_is_live_for_as_long_as_the_server_answers(redis, quick, tracked):
    tracking, _ = tracked
    redis.execute_command("CLIENT", "PAUSE", "2000", "ALL")
    wait_until(lambda: not tracking.is_live, seconds=10)
    redis.execute_command("CLIENT", "UNPAUSE")
    wait_until(lambda: tracking.is_live, seconds=10)
