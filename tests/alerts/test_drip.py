"""Receivers that answer a byte at a time, for ever: each byte is in time, the whole is not."""

import socket
import threading
from contextlib import suppress

import pytest

from alerts.delivery import guarded
from alerts.delivery.sending import tell
from alerts.models import AlertChannel

pytestmark = pytest.mark.django_db

PAUSE_SECONDS = 0.02
HEAD = b"HTTP/1.1 "
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
HANDSHAKE = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"  # of TLS: a long record, a long message
MAIL = b"220-"


@pytest.fixture
def drips():
    """Return the port of a server that sends what is given to it and then a byte at a time."""
    listening, ending = socket.create_server(("127.0.0.1", 0)), threading.Event()
    threads = []

    def serve(first):
        with suppress(OSError), listening.accept()[0] as sock:
            sock.sendall(first)
            while not ending.wait(PAUSE_SECONDS):
                sock.sendall(b"x")

    def begin(first):
        threads.append(threading.Thread(target=serve, args=[first], daemon=True))
        threads[-1].start()
        return listening.getsockname()[1]

    yield begin
    ending.set()
    for each in threads:
        each.join(5)
    listening.close()


def told(monkeypatch, address):
    """Return what a message to an address comes to, within a third of a second."""
    monkeypatch.setattr(guarded, "LONGEST_SECONDS", 0.3)
    monkeypatch.setenv("LIVERMORE_NOTIFY_TEST", address)
    return tell(AlertChannel(name="phone", variable="LIVERMORE_NOTIFY_TEST"), "a")


@pytest.mark.parametrize(
    ("address", "first"),
    [
        ("json://127.0.0.1:{port}/hook", HEAD),
        ("json://127.0.0.1:{port}/hook", BODY),
        ("jsons://127.0.0.1:{port}/hook", HANDSHAKE),
        ("mailto://user:word@example.com:{port}/?smtp=127.0.0.1&mode=insecure", MAIL),
    ],
    ids=["head", "body", "handshake", "mail"],
)
def test_a_message_is_given_up_after_a_while(drips, monkeypatch, address, first):
    outcome = told(monkeypatch, address.format(port=drips(first)))
    assert outcome == (False, guarded.TOO_LONG, True)
