"""What an exchange was asked once is kept while it holds."""

import asyncio
import threading
import time

import pytest

from exchanges.errors import Permanent
from serving.fetching.calls import Calls
from serving.together import once
from serving.together.answers import Answer
from serving.together.once import Kept, Once
from tests.serving.conftest import ROW


def answer(body=b"1", holds_seconds=60.0, age_seconds=0.0):
    return Answer(200, body, time.time() - age_seconds, holds_seconds)


def test_an_answer_is_kept_for_as_long_as_it_holds_from_when_it_was_told():
    kept = Kept()
    kept.put((4, "a"), answer(age_seconds=50))
    kept.put((4, "b"), answer(age_seconds=61))
    assert kept.get((4, "a"))
    assert not kept.get((4, "b"))
    assert not kept.get((3, "a"))


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(once, "MOST_BYTES", 100)
    kept = Kept()
    for name in "abc":
        kept.put((4, name), answer(b"x" * 40))
    assert [bool(kept.get((4, name))) for name in "abc"] == [False, True, True]
    kept.put((4, "c"), answer(b"x" * 60))
    assert [bool(kept.get((4, name))) for name in "bc"] == [True, True]
    kept.put((4, "d"), answer(b"x" * 101))
    assert [bool(kept.get((4, name))) for name in "bcd"] == [False, False, False]


def test_who_asks_meanwhile_waits_for_the_same_answer_and_none_for_longer_than_it_may():
    may_end, asked = threading.Event(), []

    def slow():
        asked.append(1)
        may_end.wait(20)
        return answer(b"2")

    async def ask():
        shared = Once(Calls())
        hasty = asyncio.create_task(shared.get(ROW, "a", slow, 0.05))
        waiting = asyncio.create_task(shared.get(ROW, "a", slow, 20))
        with pytest.raises(TimeoutError):
            await hasty
        may_end.set()
        return await waiting, await shared.get(ROW, "a", slow, 20)

    first, again = asyncio.run(ask())
    assert len(asked) == 1
    assert first.answer == again.answer
    assert (first.was_kept, again.was_kept) == (False, True)


def test_what_was_not_told_is_asked_for_again():
    def broken():
        raise Permanent("no")

    async def ask():
        shared = Once(Calls())
        with pytest.raises(Permanent):
            await shared.get(ROW, "a", broken, 20)
        return await shared.get(ROW, "a", answer, 20)

    assert not asyncio.run(ask()).was_kept
