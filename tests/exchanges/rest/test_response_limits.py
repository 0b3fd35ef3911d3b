"""Answers over REST that are too long or too slow, from bare sockets; memory as a child's own."""

import gzip
import json
import socket
import threading
import time
from contextlib import closing, suppress

import pytest

from exchanges import presets
from exchanges.errors import (
    BadPayload,
    Banned,
    Blocked,
    Excessive,
    Temporary,
    TurnedAway,
    Unreachable,
)
from exchanges.rest import response_limits
from exchanges.rest.client import RestClient
from exchanges.rest.pacing.batch import BatchPacer
from exchanges.rest.response_limits import ResponseLimits
from exchanges.venues import VENUES
from tests.exchanges.rest.test_client import Server
from tests.exchanges.transport.attacks import (
    BLOCK,
    LONG,
    OK,
    Attacker,
    rest_attacks,
    slow_attacks,
    then,
)
from tests.exchanges.transport.victim import NoPacer, victim

MOST_MEGABYTES = 100
SLOW, LENGTHY = slow_attacks(), rest_attacks()
# What an attack is known by before its body is read, or where its body says nothing.
TOLD_OTHERWISE = {
    "gzip in gzip": "Unreachable",
    "an error's page of 1.5 GB": "Unreachable",
    "an error's page of gzip": "BadPayload",
    "a firewall's page of 1.5 GB": "Blocked",
    "a redirect with 1.5 GB": "BadPayload",
    "a redirect with gzip of 1.5 GB": "BadPayload",
}


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 0.001)


@pytest.fixture
def connect():
    clients = []

    def connect(url, **limits):
        clients.append(RestClient(url, NoPacer(), workers=4, limits=ResponseLimits(**limits)))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def failure_of(client, path="/x", **options):
    with pytest.raises(Exception) as failure:  # which one is what the test asks
        client.get(path, **options)
    return failure.value


@pytest.mark.parametrize("kind", ["rest", "long"])
@pytest.mark.parametrize("name", LENGTHY)
def test_what_is_too_long_is_not_read_and_takes_no_memory(name, kind):
    with Attacker(LENGTHY[name]) as attacker:
        found = victim(kind, attacker.url)
    assert found["grew"] < MOST_MEGABYTES
    assert found["error"] == TOLD_OTHERWISE.get(name, "Excessive"), found
    assert found["text"].startswith(f"127.0.0.1:{attacker.port}")
    if found["error"] == "Excessive":
        assert found["text"].startswith(f"127.0.0.1:{attacker.port}/api/x: the answer ")
        assert found["calls"] == len(attacker.calls) == 1


@pytest.mark.parametrize("name", SLOW)
def test_what_comes_byte_by_byte_ends_with_the_time_of_the_call(connect, name):
    with Attacker(SLOW[name]) as attacker:
        client = connect(attacker.url, seconds=0.4)
        failure = failure_of(client, "/slow")
    assert isinstance(failure, Excessive)
    place = f"127.0.0.1:{attacker.port}/slow"
    assert str(failure) == f"{place}: the answer was not whole after 0.4 s, and was not read on"
    assert client.calls == 1


def test_the_limits_are_in_the_presets():
    for venue in VENUES.values():
        for preset in venue.presets:
            answers = presets.answer_limits(preset.name, venue.name)
            assert answers == (preset.answers or venue.answers)
            assert 10 <= answers.megabytes <= 99
            assert answers.seconds == 60
    assert presets.answer_limits("somebody's own", "binance") == ResponseLimits()


@pytest.mark.parametrize("size", [0, 1, 200, 1_900_000])
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_not_too_long_comes_whole_and_its_connection_serves_again(size, packed, connect):
    text = json.dumps({"a": "x" * size}).encode()
    headers = {"Content-Encoding": "gzip"} if packed else {}
    # Two members, one after the other, and what some servers fill up with.
    body = gzip.compress(text[:3]) + gzip.compress(text[3:]) + bytes(5) if packed else text
    with Server() as server:
        ports = set()
        begin = server.process_request
        server.process_request = lambda request, address: (
            ports.add(address),
            begin(request, address),
        )
        server.answer((200, headers, body))
        client = connect(server.url)
        assert [client.get("/x") for _ in range(3)] == 3 * [{"a": "x" * size}]
        assert client.get("/x", long=True) == {"a": "x" * size}
        server.shutdown()
    assert len(ports) == 1
    assert {headers["Accept-Encoding"] for _, headers in server.seen} == {"gzip"}


