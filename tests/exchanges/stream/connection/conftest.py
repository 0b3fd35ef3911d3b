"""A server that shares no code with ours, or bare bytes; and connections to it."""

import socket
import threading
from contextlib import ExitStack, suppress

import pytest
import websockets.sync.server
from websockets.exceptions import ConnectionClosed

from exchanges.stream import connection as connection_module
from exchanges.stream.connection import Connection
from exchanges.venues.binance.stream import BinanceStream
from tests.exchanges.stream.connection.played import WAIT_SECONDS, request_key, upgraded


@pytest.fixture
def serve():
    """Start WebSocket servers that play a script with each client; return their address."""
    with ExitStack() as running:

        def serve(script, **options):
            options = {"ping_interval": None, "compression": None, "close_timeout": 0.2} | options

            def play(client):
                with suppress(ConnectionClosed):
                    script(client)

            server = websockets.sync.server.serve(play, "127.0.0.1", 0, **options)
            running.enter_context(server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            return f"ws://127.0.0.1:{server.socket.getsockname()[1]}"

        yield serve


@pytest.fixture
def serve_bytes():
    """Start servers that play a script with each client's bare socket."""
    with ExitStack() as running:

        def serve(script, upgrade=True):
            listening = running.enter_context(socket.create_server(("127.0.0.1", 0)))

            def run():
                with suppress(OSError):
                    while True:
                        client, _ = listening.accept()
                        with client:
                            key = request_key(client)
                            if upgrade:
                                client.sendall(upgraded(key))
                            script(client)

            threading.Thread(target=run, daemon=True).start()
            return f"ws://127.0.0.1:{listening.getsockname()[1]}"

        yield serve


@pytest.fixture
def connect():
    """Open connections, as the streamer does; they are gone after the test."""
    opened = []

    def connect(url, topics=("!miniTicker@arr",)):
        opened.append(Connection(BinanceStream(url, {}), topics))
        opened[-1].start()
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
    for connection in opened:
        connection.join(WAIT_SECONDS)
        assert connection.ended.is_set()


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Let connections notice at once what they are told to do."""
    monkeypatch.setattr(connection_module, "LOOK_SECONDS", 0.02)


@pytest.fixture
def short_timeouts(monkeypatch):
    """Let what takes half a minute take a fraction of a second."""
    monkeypatch.setattr(connection_module, "ACK_SECONDS", 0.15)
    monkeypatch.setattr(connection_module, "SILENCE_SECONDS", 0.4)
    monkeypatch.setattr(connection_module, "PONG_SECONDS", 0.3)
    monkeypatch.setattr(connection_module, "MESSAGE_SECONDS", 0.5)
