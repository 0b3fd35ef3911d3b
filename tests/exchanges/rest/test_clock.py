"""What time it is on an exchange, whoever says something else. Real seconds are played."""

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchanges.errors import Unreachable
from exchanges.rest import clock as clock_module
from exchanges.rest.clock import PEACE_SECONDS, ExchangeClock

START_MS = 1_795_000_000_000
MINUTE_MS = 60_000
WAY = 0.04  # seconds that a call takes, half of it each way


class World:
    """An exchange, this machine, and what each of them says."""

    def __init__(self, pace=1.0, wall_off_ms=10**10, step_ms=1, known_step_ms=None):
        self.seconds = 1000.0
        self.pace = pace
        self.true_ms = self.wall_ms = float(START_MS)
        self.rest_off_ms = 0
        self.wall_off_ms = wall_off_ms  # no use, as where a sandbox has a time of its own
        self.asked = 0
        self.error = None
        self.step_ms = step_ms  # in which REST tells the time
        self.clock = ExchangeClock(self.answer, step_ms=known_step_ms or step_ms)

    def monotonic(self):
        return self.seconds

    def time(self):
        return (self.wall_ms + self.wall_off_ms) / 1000

    def sleep(self, seconds):
        self.wait(seconds)

    def wait(self, seconds):
        self.seconds += seconds
        self.true_ms += 1000 * seconds * self.pace
        self.wall_ms += 1000 * seconds

    def sleep_through(self, ms):
        """Let time pass while this machine, and so its monotonic clock, stands still."""
        self.true_ms += ms
        self.wall_ms += ms / max(self.pace, 1)

    def answer(self):
        self.asked += 1
        if self.error:
            raise self.error
        self.wait(WAY / 2)
        said = int(self.true_ms) // self.step_ms * self.step_ms + self.rest_off_ms
        self.wait(WAY / 2)
        return said

    def frame(self, off_ms=0, way=0.02):
        sent_ms = int(self.true_ms)
        self.wait(way)
        self.clock.note_frame(sent_ms + off_ms)

    def live(self, seconds, off_ms=0, every=0.1):
        """Let frames come for so long; whoever looks after the clock asks when it is due."""
        for _ in range(round(seconds / every)):
            self.wait(every - 0.02)
            self.frame(off_ms)
            self.look()

    def look(self):
        if self.clock.is_due():
            self.clock.ask()

    @property
    def off_ms(self):
        """How far the clock is ahead of the truth."""
        return self.clock.believed_ms() - self.true_ms


@pytest.fixture
def world(monkeypatch):
    def world(**options):
        made = World(**options)
        monkeypatch.setattr(clock_module, "time", made)
        return made

    return world


def close_to_the_truth(world, late_ms=300):
    return -late_ms * world.pace <= world.off_ms <= 0


def test_nothing_is_known_before_the_first_answer(world):
    played = world()
    played.clock.note_frame(START_MS)
    assert played.clock.believed_ms() is None
    assert played.clock.now_ms() == START_MS + 20
    assert close_to_the_truth(played)


def test_the_exchange_is_asked_once_and_again_after_minutes(world):
    played = world()
    played.clock.now_ms()
    played.wait(PEACE_SECONDS - 1)
    played.clock.now_ms()
    assert played.asked == 1
    played.wait(2)
    played.clock.now_ms()
    assert played.asked == 2


def test_what_cannot_be_asked_says_so_and_what_was_known_goes_on(world):
    played = world()
    played.clock.now_ms()
    played.clock.forget()
    played.error = Unreachable("away")
    with pytest.raises(Unreachable):
        played.clock.now_ms()
    played.wait(100)
    assert close_to_the_truth(played)


def test_frames_make_it_more_exact_and_never_early(world):
    played = world()
    played.clock.now_ms()
    played.live(600)
    assert close_to_the_truth(played, late_ms=25)
    assert played.asked <= 3
    assert played.clock.odd is None


@pytest.mark.parametrize("off_ms", [2_500, 20_000, 5 * MINUTE_MS, 9 * MINUTE_MS, 10**9])
def test_one_frame_that_is_ahead_is_not_believed(world, off_ms):
    played = world()
    played.clock.now_ms()
    played.live(10)
    played.frame(off_ms)
    assert close_to_the_truth(played)
    played.live(10)
    assert close_to_the_truth(played)


@pytest.mark.parametrize("pace", [1.0, 60.0])
@pytest.mark.parametrize("off_ms", [-5 * MINUTE_MS, 5 * MINUTE_MS, 3600_000])
def test_a_rest_that_is_off_moves_nothing_where_frames_are_few_or_lie_alone(world, pace, off_ms):
    played = world(pace=pace)
    for _ in range(4):
        played.clock.settle()
    played.live(10)
    played.rest_off_ms = off_ms * pace
    for _ in range(10):  # cut again and again: a frame of the same lie is the first that comes
        for _ in range(40):
            played.wait(0.5)
            played.look()
        played.frame(played.rest_off_ms)
        played.clock.settle()
        assert played.off_ms <= 0
        played.live(5)
        assert close_to_the_truth(played)
    assert played.clock.odd.startswith("REST is")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pace", [1.0, 60.0])