def test_a_listing_may_be_longer_than_other_answers(connect):
    with Server() as server:
        server.answer((200, {}, json.dumps("x" * 3_000_000).encode()))
        client = connect(server.url, megabytes=4)
        assert len(client.get("/x", long=True)) == 3_000_000
        assert "was longer than 2 MB" in str(failure_of(client))
        client = connect(server.url, megabytes=2)
        assert "was longer than 2 MB" in str(failure_of(client, long=True))
        server.shutdown()


def test_after_a_refused_answer_the_next_call_is_served(connect):
    calls = []

    def attack(client):
        calls.append(client)
        if len(calls) == 1:
            then(OK, LONG)(client)
        client.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    with Attacker(attack) as attacker:
        client = connect(attacker.url)
        assert isinstance(failure_of(client), Excessive)
        assert client.get("/x") == {}


@pytest.mark.parametrize("megabytes", [1, 2])
def test_the_beginning_of_a_long_page_still_says_what_it_is(connect, megabytes):
    page = b"<p>not available in your country</p>" + megabytes * BLOCK
    with Server() as server:
        server.answer((403, {}, page))
        assert isinstance(failure_of(connect(server.url)), Blocked)
        server.answer((403, {}, megabytes * BLOCK))
        assert isinstance(failure_of(connect(server.url)), TurnedAway)
        server.shutdown()


@pytest.mark.parametrize("told", [(418, Banned), (451, Blocked), (404, BadPayload)])
def test_a_status_counts_although_its_body_never_ends(redis, monkeypatch, told):
    monkeypatch.setattr(response_limits, "ERROR_SECONDS", 0.2)
    status, kind = told
    attack = then(
        b"HTTP/1.1 %d No\r\n" % status, LONG, b"<html>", go_on=lambda client: client.recv(1)
    )
    with Attacker(attack) as attacker:
        pacer = BatchPacer(redis, f"127.0.0.1:{attacker.port}", 10, 0)
        with closing(RestClient(attacker.url, pacer, workers=1)) as client:
            assert isinstance(failure_of(client), kind)


def test_a_cookie_is_not_kept(connect):
    with Server() as server:
        server.answer((200, {"Set-Cookie": "a=b"}, b"{}"))
        client = connect(server.url)
        client.get("/x")
        client.get("/x")
        server.shutdown()
    assert not any("Cookie" in headers for _, headers in server.seen)


def test_other_calls_go_on_meanwhile(connect):
    with Attacker(SLOW["a body, byte by byte"]) as attacker, Server() as server:
        slow, other = connect(attacker.url, seconds=2), connect(server.url)
        waiting = threading.Thread(target=failure_of, args=(slow,))
        waiting.start()
        while not attacker.calls:
            time.sleep(0.01)
        for _ in range(20):
            assert other.get("/x") == {"ok": True}
        assert waiting.is_alive()
        waiting.join()
        server.shutdown()


@pytest.mark.parametrize("seconds", [0.2, 5])
def test_a_name_server_that_says_nothing_is_not_waited_for(connect, monkeypatch, seconds):
    over, resolve = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host, *rest, **options):
        if host == "api.exchange.example":
            over.wait(20)
        return resolve(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("exchanges.rest.client.CONNECT_SECONDS", 0.3)
    failure = failure_of(connect("http://api.exchange.example", seconds=seconds))
    assert isinstance(failure, Excessive if seconds == 0.2 else Unreachable)
    over.set()


def test_a_handshake_of_tls_that_trickles_ends_in_time(connect, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=drip_at, args=(client,), daemon=True).start()

        def drip_at(client):
            with suppress(OSError), client:
                client.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 kB begins
                while True:
                    client.sendall(b"\x00")
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        client = connect(f"https://127.0.0.1:{listening.getsockname()[1]}")
        failure = failure_of(client)
        listening.shutdown(socket.SHUT_RDWR)
    assert isinstance(failure, Unreachable)
    assert "no answer in time" in str(failure)


def test_a_refused_answer_is_a_passing_failure():
    assert issubclass(Excessive, Temporary)
    assert not issubclass(Excessive, Unreachable)


def test_a_pause_without_reason_is_not_believed_for_ever(redis):
    headers = {
        "Date": "Mon, 01 Jan 0001 00:00:00 GMT",
        "Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT",
    }
    with Server() as server:
        server.answer((418, headers, b"{}"))
        pacer = BatchPacer(redis, server.host, 10, 0)
        with closing(RestClient(server.url, pacer, workers=1)) as client:
            failure = failure_of(client)
        server.shutdown()
    assert isinstance(failure, Banned)
    assert failure.until_ms / 1000 < time.time() + 8 * 86_400
