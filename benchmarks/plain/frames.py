"""What one takes first: a library's `recv`, a frame at a time."""

import socket

import websocket


def read(connection: socket.socket, frames: int) -> None:
    """Read so many frames from the socket of a WebSocket."""
    client = websocket.WebSocket(skip_utf8_validation=True)
    client.sock, client.connected = connection, True
    for _ in range(frames):
        client.recv()