def test_frames_that_tell_the_same_lie_as_rest_now_and_then_are_not_believed(world, pace, seed):
    played, rng = world(pace=pace), Random(seed)
    played.clock.now_ms()
    played.live(10)
    played.rest_off_ms = 5 * MINUTE_MS
    for _ in range(40):  # connections, with a while between them
        for _ in range(rng.randint(5, 100)):
            played.wait(rng.uniform(0.01, 1.2))
            lies = rng.random() < 0.05
            played.frame(played.rest_off_ms if lies else 0, way=rng.uniform(0, 0.1))
            played.look()
            assert played.off_ms <= 0
        for _ in range(rng.randint(1, 30)):
            played.wait(0.2)
            played.look()
            assert played.off_ms <= 0


@pytest.mark.parametrize("ms", [20_000, 5 * MINUTE_MS, 9 * 3600_000])
@pytest.mark.parametrize("pace", [1.0, 60.0])
def test_after_a_sleep_rest_and_this_machine_are_believed_where_no_frame_comes(world, pace, ms):
    played = world(pace=pace)
    for _ in range(4):
        played.clock.settle()
    played.live(10)
    played.sleep_through(ms * pace)
    played.wait(6)
    played.clock.settle()
    assert close_to_the_truth(played)


def test_who_is_ahead_is_named_and_then_forgotten(world, caplog):
    played = world()
    played.clock.now_ms()
    played.live(10)
    played.frame(5 * MINUTE_MS)
    played.live(1)
    assert played.clock.odd == "a frame of the stream is 300 s ahead"
    assert "clock.outvoted" in caplog.text
    played.live(30)
    assert played.clock.odd is None


@pytest.mark.parametrize("off_ms", [-5 * MINUTE_MS, -5_000, 5_000, 3 * MINUTE_MS, 3600_000])
def test_a_stream_that_is_off_as_a_whole_is_outvoted(world, off_ms, caplog):
    played = world()
    played.clock.now_ms()
    played.live(10)
    played.live(60, off_ms)
    assert close_to_the_truth(played)
    assert played.clock.odd.startswith("the stream is")
    assert caplog.text.count("clock.outvoted") <= 2  # a frame at first, then the stream
    assert played.asked < 15
    played.live(30)
    assert played.clock.odd is None


@pytest.mark.parametrize("off_ms", [-5 * MINUTE_MS, -5_000, 5_000, 3 * MINUTE_MS])
def test_a_rest_that_is_off_is_outvoted(world, off_ms):
    played = world()
    played.clock.now_ms()
    played.live(10)
    played.rest_off_ms = off_ms
    played.live(2 * PEACE_SECONDS)
    assert close_to_the_truth(played)
    assert played.clock.odd.startswith("REST is")
    played.rest_off_ms = 0
    played.live(20)
    assert played.clock.odd is None


@pytest.mark.parametrize("off_ms", [-MINUTE_MS, -5_000, 5_000, 20 * MINUTE_MS, 15 * 3600_000])
def test_what_rest_and_the_stream_say_together_is_believed_soon(world, off_ms):
    """As after this machine slept, or where the exchange's own clock was set."""
    played = world()
    played.clock.now_ms()
    played.live(10)
    played.true_ms += off_ms
    played.live(5)
    assert close_to_the_truth(played)
    assert played.clock.odd is None


def test_it_is_moved_at_no_time_beyond_what_two_say(world):
    played = world()
    played.clock.now_ms()
    played.live(10)
    played.true_ms += 3600_000
    for _ in range(50):
        played.live(0.1)
        assert played.off_ms <= 0


@pytest.mark.parametrize("off_ms", [-3 * MINUTE_MS, 3 * MINUTE_MS])
def test_a_rest_that_is_off_from_the_beginning_yields_to_the_stream_and_this_machine(world, off_ms):
    played = world(wall_off_ms=700)
    played.rest_off_ms = off_ms
    played.clock.now_ms()
    played.live(5)
    assert close_to_the_truth(played)
    assert played.clock.odd.startswith("REST is 180 s")


def test_where_each_says_something_else_the_earlier_counts(world):
    played = world()  # this machine's clock is no witness
    played.rest_off_ms = 3 * MINUTE_MS
    played.clock.now_ms()
    played.live(8)
    assert close_to_the_truth(played)
    assert played.clock.odd.startswith("REST is 180 s ahead")


