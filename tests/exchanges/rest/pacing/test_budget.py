"""What a row does to stay below a limit that counts calls."""

import pytest

from exchanges.rest.pacing.budget import MOST_AT_ONCE, CallLimit

LIMITS = [CallLimit(1, 1), CallLimit(10, 1), CallLimit(20, 2), CallLimit(40, 2), CallLimit(600, 5)]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_no_stretch_of_its_seconds_holds_more_calls_than_are_allowed(limit):
    batches = -(-1000 * limit.per_seconds // limit.batch_delay_ms)
    assert batches * limit.batch_size <= limit.calls
    assert limit.batch_size <= MOST_AT_ONCE


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_a_row_takes_little_longer_than_the_limit_alone_would(limit):
    pace = 1000 * limit.batch_size / limit.batch_delay_ms
    assert limit.per_second / 1.17 < pace < limit.per_second


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_a_batch_that_arrives_a_little_late_leaves_room_for_the_next(limit):
    late_ms = 0.04 * 1000 * limit.per_seconds
    batches = -(-(1000 * limit.per_seconds + late_ms) // limit.batch_delay_ms)
    assert batches * limit.batch_size <= limit.calls


def test_a_limit_tells_how_many_calls_a_second_that_is():
    assert CallLimit(600, 5).per_second == 120
