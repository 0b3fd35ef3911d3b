"""Changes of keys, as a real server tells them."""

import pytest

from livermore.market import keys
from serving.memory.tracking import Changes, Tracking
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


def test_each_change_of_a_key_that_is_asked_about_has_a_number_of_its_own():
    changes = Changes()
    seen = [changes.last(b"a", b"b")]
    for told in ([b"a"], [b"c", b"b"], None, [b"a"], None, [b"b"]):
        changes.last(b"a", b"b")
        changes.note(told)
        seen.append(changes.last(b"a", b"b"))
    assert seen == sorted(set(seen))
    changes.note([b"c"])
    assert changes.last(b"a", b"b") == seen[-1]


def test_what_nobody_asks_about_takes_no_room(redis):
    """Answers of exchanges are kept under names without end, which begin as some of ours do."""
    changes = Changes()
    tracking = Tracking(redis, keys.of_candles(), changes.note)
    asked = keys.unconfirmed(4).encode()
    tracking.start()
    wait_until(lambda: tracking.is_live)
    before = changes.last(asked)
    for number in range(300):
        redis.set(keys.passed(4, f"{number:x}"), b"x", px=60_000)
    redis.hset(asked, "BTC-USD:1h", b"[]")
    wait_until(lambda: changes.last(asked) > before)
    assert len(changes) == 1
    tracking.close()


@pytest.fixture
def quick(monkeypatch):
    """Let it be as quick to doubt as a test is to end."""
    monkeypatch.setattr("serving.memory.tracking.PING_SECONDS", 0.4)
    monkeypatch.setattr("serving.memory.tracking.SILENCE_SECONDS", 1.2)


def test_it_is_live_for_as_long_as_the_server_answers(redis, quick, tracked):
    tracking, _ = tracked
    redis.execute_command("CLIENT", "PAUSE", "2000", "ALL")
    wait_until(lambda: not tracking.is_live, seconds=10)
    redis.execute_command("CLIENT", "UNPAUSE")
    wait_until(lambda: tracking.is_live, seconds=10)
