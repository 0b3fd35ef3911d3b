"""Which way is taken to a host, and what is said where it is none."""

import socket

import pytest
from django.conf import settings as django_settings

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import Misled
from exchanges.models import Exchange
from exchanges.stream.connection import Connection
from exchanges.transport import happy_eyeballs as families
from exchanges.transport.dialing import DIRECTLY, Route
from tests.exchanges.rest.test_client import Server
from tests.exchanges.transport.wire import certificate, lead

REST, STREAM = "api.exchange.example", "stream.exchange.example"
LISTED = ["127.0.0.1", "Box.Lan"]
WAIT_SECONDS = 10
LINE = f"Set LIVERMORE_PRIVATE_EXCHANGE_HOSTS=127.0.0.1,Box.Lan,{REST},{STREAM}"


@pytest.fixture(autouse=True)
def quick(monkeypatch, settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [*LISTED]
    monkeypatch.setattr("exchanges.rest.client.ATTEMPTS", 1)


@pytest.fixture(params=["binance", "coinbase"])
def row(request):
    return Exchange(
        id=7,
        name="far",
        venue=request.param,
        rest_url=f"https://{REST}/base",
        ws_url=f"wss://{STREAM}:9443",
        batch_delay_ms=0,
    )


def error_of_rest(redis, row):
    rest = ExchangeAdapterFactory(redis).rest(row)
    with pytest.raises(Misled) as failure:
        rest.server_time_ms()
    rest.close()
    return str(failure.value)


def error_of_stream(redis, row):
    stream = ExchangeAdapterFactory(redis).stream(row)
    connection = Connection(stream, stream.topics(()))
    connection.start()
    assert connection.ended.wait(WAIT_SECONDS)
    return connection.reason.removeprefix("cannot connect: ")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("addresses", "network"),
    [
        (("198.18.0.7", "198.18.0.8"), "198.18.0.0/15"),
        (("198.19.255.254", "198.18.0.1"), "198.18.0.0/15"),
        ((("fc00::7", "198.18.0.7"), "198.18.0.8"), "198.18.0.0/15"),
        ((("93.184.215.14", "198.18.0.7"), ("198.18.0.8", "93.184.215.14")), "198.18.0.0/15"),
        (("::ffff:198.18.0.7", "64:ff9b::198.18.0.8"), "198.18.0.0/15"),
        (("fc00::7", "fc00::8"), "fc00::/18"),
    ],
)
def test_fake_addresses_are_told_once_and_for_all_hosts_of_the_row(
    redis, row, monkeypatch, addresses, network
):
    for host, led in zip((REST, STREAM), addresses, strict=True):
        lead(monkeypatch, host, led)
    said = {error_of_rest(redis, row), error_of_stream(redis, row)}
    [text] = said
    assert text.startswith(f"{REST} and {STREAM} are not called: ")
    assert network in text
    assert "Clash" in text
    assert LINE in text
    assert "\n" not in text


@pytest.mark.django_db
def test_the_line_that_is_told_is_what_helps(redis, row, monkeypatch, settings):
    for host in (REST, STREAM):
        lead(monkeypatch, host, "198.18.0.7")
    line = error_of_rest(redis, row).partition("LIVERMORE_PRIVATE_EXCHANGE_HOSTS=")[2]
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = line.split(" ")[0].split(",")
    connected = []

    def connect(host, port, addresses, seconds):
        connected.append((host, *addresses))
        raise ConnectionRefusedError

    monkeypatch.setattr("exchanges.transport.dialing.connect_to_first", connect)
    with pytest.raises(Exception, match="cannot be reached"):
        ExchangeAdapterFactory(redis).rest(row).server_time_ms()
    error_of_stream(redis, row)
    assert connected == [(REST, "198.18.0.7"), (STREAM, "198.18.0.7")]
    assert set(LISTED) < set(django_settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ws_url", "named"),
    [
        (f"wss://{REST}:9443", [REST]),
        ("ws://127.0.0.1:8899", [REST]),
        ("wss://box.lan", [REST]),
        ("wss://93.184.215.14", [REST]),
        (f"wss://{STREAM}", [REST, STREAM]),
    ],
)
def test_hosts_that_need_no_listing_are_not_named(redis, row, monkeypatch, ws_url, named):
    row.ws_url = ws_url
    lead(monkeypatch, REST, "198.18.0.7")
    text = error_of_rest(redis, row)
    verb = "are" if len(named) > 1 else "is"
    assert text.startswith(f"{' and '.join(named)} {verb} not called: ")
    assert f"LIVERMORE_PRIVATE_EXCHANGE_HOSTS={','.join(LISTED + named)} " in text


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["10.0.0.1", "198.17.255.255", "198.20.0.1", "fc01::1"])
def test_other_addresses_are_nobodys_fakes(redis, row, monkeypatch, address):
    monkeypatch.setattr("exchanges.transport.dialing.connect_to_first", lambda *_: 1 / 0)
    lead(monkeypatch, REST, address)
    with pytest.raises((Misled, ZeroDivisionError)) as failure:
        ExchangeAdapterFactory(redis).rest(row).server_time_ms()
    assert "Clash" not in str(failure.value)


@pytest.mark.django_db
def test_an_address_that_is_written_so_is_no_fake(redis, row):
    row.rest_url = "https://198.18.0.7"
    assert error_of_rest(redis, row).startswith("198.18.0.7 is not called: it is a private")


@pytest.mark.django_db
def test_an_address_that_is_none_says_so_when_it_is_connected_to(redis, row):
    row.ws_url = "wss://["
    ExchangeAdapterFactory(redis).rest(row).close()
    assert "Invalid IPv6 URL" in error_of_stream(redis, row)


def test_a_family_that_shakes_no_hands_comes_last_from_then_on(monkeypatch, settings, tmp_path):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["exchange.lan"]
    trusted, context = certificate(tmp_path, "exchange.lan")
    settings.LIVERMORE_CA_FILE = str(trusted)
    lead(monkeypatch, "exchange.lan", ("::1", "127.0.0.1"))
    monkeypatch.setattr(families, "_pasts", {})
    with Server() as server:
        port = server.server_port
        server.socket = context.wrap_socket(server.socket, server_side=True)
        # It takes connections, and what is larger than a handshake of TCP gets lost.
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            with pytest.raises(TimeoutError):
                DIRECTLY.open("exchange.lan", port, 0.3, encrypted=True)
            for _ in range(2):
                with DIRECTLY.open("exchange.lan", port, 0.3, encrypted=True) as wire:
                    assert wire.getpeername()[0] == "127.0.0.1"
        server.shutdown()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "0177.0.0.1", "here.example"]
)
def test_only_the_port_that_is_listed_is_connected_to(monkeypatch, settings, host):
    lead(monkeypatch, "here.example", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as ours, socket.create_server(("", 0)) as other:
        listed, port = ours.getsockname()[1], other.getsockname()[1]
        settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [f"127.0.0.1:{listed}"]
        Route().dial("127.0.0.1", listed, 5).close()
        with pytest.raises(Misled):
            Route().dial(host, port, 5)
        with pytest.raises(Misled):
            Route("http://127.0.0.1:1").dial("127.0.0.1", port, 5)
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()
