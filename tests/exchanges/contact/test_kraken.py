"""What is unsure of Kraken, asked of the sandbox."""

import pytest

from exchanges.contact import asking
from exchanges.contact.watching import ask_closing
from exchanges.venues import VENUES
from exchanges.venues.kraken import unsure

FACTS = {fact.name: fact for fact in VENUES["kraken"].unsure}
pytestmark = pytest.mark.django_db(transaction=True)


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


def test_calls_as_far_apart_as_ours_are_all_answered(contact):
    answer = FACTS["calls_in_turn"].ask(contact("kraken"))
    assert answer.as_assumed
    assert (answer.seen["calls"], answer.seen["failed"]) == (5, [])


@pytest.mark.parametrize("lacks", [False, True])
def test_minutes_as_frames_left_them_are_held_against_those_of_rest(contact, sandbox, lacks):
    if lacks:
        sandbox.scenarios.add("missing_close", protocol="kraken")
    answer = ask_closing(contact("kraken", minutes=2))
    assert answer.as_assumed is not lacks, answer
    assert bool(answer.seen["toldOtherwise"]) is lacks
