"""What is said on an open connection, broken frames too."""

import threading
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from websockets.frames import Opcode

from exchanges.stream import connection as connection_module
from exchanges.stream.connection import Connection
from exchanges.stream.events import Refused
from exchanges.venues.binance.stream import BinanceStream
from tests.exchanges.stream.connection.played import (
    WAIT_SECONDS,
    Received,
    confirm,
    confirm_all,
    end_of,
    eventually,
    read_until,
    serialized,
    tick,
    told,
)

# -- Talking


def test_a_ping_is_answered_with_its_own_payload(serve, connect):
    answered = []

    def script(client):
        for payload in (b"", b"1770123456789", b"x" * 125):
            answered.append(client.ping(payload).wait(WAIT_SECONDS))
        confirm_all(client)

    connect(serve(script))
    eventually(lambda: answered == [True, True, True])


def test_frames_in_pieces_and_of_four_megabytes_are_read_as_any_other(serve, connect):
    large = tick(2).replace('"s":"?"', '"s":"%s"' % ("?" * 3_900_000))

    def script(client):
        client.send(iter([tick(1)[:10], tick(1)[10:30], tick(1)[30:]]))
        client.send(large)
        client.send(tick(3))
        confirm_all(client)

    connection = connect(serve(script))
    read_until(connection, lambda events: told(events) == [1, 2, 3])


def test_a_frame_that_stops_in_the_middle_goes_on_later(serve_bytes, connect, short_timeouts):
    sent = serialized(tick(1).encode()) + serialized(tick(2).encode())
    done = threading.Event()

    def script(client):
        for start in range(0, len(sent), 40):
            client.sendall(sent[start : start + 40])
            done.wait(0.03)  # longer than the client waits at a time
        done.wait(WAIT_SECONDS)

    connection = connect(serve_bytes(script), topics=())
    read_until(connection, lambda events: told(events) == [1, 2])
    done.set()


@pytest.mark.parametrize(
    ("code", "text", "told_as"),
    [
        (1008, "Too many requests", "1008 against its rules"),
        (1001, "", "1001 going away"),
        (1011, "keepalive ping timeout", "1011 fault of the server"),
        (4000, "Somebody's words", "4000"),
    ],
)
def test_a_goodbye_is_told_with_its_code_in_our_words(serve, connect, caplog, code, text, told_as):
    def script(client):
        client.recv()
        client.send(tick(1))
        client.close(code, text)

    connection = connect(serve(script))
    with caplog.at_level("DEBUG", logger="exchanges"):
        assert end_of(connection) == f"the exchange closed the connection: {told_as}"
    assert not text or any(text in line for line in caplog.messages)
    assert told(connection.read()) == [1]


@pytest.mark.parametrize(
    "last_words",
    [
        b"",
        serialized(b"", Opcode.CLOSE),
        serialized(tick(1).encode())[:20],
        b"\xff\xff\xff\xff",
        b"\x83\x00",  # an opcode that is none
        serialized(b"alone", Opcode.CONT),
        b"\x81\xff" + b"\xff" * 8,  # larger than the universe
    ],
)
def test_however_a_server_goes_the_connection_ends_with_a_reason(serve_bytes, connect, last_words):
    assert end_of(connect(serve_bytes(lambda client: client.sendall(last_words))))


def test_we_can_end_it_at_any_time(serve, connect):
    connection = connect(serve(Received(tick(1))))
    read_until(connection, told)
    connection.close()
    assert end_of(connection) == "closed by us"


def test_what_comes_is_told_in_order(serve, connect):
    def script(client):
        for number in range(2000):
            client.send(tick(number))
        confirm_all(client)

    connection = connect(serve(script))
    eventually(lambda: connection.inbox.received == 2001)  # the answer comes last
    assert told(connection.read()) == list(range(2000))
    assert connection.counted()["frames"] == 2001


# -- Broken frames


