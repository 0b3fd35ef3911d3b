"""One WebSocket against a server that shares no code with it, or against bare bytes."""

import base64
import hashlib
import json
import re
import socket
import threading
import time
from contextlib import ExitStack, suppress
from itertools import pairwise

import pytest
import websocket
import websockets.sync.server
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from exchanges.errors import Unreachable
from exchanges.stream import connection as connection_module
from exchanges.stream.connection import BufferedWebSocket, Connection
from exchanges.stream.events import CandleUpdate, Clock, Refused
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from tests.exchanges.transport.attacks import (
    Attacker,
    handshake_attacks,
    slow_stream_attacks,
    stream_attacks,
)
from tests.exchanges.transport.victim import victim
from tests.exchanges.transport.wire import black_hole, certificate, lead

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


class Heard:
    """A script that confirms all it hears, remembers it, and says something now and then."""

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
    monkeypatch.setattr(connection_module, "RECEIVE_SECONDS", 0.02)


@pytest.fixture
def impatient(monkeypatch):
    """Let what takes half a minute take a fraction of a second."""
    monkeypatch.setattr(connection_module, "ACK_SECONDS", 0.15)
    monkeypatch.setattr(connection_module, "SILENCE_SECONDS", 0.4)
    monkeypatch.setattr(connection_module, "PONG_SECONDS", 0.3)
    monkeypatch.setattr(connection_module, "MESSAGE_SECONDS", 0.5)


# -- The socket


def serialized(payload, opcode=Opcode.TEXT, fin=True):
    return Frame(opcode, payload, fin).serialize(mask=False)


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


# -- Connecting


def test_a_frame_of_data_on_a_confirmed_subscription_opens_the_connection(serve, connect):
    go = threading.Event()

    def script(client):
        client.send(tick(1))  # before the answer: this is no proof
        message = client.recv()
        go.wait(WAIT_SECONDS)
        confirm(client, message)
        client.send(tick(2))
        confirm_all(client)

    connection = connect(serve(script))
    read_until(connection, lambda events: told(events) == [1])
    assert not connection.opened
    go.set()
    read_until(connection, lambda events: told(events) == [2])
    assert connection.opened


def test_a_redirect_is_not_followed(serve, serve_bytes, connect):
    elsewhere = Heard(tick(1))
    target = serve(elsewhere)
    reply = f"HTTP/1.1 302 Found\r\nLocation: {target}/stream\r\nContent-Length: 0\r\n\r\n"
    url = serve_bytes(lambda client: client.sendall(reply.encode()), upgrade=False)
    assert end_of(connect(url)).startswith("cannot connect: Redirect")
    assert elsewhere.messages == []


def test_a_public_name_that_leads_inside_is_not_connected_to(serve, connect, monkeypatch):
    heard = Heard(tick(1))
    port = serve(heard).rpartition(":")[2]
    lead(monkeypatch, "stream.exchange.example", "127.0.0.1")
    reason = end_of(connect(f"ws://stream.exchange.example:{port}"))
    said = "cannot connect: stream.exchange.example is not called: 127.0.0.1 is a private"
    assert reason.startswith(said)
    assert heard.messages == []


