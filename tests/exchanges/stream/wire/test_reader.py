"""One thread for many sockets: whatever befalls it, nobody waits for it in silence."""

import socket
import threading
from contextlib import ExitStack

import pytest

from exchanges.stream.wire import reader as reader_module
from exchanges.stream.wire.reader import READ, Reader
from tests.exchanges.stream.connection.played import eventually


class Ends:
    """An end of a socket that remembers what came and what ended it."""

    awaits = READ

    def __init__(self, sock, over=lambda: None):
        self.sock = sock
        self.received = b""
        self.ended, self.error = threading.Event(), None
        self._over = over

    def fileno(self):
        return self.sock.fileno()

    def ready(self, events):
        try:
            octets = self.sock.recv(100)
        except BlockingIOError:
            return
        if octets == b"!":
            raise ValueError(octets)
        self.received += octets

    def look(self, now):
        return now + 60

    def over(self, error):
        self.error = error
        self.ended.set()
        self._over()


@pytest.fixture
def ends():
    """Make what a reader reads, and the other end of each."""
    with ExitStack() as opened:

        def ends(**options):
            ours, theirs = map(opened.enter_context, socket.socketpair())
            ours.setblocking(False)
            return Ends(ours, **options), theirs

        yield ends


@pytest.fixture
def failing(monkeypatch):
    """Let a method of a class fail once, the next time it is called."""

    def failing(cls, name, error):
        method = getattr(cls, name)

        def fail(*args, **options):
            monkeypatch.setattr(cls, name, method)
            raise error

        monkeypatch.setattr(cls, name, fail)

    return failing


def is_read(readable, other):
    """Tell whether what is sent to it comes, from now on."""
    other.sendall(b"?")
    return bool(eventually(lambda: readable.received))


def lines(caplog, event):
    return [each for each in caplog.records if each.getMessage().startswith(event)]


def test_a_reader_that_dies_ends_what_it_read_and_says_so(ends, failing, caplog):
    reader, error = Reader(), OSError(9, "Bad file descriptor")
    some = [ends() for _ in range(3)]
    for readable, other in some:
        reader.add(readable)
        assert is_read(readable, other)
    failing(reader_module.Round, "run", error)
    reader.wake()
    for readable, _ in some:
        assert readable.ended.wait(5)
        assert readable.error is error
    (line,) = lines(caplog, "reader.died connections=3")
    assert (line.levelname, line.exc_info[1]) == ("ERROR", error)
    readable, other = ends()
    reader.add(readable)
    assert is_read(readable, other)


def test_what_is_added_while_it_dies_is_ended_or_read(ends, failing):
    reader = Reader()
    failing(reader_module.Round, "add", KeyError("what nobody expects"))
    some = [ends() for _ in range(20)]
    for readable, other in some:
        reader.add(readable)
        other.sendall(b"?")
    eventually(lambda: all(each.ended.is_set() or each.received for each, _ in some))
    assert any(each.ended.is_set() for each, _ in some)


@pytest.mark.parametrize(
    ("cls", "name", "error"),
    [
        (threading.Thread, "start", RuntimeError("can't start new thread")),
        (socket, "socketpair", OSError(24, "Too many open files")),
        (reader_module.selectors, "DefaultSelector", OSError(24, "Too many open files")),
    ],
)
def test_where_it_cannot_begin_it_says_so_and_begins_later(ends, failing, caplog, cls, name, error):
    (first, _), (second, other) = ends(), ends()
    reader = Reader()
    failing(cls, name, error)
    reader.add(first)
    assert first.ended.wait(5)
    assert first.error is error
    assert lines(caplog, "reader.")
    reader.add(second)
    assert is_read(second, other)


def test_one_that_cannot_even_be_ended_costs_no_other(ends, caplog):
    def fail():
        raise OSError(5, "Input/output error")

    reader = Reader()
    (first, its_other), (second, other) = ends(over=fail), ends()
    reader.add(first)
    reader.add(second)
    its_other.sendall(b"!")
    assert first.ended.wait(5)
    assert is_read(second, other)
    assert lines(caplog, "reader.not_ended")
