"""Who waits for an exchange: clients take turns, and none keeps the others out."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from serving.candles.unavailable import Unavailable
from serving.counting.asked import begin, note_client
from serving.fetching import calls
from serving.fetching.calls import Calls
from serving.together.answers import Answer
from serving.together.once import Once
from tests.serving.conftest import ROW

QUEUE = 6


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(calls, "CALLS_AT_ONCE", 1)
    monkeypatch.setattr(calls, "LONGEST_QUEUE", QUEUE)


class Exchange:
    """Answers nobody until it may."""

    def __init__(self):
        self.asked = []
        self.may_answer = threading.Event()

    def answer(self, what):
        self.asked.append(what)
        assert self.may_answer.wait(20)
        return what

    def told(self, what):
        return Answer(200, self.answer(what).encode(), 0.0, 0.0)


@contextmanager
def as_client(name):
    begin()
    note_client(name)
    yield


def send(work):
    """Begin a call, and let it come to where it waits."""
    return asyncio.create_task(work)


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


async def ended(tasks):
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [str(each) for each in found]


def test_one_that_floods_keeps_nobody_out_and_turns_are_taken(few):
    exchange = Exchange()

    async def ask():
        shared, sent = Calls(), []
        for client, count in (("flood", QUEUE + 2), ("a", 2), ("b", 1)):
            with as_client(client):
                sent += [
                    send(shared.call(ROW, exchange.answer, f"{client}{number}"))
                    for number in range(count)
                ]
            await settled()
        exchange.may_answer.set()
        return await ended(sent)

    refused = f"{QUEUE} requests wait for sandbox already"
    told = asyncio.run(ask())
    assert told == ["flood0", "flood1", "flood2", *5 * [refused], "a0", "a1", "b0"]
    assert exchange.asked == ["flood0", "flood1", "a0", "b0", "flood2", "a1"]


def test_a_client_alone_may_have_all_that_wait(few):
    exchange = Exchange()

    async def ask():
        shared = Calls()
        with as_client("alone"):
            sent = [send(shared.call(ROW, exchange.answer, str(each))) for each in range(QUEUE)]
            await settled()
            with pytest.raises(Unavailable):
                await shared.call(ROW, exchange.answer, "more")
        exchange.may_answer.set()
        return await ended(sent)

    assert asyncio.run(ask()) == [str(each) for each in range(QUEUE)]


def test_who_has_gone_is_not_waited_for(few):
    exchange = Exchange()

    async def ask():
        shared = Calls()
        with as_client("a"):
            sent = [send(shared.call(ROW, exchange.answer, str(each))) for each in range(4)]
        await settled()
        sent[2].cancel()
        await settled()
        exchange.may_answer.set()
        await asyncio.wait(sent)
        later = send(shared.call(ROW, exchange.answer, "later"))
        await settled()
        later.cancel()
        await settled()
        return await shared.call(ROW, exchange.answer, "last")

    assert asyncio.run(ask()) == "last"
    assert "2" not in exchange.asked


def test_one_whose_turn_is_given_as_it_goes_passes_it_on(few):
    exchange = Exchange()
    exchange.may_answer.set()

    async def ask():
        shared = Calls()
        first = send(shared.call(ROW, exchange.answer, "first"))
        second = send(shared.call(ROW, exchange.answer, "second"))
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.wait([first, second])
        return await asyncio.wait_for(shared.call(ROW, exchange.answer, "third"), 10)

    assert asyncio.run(ask()) == "third"


def test_who_asks_for_the_same_as_one_that_is_given_up_is_answered(few):
    exchange = Exchange()

    async def ask():
        once, sent = Once(Calls()), []

        def get(what):
            return send(once.get(ROW, what, lambda: exchange.told(what), 20))

        for client, asked in (("flood", "012345"), ("a", "5"), ("b", "6"), ("c", "7")):
            with as_client(client):
                sent += [get(each) for each in asked]
            await settled()
        exchange.may_answer.set()
        return await asyncio.gather(*sent, return_exceptions=True)

    *flood, a, b, c = asyncio.run(ask())
    assert isinstance(flood[5], Unavailable)
    assert [each.answer.body for each in (a, b, c)] == [b"5", b"6", b"7"]
