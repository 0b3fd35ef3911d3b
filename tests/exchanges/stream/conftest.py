"""Our end of a WebSocket, and a bare one."""

import socket
from contextlib import ExitStack

import pytest

from exchanges.stream.wire.websocket import BufferedWebSocket
from tests.exchanges.stream.connection.played import WAIT_SECONDS


@pytest.fixture
def pair():
    """Return our socket, already upgraded, and the server's bare end of it."""
    with ExitStack() as opened:

        def pair(timeout=WAIT_SECONDS):
            ours, theirs = map(opened.enter_context, socket.socketpair())
            client = BufferedWebSocket(enable_multithread=False)
            client.sock, client.connected = ours, True
            ours.settimeout(timeout)
            return client, theirs

        yield pair
