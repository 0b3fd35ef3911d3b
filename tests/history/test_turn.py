"""Whose turn it is to write: who lives is told apart from who was killed."""

import time

import pytest

from exchanges.models import Exchange
from history import turn
from history.turn import Turn, TurnTaken
from livermore.market import keys

pytestmark = pytest.mark.django_db


@pytest.fixture
def row():
    return Exchange.objects.get(name="sandbox")


def test_a_command_waits_until_the_turn_of_who_was_killed_is_over(redis, row):
    redis.set(keys.history_turn(row.pk), "killed", px=800)
    said = []
    began = time.monotonic()
    with Turn(redis, row, said.append) as found:
        found.check()
    assert 0.5 < time.monotonic() - began < 10
    assert said == [
        "another process has the history of sandbox: waiting for up to 30 s, in case it was killed"
    ]


def test_a_command_waits_for_nobody_who_gives_a_sign_of_life(redis, row, monkeypatch):
    monkeypatch.setattr(turn, "RENEWED_SECONDS", 0.3)
    with Turn(redis, row) as other:
        with pytest.raises(TurnTaken, match="another process writes the history of sandbox"):
            Turn(redis, row, lambda _: None).__enter__()
        other.check()


def test_who_follows_does_not_wait(redis, row):
    redis.set(keys.history_turn(row.pk), "killed", px=60_000)
    began = time.monotonic()
    with pytest.raises(TurnTaken):
        Turn(redis, row).__enter__()
    assert time.monotonic() - began < 5
