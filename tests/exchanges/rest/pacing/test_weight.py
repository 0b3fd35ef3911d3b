import subprocess
import sys
import time
from itertools import pairwise
from math import inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchanges.rest.pacing.budget import Lane, Limits
from livermore.market import keys
from tests.exchanges.rest.pacing.pacers import (
    HOST,
    LIMITS,
    START,
    batch_pacer,
    most_in_a_window,
    sent_at,
    url_of,
    weight_pacer,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0.2, 0.7, 1, 13, 59.2, 61]),  # seconds until it is wished for
            st.integers(2, 40),
            st.booleans(),
            st.sampled_from(Lane),
        ),
        min_size=5,
        max_size=30,
    )
)
def test_no_minute_holds_more_than_four_fifths_of_the_limit(redis, clock, wishes):
    redis.delete(keys.pacing(HOST))
    pacers, sent = (weight_pacer(redis), weight_pacer(redis)), []
    for seconds, weight, second, lane in wishes:
        clock.advance(seconds)
        pacers[second].wait_turn(weight, lane)
        sent.append((clock.now_ms, weight))
    assert most_in_a_window(sent, 60_000) <= 80


def test_weight_that_is_used_up_comes_back_after_a_minute(redis, clock):
    pacer = weight_pacer(redis)
    assert sent_at(clock, pacer, 36, weight=2) == [0] * 36
    assert 60_000 <= sent_at(clock, pacer, 1, weight=2)[0] <= 61_100


def test_five_minutes_hold_no_more_than_four_fifths_of_the_requests(redis, clock):
    pacer = weight_pacer(redis, Limits(weight_per_minute=1_000, requests_per_5_minutes=50))
    sent = []
    for _ in range(40):
        pacer.wait_turn(1, Lane.HEAL)
        sent.append((clock.now_ms, 1))
        clock.advance(2)
    assert most_in_a_window(sent, 300_000) <= 40


def test_two_pacers_of_a_host_share_its_weight(redis, clock):
    one, other = weight_pacer(redis), weight_pacer(redis)
    sent_at(clock, one, 1, weight=70)
    assert sent_at(clock, other, 1, weight=2) == [0]
    assert sent_at(clock, other, 1, weight=2)[0] >= 59_000


def test_a_call_heavier_than_the_allowance_waits_until_no_other_counts(redis, clock):
    pacer = weight_pacer(redis, Limits(weight_per_minute=20, requests_per_5_minutes=10_000))
    times = sent_at(clock, pacer, 4, weight=20)
    assert times[0] == 0
    assert all(60_000 <= later - sooner <= 61_100 for sooner, later in pairwise(times))


def test_a_wait_for_the_budget_is_sat_out_however_long_it_is(redis, clock):
    pacer = weight_pacer(redis, Limits(weight_per_minute=100_000, requests_per_5_minutes=10))
    times = sent_at(clock, pacer, 8)
    assert times[:7] == [0] * 7
    assert 300_000 <= times[7] <= 305_100


def test_a_server_clock_that_stepped_back_holds_nobody(redis, clock):
    batches, weights = batch_pacer(redis), weight_pacer(redis, host="other.test")
    sent_at(clock, batches, 5)
    sent_at(clock, weights, 36, weight=2)
    clock.advance(-3600)
    assert sent_at(clock, batches, 1) == sent_at(clock, weights, 1, weight=2) == [0]


