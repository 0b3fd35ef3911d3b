"""Too much, and too slow: what has no end ends a connection."""

import re
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from exchanges.stream import connection as connection_module
from exchanges.stream import inbox as inbox_module
from tests.exchanges.stream.connection.played import (
    WAIT_SECONDS,
    Received,
    confirm_all,
    end_of,
    eventually,
    read_until,
    request_key,
    serialized,
    tick,
    told,
    upgraded,
)
from tests.exchanges.transport.attacks import (
    Attacker,
    handshake_attacks,
    slow_stream_attacks,
    stream_attacks,
)
from tests.exchanges.transport.victim import victim

HANDSHAKES, FLOODS, TRICKLES = handshake_attacks(), stream_attacks(), slow_stream_attacks()


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_ends_in_time_whatever_comes(connect, monkeypatch, name):
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 0.5)
    with Attacker(HANDSHAKES[name]) as attacker:
        began = time.monotonic()
        reason = end_of(connect(attacker.ws_url))
    assert time.monotonic() - began < 5
    assert reason.startswith("cannot connect: ")
    assert "x" * 9 not in reason


@pytest.mark.parametrize("name", FLOODS)
def test_what_is_too_long_ends_a_connection_and_takes_no_memory(name):
    with Attacker(FLOODS[name], upgrades=True) as attacker:
        found = victim("stream", attacker.ws_url)
    assert found["grew"] < 100
    assert found["text"].startswith("the exchange sent ")
    assert len(attacker.calls) == 1


@pytest.mark.parametrize("name", TRICKLES)
def test_a_message_that_does_not_end_is_no_sign_of_life(connect, short_timeouts, name):
    with Attacker(TRICKLES[name], upgrades=True) as attacker:
        connection = connect(attacker.ws_url, topics=())
        while not connection.ended.wait(0.01):
            connection.read()
        assert connection.age_seconds < 10
    ends = "no sign of life for|a message was not whole after|the exchange sent a message in more"
    assert re.match(ends, connection.reason)


def test_while_one_exchange_trickles_it_is_still_talked_to_and_can_be_left(connect):
    with Attacker(TRICKLES["a frame, byte by byte"], upgrades=True) as attacker:
        connection = connect(attacker.ws_url)
        eventually(lambda: connection.session.wanted)  # the subscription went out
        connection.close()
        assert end_of(connection) == "closed by us"


def test_another_exchange_streams_on_beside_all_of_that(serve, connect):
    with ExitStack() as attackers:
        for attack in (*FLOODS.values(), *TRICKLES.values()):
            attacker = attackers.enter_context(Attacker(attack, upgrades=True))
            connect(attacker.ws_url)
        honest = connect(serve(Received(tick(1))))
        read_until(honest, lambda events: len(told(events)) > 50)
        assert not honest.ended.is_set()


def test_who_is_read_by_nobody_has_to_wait(serve, connect, monkeypatch):
    monkeypatch.setattr(inbox_module, "MOST_WAITING_BYTES", 100_000)
    large = tick(1).replace('"s":"?"', '"s":"%s"' % ("?" * 50_000))

    def script(client):
        for _ in range(200):
            client.send(large)
        client.send(tick(2))
        confirm_all(client)

    connection = connect(serve(script))
    eventually(lambda: connection.inbox.is_full)
    time.sleep(0.2)
    assert connection.inbox.received < 50
    assert not connection.ended.is_set()
    read_until(connection, lambda events: told(events)[-1:] == [2])


@pytest.mark.parametrize("text", ["", "{"])
def test_frames_of_next_to_nothing_are_not_taken_without_end_either(
    serve_bytes, connect, monkeypatch, text
):
    monkeypatch.setattr(inbox_module, "MOST_WAITING_BYTES", 1_600_000)
    over = threading.Event()

    def script(client):
        sender = threading.Thread(target=flood, args=(client, text), daemon=True)
        sender.start()
        over.wait(WAIT_SECONDS)

    def flood(client, text):
        with suppress(OSError):
            while True:
                client.sendall(20_000 * serialized(text.encode()))

    connection = connect(serve_bytes(script), topics=())
    eventually(lambda: connection.inbox.is_full)
    time.sleep(0.2)
    assert connection.inbox.received <= 1_600_000 // inbox_module.FRAME_BYTES + 65_536 // 2
    assert not connection.ended.is_set()
    connection.close()
    over.set()


@pytest.mark.parametrize(
    "more",
    [
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
        b"Sec-WebSocket-Protocol: chat\r\n",
    ],
)
def test_what_was_not_asked_for_is_not_agreed_on(serve_bytes, connect, more):
    def script(client):
        client.sendall(upgraded(request_key(client)).replace(b"Upgrade: w", more + b"Upgrade: w"))
        client.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run():
            client, _ = listening.accept()
            with client:
                script(client)

        threading.Thread(target=run, daemon=True).start()
        reason = end_of(connect(f"ws://127.0.0.1:{listening.getsockname()[1]}"))
    assert reason == (
        "cannot connect: the exchange answered HTTP 101, but not with the WebSocket asked for"
    )
