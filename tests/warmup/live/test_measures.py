import pytest

from warmup.live import measures
from warmup.live.measures import BOUNDS_MS, HISTORY_LENGTH, Delays, History, Rate


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that is moved by hand."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(measures, "time", clock)
    return clock


def test_the_first_count_says_nothing_of_a_rate(clock):
    assert Rate().after(500) == 0


def test_a_rate_is_that_of_the_last_ten_seconds(clock):
    rate = Rate()
    found = []
    for second in range(40):
        clock.now = 1000 + second
        found.append(rate.after(100 * second if second < 20 else 1900))
    assert found[1:20] == [100] * 19
    assert found[-1] == 0
    assert found[19:30] == sorted(found[19:30], reverse=True)


def test_a_count_that_is_asked_for_seldom_is_still_measured(clock):
    rate = Rate()
    rate.after(0)
    clock.now += 60
    assert rate.after(6000) == 100
    clock.now += 60
    assert rate.after(6000) == 0


def test_a_history_has_a_value_every_two_seconds_of_the_last_four_minutes(clock):
    history = History()
    for second in range(0, 1000, 1):
        clock.now = 1000 + second + 0.1 * (second % 3)
        found = history.after(second)
    assert len(found) == HISTORY_LENGTH
    assert 0 <= 999 - found[-1] <= 2
    assert 998 - 2 * HISTORY_LENGTH <= found[0] <= 1002 - 2 * HISTORY_LENGTH


def test_a_history_that_was_not_told_of_for_long_goes_on_at_its_intervals(clock):
    history = History()
    history.after(1)
    clock.now += 3600
    assert history.after(2) == history.after(3) == [1, 2]
    clock.now += 2
    assert history.after(4) == [1, 2, 4]


def test_delays_are_counted_up_to_each_bound():
    delays = Delays()
    now_ms = 1_790_000_000_000
    delays.add([now_ms - each for each in BOUNDS_MS], now_ms)
    assert delays.counts == [1] * len(BOUNDS_MS) + [0]
    delays.add([now_ms - BOUNDS_MS[-1] - 1] * 3, now_ms)
    assert delays.counts[-1] == 3
    assert delays.sum_ms == sum(BOUNDS_MS) + 3 * (BOUNDS_MS[-1] + 1)


def test_a_clock_that_is_late_makes_no_delay_negative():
    delays = Delays()
    delays.add([1000], 990)
    assert (delays.counts[0], delays.sum_ms) == (1, 0)
