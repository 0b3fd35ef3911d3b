"""What is unsure of Kraken, asked of the sandbox."""

import pytest

from exchanges.contact import asking
from exchanges.venues import VENUES
from exchanges.venues.kraken import unsure

FACTS = {fact.name: fact for fact in VENUES["kraken"].unsure}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(asking, "LISTEN_SECONDS", 0.1)
    monkeypatch.setattr(unsure, "LISTEN_SECONDS", 4.0)  # pings are two seconds apart


@pytest.mark.parametrize(
    "name", ["depth", "times_in_frames", "updates", "one_bad_symbol", "unknown_symbol"]
)
def test_the_sandbox_answers_as_is_assumed(contact, name):
    answer = FACTS[name].ask(contact("kraken"))
    assert answer.as_assumed, answer


def test_calls_one_after_the_other_decide_nothing(contact):
    answer = FACTS["calls_at_once"].ask(contact("kraken"))
    assert answer.as_assumed is None
    assert (answer.seen["calls"], answer.seen["failed"]) == (5, [])
