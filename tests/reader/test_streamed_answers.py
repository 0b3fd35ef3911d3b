"""An answer that doesn't end, over a real socket and cut anywhere."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livermore_reader import Unavailable
from livermore_reader.sources.http.client import HttpAddress
from livermore_reader.sources.http.server_sent import Block, Blocks, Chunks
from livermore_reader.sources.http.stream import HttpStream

BODY = (
    b'retry: 3000\nid: 1-0\n\nid: 1-1\nevent: close\ndata: {"a":\ndata: "\xc3\xa9"}\n\n: alive\n\n'
)
BLOCKS = [Block("1-0", "", ""), Block("1-1", "close", '{"a":\n"é"}'), Block(None, "", "")]
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(parts):
    return b"".join(b"%x;of=no use\r\n%s\r\n" % (len(part), part) for part in parts if part)


def cut(data, places):
    places = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.lists(st.integers(0, 200)), st.lists(st.integers(0, 400)))
def test_it_is_read_alike_however_it_is_cut(in_chunks, on_the_way):
    chunks, blocks = Chunks(), Blocks()
    sent = chunked(cut(BODY, in_chunks)) + b"0\r\n\r\n"
    found = [block for part in cut(sent, on_the_way) for block in blocks.feed(chunks.feed(part))]
    assert found == BLOCKS
    assert chunks.is_over


@pytest.fixture
def done():
    return threading.Event()


@pytest.fixture
def answered(done):
    """Return an address at which this is answered, by a connection that stays open."""
    threads = []

    def answer(data):
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            connection, _ = server.accept()
            with server, connection:
                connection.recv(65_536)
                connection.sendall(data)
                done.wait(10)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return HttpAddress.parse(f"http://127.0.0.1:{server.getsockname()[1]}")

    yield answer
    done.set()
    for thread in threads:
        thread.join(10)


def test_it_ends_with_its_last_chunk_though_the_connection_stays(answered):
    stream = HttpStream(answered(HEAD + chunked([BODY]) + b"0\r\n\r\n"), "/", {})
    assert stream.receive(5) == BODY
    assert stream.receive(5) == b""


def test_nothing_is_lost_by_waiting_in_vain(answered, done):
    stream = HttpStream(answered(HEAD + chunked([BODY])), "/", {})
    assert stream.receive(5) == BODY
    assert stream.receive(0.01) is None
    done.set()
    assert stream.receive(5) == b""


def test_what_is_no_chunk_is_told(answered):
    stream = HttpStream(answered(HEAD + b"no chunk\r\n"), "/", {})
    with pytest.raises(Unavailable, match="can't be read"):
        stream.receive(5)
