import threading
from itertools import pairwise
from math import inf

import pytest

from exchanges.errors import Banned, RateLimited, Temporary, TurnedAway
from exchanges.rest.pacing.budget import Lane
from livermore.market import keys
from tests.exchanges.rest.pacing.pacers import HOST, START, batch_pacer, sent_at, weight_pacer

# Holds and bans


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
