import subprocess
import sys
import threading
import time
from itertools import pairwise
from math import inf

import pytest
import redis as redis_client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchanges.errors import Banned, RateLimited, Temporary, TurnedAway
from exchanges.redis.scripts import Script
from exchanges.rest.pacing.pacer import (
    BatchPacer,
    Lane,
    Limits,
    Pacer,
    Usage,
    WeightPacer,
    host_of,
    read_usage,
)
from livermore.market import keys

HOST = "exchange.test"
LIMITS = Limits(weight_per_minute=100, requests_per_5_minutes=10_000)
START = 1_790_000_000_300  # not on a second, so that whole seconds are no special case


class Clock:
    """The Redis server's time, moved by hand: it stands where the scripts look for it."""

    def __init__(self, redis):
        self._redis = redis
        self.now_ms = START
        self.advance(0)

    def advance(self, seconds):
        self.now_ms += round(seconds * 1000)
        self._redis.delete("test:clock")
        self._redis.rpush("test:clock", self.now_ms // 1000, self.now_ms % 1000 * 1000)


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
    return clock


def weight_pacer(redis, limits=LIMITS, host=HOST):
    return WeightPacer(redis, host, limits)


def batch_pacer(redis, size=5, delay_ms=1000, host=HOST):
    return BatchPacer(redis, host, size, delay_ms)


def sent_at(clock, pacer, calls, weight=1, lane=Lane.BACKFILL):
    """Return at which millisecond after now each of so many calls may go."""
    start, times = clock.now_ms, []
    for _ in range(calls):
        pacer.wait_turn(weight, lane)
        times.append(clock.now_ms - start)
    return times


def most_in_a_window(calls, length_ms):
    """Return the most weight of `(time, weight)` that any window of that length holds."""
    return max(
        (sum(w for t, w in calls if start <= t < start + length_ms) for start, _ in calls),
        default=0,
    )


# Batches


def test_after_five_calls_comes_a_second_of_rest(redis, clock):
    times = sent_at(clock, batch_pacer(redis), 11)
    assert times[:5] == [0] * 5
    assert times[5:10] == [times[5]] * 5
    assert 1000 <= times[5] < 1100
    assert 1000 <= times[10] - times[5] < 1100


def test_calls_that_come_slowly_never_wait(redis, clock):
    pacer = batch_pacer(redis)
    for _ in range(8):
        assert sent_at(clock, pacer, 1) == [0]
        clock.advance(1)


def test_a_batch_goes_on_until_a_whole_pause_was_kept(redis, clock):
    pacer = batch_pacer(redis)
    sent_at(clock, pacer, 4)
    clock.advance(0.9)
    assert sent_at(clock, pacer, 1) == [0]
    assert sent_at(clock, pacer, 1)[0] >= 1000


def test_two_pacers_of_a_host_share_its_batches(redis, clock):
    one, other = batch_pacer(redis), batch_pacer(redis)
    assert sent_at(clock, one, 3) == [0] * 3
    assert sent_at(clock, other, 2) == [0] * 2
    assert sent_at(clock, other, 1)[0] >= 1000


def test_hosts_are_paced_apart(redis, clock):
    sent_at(clock, batch_pacer(redis), 5)
    assert sent_at(clock, batch_pacer(redis, host="other.test"), 5) == [0] * 5


def test_a_batch_of_threads_takes_the_time_of_its_pauses(redis):
    pacer = batch_pacer(redis, size=5, delay_ms=100)
    threads = [threading.Thread(target=pacer.wait_turn, args=(1, Lane.LIVE)) for _ in range(11)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert time.monotonic() - began >= 0.2
    assert redis.hget(keys.pacing(HOST), "batch_used") == b"1"


def test_in_a_batch_what_is_urgent_goes_before_what_waits_already(redis):
    pacer, went = batch_pacer(redis, size=2, delay_ms=700), []

    def call(name, lane):
        pacer.wait_turn(1, lane)
        went.append(name)

    def begin(name, lane=Lane.BACKFILL):
        threads.append(threading.Thread(target=call, args=(name, lane)))
        threads[-1].start()

    threads = []
    for number in range(10):
        begin(f"backfill {number}")
    deadline = time.monotonic() + 5
    while len(went) < 2:
        assert time.monotonic() < deadline
    for number in range(3):
        begin(f"heal {number}", Lane.HEAL)
    for thread in threads:
        thread.join(10)
    assert all(name.startswith("heal") for name in went[2:5])
    assert len(went) == 13


def test_an_urgent_call_that_never_came_back_holds_up_the_others_for_no_longer_than_a_batch(
    redis, clock
):
    pacer = batch_pacer(redis)
    assert sent_at(clock, pacer, 5) == [0] * 5
    assert pacer._take(1, Lane.HEAL)[0] == 1000  # and it is given up
    (at,) = sent_at(clock, pacer, 1)
    assert 1000 < at <= 1100


def test_the_time_that_batches_take_at_least_is_their_pauses(redis):
    pacer = batch_pacer(redis, size=5, delay_ms=1000)
    assert [pacer.seconds_for(calls, 2) for calls in (0, 1, 5, 6, 10, 11)] == [0, 0, 0, 1, 1, 2]


# Weight


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
        "from exchanges.rest.pacing.pacer import Lane, Limits, WeightPacer\n"
        "client = redis.Redis.from_url(sys.argv[1])\n"
        "WeightPacer(client, sys.argv[2], Limits(100, 10000)).wait_turn(72, Lane.BACKFILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, url_of(redis), HOST], check=True, timeout=30)
    clock.now_ms = 0
    clock.advance(time.time())  # the other process saw the server's real time
    assert sent_at(clock, weight_pacer(redis), 1)[0] > 50_000


def url_of(redis):
    return f"unix://{redis.connection_pool.connection_kwargs['path']}"


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


# Holds and bans


@pytest.fixture(params=[weight_pacer, batch_pacer])
def other(request, redis, clock):
    """Return another process's pacer of the same host, in either mode."""
    with redis_client.Redis.from_url(url_of(redis)) as client:
        yield request.param(client)


@pytest.mark.parametrize("make", [weight_pacer, batch_pacer])
def test_a_hold_is_kept_by_every_pacer_of_the_host(redis, clock, other, make):
    make(redis).hold(7.5)
    assert 7_500 <= sent_at(clock, other, 1)[0] <= 7_600


@pytest.mark.parametrize("make", [weight_pacer, batch_pacer])
def test_a_ban_stops_every_pacer_of_the_host_until_it_ends(redis, clock, other, make):
    error = make(redis).ban(120)
    assert error.until_ms == clock.now_ms + 120_000
    for _ in range(2):
        with pytest.raises(Banned) as refusal:
            other.wait_turn(1, Lane.HEAL)
        assert refusal.value.until_ms == error.until_ms
        clock.advance(59.999)
    clock.advance(0.002)
    assert sent_at(clock, other, 1) == [0]


def test_a_ban_that_ended_is_not_raised_again_by_a_wait_for_the_budget(redis, clock, other):
    other.ban(10)
    clock.advance(11)
    assert sent_at(clock, other, 100)[-1] > 0


def test_a_ban_is_told_though_a_hold_lasts_longer(redis, clock, other):
    other.hold(60)
    until_ms = other.ban(30).until_ms
    with pytest.raises(Banned) as refusal:
        other.wait_turn(1, Lane.HEAL)
    assert refusal.value.until_ms == until_ms == START + 30_000


def test_a_ban_says_which_host_and_until_when(redis, clock):
    clock.advance(-clock.now_ms / 1000 + 1_790_000_000)
    message = str(batch_pacer(redis).ban(60))
    assert message.startswith(f"{HOST} banned this address until 2026-09-21 14:14:20 UTC")


def test_a_ban_leaves_other_hosts_alone(redis, clock):
    batch_pacer(redis).ban(120)
    assert sent_at(clock, batch_pacer(redis, host="other.test"), 1) == [0]


def test_a_shorter_hold_or_ban_does_not_end_a_longer_one(redis, clock, other):
    other.hold(60)
    other.hold(1)
    assert sent_at(clock, other, 1)[0] >= 60_000
    until_ms = other.ban(7200).until_ms
    assert other.ban(120).until_ms == until_ms


def test_a_ban_outlives_the_time_after_which_a_host_is_forgotten(redis, clock):
    batch_pacer(redis).ban(3 * 86_400)
    assert redis.pttl(keys.pacing(HOST)) > 3 * 86_400_000


def test_a_hold_too_long_to_sit_out_is_told_instead(redis, clock, other):
    other.hold(600)
    with pytest.raises(RateLimited) as refusal:
        other.wait_turn(1, Lane.HEAL)
    assert refusal.value.retry_after_seconds == pytest.approx(600)
    assert clock.now_ms == START


@pytest.mark.parametrize("seconds", [8 * 86_400, 1e13, 1e20, inf])
def test_no_hold_or_ban_lasts_longer_than_a_week(redis, clock, other, seconds):
    other.hold(seconds)
    with pytest.raises(RateLimited) as refusal:
        other.wait_turn(1, Lane.HEAL)
    assert refusal.value.retry_after_seconds == 7 * 86_400
    assert other.ban(seconds).until_ms == START + 7 * 86_400_000


# Turned away


def turned_away(clock, pacer, times):
    """Let a pacer try so often, and be turned away each time; return when it tried, in ms."""
    start, tried = clock.now_ms, []
    for _ in range(times):
        pacer.wait_turn(1, Lane.HEAL)
        tried.append(clock.now_ms - start)
        pacer.turn_away(1.0)
    return tried


@pytest.mark.parametrize("make", [weight_pacer, batch_pacer])
def test_who_is_turned_away_tries_again_ever_more_rarely(redis, clock, make):
    tried = turned_away(clock, make(redis), 10)
    pauses = [round((later - sooner) / 1000, 1) for sooner, later in pairwise(tried)]
    assert pauses == [1, 1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("make", [weight_pacer, batch_pacer])
def test_while_a_host_turns_this_address_away_one_call_at_a_time_goes_out(
    redis, clock, other, make
):
    pacer = make(redis)
    error = pacer.turn_away(1.0)
    assert (error.seconds, error.begins) == (0, True)
    clock.advance(1.01)
    pacer.wait_turn(1, Lane.LIVE)
    assert sent_at(clock, other, 1)[0] >= 9_900  # the first one may have died meanwhile
    pacer.turn_away(1.0)
    clock.advance(1.01)
    other.wait_turn(1, Lane.LIVE)
    other.answered()
    assert sent_at(clock, pacer, 2) == sent_at(clock, other, 2) == [0, 0]


def test_calls_that_went_out_before_the_pause_do_not_make_it_longer(redis, clock, other):
    pacer = batch_pacer(redis)
    pacer.turn_away(1.0)
    clock.advance(0.5)
    errors = [each.turn_away(1.0) for each in (pacer, other)]
    assert [error.begins for error in errors] == [False, False]
    assert sent_at(clock, other, 1)[0] <= 550


def test_an_answer_ends_the_row_of_refusals_for_all(redis, clock, other):
    pacer = batch_pacer(redis)
    turned_away(clock, pacer, 5)
    other.wait_turn(1, Lane.LIVE)
    other.answered()
    error = pacer.turn_away(1.0)
    assert (error.seconds, error.begins) == (0, True)
    assert redis.hget(keys.pacing(HOST), "refused_ms") == b"1000"


def test_an_answer_to_what_went_out_before_the_pause_ends_nothing(redis, clock):
    pacer = batch_pacer(redis)
    turned_away(clock, pacer, 3)
    pacer.answered()
    assert redis.hget(keys.pacing(HOST), "refused_ms") == b"4000"


def test_the_pause_that_a_page_asks_for_is_kept(redis, clock, other):
    batch_pacer(redis).turn_away(30.0)
    assert 30_000 <= sent_at(clock, other, 1)[0] <= 30_100


def test_after_minutes_nobody_waits_any_longer(redis, clock, other):
    pacer = batch_pacer(redis)
    turned_away(clock, pacer, 13)
    for each in (pacer, other):
        with pytest.raises(TurnedAway, match=f"{HOST} has turned this address away.* 364 s"):
            each.wait_turn(1, Lane.HEAL)
    clock.advance(60.1)
    other.wait_turn(1, Lane.HEAL)  # but now and then one tries
    with pytest.raises(TurnedAway):
        pacer.wait_turn(1, Lane.HEAL)
    other.answered()
    pacer.wait_turn(1, Lane.HEAL)


def test_a_host_that_nobody_called_for_long_is_called_as_if_it_had_never_refused(redis, clock):
    turned_away(clock, batch_pacer(redis), 13)
    clock.advance(661)
    later = batch_pacer(redis)
    assert sent_at(clock, later, 2) == [0, 0]
    assert later.turn_away(1.0).begins


# Closing


def test_closing_wakes_those_who_sleep(redis):
    pacer, woken = batch_pacer(redis, size=1, delay_ms=60_000), []
    pacer.wait_turn(1, Lane.LIVE)

    def wait():
        with pytest.raises(Temporary, match=f"stopped before {HOST} was called"):
            pacer.wait_turn(1, Lane.LIVE)
        woken.append(True)

    sleepers = [threading.Thread(target=wait) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.start()
    pacer.close()
    for sleeper in sleepers:
        sleeper.join(5)
    assert woken == [True] * 3


def test_a_closed_pacer_refuses_to_sleep(redis):
    pacer = weight_pacer(redis)
    pacer.close()
    with pytest.raises(Temporary, match="stopped"):
        pacer.sleep(60)


@pytest.mark.parametrize("make", [weight_pacer, batch_pacer])
def test_a_closed_pacer_refuses_even_where_no_wait_is_due(redis, make):
    pacer = make(redis)
    pacer.close()
    with pytest.raises(Temporary, match=f"stopped before {HOST} was called"):
        pacer.wait_turn(1, Lane.HEAL)
    assert not redis.exists(keys.pacing(HOST))


# Reading


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


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.binance.com", "api.binance.com"),
        ("https://API.binance.com:443/path", "api.binance.com"),
        ("http://host:443", "host:443"),
        ("http://127.0.0.1:8899/api", "127.0.0.1:8899"),
        ("", ""),
    ],
)
def test_a_host_is_named_without_the_port_its_scheme_implies(url, host):
    assert host_of(url) == host


# -- What never left


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


def test_a_batch_has_room_again_for_what_never_left(clock, redis):
    pacer = batch_pacer(redis, size=2)
    for _ in range(10):
        pacer.take_back(pacer.wait_turn(1, Lane.BACKFILL), 1)
    assert clock.now_ms == START
    assert sent_at(clock, pacer, 3)[:2] == [0, 0]


def test_a_batch_before_gives_no_room_to_this_one(clock, redis):
    pacer = batch_pacer(redis, size=2)
    counted = pacer.wait_turn(1, Lane.BACKFILL)
    clock.advance(5)
    sent_at(clock, pacer, 2)
    pacer.take_back(counted, 1)
    # As if it were of this batch at the most: one more call, never a third that is free.
    assert int(redis.hget(keys.pacing(HOST), "batch_used")) >= 1
