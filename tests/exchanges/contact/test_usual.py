"""What is asked of every exchange: both answers that each question may have."""

import pytest

from exchanges.contact import contact as contact_module
from exchanges.contact import usual, watching
from exchanges.contact.watching import ask_closing, ask_quiet_frames
from exchanges.rest.reply import QuietBars
from livermore.market.timeframe import Timeframe

pytestmark = pytest.mark.django_db(transaction=True)
M1 = Timeframe.M1


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(usual, "SECONDS_BETWEEN_LOOKS", 0.02)
    for module in (contact_module, watching):
        monkeypatch.setattr(module, "CLOCK_SECONDS", 0.05)
    monkeypatch.setattr("exchanges.contact.asking.LISTEN_SECONDS", 0.2)


def test_what_they_are_called_is_said_once():
    names = [fact.name for fact in usual.USUAL]
    assert len(set(names)) == len(names)
    assert all(fact.question.endswith("?") and fact.assumed for fact in usual.USUAL)


@pytest.mark.parametrize(("name", "word"), [("sandbox", "rows"), ("coinbase", "holes")])
def test_minutes_without_trades_are_rows_or_holes(contact, name, word):
    one = contact(name)
    answer = usual.ask_quiet_rows(one)
    assert (answer.as_assumed, answer.text) == (True, f"minutes without trades are {word}")
    others = {QuietBars.FILLS: QuietBars.OMITS, QuietBars.OMITS: QuietBars.FILLS}
    one.rest.quiet_bars = others[one.rest.quiet_bars]
    assert usual.ask_quiet_rows(one).as_assumed is False


def test_where_all_are_lively_nothing_is_decided(contact, monkeypatch):
    monkeypatch.setattr("exchanges.contact.contact.QUIET_TRIED", 0)
    answer = usual.ask_quiet_rows(contact("sandbox"))
    assert answer.as_assumed is None
    assert answer.seen == {"spot": {"symbol": None}}


def test_a_row_that_changes_no_more_is_settled(contact):
    answer = usual.ask_settling(contact("sandbox"))
    assert answer.as_assumed, answer
    assert answer.seen["looks"] > 3


def test_a_row_that_changes_late_is_told(contact, sandbox, monkeypatch):
    monkeypatch.setattr(usual, "SETTLING_MS", 60_000)
    sandbox.scenarios.add("rest_late", delay=45, way="stale")
    one = contact("sandbox")
    answer = usual.ask_settling(one)
    assert answer.as_assumed is False, answer
    assert answer.seen["lastChangeAfterMs"] > 10_000 > one.settle_ms


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_days_open_at_midnight(contact, name):
    assert usual.ask_days(contact(name)).as_assumed


def test_days_that_open_at_another_time_are_told(contact, monkeypatch):
    one = contact("sandbox")
    open_time = type(one.rest)._open_time
    shifted = staticmethod(lambda row: open_time(row) - Timeframe.H4.ms * 2)
    monkeypatch.setattr(type(one.rest), "_open_time", shifted)
    answer = usual.ask_days(one)
    assert answer.as_assumed is False, answer
    assert answer.seen["refused"]


def test_the_newest_row_is_near_or_late(contact, sandbox):
    one = contact("sandbox")
    near = usual.ask_newest(one)
    assert (near.as_assumed, near.seen["closedBehindMs"]) == (True, 0)
    assert near.seen["tellsOpenBar"]
    sandbox.scenarios.add("rest_late", delay=400)
    late = usual.ask_newest(one)
    assert late.as_assumed is False
    assert late.seen["closedBehindMs"] >= 300_000


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_as_many_topics_as_we_give_are_taken(contact, name, monkeypatch):
    monkeypatch.setattr(usual, "MOST_TOPICS", 20)  # it lists fewer than a connection takes
    assert usual.ask_topics(contact(name)).as_assumed


def test_minutes_are_told_closed_with_and_without_trades(contact):
    one = contact("sandbox", minutes=6)  # of three minutes of the quiet one two have no trade
    closing, quiet = ask_closing(one), ask_quiet_frames(one)
    assert closing.as_assumed, closing
    assert closing.seen["closed"] == closing.seen["minutes"] >= 3
    assert quiet.as_assumed is None
    assert quiet.seen["told"] == quiet.seen["minutes"] >= 1


def test_closes_that_never_come_are_told(contact, sandbox):
    sandbox.scenarios.add("missing_close")
    sandbox.scenarios.add("no_untraded_close")
    answer = ask_closing(contact("sandbox", minutes=2))
    assert answer.as_assumed is False
    assert answer.seen["told"] > answer.seen["closed"] == 0


def test_an_exchange_without_closing_flags_is_told_as_one(contact):
    one = contact("coinbase", minutes=2)
    assert ask_closing(one).as_assumed is None
    assert ask_quiet_frames(one).seen["told"] == 0
