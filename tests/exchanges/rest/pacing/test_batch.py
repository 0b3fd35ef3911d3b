import threading
import time

from exchanges.rest.pacing.budget import Lane
from livermore.market import keys
from tests.exchanges.rest.pacing.pacers import HOST, START, batch_pacer, sent_at


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
