import pytest
import redis as redis_client

from exchanges.redis.scripts import Script
from exchanges.rest.pacing import memory
from exchanges.rest.pacing.pacer import Pacer
from tests.exchanges.rest.pacing.pacers import Clock, batch_pacer, url_of, weight_pacer


@pytest.fixture
def clock(redis, monkeypatch):
    """Return a clock that only moves when a pacer sleeps or a test says so."""
    clock = Clock(redis)
    made = Pacer._script
    fake = "redis.call('LRANGE', 'test:clock', 0, -1)"

    def script(pacer, script):
        return made(pacer, Script(script.text.replace("redis.call('TIME')", fake)))

    monkeypatch.setattr(Pacer, "_script", script)
    monkeypatch.setattr(Pacer, "sleep", lambda pacer, seconds: clock.advance(seconds))
    monkeypatch.setattr(memory, "monotonic", lambda: clock.passed_ms / 1000)
    return clock


@pytest.fixture(params=[weight_pacer, batch_pacer])
def other(request, redis, clock):
    """Return another process's pacer of the same host, in either mode."""
    with redis_client.Redis.from_url(url_of(redis)) as client:
        yield request.param(client)
