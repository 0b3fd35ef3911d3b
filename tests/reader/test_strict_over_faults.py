"""Whatever goes wrong, `strict` hands out what is complete and fresh, or nothing.

`./run experiments strict` tries it in more ways, in many orders, and two faults at a time.
"""

import pytest

from tests.reader.trial import FAULTS, trial

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

PARTS = [FAULTS[::2], FAULTS[1::2]]  # they are in alphabetical order


@pytest.mark.parametrize("faults", PARTS, ids=["one half", "the other half"])
def test_what_strict_hands_out_is_complete_and_fresh(redis, monkeypatch, faults):
    with trial(redis, monkeypatch) as tried:
        for fault in faults:
            assert tried.under(fault) == [], fault
        assert tried.refused