def test_a_listed_name_may_lead_inside_and_is_resolved_once(serve, connect, monkeypatch, settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["exchange.lan"]
    port = serve(Heard(tick(1))).rpartition(":")[2]
    asked = lead(monkeypatch, "exchange.lan", "127.0.0.1", "127.0.0.9")
    read_until(connect(f"ws://exchange.lan:{port}"), told)
    assert len(asked) == 1


@pytest.mark.parametrize("dead", [["::1"], ["127.0.0.2"], ["::1", "127.0.0.2"]])
def test_an_address_that_is_dead_is_waited_for_a_moment_and_once(
    serve, connect, monkeypatch, settings, dead
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [host := f"{len(dead)}.{dead[0][-1]}.lan"]
    lead(monkeypatch, host, (*dead, "127.0.0.1"))
    port = int(serve(Heard(tick(1))).rpartition(":")[2])
    with ExitStack() as holes:
        for address in dead:
            holes.enter_context(black_hole(address, port))
        for longest in (1.0, 0.3):
            begun = time.monotonic()
            read_until(connect(f"ws://{host}:{port}"), told)
            assert time.monotonic() - begun < longest


def test_an_encrypted_connection_wants_the_hosts_own_certificate(
    serve, connect, monkeypatch, settings, tmp_path
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["exchange.lan", "other.lan"]
    trusted, context = certificate(tmp_path, "exchange.lan")
    port = serve(Heard(tick(1)), ssl=context).rpartition(":")[2]
    for name in settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS:
        lead(monkeypatch, name, "127.0.0.1")
    assert "certificate" in end_of(connect(f"wss://exchange.lan:{port}"))
    settings.LIVERMORE_CA_FILE = str(trusted)
    read_until(connect(f"wss://exchange.lan:{port}"), told)
    assert "other.lan" in end_of(connect(f"wss://other.lan:{port}"))


@pytest.mark.parametrize("status", [200, 401, 403, 429, 451, 503])
def test_a_refusal_names_the_status(serve_bytes, connect, status):
    reply = f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode()
    reason = end_of(connect(serve_bytes(lambda client: client.sendall(reply), upgrade=False)))
    assert reason.startswith("cannot connect:")
    assert str(status) in reason


def test_where_nobody_listens_it_ends_at_once(connect):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    reason = end_of(connect(f"ws://127.0.0.1:{port}"))
    assert reason.startswith("cannot connect:")
    assert "refused" in reason


def test_a_server_that_accepts_and_says_nothing_is_left(serve_bytes, connect, monkeypatch):
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 0.1)
    url = serve_bytes(lambda client: client.recv(1), upgrade=False)
    assert "timed out" in end_of(connect(url))


@pytest.mark.parametrize("url", ["nonsense", "ws://", "http://127.0.0.1:1", "ws://[", "ws://a..b"])
def test_an_address_that_is_none_ends_it_with_a_reason(connect, url):
    assert end_of(connect(url)).startswith("cannot connect:")


@settings(max_examples=25, deadline=None)
@given(reply=st.binary(max_size=60).map(lambda rest: b"HTTP/1.1 " + rest) | st.binary(max_size=60))
def test_whatever_is_answered_it_ends_with_a_reason(reply):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        connection = Connection(BinanceStream(f"ws://127.0.0.1:{port}", {}), [])
        connection.start()
        client, _ = listening.accept()
        with client:
            request_key(client)
            with suppress(OSError):  # it may be gone before the last byte
                client.sendall(reply)
                client.shutdown(socket.SHUT_WR)
            assert end_of(connection)


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


def test_a_frame_that_stops_in_the_middle_goes_on_later(serve_bytes, connect, impatient):
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
    connection = connect(serve(Heard(tick(1))))
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


# -- Silence


def test_pings_alone_keep_a_quiet_connection(serve, connect, impatient):
    pings = []

    def script(client):
        confirm(client, client.recv())
        while True:
            pings.append(client.ping().wait(0.05))

    connection = connect(serve(script))
    began = time.monotonic()
    eventually(lambda: connection.read() or time.monotonic() > began + 2)
    assert not connection.ended.is_set()
    assert len(pings) > 10


def test_where_not_even_pings_come_it_pings_itself_and_stays_as_long_as_it_is_answered(
    serve_bytes, connect, impatient
):
    asked = []

    def script(client):
        while frame := client.recv(200):
            opcode = frame[0] & 0x0F
            if opcode == Opcode.PING:
                asked.append(time.monotonic())
                client.sendall(serialized(b"", Opcode.PONG))
            elif opcode == Opcode.CLOSE:
                return

    connection = connect(serve_bytes(script), topics=())
    eventually(lambda: len(asked) >= 4)
    assert all(0.4 <= later - earlier < 1.5 for earlier, later in pairwise(asked))
    assert not connection.ended.is_set()


def test_a_connection_without_a_sign_of_life_is_left(serve_bytes, connect, impatient):
    over = threading.Event()
    connection = connect(serve_bytes(lambda client: over.wait(WAIT_SECONDS)), topics=())
    assert end_of(connection).startswith("no sign of life for ")
    over.set()


def test_where_heartbeats_are_subscribed_silence_is_no_quiet(serve, impatient):
    def script(client):
        message = json.loads(client.recv())
        assert message["channel"] == "heartbeats"
        client.send(ACKNOWLEDGED)
        while True:
            client.ping().wait(0.05)

    connection = Connection(CoinbaseStream(serve(script), {"A-USD": "A-USD"}), ["candles:A-USD"])
    connection.start()
    eventually(lambda: [connection.read(), connection.ended.is_set()][1])
    assert connection.reason.startswith("no data for ")


def test_who_speaks_now_and_then_is_not_silent(serve, connect, impatient):
    def script(client):
        confirm(client, client.recv())
        for number in range(16):
            client.send(tick(number))
            time.sleep(0.05)  # an eighth of what would be silence; in all twice as long
        confirm_all(client)

    connection = connect(serve(script))
    read_until(connection, lambda events: told(events)[-1:] == [15])
    assert not connection.ended.is_set()


# -- Too much, and too slow

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
def test_a_message_that_does_not_end_is_no_sign_of_life(connect, impatient, name):
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
        honest = connect(serve(Heard(tick(1))))
        read_until(honest, lambda events: len(told(events)) > 50)
        assert not honest.ended.is_set()


def test_who_is_read_by_nobody_has_to_wait(serve, connect, monkeypatch):
    monkeypatch.setattr(connection_module, "MOST_WAITING_BYTES", 100_000)
    large = tick(1).replace('"s":"?"', '"s":"%s"' % ("?" * 50_000))

    def script(client):
        for _ in range(1000):
            client.send(large)
        client.send(tick(2))
        confirm_all(client)

    connection = connect(serve(script))
    eventually(lambda: connection.inbox.is_full)
    time.sleep(0.2)
    assert connection.inbox.received < 50
    assert not connection.ended.is_set()
    read_until(connection, lambda events: told(events)[-1:] == [2])


def test_who_takes_nothing_is_not_waited_for(pair, monkeypatch):
    monkeypatch.setattr(connection_module, "SEND_SECONDS", 0.3)
    client, _ = pair()
    with pytest.raises(Unreachable, match="the exchange took nothing"):
        client.send("x" * 10_000_000)


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


# -- Subscribing

MANY = [f"s{number:03d}usd@kline_1m" for number in range(150)]


def test_what_is_never_confirmed_is_singled_out_and_done_without(serve, connect, impatient):
    dead, asked = {MANY[7], MANY[120]}, []

    def script(client):
        while True:
            with suppress(TimeoutError):
                message = client.recv(timeout=0.05)
                asked.append(set(json.loads(message)["params"]))
                if not asked[-1] & dead:
                    confirm(client, message)
            client.send(tick(1))

    connection = connect(serve(script), MANY)
    eventually(lambda: connection.read() and connection.settled)
    assert connection.opened
    assert set(connection.given_up) == dead
    assert connection.missing() == set()
    assert [len(names) for names in asked[:2]] == [100, 50]
    assert sorted(map(list, asked[-2:])) == [[MANY[7]], [MANY[120]]]


def test_where_nothing_at_all_is_confirmed_the_connection_ends(serve, connect, impatient):
    def script(client):
        while True:
            with suppress(TimeoutError):
                client.recv(timeout=0.05)
            client.send(tick(1))

    connection = connect(serve(script), MANY)
    while not connection.ended.wait(0.005):
        connection.read()
    assert connection.reason == "150 subscriptions were never confirmed"


def test_who_confirms_late_is_not_left(serve, connect, impatient):
    asked = []

    def script(client):
        while True:
            with suppress(TimeoutError):
                message = client.recv(timeout=0.05)
                asked.append(message)
                if len(asked) > 1:
                    confirm(client, message)
            client.send(tick(1))

    connection = connect(serve(script))
    read_until(connection, lambda _: connection.opened)
    assert len(asked) == 2
    assert not connection.ended.wait(0.5)  # three times as long as an answer may take
    assert len(asked) == 2


def test_messages_keep_their_distance(serve, connect):
    heard = Heard()
    connect(serve(heard), [f"s{number}usd@kline_1m" for number in range(350)])
    eventually(lambda: len(heard.topics()) == 350)
    assert all(len(message["params"]) <= 100 for message in heard.messages)
    assert all(later - earlier > 0.2 for earlier, later in pairwise(heard.at))


def test_topics_come_and_go_without_touching_the_others(serve, connect):
    heard = Heard(tick(1))
    connection = connect(serve(heard), ["a@kline_1m", "b@kline_1m"])
    read_until(connection, lambda _: connection.opened)
    connection.add(["b@kline_1m", "c@kline_1m"])
    connection.remove(["a@kline_1m", "z@kline_1m"])
    eventually(lambda: len(heard.messages) == 3)
    read_until(connection, lambda _: not connection.session.unacknowledged())
    assert [(each["method"], each["params"]) for each in heard.messages[1:]] == [
        ("SUBSCRIBE", ["c@kline_1m"]),
        ("UNSUBSCRIBE", ["a@kline_1m"]),
    ]
    assert connection.topics == {"b@kline_1m", "c@kline_1m"}


def test_what_fell_silent_is_ended_and_asked_for_again(serve, connect):
    heard = Heard(tick(1))
    connection = connect(serve(heard), ["a@kline_1m", "b@kline_1m"])
    read_until(connection, lambda _: connection.opened)
    connection.again(["b@kline_1m", "z@kline_1m"])
    eventually(lambda: len(heard.messages) == 3)
    assert [(each["method"], each["params"]) for each in heard.messages[1:]] == [
        ("UNSUBSCRIBE", ["b@kline_1m"]),
        ("SUBSCRIBE", ["b@kline_1m"]),
    ]


def test_who_reads_late_gets_the_newest_state_of_an_open_bar(serve, connect):
    frame = {"stream": "btcusd@kline_1m", "data": {"e": "kline", "E": OPENED, "s": "BTCUSD"}}
    bar = {"t": OPENED, "i": "1m", "o": "1", "h": "9999", "l": "1", "c": "1", "x": False}

    def script(client):
        for volume in range(500):
            frame["data"]["k"] = {"t": OPENED, **bar, "v": str(volume)}
            client.send(json.dumps(frame, separators=(",", ":")))
        client.send(tick(1))
        confirm_all(client)

    url = serve(script)
    connection = Connection(BinanceStream(url, {"BTC-USD": "BTCUSD"}), ["btcusd@kline_1m"])
    connection.start()
    eventually(lambda: connection.inbox.received == 502)
    updates = [event for event in connection.read() if isinstance(event, CandleUpdate)]
    assert [update.candle.volume for update in updates] == [499.0]
    connection.close()
    end_of(connection)
