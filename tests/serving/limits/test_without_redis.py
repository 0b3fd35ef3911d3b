"""Limits where Redis does not answer: each process goes by what it knows itself."""

import asyncio
import socket

from exchanges.redis.client import make_client
from serving.clients import Caller
from serving.limits import guesses
from serving.limits.guesses import Guesses
from serving.limits.requests import RequestLimits
from serving.limits.sockets import SocketLimits

AWAY = make_client("redis://127.0.0.1:1/0", connect_seconds=0.2)


def caller(requests=5, sockets=2):
    return Caller(7, "bot", requests, sockets, "digest")


def test_a_process_counts_requests_for_itself():
    async def ask():
        limits, bot = RequestLimits(AWAY), caller()
        asked = [await limits.may_ask(bot) for _ in range(3)]
        return asked + await asyncio.gather(*(limits.may_ask(bot) for _ in range(40)))

    answers = asyncio.run(ask())
    assert answers[0]
    assert 5 <= sum(answers) <= 20  # of the seconds that it took


def test_a_process_counts_its_own_connections():
    async def enter():
        limits, bot = SocketLimits(AWAY), caller()
        entered = [await limits.enter(bot) for _ in range(4)]
        await limits.leave(entered[0])
        return entered, await limits.enter(bot)

    entered, again = asyncio.run(enter())
    assert [bool(each) for each in entered] == [True, True, False, False]
    assert again


def test_a_process_counts_guesses_for_itself():
    async def guess():
        counted = Guesses(AWAY)
        tokens = [f"guess-{number}" for number in range(guesses.MOST + 3)]
        found = [await counted.seconds_to_wait("192.0.2.7", each, None) for each in tokens]
        again = await counted.seconds_to_wait("192.0.2.7", tokens[0], None)
        return [bool(each) for each in found], again

    assert asyncio.run(guess()) == ([False] * guesses.MOST + [True] * 3, 0)


def test_a_redis_that_hangs_holds_up_one_request_and_not_all(monkeypatch):
    monkeypatch.setattr("serving.limits.requests.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("serving.limits.requests.SECONDS_BETWEEN_TRIES", 60.0)
    asked = []

    async def ask(url):
        limits, bot = RequestLimits(make_client(url)), caller(requests=1000)
        add = limits._add
        limits._add = lambda *each: asked.append(each) or add(*each)
        return [await limits.may_ask(bot) for _ in range(50)]

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert all(asyncio.run(ask(url)))
    assert len(asked) == 1
