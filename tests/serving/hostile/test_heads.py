"""What is no request, or only half of one: a line for who sent it, and nothing for the others."""

import time
from contextlib import closing

import pytest
import requests
import websocket

from serving.transport import protocol
from tests.serving.conftest import FixedDirectory, say_streamed
from tests.serving.hostile.raw import answers, ask, connect, is_one_line, read_answer, request
from tests.serving.serving import served

PING = "/sandbox/api/v3/ping"
SECRET = b"lm_a-token-that-nobody-is-told"
HEAD = b"GET " + PING.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = b"GET /sandbox/api/v3/time HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# What is sent, and with which status its first answer comes.
HEADS = {
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "the same length twice": (HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "lengths in a list": (HEAD + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    "a signed length": (HEAD + b"Content-Length: +5\r\n\r\nhello", 400),
    "a length and chunks": (
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
    ),
    "an unknown coding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "two hosts": (HEAD + b"Host: 127.0.0.1\r\n\r\n", 400),
    "no host": (b"GET " + PING.encode() + b" HTTP/1.1\r\n\r\n", 400),
    "a header without a colon": (HEAD + b"Nonsense\r\n\r\n", 400),
    "a blank before a colon": (HEAD + b"X-Api : 1\r\n\r\n", 400),
    "a header that goes on": (HEAD + b"X-Api: 1\r\n  and more\r\n\r\n", 400),
    "NUL in a header": (HEAD + b"X-Api: a\x00b\r\n\r\n", 400),
    "a bare line feed": (HEAD + b"X-Api: a\nX-Other: b\r\n\r\n", 400),
    "a header too long": (HEAD + b"X-Api: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "headers without end": (HEAD + b"X-Api: 1\r\n" * 500 + b"\r\n", 400),
    "an address too long": (request(PING + "?symbols=" + "a" * 70_000), 414),
    "ten thousand symbols": (
        request(PING + "?symbols=%5B" + "%22BTCUSD%22%2C" * 10_000 + "%22ETHUSD%22%5D"), 414,
    ),
    "another version": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "an old version": (b"GET /\r\n\r\n", 400),
    "no words": (b"\x00\x01\x02\r\n\r\n", 400),
    "encryption": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60, 400),
    "a blank in the address": (b"GET " + PING.encode() + b" x HTTP/1.1\r\n\r\n", 400),
    "an address of no form": (request("http://[::1/"), 400),
    "a relative address": (request(PING[1:]), 400),
    "a tunnel": (request("example.org:443", method=b"CONNECT"), 404),
    "what there is": (request("*", method=b"OPTIONS"), 404),
    "another method": (request(PING, method=b"DELETE"), 405),
    "an order": (request("/sandbox/api/v3/order?symbol=BTCUSD", method=b"POST"), 401),
    "a signed order": (request("/sandbox/api/v3/order?signature=ab", method=b"POST"), 401),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_what_is_no_request_is_refused_in_a_line_and_logged_nowhere(url, caplog, name):
    sent, status = HEADS[name]
    sent = sent.replace(b"\r\nHost:", b"\r\nX-Token: " + SECRET + b"\r\nHost:", 1)
    found = answers(url, sent)
    assert found[0].status == status, found
    text = found[0].body.decode()
    assert is_one_line(text) and SECRET.decode() not in text
    assert len(found) == 1, found  # nothing was taken for another one
    assert found[0].headers["server"] == "livermore"
    assert [each for each in caplog.records if each.levelname != "DEBUG"] == []
    assert requests.get(url + PING, timeout=10).json() == {}


def test_no_answer_tells_what_the_server_is_made_of(redis):
    say_streamed(redis)
    with served(redis, directory=FixedDirectory(), most=2) as url:
        for path in (PING, "/nowhere", "/health/", "/v1/exchanges", "/v1/nowhere", "/metrics"):
            assert ask(url, path).headers["server"] == "livermore"
        events = f"{url}/v1/events?exchange=sandbox"
        socket = websocket.create_connection(url.replace("http", "ws") + "/sandbox/ws", timeout=10)
        with closing(socket), requests.get(events, stream=True, timeout=10) as told:
            assert socket.getheaders()["server"] == told.headers["Server"] == "livermore"
            crowded = ask(url, PING)
    assert (crowded.status, crowded.headers["server"]) == (503, "livermore")


def test_a_body_is_no_second_request(url):
    sent = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + request(PING)
    assert [each.body for each in answers(url, sent)] == [b"{}", b"{}"]


def test_requests_that_are_sent_at_once_are_answered_in_their_order(url):
    sent = b"".join(request(f"{PING}?{number}={number}") for number in range(200))
    with connect(url) as connection:
        connection.sendall(request("/sandbox/api/v3/time") + sent)
        with connection.makefile("rb") as stream:
            found = [read_answer(stream) for _ in range(201)]
    assert b"serverTime" in found[0].body
    assert {each.status for each in found[1:]} == {400}


def test_a_body_that_never_comes_holds_up_nobody(url):
    with connect(url) as connection, connection.makefile("rb") as stream:
        connection.sendall(HEAD + b"Content-Length: 1000000000000\r\n\r\n" + b"x" * 1000)
        assert read_answer(stream).status == 200


def test_half_a_request_is_not_waited_for_however_it_comes(redis, monkeypatch):
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.4)
    with served(redis, directory=FixedDirectory()) as url:
        silent, slow = connect(url), connect(url)
        began = time.monotonic()
        ended = False
        while not ended and time.monotonic() < began + 10:
            try:
                slow.sendall(b"G")
            except OSError:
                ended = True
            time.sleep(0.05)
        assert ended
        assert silent.recv(1) == b""
        assert requests.get(url + PING, timeout=10).status_code == 200
