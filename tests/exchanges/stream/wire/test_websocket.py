"""Our end of a WebSocket: messages come whole, however they are cut; nothing waits."""

import socket
import struct
import threading

import pytest
import websockets.protocol
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from exchanges.errors import Unreachable
from exchanges.stream.wire import websocket as websocket_module
from exchanges.stream.wire.websocket import WebSocket, frame
from tests.exchanges.stream.connection.played import eventually, serialized

MOST = 2000


def received(client, enough):
    """Return the messages that come, once they fulfil a condition."""
    messages = []

    def is_enough():
        messages.extend(client.receive())
        return enough(messages) or client.fault

    eventually(is_enough)
    return messages


def read_by_server(octets):
    """Return the frames in what was sent, as a server reads them that shares no code with ours."""
    server = websockets.protocol.Protocol(websockets.protocol.SERVER)
    server.receive_data(octets)
    assert server.parser_exc is None
    return [(frame.opcode, bytes(frame.data)) for frame in server.events_received()]


@pytest.mark.parametrize("size", [0, 125, 126, 70_000, 3_900_000])
def test_a_message_of_any_size_comes_whole(pair, size):
    client, server = pair()
    payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    sent = serialized(payload) + serialized(b"next")
    threading.Thread(target=server.sendall, args=(sent,), daemon=True).start()
    assert received(client, lambda found: len(found) == 2) == [payload, b"next"]


def test_many_messages_in_one_piece_come_one_by_one(pair):
    client, server = pair()
    payloads = [b"%d" % number for number in range(1000)]
    server.sendall(b"".join(map(serialized, payloads)))
    assert client.receive() == payloads


def test_where_nothing_has_come_nothing_is_waited_for(pair):
    client, _ = pair()
    assert client.receive() == []
    assert client.fault is None


def test_what_came_behind_the_handshake_is_read_first(pair):
    client, server = pair(serialized(b"first") + serialized(b"second")[:3])
    assert client.receive() == [b"first"]
    server.sendall(serialized(b"second")[3:])
    assert client.receive() == [b"second"]


def test_fragments_are_put_together_around_a_ping(pair):
    client, server = pair()
    server.sendall(
        serialized(b"Liver", fin=False)
        + serialized(b"?", Opcode.PING)
        + serialized(b"mo", Opcode.CONT, fin=False)
        + serialized(b"re", Opcode.CONT)
    )
    assert client.receive() == [b"Livermore"]
    assert read_by_server(server.recv(100)) == [(Opcode.PONG, b"?")]
    assert client.controls == 1


def test_a_goodbye_is_answered_and_what_came_before_it_returned(pair):
    client, server = pair()
    goodbye = serialized((1008).to_bytes(2) + b"Too many requests", Opcode.CLOSE)
    server.sendall(serialized(b"last") + goodbye + serialized(b"beyond"))
    assert client.receive() == [b"last"]
    assert str(client.fault) == "the exchange closed the connection: 1008 against its rules"
    assert read_by_server(server.recv(100)) == [(Opcode.CLOSE, b"\x03\xe8")]


def test_what_is_cut_off_is_told_after_what_came_before(pair):
    client, server = pair()
    server.sendall(serialized(b"last") + serialized(b"half")[:4])
    server.close()
    assert received(client, lambda _: False) == [b"last"]
    assert str(client.fault) == "the exchange cut the connection"


def test_what_came_before_a_break_is_returned_where_a_ping_cannot_be_answered(pair):
    client, server = pair(serialized(b"first") + serialized(b"", Opcode.PING))
    payloads = [b"%d" % number * 50 for number in range(1000)]

    def send_and_go():
        with server:
            server.sendall(b"".join(map(serialized, payloads)))

    server.settimeout(None)
    going = threading.Thread(target=send_and_go)
    going.start()
    messages = received(client, lambda found: len(found) > 500)
    going.join()
    client.send("nobody takes this")
    messages += received(client, lambda _: False)
    assert messages == [b"first", *payloads]
    assert isinstance(client.fault, Unreachable)


def test_the_messages_around_a_ping_that_nobody_waits_for_come(pair):
    client, server = pair()
    server.sendall(serialized(b"one") + serialized(b"", Opcode.PING) + serialized(b"two"))
    server.close()
    assert received(client, lambda _: False) == [b"one", b"two"]
    assert str(client.fault) == "the exchange cut the connection"


def test_a_goodbye_that_cannot_be_answered_is_told_as_any_other(pair):
    client, server = pair()
    server.sendall(serialized(b"last") + serialized((1001).to_bytes(2), Opcode.CLOSE))
    server.close()
    assert client.receive() == [b"last"]
    assert str(client.fault) == "the exchange closed the connection: 1001 going away"


def test_what_came_behind_the_handshake_is_returned_where_the_rest_breaks_off():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()  # by a reset
        with ours:
            client = WebSocket(ours, serialized(b"first"))
            assert received(client, lambda _: False) == [b"first"]
            assert "reset by peer" in str(client.fault)


def test_who_can_be_sent_nothing_is_not_kept(pair):
    client, server = pair()
    server.close()
    client.send("nobody takes this")
    assert not client.is_sending
    since = client._taken_at
    client.check_sent(since + websocket_module.SEND_SECONDS - 0.1)
    with pytest.raises(Unreachable, match="Broken pipe"):
        client.check_sent(since + websocket_module.SEND_SECONDS + 0.1)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 4000, 65_535])