def test_another_process_takes_from_the_same_weight(redis, clock):
    program = (
        "import sys, redis\n"
        "from exchanges.rest.pacing.budget import Lane, Limits\n"
        "from exchanges.rest.pacing.weight import WeightPacer\n"
        "client = redis.Redis.from_url(sys.argv[1])\n"
        "WeightPacer(client, sys.argv[2], Limits(100, 10000)).wait_turn(72, Lane.BACKFILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, url_of(redis), HOST], check=True, timeout=30)
    clock.now_ms = 0
    clock.advance(time.time())  # the other process saw the server's real time
    assert sent_at(clock, weight_pacer(redis), 1)[0] > 50_000


def test_each_lane_has_room_left_when_the_one_below_is_full(redis, clock):
    pacer = weight_pacer(redis)
    for lane, allowed in ((Lane.BACKFILL, 72), (Lane.LIVE, 4), (Lane.HEAL, 4)):
        assert sent_at(clock, pacer, allowed, lane=lane) == [0] * allowed
    assert sent_at(clock, pacer, 1, lane=Lane.HEAL)[0] >= 59_000


def test_weight_that_others_used_counts_as_ours(redis, clock):
    pacer = weight_pacer(redis)
    sent_at(clock, pacer, 1, weight=10)
    pacer.observe_weight(70)
    assert sent_at(clock, pacer, 1, weight=2) == [0]
    assert sent_at(clock, pacer, 1, weight=2)[0] >= 59_000


def test_a_header_that_tells_of_less_frees_nothing(redis, clock):
    pacer = weight_pacer(redis)
    sent_at(clock, pacer, 1, weight=72)
    pacer.observe_weight(2)  # the exchange's minute began anew
    assert sent_at(clock, pacer, 1, weight=2)[0] >= 59_000


def test_limits_that_were_learnt_hold_for_every_pacer_of_the_host(redis, clock):
    one, other = weight_pacer(redis), weight_pacer(redis)
    one.set_limits(Limits(weight_per_minute=1000, requests_per_5_minutes=10_000))
    assert sent_at(clock, other, 1, weight=720) == [0]
    assert sent_at(clock, other, 1, weight=1)[0] >= 59_000


def test_limits_are_asked_for_once_and_again_after_an_hour(redis, clock):
    one, other = weight_pacer(redis), weight_pacer(redis)
    one.wait_turn(1, Lane.HEAL)
    assert not one.limits_known()
    one.set_limits(LIMITS)
    other.wait_turn(1, Lane.HEAL)
    assert one.limits_known() and other.limits_known()
    clock.advance(3600)
    other.wait_turn(1, Lane.HEAL)
    assert not other.limits_known()


def test_limits_outlast_what_is_forgotten_of_a_host_that_is_left_alone(redis):
    pacer = weight_pacer(redis)
    pacer.set_limits(LIMITS)
    pacer.wait_turn(2, Lane.LIVE)
    pacer.observe_weight(50)
    assert 3_500_000 < redis.pttl(keys.pacing(HOST)) <= 3_600_000


def test_cautious_limits_hold_until_others_are_published(redis, clock):
    one, other = weight_pacer(redis), weight_pacer(redis)
    assert one.assume_limits() is True
    assert other.assume_limits() is False
    assert one.limits_known()
    assert sent_at(clock, one, 1, weight=72) == [0]
    assert sent_at(clock, other, 1, weight=2)[0] >= 59_000
    one.set_limits(Limits(weight_per_minute=1000, requests_per_5_minutes=10_000))
    assert other.assume_limits() is False
    assert sent_at(clock, other, 1, weight=600) == [0]


def test_of_all_pacers_one_is_to_ask_for_limits_that_nobody_knows(redis, clock):
    pacers = [weight_pacer(redis) for _ in range(3)]
    assert [pacer.should_ask_limits() for pacer in pacers] == [True, False, False]
    clock.advance(10)
    assert [pacer.should_ask_limits() for pacer in pacers] == [True, False, False]
    pacers[1].set_limits(LIMITS)
    clock.advance(10)
    assert not any(pacer.should_ask_limits() for pacer in pacers)


def test_where_no_weight_is_kept_nobody_asks_for_limits(redis):
    assert not batch_pacer(redis).should_ask_limits()


def test_a_call_without_a_lane_waits_for_no_budget_but_for_holds(redis, clock):
    pacer = weight_pacer(redis)
    sent_at(clock, pacer, 1, weight=80, lane=Lane.HEAL)
    assert sent_at(clock, pacer, 2, weight=20, lane=None) == [0, 0]
    pacer.hold(7)
    assert 7_000 <= sent_at(clock, pacer, 1, weight=20, lane=None)[0] <= 7_100
    assert sent_at(clock, pacer, 1, weight=1, lane=Lane.HEAL)[0] >= 52_000


def test_the_time_that_weight_takes_at_least_counts_what_is_used(redis, clock):
    pacer = weight_pacer(redis)
    pacer.wait_turn(2, Lane.HEAL)
    assert pacer.seconds_for(10, 2) == 0
    sent_at(clock, pacer, 35, weight=2)
    assert pacer.seconds_for(36, 2) == pytest.approx(60, abs=2)


def test_the_time_that_weight_takes_is_told_even_where_nothing_is_allowed(redis):
    pacer = weight_pacer(redis, Limits(weight_per_minute=1, requests_per_5_minutes=1))
    assert 0 < pacer.seconds_for(5, 2) < inf


def test_a_host_that_is_left_alone_leaves_nothing_behind(redis):
    weight_pacer(redis).wait_turn(2, Lane.LIVE)
    batch_pacer(redis, host="other.test").wait_turn(2, Lane.LIVE)
    for host in (HOST, "other.test"):
        assert 0 < redis.pttl(keys.pacing(host)) <= 600_000


def test_a_call_that_never_left_counts_as_none(clock, redis):
    pacer = weight_pacer(redis)
    kept = pacer.wait_turn(30, Lane.HEAL)
    clock.advance(2)
    counted = pacer.wait_turn(20, Lane.HEAL)
    clock.advance(3)
    pacer.take_back(counted, 20)
    assert redis.hget(keys.pacing(HOST), f"weight:{START // 1000}") == b"30"
    assert not redis.hexists(keys.pacing(HOST), f"weight:{START // 1000 + 2}")
    assert redis.hget(keys.pacing(HOST), f"requests:{START // 5000}") == b"1"
    pacer.take_back(kept, 30)
    assert not [name for name in redis.hkeys(keys.pacing(HOST)) if b":" in name]


def test_what_is_taken_back_leaves_room_and_takes_nothing_of_others(clock, redis):
    pacer, other = weight_pacer(redis), weight_pacer(redis)
    for _ in range(50):
        pacer.take_back(pacer.wait_turn(40, Lane.HEAL), 40)
        other.take_back(other.wait_turn(40, Lane.HEAL), 40)
    assert clock.now_ms == START
    assert sent_at(clock, pacer, 2, weight=40, lane=Lane.HEAL) == [0, 0]
    assert sent_at(clock, pacer, 1, weight=40, lane=Lane.HEAL)[0] > 50_000


def test_what_is_over_is_not_taken_back_from_what_came_since(clock, redis):
    pacer = weight_pacer(redis)
    counted = pacer.wait_turn(40, Lane.HEAL)
    clock.advance(120)
    pacer.wait_turn(10, Lane.HEAL)
    pacer.take_back(counted, 40)
    assert redis.hget(keys.pacing(HOST), f"weight:{clock.now_ms // 1000}") == b"10"
