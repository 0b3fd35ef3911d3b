"""What a server says, and waiting for what a connection makes of it."""

import base64
import hashlib
import json
import time
from contextlib import suppress

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from exchanges.stream.events import Clock

TICKER = '{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","E":%d,"s":"?"}]}'
ACKNOWLEDGED = (
    '{"channel":"subscriptions","timestamp":"2026-09-05T22:10:29.563180868Z","sequence_num":0,'
    '"events":[{"subscriptions":{"heartbeats":["heartbeats"],"candles":["A-USD"]}}]}'
)
OPENED = 1633996800000
WAIT_SECONDS = 15


def tick(number):
    """Return a frame that tells nothing but a time, which numbers it."""
    return TICKER % (OPENED + number)


def told(events):
    """Return the numbers of the ticks among events."""
    return [event.time_ms - OPENED for event in events if isinstance(event, Clock)]


def eventually(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)
    return found


def read_until(connection, condition):
    """Read from a connection until the events so far fulfil a condition; return them."""
    events = []

    def is_enough():
        events.extend(connection.read())
        return condition(events)

    eventually(is_enough)
    return events


def end_of(connection):
    assert connection.ended.wait(WAIT_SECONDS), "it never ended"
    return connection.reason


def confirm(client, message):
    client.send(json.dumps({"result": None, "id": json.loads(message)["id"]}))


def confirm_all(client):
    for message in client:
        confirm(client, message)


class Received:
    """A script that confirms all it receives, remembers it, and says something now and then."""

    def __init__(self, says=None):
        self.messages = []
        self.at = []
        self._says = says

    def __call__(self, client):
        with suppress(ConnectionClosed):
            while True:
                try:
                    message = client.recv(timeout=0.01)
                except TimeoutError:
                    if self._says:
                        client.send(self._says)
                    continue
                self.at.append(time.monotonic())
                self.messages.append(json.loads(message))
                confirm(client, message)

    def topics(self, method="SUBSCRIBE"):
        return [name for m in self.messages if m["method"] == method for name in m["params"]]


def request_key(client):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        part = client.recv(4096)
        if not part:
            raise OSError("gone")
        request += part
    lines = [line.split(b": ", 1) for line in request.splitlines() if b": " in line]
    return {name.lower(): value for name, value in lines}[b"sec-websocket-key"]


def upgraded(key):
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def serialized(payload, opcode=Opcode.TEXT, fin=True):
    return Frame(opcode, payload, fin).serialize(mask=False)
