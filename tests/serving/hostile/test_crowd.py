"""Many connections, and those that read nothing: who comes is served."""

import logging
import resource
import socket
from contextlib import suppress

import orjson
import pytest
import requests
import websocket

from livermore.market import keys
from serving.transport import protocol
from serving.transport.connections import Connections, connections_allowed
from tests.serving.conftest import ROW, FixedDirectory, say_streamed
from tests.serving.hostile.raw import connect, request
from tests.serving.serving import served
from tests.warmup.runners import wait_until
from warmup.network.readers import read_readers

PING = "/sandbox/api/v3/ping"


def sockets(redis):
    """Return how many connections are streamed to, by who reads them."""
    return [each["sockets"] for each in read_readers(redis)]


def ping(url):
    return requests.get(url + PING, headers={"Connection": "close"}, timeout=10)


def test_who_asks_is_served_however_many_hold_connections_open(redis, caplog):
    say_streamed(redis)
    with served(redis, directory=FixedDirectory(), most=8) as url:
        reader = websocket.create_connection(url.replace("http", "ws") + "/sandbox/ws", timeout=10)
        held = [connect(url) for _ in range(40)]
        for each in held[::2]:
            with suppress(OSError):  # it had to make room
                each.sendall(b"GET /sandbox/api/v3/pi")
        assert [ping(url).status_code for _ in range(5)] == [200] * 5
        with suppress(ConnectionResetError):
            assert held[0].recv(1) == b""  # those that came first made room
        reader.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        assert reader.recv() == '{"result":[],"id":1}'
        reader.close()
    told = [each.getMessage() for each in caplog.records if "serving.crowded" in each.getMessage()]
    assert told == ["serving.crowded connections=8"]


def test_where_all_are_being_answered_one_more_is_told_to_come_again(redis):
    say_streamed(redis)
    with served(redis, directory=FixedDirectory(), most=3) as url:
        address = url.replace("http", "ws") + "/sandbox/ws"
        readers = [websocket.create_connection(address, timeout=10) for _ in range(3)]
        found = ping(url)
        assert (found.status_code, found.headers["Retry-After"]) == (503, "5")
        readers.pop().close()
        wait_until(lambda: ping(url).status_code == 200)
        for each in readers:
            each.close()


def test_who_opens_and_closes_leaves_nothing_behind(redis):
    with served(redis, directory=FixedDirectory(), most=50) as url:
        for number in range(300):
            with connect(url) as each:
                if number % 3:
                    each.sendall(request(PING)[: number % 40])
                if number % 2:  # with a reset
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert ping(url).status_code == 200


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such limit")
def test_who_reads_nothing_is_ended(redis, monkeypatch):
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.3)
    text = orjson.dumps({"symbol": "BTC-USD", "timeframe": "1m", "padding": "x" * 1000})
    pipe = redis.pipeline()
    for _ in range(8000):  # more than the system takes for who does not read
        pipe.xadd(keys.events(ROW.exchange_id), {"event": text})
    pipe.execute()
    with served(redis, directory=FixedDirectory()) as url, socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        silent.sendall(request("/v1/events?exchange=sandbox&after=0-1"))
        wait_until(lambda: sockets(redis) == [0])  # it was one


def test_so_many_files_as_it_needs_it_may_open(monkeypatch):
    set_to = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: set_to.append(limits))
    for limits, connections_there, raised in [
        ((1024, 1_048_576), 4096, [(4352, 1_048_576)]),
        ((1024, 4096), 3840, [(4096, 4096)]),
        ((8192, 8192), 4096, []),
        ((256, 256), 128, []),
        ((resource.RLIM_INFINITY,) * 2, 4096, []),
    ]:
        monkeypatch.setattr(resource, "getrlimit", lambda which, limits=limits: limits)
        assert connections_allowed() == connections_there
        assert set_to == raised
        set_to.clear()


class Idle:
    """A connection that asks for nothing, or did so once."""

    def __init__(self, requests=0, is_idle=True):
        self.requests, self.is_idle, self.is_closed = requests, is_idle, False

    def force_close(self):
        self.is_closed = True


def test_who_has_asked_for_nothing_goes_first(caplog):
    caplog.set_level(logging.CRITICAL)
    every = Connections(most=3)
    used, busy, half = Idle(requests=1), Idle(is_idle=False), Idle()
    for each in (used, busy, half):
        assert every.enter(each)
    assert every.enter(Idle(is_idle=False))
    assert [each.is_closed for each in (used, busy, half)] == [False, False, True]
    assert every.enter(Idle(is_idle=False))
    assert used.is_closed
    assert not every.enter(Idle())
    every.leave(busy)
    assert every.enter(Idle())
