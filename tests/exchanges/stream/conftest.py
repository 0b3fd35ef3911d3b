"""Our end of a WebSocket, and a bare one."""

import socket
from contextlib import ExitStack

import pytest

from exchanges.stream.wire.websocket import WebSocket


@pytest.fixture
def pair():
    """Return our WebSocket, already upgraded, and the server's bare end of it."""
    with ExitStack() as opened:

        def pair(begun=b""):
            ours, theirs = map(opened.enter_context, socket.socketpair())
            return WebSocket(ours, begun), theirs

        yield pair