def test_a_server_reads_what_is_sent(pair, size):
    client, server = pair()
    text = ("0123456789abcdé" * (size // 15 + 1)).encode()[:size].decode(errors="ignore")
    client.send(text)
    client.ping()
    sent = b""
    while not (found := read_by_server(sent))[1:]:
        sent += server.recv(100_000)
    assert found == [(Opcode.TEXT, text.encode()), (Opcode.PING, b"")]


def test_no_two_frames_are_masked_alike():
    assert len({frame(1, b"the same") for _ in range(50)}) == 50


def filled(client):
    """Send until the server's end takes no more; return how many messages that were."""
    for number in range(1, 1000):
        client.send("x" * 60_000)
        if client.is_sending:
            return number
    raise AssertionError("it takes everything")


def test_what_is_not_taken_at_once_goes_out_in_order_once_it_is(pair):
    client, server = pair()
    count = filled(client)
    client.send("the end")
    sent = b""
    while len(found := read_by_server(sent)) < count + 1:
        client.flush()
        sent += server.recv(100_000)
    assert found[-1] == (Opcode.TEXT, b"the end")
    assert {payload for _, payload in found[:-1]} == {b"x" * 60_000}


def test_while_nothing_is_taken_only_the_newest_ping_is_kept_to_be_answered(pair):
    client, server = pair()
    count = filled(client)
    for number in range(1000):
        server.sendall(serialized(b"%d" % number, Opcode.PING))
        client.receive()
    sent = b""
    while len(found := read_by_server(sent)) < count + 1:
        client.flush()
        sent += server.recv(100_000)
    client.flush()
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(1)
    assert found[-1] == (Opcode.PONG, b"999")


def test_who_takes_nothing_is_not_waited_for(pair):
    client, _ = pair()
    filled(client)
    since = client._taken_at
    client.check_sent(since + websocket_module.SEND_SECONDS - 0.1)
    with pytest.raises(Unreachable, match="the exchange took nothing for 5 s"):
        client.check_sent(since + websocket_module.SEND_SECONDS + 0.1)


def test_a_message_that_no_exchange_takes_is_not_sent(pair):
    client, _ = pair()
    with pytest.raises(ValueError, match="no exchange takes one"):
        client.send("x" * 65_536)


# -- The same as another implementation reads

FRAMES = st.one_of(
    st.builds(
        lambda opcode, payload, fin: serialized(payload, opcode, fin),
        st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.CONT]),
        st.binary(max_size=20) | st.integers(120, 600).map(lambda size: b"x" * size),
        st.booleans(),
    ),
    st.builds(
        lambda opcode, payload: serialized(payload, opcode),
        st.sampled_from([Opcode.PING, Opcode.PONG]),
        st.binary(max_size=125),
    ),
)
# Heads that no server may send, or that are longer than is read.
BROKEN = st.one_of(
    st.binary(min_size=2, max_size=14),
    st.builds(lambda frame: bytes([frame[0] | 0x40, *frame[1:]]), FRAMES),
    st.builds(lambda frame: bytes([frame[0], frame[1] | 0x80, *frame[2:]]), FRAMES),
    st.just(serialized(b"x" * (MOST + 1))),
    st.just(b"\x89\x7e\x00\x7e" + bytes(126)),
    st.just(b"\x09\x01?"),
)
# Behind these: some tell what is wrong with a frame by its head, others once it is whole.
REST = bytes(2 * MOST)


def whole_messages(frames):
    """Return the messages in another one's frames, and the pings."""
    messages, pings, parts = [], [], []
    for each in frames:
        if each.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            parts.append(bytes(each.data))
            if each.fin:
                messages.append(b"".join(parts))
                parts = []
        elif each.opcode is Opcode.PING:
            pings.append(bytes(each.data))
    return messages, pings


def read_by_other(octets):
    """Return messages, pings, and whether it was ended, as `websockets` reads it."""
    other = websockets.protocol.Protocol(websockets.protocol.CLIENT, max_size=MOST)
    other.receive_data(octets)
    frames = [each for each in other.events_received() if isinstance(each, Frame)]
    is_closed = any(each.opcode is Opcode.CLOSE for each in frames)
    return *whole_messages(frames), is_closed or other.parser_exc is not None


def read_by_us(octets, sizes):
    """Return the same as we read it, in pieces of these sizes and the rest of single bytes."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client, messages, answers = WebSocket(ours), [], b""
        client._frames = websocket_module.Frames(MOST)
        while octets and client.fault is None:
            size = sizes.pop() if sizes else len(REST) if octets == REST else 1
            theirs.sendall(octets[:size])
            octets = octets[size:]
            messages += client.receive()
        ours.shutdown(socket.SHUT_WR)
        while part := theirs.recv(65_536):
            answers += part
    pongs = [payload for opcode, payload in read_by_server(answers) if opcode is Opcode.PONG]
    return messages, pongs, client.fault is not None


@settings(max_examples=300, deadline=None)
@given(
    frames=st.lists(FRAMES, max_size=8),
    last=st.just(b"")
    | st.just(serialized(b"\x03\xe8", Opcode.CLOSE))
    | BROKEN.map(lambda broken: broken + REST),
    sizes=st.lists(st.integers(1, 700), max_size=6),
)
def test_whatever_comes_is_read_as_another_implementation_reads_it(frames, last, sizes):
    octets = b"".join(frames) + last
    assert read_by_us(octets, sizes) == read_by_other(octets)


def test_a_stream_is_read_the_same_wherever_it_is_cut():
    octets = (
        serialized(b"one")
        + serialized(b"t", fin=False)
        + serialized(b"!", Opcode.PING)
        + serialized(b"wo", Opcode.CONT)
        + serialized(b"x" * 300)
        + serialized(b"", Opcode.BINARY)
    )
    expected = read_by_other(octets)
    assert expected == ([b"one", b"two", b"x" * 300, b""], [b"!"], False)
    for at in range(1, len(octets)):
        assert read_by_us(octets, [len(octets), at]) == expected
