"""How often work is done, and something is told, at the most."""

import time

import pytest

from tests.warmup.network.sockets import in_a_loop, wait_until
from warmup.network.socket.throttle import RateLimit, Throttle

pytestmark = pytest.mark.django_db


@in_a_loop
async def test_work_is_done_at_once_then_seldom_and_never_forgotten():
    done = []

    async def work():
        done.append(time.monotonic())

    throttle = Throttle(0.05, work)
    throttle.trigger()
    await wait_until(lambda: len(done) == 1)
    for _ in range(100):
        throttle.trigger()
    await wait_until(lambda: len(done) == 2)
    assert done[1] - done[0] >= 0.049
    throttle.stop()


def test_what_is_usual_is_sent_at_even_intervals():
    limit = RateLimit(4)
    assert limit.wait_seconds(100, 0.3, urgent=False) == 0
    limit.note(100)
    assert limit.wait_seconds(100.1, 0.3, urgent=False) == pytest.approx(0.2)
    assert limit.wait_seconds(100.1, 0.6, urgent=False) == pytest.approx(0.5)
    assert limit.wait_seconds(100.3, 0.3, urgent=False) == pytest.approx(0)


def test_what_is_urgent_is_told_at_once_but_never_a_fifth_time_in_a_second():
    limit = RateLimit(4)
    for now in (100, 100.3, 100.6, 100.7):
        assert limit.wait_seconds(now, 0.3, urgent=True) == 0
        limit.note(now)
    assert limit.wait_seconds(100.8, 0.3, urgent=True) == pytest.approx(0.2)
    assert limit.wait_seconds(100.8, 0.1, urgent=False) == pytest.approx(0.2)
    assert limit.wait_seconds(101, 0.3, urgent=True) == 0


@in_a_loop
async def test_work_that_failed_is_done_again_when_it_is_asked_for():
    done = []

    async def work():
        done.append(1)
        raise ValueError("for once")

    throttle = Throttle(0.001, work)
    throttle.trigger()
    await wait_until(lambda: len(done) == 1)
    throttle.trigger()
    await wait_until(lambda: len(done) == 2)
