import pytest

from exchanges.rest.pacing.budget import Lane
from exchanges.rest.pacing.usage import Usage, read_usage
from livermore.market import keys
from tests.exchanges.rest.pacing.pacers import HOST, LIMITS, batch_pacer, weight_pacer


def test_what_was_used_up_is_read_without_changing_it(redis):
    pacer = weight_pacer(redis)
    pacer.set_limits(LIMITS)
    for weight in (1, 2, 4):
        pacer.wait_turn(weight, Lane.LIVE)
    before = redis.hgetall(keys.pacing(HOST))
    assert read_usage(redis, HOST) == Usage(7, 100, 0, 0)
    assert redis.hgetall(keys.pacing(HOST)) == before


@pytest.mark.parametrize(("seconds", "used"), [(0, 5), (58, 5), (62, 0), (-2, 0)])
def test_weight_counts_as_used_for_a_minute(redis, seconds, used):
    redis.hset(keys.pacing(HOST), f"weight:{redis.time()[0] - seconds}", 5)
    assert read_usage(redis, HOST).weight == used


def test_a_hold_and_a_ban_are_read_with_their_ends(redis):
    pacer = weight_pacer(redis)
    assert pacer.turn_away(1.0).begins
    pacer.hold(30)
    pacer.ban(90)
    usage = read_usage(redis, HOST)
    assert usage.refused_ms == 1000
    assert 29_000 < usage.held_ms <= 30_000
    assert 89_000 < usage.banned_ms <= 90_000


def test_of_a_host_that_was_never_called_nothing_is_known(redis):
    batch_pacer(redis).wait_turn(1, Lane.LIVE)
    for host in (HOST, "never.test"):
        assert read_usage(redis, host) == Usage(None, None, 0, 0)