def test_broken_frames_are_counted_and_one_of_them_is_logged(serve, connect, caplog):
    def script(client):
        client.send(b"\xff\xfe not UTF-8", text=True)
        for _ in range(9):
            client.send('{"e":"kline","E":16')
        client.send(tick(1))
        confirm_all(client)

    connection = connect(serve(script))
    read_until(connection, told)
    assert connection.counted()["malformed"] == 10
    assert connection.counted()["malformed"] == 0
    (line,) = [each for each in caplog.messages if "connection.malformed" in each]
    assert "not UTF-8" in line
    assert not connection.ended.is_set()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ('{"stream":"btcusdt@kline_1m","data"', "not_json"),
        ('{"stream":"btcusdt@kline_1m"}', "missing_field"),
        ("7", "wrong_type"),
        ('{"stream":"x","data":{"e":"24hrMiniTicker","E":1}}', "bad_value"),
    ],
)
def test_why_a_frame_could_not_be_read_is_told_once(serve, connect, frame, reason):
    def script(client):
        confirm(client, client.recv())
        client.send(frame)
        confirm_all(client)

    connection = connect(serve(script))
    eventually(lambda: connection.read() or connection.malformed)
    assert connection.refused() == {reason: 1}
    assert connection.refused() == {}


def test_a_minute_after_a_broken_frame_the_next_one_is_logged(serve, connect, caplog, monkeypatch):
    over = threading.Event()

    def script(client):
        client.send("first")
        client.send("second")
        over.wait(WAIT_SECONDS)
        client.send("third")
        confirm_all(client)

    connection = connect(serve(script))
    eventually(lambda: connection.read() or connection.malformed == 2)
    monkeypatch.setattr(connection_module, "SECONDS_BETWEEN_COMPLAINTS", 0)
    over.set()
    eventually(lambda: connection.read() or connection.malformed == 3)
    lines = [each for each in caplog.messages if "connection.malformed" in each]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["first", "third"]


def test_a_refusal_is_told_and_logged(serve, connect, caplog):
    def script(client):
        client.recv()
        client.send('{"error":{"code":4,"msg":"Too many subscriptions"},"id":1}')
        confirm_all(client)

    connection = connect(serve(script))
    events = read_until(connection, lambda events: bool(events))
    assert events == [Refused("code 4: Too many subscriptions")]
    assert any("connection.refused" in each for each in caplog.messages)


# -- Pings of the exchange's own kind


class PingingStream(BinanceStream):
    """An exchange that wants to be pinged by a message, answered by a text that is no JSON."""

    limits = replace(BinanceStream.limits, ping_seconds=0.05, seconds_between_messages=0.1)

    def session(self, address=""):
        session = super().session(address)
        session.ping = lambda: "ping"
        return session


def test_pings_of_its_own_keep_the_pace_of_all_messages(serve):
    at = []

    def script(client):
        for message in client:
            at.append((time.monotonic(), message))
            if message != "ping":
                confirm(client, message)

    topics = [f"s{number}usd@kline_1m" for number in range(300)]
    connection = Connection(PingingStream(serve(script), {}), topics)
    connection.start()
    eventually(lambda: connection.read() or connection.settled)
    eventually(lambda: sum(message == "ping" for _, message in at) > 5)
    connection.close()
    connection.join(WAIT_SECONDS)
    assert all(later - before > 0.08 for (before, _), (later, _) in pairwise(at))
    assert sum(message != "ping" for _, message in at) == len(connection.session.subscribe(topics))


def test_a_session_learns_of_frames_that_could_not_be_read(serve, connect):
    def script(client):
        confirm(client, client.recv())
        client.send(tick(1))
        client.send("{")
        client.send(tick(2))
        confirm_all(client)

    connection, lost = connect(serve(script)), []
    connection.session.lost_frame = lost.append
    read_until(connection, lambda events: told(events) == [1, 2])
    assert lost == [b"{"]
    assert connection.has_lost()
    assert not connection.has_lost()


def test_a_session_learns_that_frames_may_be_missing_before_it_reads_what_came_after(
    serve, connect, monkeypatch
):
    monkeypatch.setattr(connection_module, "STALL_SECONDS", 0.3)
    go_on, happened = threading.Event(), []

    def script(client):
        confirm(client, client.recv())
        client.send(tick(1))
        go_on.wait(10)
        client.send(tick(2))
        confirm_all(client)

    connection = connect(serve(script))
    read_until(connection, lambda events: told(events) == [1])
    connection.session.lost_frame = happened.append
    parse = connection.session.parse
    connection.session.parse = lambda frame: happened.append("read") or parse(frame)
    time.sleep(0.4)  # the stall itself
    go_on.set()
    read_until(connection, lambda events: told(events) == [2])
    assert happened == [b"", "read"]
