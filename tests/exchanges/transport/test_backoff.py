import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.transport import backoff
from exchanges.transport.backoff import reconnect_delays, retry_delays

EACH = pytest.mark.parametrize(
    ("delays", "ceilings"),
    [
        (retry_delays, [0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8]),
        (reconnect_delays, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]),
    ],
)


@pytest.fixture(autouse=True)
def _try_again_soon():
    """Let the delays be what they are: they are what is tried here."""


@EACH
def test_each_delay_is_drawn_from_twice_as_far_up_to_the_longest(monkeypatch, delays, ceilings):
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: (low, high))
    drawn = delays()
    assert [next(drawn) for _ in ceilings] == [(0, each) for each in ceilings]


@EACH
@given(tries=st.integers(1, 300))
def test_no_delay_is_longer_than_the_longest_however_often_it_failed(delays, ceilings, tries):
    drawn = delays()
    assert all(0 <= next(drawn) <= ceilings[-1] for _ in range(tries))


@EACH
def test_tries_are_spread_out(delays, ceilings):
    assert len({next(delays()) for _ in range(20)}) > 10
