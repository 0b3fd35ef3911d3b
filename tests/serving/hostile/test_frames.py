"""What no WebSocket client should send: a code that says so, and nothing for the others."""

import os
import struct

import orjson
import pytest

from serving.streams.hub import close_reason
from tests.serving.conftest import say_streamed
from tests.serving.hostile.raw import connect, request

UPGRADE = (
    b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
TEXT, BINARY, GOES_ON, CLOSE, PING, PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8A
FIN = 0x80
LIST = b'{"method":"LIST_SUBSCRIPTIONS","id":1}'
PROTOCOL, TEXT_FAULT, POLICY, TOO_BIG = 1002, 1007, 1008, 1009


def frame(first, payload, length=None, masked=True):
    """Return a frame; `length` is what it says of its own."""
    size = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65_536:
        head = bytes((first, bit | 126)) + struct.pack("!H", size)
    else:
        head = bytes((first, bit | 127)) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Socket:
    """An open WebSocket, of which frames are read as they come."""

    def __init__(self, url, path="/sandbox/ws"):
        self.connection = connect(url)
        self.connection.sendall(request(path, *UPGRADE))
        self._stream = self.connection.makefile("rb")
        self.status = int(self._stream.readline().split()[1])
        while self._stream.readline().strip():
            pass

    def send(self, *frames):
        self.connection.sendall(b"".join(frames))

    def read(self):
        """Return kind and content of the next frame, None where the connection has ended."""
        head = self._stream.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._stream.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._stream.read(8))
        return head[0], self._stream.read(size)

    def closing_code(self):
        """Return the code with which it ends, and see that the reason is one."""
        while found := self.read():
            if found[0] == CLOSE:
                found[1][2:].decode()
                return int.from_bytes(found[1][:2], "big")
        return None


@pytest.fixture
def opened(url, redis):
    say_streamed(redis)
    return lambda path="/sandbox/ws": Socket(url, path)