@pytest.mark.parametrize("odd", [1, 2])
def test_without_a_stream_an_odd_answer_or_two_move_it_forward_at_no_time(world, odd):
    played = world()
    played.clock.now_ms()
    played.rest_off_ms = 5 * MINUTE_MS
    for _ in range(odd):
        played.clock.ask()
        assert close_to_the_truth(played)
        played.wait(1)
    played.rest_off_ms = 0
    played.clock.now_ms()
    assert close_to_the_truth(played)


def test_without_a_stream_answers_that_fit_together_are_believed(world):
    played = world()
    played.clock.now_ms()
    played.true_ms += 3600_000
    played.clock.forget()
    for _ in range(4):
        played.clock.now_ms()
        played.wait(0.5)
    assert close_to_the_truth(played)


def test_an_answer_that_is_behind_counts_at_once(world):
    played = world()
    played.rest_off_ms = 5 * MINUTE_MS
    played.clock.now_ms()
    played.rest_off_ms = 0
    played.clock.forget()
    played.clock.now_ms()
    assert close_to_the_truth(played)


@pytest.mark.parametrize("off_ms", [-30 * MINUTE_MS, 30 * MINUTE_MS])
def test_it_can_be_settled_at_once(world, off_ms):
    played = world()
    played.clock.now_ms()
    played.wait(10)
    played.true_ms += off_ms
    played.clock.settle()
    assert close_to_the_truth(played)
    played.clock.settle()
    assert played.asked <= 5


@pytest.mark.parametrize("pace", [2.0, 10.0, 60.0])
def test_another_pace_is_known_so_well_after_a_while_that_no_frame_is_needed(world, pace):
    played = world(pace=pace)
    played.clock.now_ms()
    played.live(20)
    played.wait(60)
    assert -0.01 * 60_000 * pace <= played.off_ms <= 0


@pytest.mark.parametrize("pace", [0.0, 0.5, 2.0, 60.0, 120.0])
def test_a_clock_that_goes_at_another_pace_is_followed_and_never_overtaken(world, pace):
    played = world(pace=pace)
    played.clock.now_ms()
    if pace < 1:
        played.live(20)  # until it is known
    for _ in range(600):
        played.live(0.1, every=0.05)
        assert played.off_ms <= 0
    assert close_to_the_truth(played, late_ms=100)
    assert played.asked < 40
    played.error = Unreachable("away")  # it goes on at its pace
    for _ in range(300):
        played.wait(0.03)
        played.frame()
        assert played.off_ms <= 0
    assert close_to_the_truth(played, late_ms=100)


@pytest.mark.parametrize("pace", [60.0, 120.0])
def test_at_another_pace_too_frames_and_rest_that_are_off_are_outvoted(world, pace):
    played = world(pace=pace)
    played.clock.now_ms()
    played.live(20)
    played.frame(30 * MINUTE_MS)
    assert played.off_ms <= 0
    played.live(10)
    played.live(20, off_ms=10 * MINUTE_MS)
    assert close_to_the_truth(played)
    played.live(10)
    played.rest_off_ms = 10 * MINUTE_MS
    played.live(20)
    assert close_to_the_truth(played)


@pytest.mark.parametrize("pace", [2.0, 10.0, 60.0, 120.0])
def test_another_pace_is_known_once_it_was_settled_whatever_comes_then(world, pace):
    played = world(pace=pace)
    played.clock.now_ms()
    played.clock.settle()
    assert played.asked == 3
    played.error = Unreachable("away")
    for _ in range(300):
        played.wait(0.03)
        played.frame()
        assert played.off_ms <= 0
    assert close_to_the_truth(played, late_ms=100)


@pytest.mark.parametrize("off_ms", [3_000, 10 * MINUTE_MS, 9 * 60 * MINUTE_MS])
def test_after_a_sleep_the_stream_and_this_machine_are_believed_where_rest_is_away(world, off_ms):
    played = world(wall_off_ms=300)
    played.clock.now_ms()
    played.live(5)
    played.error = Unreachable("away")
    played.sleep_through(off_ms)
    for _ in range(40):
        played.wait(0.1)
        played.frame()
        if played.clock.is_due():
            with pytest.raises(Unreachable):
                played.clock.ask()
        assert played.off_ms <= 0
    assert close_to_the_truth(played)


@pytest.mark.parametrize("pace", [1.5, 3.0, 60.0])
def test_another_pace_is_learned_however_close_frames_come(world, pace):
    played = world(pace=pace)
    played.clock.now_ms()
    for _ in range(4):
        played.live(2, every=0.025)
        played.clock.ask()
    played.live(10, every=0.025)
    assert close_to_the_truth(played)
    assert played.clock.odd is None


