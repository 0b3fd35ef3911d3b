"""What one client's WebSocket may send: real sockets, a real process."""

import contextlib
import subprocess
import sys

import pytest
import websocket

from livermore.running.children import answers
from tests.fixtures.ports import free_port
from tests.warmup.runners import ROOT, wait_until

SERVE = """
import logging, sys
logging.basicConfig(level="INFO", stream=sys.stdout)
from daphne.server import Server
from livermore.web.limits.requests import limit_daphne

async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
        return
    taken = 0
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        taken += 1
        text = str(taken) * (200_000 if message["text"] == "much" else 1)
        await send({"type": "websocket.send", "text": text})
    for _ in range(3):
        await send({"type": "websocket.send", "text": "who is gone"})
    logging.info("taken=%d", taken)

limit_daphne()
Server(application, [f"tcp:port={sys.argv[1]}:interface=127.0.0.1"]).run()
"""


def frame(opcode, payload=b"", is_last=True):
    """Return a frame of a browser's, whose mask changes nothing."""
    size = len(payload)
    head = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([(0x80 if is_last else 0) | opcode]) + head + b"\0\0\0\0" + payload


FLOODS = {
    "messages": frame(1, b'{"type":"seen","count":1}') * 100_000,
    "empty messages": frame(1) * 100_000,
    "empty fragments": frame(1, is_last=False) + frame(0, is_last=False) * 100_000,
    "pings": frame(9, b"a" * 125) * 30_000,
    "pongs": frame(10) * 100_000,
    "bytes": frame(1, b"x" * 60_000) * 60,
}


class Log:
    """What the server has said since this was made."""

    def __init__(self, path):
        self._path, self._from = path, path.stat().st_size

    def words(self):
        return self._path.read_bytes()[self._from :].decode()

    def taken(self):
        """Return how many messages it took of each client that is gone."""
        return [int(line.partition("taken=")[2]) for line in self.words().splitlines()
                if "taken=" in line]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the address of a server, and the file that it logs to."""
    found, log = free_port(), tmp_path_factory.mktemp("sockets") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(found)], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{found}/"))
        yield f"ws://127.0.0.1:{found}/", log
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def web(server):
    address, path = server
    return address, Log(path)


@pytest.mark.parametrize("what", FLOODS)
def test_who_floods_is_cut_off_before_it_is_read(web, what):
    address, log = web
    client = websocket.create_connection(address, timeout=20)
    with contextlib.suppress(ConnectionError):
        client.sock.sendall(FLOODS[what])
    wait_until(log.taken, seconds=8)
    assert log.taken()[0] <= 400
    words = log.words()
    assert words.count("socket.flooded address=127.0.0.1 ") == 1
    assert "Traceback" not in words


def test_who_sends_as_much_as_a_page_does_is_not(web):
    address, log = web
    client = websocket.create_connection(address, timeout=20)
    for number in range(200):
        client.send('{"type":"seen","count":1}')
        assert client.recv() == str(number + 1)
    client.close()
    wait_until(lambda: log.taken() == [200])
    assert "flooded" not in log.words()


def test_what_is_sent_may_be_longer_than_what_may_come(web):
    address, log = web
    client = websocket.create_connection(address, timeout=20)
    client.send("much")
    assert client.recv() == "1" * 200_000
    with pytest.raises((ConnectionError, websocket.WebSocketException)):
        client.send("x" * 70_000)
        while client.recv():
            pass
        raise ConnectionAbortedError  # it was closed in order
    wait_until(log.taken)  # else it may be told while another one is looked at
    assert "Traceback" not in log.words()
