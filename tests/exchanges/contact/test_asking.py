"""What is asked of an exchange at first contact, and what comes of it on either kind."""

import pytest

from exchanges.contact import asking

pytestmark = pytest.mark.django_db(transaction=True)


def test_frames_are_counted_by_what_they_hold(contact):
    one = contact("sandbox")
    ask = asking.frames_that(lambda frame: b'"x":' in frame, "candles", expected=True, seconds=0.5)
    answer = ask(one)
    assert answer.as_assumed
    assert 0 < answer.seen["matching"] < answer.seen["frames"]
    never = asking.frames_that(lambda frame: b"none" in frame, "none", expected=True, seconds=0.2)
    assert never(one).as_assumed is False


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_many_topics_on_a_connection_are_confirmed(contact, name, monkeypatch):
    monkeypatch.setattr(asking, "LISTEN_SECONDS", 0.3)
    answer = asking.topics_on_a_connection(20)(contact(name))
    assert answer.as_assumed, answer
    assert answer.seen["confirmed"] == answer.seen["asked"] == 20


def test_fewer_topics_than_were_meant_decide_nothing(contact, monkeypatch):
    monkeypatch.setattr(asking, "LISTEN_SECONDS", 0.3)
    answer = asking.topics_on_a_connection(200)(contact("sandbox"))
    assert answer.seen["confirmed"] == answer.seen["asked"] < 200
    assert answer.as_assumed is None


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_an_unknown_symbol_is_told_as_one(contact, name):
    answer = asking.unknown_symbol()(contact(name))
    assert answer.as_assumed
    assert answer.seen["error"] == "UnknownSymbol"


@pytest.mark.parametrize("refuses_all", [True, False])
def test_whether_a_bad_topic_takes_a_good_one_with_it(contact, refuses_all, monkeypatch):
    monkeypatch.setattr(asking, "LISTEN_SECONDS", 2.0)
    ask = asking.bad_topic_among_good(lambda topic: "nope@nope", refuses_all=refuses_all)
    answer = ask(contact("sandbox"))
    assert answer.seen["goodConfirmed"]
    assert answer.as_assumed is (answer.seen["goodConfirmedAtOnce"] is not refuses_all)