def test_where_rest_is_away_frames_alone_are_believed_only_if_this_machine_says_so_too(world):
    played = world(wall_off_ms=300)
    played.clock.now_ms()
    played.live(5)
    played.error = Unreachable("away")
    for _ in range(40):
        played.wait(0.1)
        played.frame(off_ms=10 * MINUTE_MS)
        if played.clock.is_due():
            with pytest.raises(Unreachable):
                played.clock.ask()
        assert close_to_the_truth(played)


@pytest.mark.parametrize(("pace", "off_ms"), [(1.0, 1_500), (1.0, 900), (60.0, 60_000)])
def test_of_a_rest_and_frames_that_nearly_agree_the_earlier_counts(world, pace, off_ms):
    played = world(pace=pace)
    played.clock.now_ms()
    played.live(20)
    played.rest_off_ms = off_ms
    for _ in range(40):
        played.clock.ask()
        for _ in range(10):
            played.live(0.1)
            assert played.off_ms <= 0
    assert close_to_the_truth(played)


@pytest.mark.parametrize("off_ms", [5 * MINUTE_MS, -5 * MINUTE_MS])
@pytest.mark.parametrize("seed", range(40))
def test_a_rest_that_leaps_teaches_no_pace_on_a_machine_that_stalls(world, off_ms, seed):
    """A leap between answers that were long on their way looks like another pace."""
    random, played = Random(seed), world(pace=60.0)

    def answer():
        played.wait(0.002 + 0.3 * random.random())
        said = int(played.true_ms) + played.rest_off_ms
        played.wait(0.002 + 0.3 * random.random() + (random.random() < 0.1))
        return said

    played.clock.ask_ms = answer
    played.clock.now_ms()
    changes_at = played.seconds + 7
    until = played.seconds + 40
    while played.seconds < until:
        if played.seconds > changes_at:
            played.rest_off_ms = off_ms - played.rest_off_ms
            changes_at += random.choice([0.5, 1.3, 5, 10])
        played.wait(0.1 * random.random() + (random.random() < 0.03))
        played.frame(way=0.3 * random.random())
        played.look()
        assert played.off_ms <= 0


OFF = st.sampled_from([0, 0, 0, 3_000, 30_000, 5 * MINUTE_MS, -30_000, 9 * MINUTE_MS])
STEPS = st.lists(st.tuples(st.sampled_from(["frames", "frame", "rest"]), OFF), max_size=12)


# Three answers of REST, each as far ahead of the one before as if time went three times as fast.
AT_ANOTHER_PACE = [
    *(("frames", 3_000), ("frames", 0), ("rest", -30_000), ("frames", 0)),
    *(("frames", 3_000), ("frames", 0), ("rest", 30_000)),
]


@settings(deadline=None, max_examples=200)
@given(STEPS)
@example(AT_ANOTHER_PACE)
def test_whichever_one_of_them_is_off_it_is_never_early(steps):
    played = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module, "time", played)
        played.clock.now_ms()
        played.live(5)
        for who, off_ms in steps:
            played.rest_off_ms = 0
            played.live(1)
            played.rest_off_ms = off_ms if who == "rest" else 0
            if who == "frame":
                played.frame(off_ms)
            played.live(4, off_ms if who == "frames" else 0)
            assert played.off_ms <= 0, steps
        played.rest_off_ms = 0
        played.live(40)
        assert close_to_the_truth(played)


# REST tells whole seconds


@pytest.mark.parametrize("part_ms", [0, 340, 999])
def test_whole_seconds_are_late_by_one_at_the_most_and_never_ahead(world, part_ms):
    made = world(step_ms=1000)
    made.wait(part_ms / 1000)
    made.clock.settle()
    for _ in range(20):
        made.wait(7.3)
        made.look()
        assert -1000 - 1000 * WAY <= made.off_ms <= 0


def test_frames_tell_the_part_of_a_second_that_rest_leaves_out(world):
    made = world(step_ms=1000)
    made.wait(0.9)
    made.clock.now_ms()
    made.live(30)
    assert -100 <= made.off_ms <= 0
    assert made.asked <= 2
    assert made.clock.odd is None


def test_who_takes_whole_seconds_for_exact_ones_asks_again_and_again(world):
    made = world(step_ms=1000, known_step_ms=1)
    made.wait(0.9)
    made.clock.now_ms()
    made.live(30)
    assert made.asked > 4


def test_a_time_of_another_pace_is_learnt_from_whole_seconds(world):
    made = world(step_ms=1000, pace=60.0)
    for _ in range(6):
        made.look()
        made.live(6)
    assert 50 < made.clock.pace <= 60.5
    assert made.off_ms <= 0


def test_two_who_know_the_time_may_be_a_second_further_apart(world):
    assert world(step_ms=1000).clock.apart_ms == world().clock.apart_ms + 999