BROKEN = {
    "reserved bits": (frame(TEXT | 0x40, LIST), PROTOCOL),
    "more of them": (frame(TEXT | 0x30, LIST), PROTOCOL),
    "a kind that is none": (frame(FIN | 0x3, LIST), PROTOCOL),
    "a control kind that is none": (frame(FIN | 0xB, b""), PROTOCOL),
    "what goes on with nothing": (frame(GOES_ON, LIST), PROTOCOL),
    "a piece within a piece": (frame(0x1, b"{") + frame(TEXT, b"}"), PROTOCOL),
    "a ping in pieces": (frame(0x9, b"a"), PROTOCOL),
    "a ping too long": (frame(PING, b"a" * 126), PROTOCOL),
    "a closing code that is none": (frame(CLOSE, b"\x03\xed"), PROTOCOL),
    "a closing of one byte": (frame(CLOSE, b"\x03"), PROTOCOL),
    "a closing reason that is no text": (frame(CLOSE, b"\x03\xe8\xff"), TEXT_FAULT),
    "no UTF-8": (frame(TEXT, b'{"method":"\xff\xfe"}'), TEXT_FAULT),
    "half a character": (frame(TEXT, b'"\xed\xa0\x80"'), TEXT_FAULT),
    "too much": (frame(TEXT, b"a" * 5000), TOO_BIG),
    "more than there is": (frame(TEXT, b"", 2**40), TOO_BIG),
    "the most that can be said": (frame(TEXT, b"", 2**64 - 1), TOO_BIG),
    "too much in pieces": (
        frame(0x1, b"a" * 3000) + frame(0x0, b"a" * 3000) + frame(GOES_ON, b"a"), TOO_BIG,
    ),
    "many pings": (frame(PING, b"a") * 50, POLICY),
    "many pongs": (frame(PONG, b"a") * 50, POLICY),
    "many subscriptions": (
        frame(TEXT, b'{"method":"SUBSCRIBE","params":["btcusd@kline_1m"],"id":1}') * 2000, POLICY,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_protocol_ends_with_a_code(opened, no_fault, name):
    sent, code = BROKEN[name]
    other, socket = opened(), opened()
    socket.send(sent)
    assert socket.closing_code() == code
    other.send(frame(TEXT, LIST))
    assert other.read() == (TEXT, b'{"result":[],"id":1}')


TEXTS = [
    b"", b"{", b"null", b"1", b"[]", b'"SUBSCRIBE"', b"{}", b'{"id":1}', b"\x00", b"[" * 4000,
    b'{"method":' + b"[" * 1000 + b"]" * 1000 + b"}",
    b'{"a":' * 600 + b"1" + b"}" * 600,
    b'{"method":"SUBSCRIBE"}', b'{"method":"SUBSCRIBE","params":null}',
    b'{"method":"SUBSCRIBE","params":"btcusd@kline_1m"}', b'{"method":"SUBSCRIBE","params":[1]}',
    b'{"method":"SUBSCRIBE","params":[null]}', b'{"method":"SUBSCRIBE","params":[[]]}',
    b'{"method":"SUBSCRIBE","params":{}}', b'{"method":"SUBSCRIBE","params":[""]}',
    b'{"method":"SUBSCRIBE","params":["\\u0000"]}',
    b'{"method":"SUBSCRIBE","params":["\\n@ticker"]}',
    b'{"method":"SUBSCRIBE","params":["' + b"a" * 3000 + b'"]}',
    b'{"method":"SUBSCRIBE","params":["\xc4\xb0@ticker"]}',
    b'{"method":"SUBSCRIBE","params":["../@ticker"]}',
    b'{"method":"SUBSCRIBE","params":["btcusd@kline_1m\\n"]}',
    b'{"method":"SUBSCRIBE","params":["btcusd@depth"],"id":-1}',
    b'{"method":"SUBSCRIBE","params":["btcusd@ticker"],"id":1e309}',
    b'{"method":"SUBSCRIBE","params":["btcusd@ticker"],"id":99999999999999999999}',
    b'{"method":"SUBSCRIBE","params":["btcusd@ticker"],"id":1.5}',
    b'{"method":"SUBSCRIBE","params":["btcusd@ticker"],"id":[]}',
    b'{"method":"SUBSCRIBE","params":["btcusd@ticker"],"id":true}',
    b'{"method":"SUBSCRIBE","params":["btcusd@ticker"],"id":"' + b"a" * 3000 + b'"}',
    b'{"method":"LOGIN","params":["secret"]}', b'{"method":1}', b'{"method":{}}',
    b'{"method":"__class__"}', b'{"method":"subscribe","params":["btcusd@ticker"]}',
    b'{"method":"' + b"A" * 3000 + b'"}', b'{"method":"SET_PROPERTY"}',
    b'{"method":"SET_PROPERTY","params":["combined"]}',
    b'{"method":"SET_PROPERTY","params":["combined",1]}',
    b'{"method":"SET_PROPERTY","params":["other",true]}',
    b'{"method":"SET_PROPERTY","params":["combined",true,true]}',
    b'{"method":"GET_PROPERTY","params":[{}]}',
    b'{"method":"session.logon","params":{"apiKey":"a","signature":"b"}}',
]  # fmt: skip


def test_what_can_not_be_done_is_answered_so_and_nothing_ends(opened, no_fault):
    wrong = []
    for at in range(0, len(TEXTS), 4):  # five messages a second a connection may send
        socket = opened()
        for number, text in enumerate(TEXTS[at : at + 4]):
            socket.send(frame(TEXT if number % 2 else BINARY, text))
            kind, told = socket.read()
            content = orjson.loads(told) if kind == TEXT else {}
            refused = content.get("error", content)
            if not (isinstance(refused.get("code"), int) and len(told) < 600):
                wrong.append((text[:80], kind, told[:200]))
        socket.connection.close()
    assert wrong == []


PATHS = [
    "/sandbox/ws/%F0%9F%A6%84" * 20, "/sandbox/ws/nope@ticker",
    "/sandbox/ws/btcusd@kline_2h%00", "/sandbox/stream?streams=" + "a@ticker/" * 500,
    "/sandbox/stream?streams=btcusd@ticker/" + "x" * 3000, "/sandbox/ws/%2e%2e",
    "/sandbox/ws/" + "btcusd@kline_1w/" * 1100,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path)[:40])
def test_streams_that_there_are_not_end_a_socket_with_a_reason(opened, no_fault, path):
    socket = opened(path)
    assert (socket.status, socket.closing_code()) == (101, POLICY)


def test_a_reason_is_cut_between_characters():
    for text in ("é" * 100, "🦄" * 50, "a" + "é" * 100, "\udcff" * 200, "a" * 200):
        found = close_reason(text)
        assert 119 < len(found) <= 123
        found.decode()


HANDSHAKES = {
    "no key": UPGRADE[:3],
    "a short key": (*UPGRADE[:3], b"Sec-WebSocket-Key: abc"),
    "a key that is none": (*UPGRADE[:3], b"Sec-WebSocket-Key: \xff\xfe"),
    "an old version": (UPGRADE[0], UPGRADE[1], b"Sec-WebSocket-Version: 6", UPGRADE[3]),
    "a version that is none": (UPGRADE[0], UPGRADE[1], b"Sec-WebSocket-Version: x", UPGRADE[3]),
    "another protocol": (b"Upgrade: h2c", *UPGRADE[1:]),
    "no upgrade": (),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_is_none_is_refused(url, redis, no_fault, name):
    from tests.serving.hostile.raw import ask, is_one_line

    say_streamed(redis)
    found = ask(url, "/sandbox/ws", *HANDSHAKES[name])
    assert found.status in (400, 426), found
    assert is_one_line(found.body.decode())
    assert found.body.startswith(b'{"code":-')


def test_frames_without_a_mask_change_nothing(opened, no_fault):
    socket = opened()
    socket.send(frame(TEXT, LIST, masked=False))
    assert socket.read() in ((TEXT, b'{"result":[],"id":1}'), (CLOSE, b"\x03\xea"))


def test_a_message_in_pieces_is_one(opened, no_fault):
    socket = opened()
    pieces = [frame(0x1, LIST[:1]), *(frame(0x0, LIST[at : at + 1]) for at in range(1, len(LIST)))]
    socket.send(*pieces, frame(PING, b"within"), frame(GOES_ON, b""))
    found = [socket.read(), socket.read()]
    assert (TEXT, b'{"result":[],"id":1}') in found
    assert (PONG, b"within") in found


def test_who_asks_for_the_head_of_a_socket_alone_gets_no_socket(url, redis, no_fault):
    say_streamed(redis)
    with connect(url) as connection:
        connection.sendall(request("/sandbox/ws", *UPGRADE, method=b"HEAD"))
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 405 ")
