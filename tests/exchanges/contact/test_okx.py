"""What is unsure of OKX, asked of the sandbox."""

import pytest

from exchanges.contact import asking
from exchanges.venues import VENUES
from exchanges.venues.okx import unsure
from exchanges.venues.okx.unsure import has_several_rows
from tests.exchanges.venues.okx.payloads import recorded

FACTS = {fact.name: fact for fact in VENUES["okx"].unsure}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(asking, "LISTEN_SECONDS", 0.1)
    monkeypatch.setattr(unsure, "REFUSED_WITHIN_SECONDS", 0.1)
    monkeypatch.setattr(unsure, "LOOK_SECONDS", 0.01)


@pytest.mark.parametrize("name", ["one_bad_topic", "unknown_symbol", "confirmed_after"])
def test_the_sandbox_answers_as_is_assumed(contact, name):
    answer = FACTS[name].ask(contact("okx", "BTC-USDT-PERP"))
    assert answer.as_assumed, answer


def test_whether_an_error_names_its_message_decides_nothing(contact):
    answer = FACTS["errors_with_an_id"].ask(contact("okx", "BTC-USDT-PERP"))
    assert answer.as_assumed is None
    assert answer.seen["withId"] == answer.seen["errors"] > 0


def test_frames_with_several_rows_are_told_from_others():
    frames = [recorded(f"ws_{name}") for name in ("candle_two_rows", "candle_open_spot", "refused")]
    assert [has_several_rows(frame) for frame in frames] == [True, False, False]
