"""Our socket: frames come whole, however they are cut."""

import socket
import threading
from contextlib import suppress

import pytest
import websocket
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode

from exchanges.stream.wire.websocket import BufferedWebSocket
from tests.exchanges.stream.connection.played import serialized


def received(client):
    """Return the frames that are there, whole, until the socket has no more."""
    frames = []
    with suppress(websocket.WebSocketTimeoutException):
        while True:
            frames.append(client.recv_data(control_frame=True))
    return frames


@pytest.mark.parametrize("size", [0, 125, 126, 70_000, 3_900_000])
def test_a_frame_of_any_size_comes_whole(pair, size):
    client, server = pair()
    payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    sent = serialized(payload) + serialized(b"next")
    threading.Thread(target=server.sendall, args=(sent,), daemon=True).start()
    assert client.recv_data() == (websocket.ABNF.OPCODE_TEXT, payload)
    assert client.recv_data() == (websocket.ABNF.OPCODE_TEXT, b"next")


def test_many_frames_in_one_piece_come_one_by_one(pair):
    client, server = pair(0.05)
    payloads = [b"%d" % number for number in range(1000)]
    server.sendall(b"".join(map(serialized, payloads)))
    assert [payload for _, payload in received(client)] == payloads


@settings(max_examples=40, deadline=None)
@given(
    payloads=st.lists(st.binary(max_size=5) | st.just(b"x" * 200), min_size=1, max_size=5),
    parts=st.lists(st.integers(1, 60), max_size=8),
)
def test_a_timeout_anywhere_within_a_frame_loses_nothing(payloads, parts):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = BufferedWebSocket(enable_multithread=False)
        client.sock, client.connected = ours, True
        ours.settimeout(0.001)
        sent, found = b"".join(serialized(each, Opcode.BINARY) for each in payloads), []
        for size in [*parts, len(sent)]:
            theirs.sendall(sent[:size])
            sent = sent[size:]
            found += received(client)
        assert [payload for _, payload in found] == payloads


def test_fragments_are_put_together_around_a_ping(pair):
    client, server = pair()
    server.sendall(
        serialized(b"Liver", fin=False)
        + serialized(b"?", Opcode.PING)
        + serialized(b"mo", Opcode.CONT, fin=False)
        + serialized(b"re", Opcode.CONT)
    )
    assert client.recv_data() == (websocket.ABNF.OPCODE_TEXT, b"Livermore")
    assert server.recv(100)[0] == 0x80 | Opcode.PONG
