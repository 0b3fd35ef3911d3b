"""Connecting: addresses, certificates, refusals."""

import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.stream import connection as connection_module
from exchanges.stream.connection import Connection
from exchanges.stream.wire import reader as reader_module
from exchanges.venues.binance.stream import BinanceStream
from tests.exchanges.stream.connection.played import (
    WAIT_SECONDS,
    Received,
    confirm,
    confirm_all,
    end_of,
    read_until,
    request_key,
    tick,
    told,
)
from tests.exchanges.transport.wire import black_hole, certificate, lead


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
    elsewhere = Received(tick(1))
    target = serve(elsewhere)
    reply = f"HTTP/1.1 302 Found\r\nLocation: {target}/stream\r\nContent-Length: 0\r\n\r\n"
    url = serve_bytes(lambda client: client.sendall(reply.encode()), upgrade=False)
    assert end_of(connect(url)).startswith("cannot connect: Redirect")
    assert elsewhere.messages == []


def test_a_public_name_that_leads_inside_is_not_connected_to(serve, connect, monkeypatch):
    received = Received(tick(1))
    port = serve(received).rpartition(":")[2]
    lead(monkeypatch, "stream.exchange.example", "127.0.0.1")
    reason = end_of(connect(f"ws://stream.exchange.example:{port}"))
    said = "cannot connect: stream.exchange.example is not called: 127.0.0.1 is a private"
    assert reason.startswith(said)
    assert received.messages == []


def test_a_listed_name_may_lead_inside_and_is_resolved_once(serve, connect, monkeypatch, settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["exchange.lan"]
    port = serve(Received(tick(1))).rpartition(":")[2]
    asked = lead(monkeypatch, "exchange.lan", "127.0.0.1", "127.0.0.9")
    read_until(connect(f"ws://exchange.lan:{port}"), told)
    assert len(asked) == 1


@pytest.mark.parametrize("dead", [["::1"], ["127.0.0.2"], ["::1", "127.0.0.2"]])
def test_an_address_that_is_dead_is_waited_for_a_moment_and_once(
    serve, connect, monkeypatch, settings, dead
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [host := f"{len(dead)}.{dead[0][-1]}.lan"]
    lead(monkeypatch, host, (*dead, "127.0.0.1"))
    port = int(serve(Received(tick(1))).rpartition(":")[2])
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
    port = serve(Received(tick(1)), ssl=context).rpartition(":")[2]
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


def test_where_its_reader_dies_it_ends_and_the_next_one_is_read(serve, connect, monkeypatch):
    run = reader_module.Round.run

    def fail(round_):
        monkeypatch.setattr(reader_module.Round, "run", run)
        raise KeyError("what nobody expects")

    url = serve(Received(tick(1)))
    connection = connect(url)
    read_until(connection, told)
    monkeypatch.setattr(reader_module.Round, "run", fail)
    assert end_of(connection) == "a fault of ours, see the log"
    read_until(connect(url), told)
