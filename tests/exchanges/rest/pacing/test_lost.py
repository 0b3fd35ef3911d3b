"""What becomes of pacing where Redis loses what it kept of a host."""

import pytest

from exchanges.errors import Banned
from exchanges.rest.pacing.budget import Lane, Limits
from exchanges.rest.pacing.usage import read_usage
from livermore.market import keys
from tests.exchanges.rest.pacing.pacers import (
    HOST,
    batch_pacer,
    most_in_a_window,
    sent_at,
    weight_pacer,
)

KEY = keys.pacing(HOST)
LARGE = Limits(weight_per_minute=1000, requests_per_5_minutes=10_000)


def spread(clock, pacer, calls, weight=1, seconds=1.0):
    """Make calls with a pause after each; return when each went out, and its weight."""
    sent = []
    for _ in range(calls):
        pacer.wait_turn(weight, Lane.HEAL)
        sent.append((clock.now_ms, weight))
        clock.advance(seconds)
    return sent


def test_limits_outlive_the_hash(redis, clock):
    pacer = weight_pacer(redis)
    pacer.set_limits(LARGE)
    sent_at(clock, pacer, 2)
    redis.delete(KEY)
    assert sent_at(clock, pacer, 1, weight=500) == [0]
    assert pacer.limits_known()
    assert read_usage(redis, HOST).weight_limit == 1000
    assert not weight_pacer(redis).should_ask_limits()  # who comes anew has them too


def test_what_was_sent_before_is_counted_where_it_was(redis, clock):
    pacer = weight_pacer(redis)
    sent = spread(clock, pacer, 40, weight=2)
    redis.delete(KEY)
    sent += spread(clock, pacer, 60, weight=2, seconds=0)
    assert most_in_a_window(sent, 60_000) <= 80
    waited_ms = sent[40][0] - sent[39][0]
    assert 19_000 <= waited_ms <= 22_500  # until the first of them is a minute old, no minute more


def test_what_others_sent_before_is_counted_too(redis, clock):
    one, other = weight_pacer(redis), weight_pacer(redis)
    sent = spread(clock, one, 10, weight=2) + spread(clock, other, 20, weight=2)
    sent += spread(clock, one, 1, weight=2)
    redis.delete(KEY)
    sent += spread(clock, one, 40, weight=2, seconds=0)
    assert most_in_a_window(sent, 60_000) <= 80


def test_each_process_puts_back_what_it_alone_knows(redis, clock):
    one, other = weight_pacer(redis), weight_pacer(redis)
    sent = spread(clock, one, 10, weight=2) + spread(clock, other, 20, weight=2)
    redis.delete(KEY)
    for _ in range(30):
        sent += spread(clock, other, 1, weight=2, seconds=0)
        sent += spread(clock, one, 1, weight=2, seconds=0)
    assert most_in_a_window(sent, 60_000) <= 80


def test_what_goes_out_before_anybody_puts_it_back_counts_beside_it(redis, clock):
    pacer = weight_pacer(redis)
    sent = spread(clock, pacer, 30, weight=2, seconds=0)
    redis.delete(KEY)
    redis.hset(KEY, f"weight:{clock.now_ms // 1000}", 10)
    sent.append((clock.now_ms, 10))
    sent += spread(clock, pacer, 10, weight=2, seconds=0)
    assert most_in_a_window(sent, 60_000) <= 80


def test_what_the_exchange_told_of_before_it_was_put_back_is_not_counted_twice(redis, clock):
    one, other = weight_pacer(redis), weight_pacer(redis)
    spread(clock, one, 10, weight=2)
    spread(clock, other, 20, weight=1)
    redis.delete(KEY)
    spread(clock, one, 1, weight=2)
    one.observe_weight(45)  # the other's, and three of a program that is not ours
    clock.advance(1)
    spread(clock, other, 1, weight=1, seconds=0)
    counted = {name: int(value) for name, value in redis.hgetall(KEY).items()}
    weights = [value for name, value in counted.items() if name.startswith(b"weight:")]
    assert sum(weights) == 20 + 20 + 2 + 3 + 1


def test_a_call_that_never_left_is_not_put_back(redis, clock):
    pacer = weight_pacer(redis)
    sent_at(clock, pacer, 1, weight=30, lane=Lane.HEAL)
    pacer.take_back(pacer.wait_turn(50, Lane.HEAL), 50)
    redis.delete(KEY)
    assert sent_at(clock, pacer, 1, weight=50, lane=Lane.HEAL) == [0]


@pytest.mark.parametrize("make", [weight_pacer, batch_pacer])
def test_a_ban_outlives_the_hash(redis, clock, make):
    pacer = make(redis)
    sent_at(clock, pacer, 1)
    pacer.ban(120)
    redis.delete(KEY)
    clock.advance(20)
    with pytest.raises(Banned):
        pacer.wait_turn(1, Lane.HEAL)
    with pytest.raises(Banned):
        make(redis).wait_turn(1, Lane.HEAL)
    clock.advance(100)
    pacer.wait_turn(1, Lane.HEAL)


def test_a_hold_outlives_the_hash(redis, clock):
    pacer = weight_pacer(redis)
    sent_at(clock, pacer, 1)
    pacer.hold(30)
    redis.delete(KEY)
    assert 30_000 <= sent_at(clock, pacer, 1)[0] <= 30_100


def test_a_batch_that_was_lost_is_followed_by_a_pause(redis, clock):
    pacer = batch_pacer(redis)
    sent_at(clock, pacer, 4)
    redis.delete(KEY)
    assert sent_at(clock, pacer, 5)[-1] < 1_100


def test_another_servers_clock_changes_no_wait(redis, clock):
    pacer = weight_pacer(redis)
    spread(clock, pacer, 40, weight=2)
    pacer.hold(5)
    redis.delete(KEY)
    clock.leap(-3600)
    assert 19_000 <= sent_at(clock, pacer, 1, weight=2, lane=Lane.HEAL)[0] <= 22_500


def test_the_call_that_learns_the_limits_passes_where_nobody_knows_them(redis, clock):
    pacer = weight_pacer(redis)
    pacer.observe_weight(400)
    assert pacer.wait_turn(20, None) == clock.now_ms
