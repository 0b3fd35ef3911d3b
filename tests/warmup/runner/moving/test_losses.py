"""A runner that Redis ended begins anew by itself."""

import threading

import pytest
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import ResponseError

from exchanges.lock.lease import LostByRedis, LostLock
from warmup.runner.moving import losses
from warmup.runner.moving.losses import run_through_losses


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    monkeypatch.setattr(losses, "SECONDS_BETWEEN_TRIES", 0)


def runs_with(*ends):
    """Return runs that end so, one after the other, and what each was given."""
    given, left = [], list(ends)

    def run(lately):
        given.append(lately)
        lately.epoch = 7
        if left and (error := left.pop(0)):
            raise error

    return run, given


def go_on(seconds):
    return False


def test_what_redis_lost_is_begun_anew_with_what_was_written_before():
    run, given = runs_with(LostByRedis("gone"), RedisGone("away"), None)
    run_through_losses(run, go_on)
    assert len(given) == 3
    assert given[0] is given[1] is given[2]


@pytest.mark.parametrize("error", [LostLock("taken over"), ResponseError("OOM: it is full")])
def test_what_else_ends_it_is_raised(error):
    run, given = runs_with(error)
    with pytest.raises(type(error)):
        run_through_losses(run, go_on)
    assert len(given) == 1


def test_a_redis_that_was_never_there_ends_it():
    def run(lately):
        raise RedisGone("it was never there")

    with pytest.raises(RedisGone):
        run_through_losses(run, go_on)


def test_a_redis_that_does_not_come_back_ends_it(monkeypatch):
    monkeypatch.setattr(losses, "LONGEST_TRYING_SECONDS", -1)
    run, _ = runs_with(LostByRedis("gone"), RedisGone("away"))
    with pytest.raises(RedisGone):
        run_through_losses(run, go_on)


def test_who_is_told_to_end_does_not_begin_anew():
    stopping = threading.Event()
    stopping.set()
    run, given = runs_with(LostByRedis("gone"))
    run_through_losses(run, stopping.wait)
    assert len(given) == 1
