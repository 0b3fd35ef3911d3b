"""Names, the addresses that they lead to, and encryption."""

import socket

import pytest

from exchanges.sandbox.symbols import DEFAULT
from tests.exchanges.transport.wire import lead
from tests.warmup.harness.conftest import (
    HALF_A_DAY_MS,
    WELL,
    failures,
    move,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.faults.told import PORT_OF_NOBODY, lines
from tests.warmup.harness.tls import TlsFront
from tests.warmup.runners import MIDNIGHT_MS, serve

pytestmark = pytest.mark.django_db


def answering(monkeypatch, name, *addresses):
    """Let a name server answer for `name`."""
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host != name:
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_name_without_an_address_stops_what_needs_it(row, checked):
    report = checked(move(row, rest_url="https://api.exchange.invalid"))
    assert failures(report) == ["dns"]
    assert "api.exchange.invalid has no address" in lines(step_of(report, "dns"))
    assert results(report)["clock"] == "SKIP"
    assert results(report)["subscription"] == "PASS"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "10.1.2.3", "64:ff9b::a00:1"])
def test_a_name_that_leads_inside_is_refused(row, checked, monkeypatch, address):
    answering(monkeypatch, "api.example.com", "93.184.215.14", address)
    row = move(row, rest_url="https://api.example.com", ws_url="wss://api.example.com")
    report = checked(row)
    assert failures(report) == ["dns"]
    assert f"api.example.com is not called: {address} is a private" in lines(step_of(report, "dns"))
    assert results(report)["subscription"] == results(report)["clock"] == "SKIP"


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_fake_addresses_are_told_in_one_message_with_the_line_to_set(
    sandbox, checked, monkeypatch, name
):
    hosts = ["api.exchange.example", "stream.exchange.example"]
    for number, host in enumerate(hosts):
        lead(monkeypatch, host, f"198.18.0.{number}")
    row = move(row_of(sandbox, name), rest_url=f"https://{hosts[0]}", ws_url=f"wss://{hosts[1]}")
    report = checked(row)
    assert failures(report) == ["dns"]
    step = step_of(report, "dns")
    assert step.detail.startswith(f"{' and '.join(hosts)} are not called: they lead into 198.18")
    assert step.remedy.startswith(
        f"Set LIVERMORE_PRIVATE_EXCHANGE_HOSTS=127.0.0.1,{','.join(hosts)} "
    )
    assert lines(step).count("198.18") == lines(step).count("LIVERMORE_") == 1
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"


def test_a_private_name_that_is_listed_may_lead_inside(
    sandbox, row, checked, monkeypatch, settings
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["Sandbox.lan"]
    answering(monkeypatch, "sandbox.lan", "127.0.0.1")
    port = sandbox.url.rpartition(":")[2]
    row = move(row, rest_url=f"http://sandbox.lan:{port}", ws_url=f"ws://sandbox.lan:{port}")
    report = checked(row)
    assert results(report) == WELL
    assert step_of(report, "dns").detail == "sandbox.lan is 127.0.0.1"


@pytest.fixture
def lan(monkeypatch, settings):
    """Move a row's hosts to a name that leads to these addresses."""

    def lan(row, *addresses):
        settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["sandbox.lan"]
        lead(monkeypatch, "sandbox.lan", addresses)
        there = [url.replace("127.0.0.1", "sandbox.lan") for url in (row.rest_url, row.ws_url)]
        return move(row, rest_url=there[0], ws_url=there[1])

    return lan


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_dead_family_is_named_and_costs_next_to_nothing(checked, lan, name):
    with serve(
        start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, speed=240, listings=DEFAULT, dead_ipv6=True
    ) as sandbox:
        report = checked(lan(row_of(sandbox, name), "::1", "127.0.0.1"))
    step = step_of(report, "dns")
    assert results(report) == WELL
    says = "sandbox.lan is ::1, 127.0.0.1, IPv4 won, IPv6 is dead (timed out)"
    assert step.detail == says
    assert "IPv6 leads nowhere from here" in step.remedy
    assert all(other.seconds < 1 for other in report.steps if other.name in ("clock", "symbol"))


def test_a_family_that_refuses_is_named_too(row, checked, lan):
    step = step_of(checked(lan(row, "127.0.0.1", "::1")), "dns")
    assert "IPv4 won, IPv6 is dead (Connection refused)" in step.detail


def test_two_families_that_answer_need_no_note(sandbox, row, checked, lan):
    port = int(sandbox.url.rpartition(":")[2])
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        step = step_of(checked(lan(row, "127.0.0.1", "::1")), "dns")
    assert step.detail == "sandbox.lan is 127.0.0.1, ::1, IPv4 won, the other answers too"
    assert step.remedy is None


@pytest.fixture(scope="module")
def front(shared, tmp_path_factory):
    with TlsFront(shared.url, tmp_path_factory.mktemp("tls")) as front:
        yield front


@pytest.fixture
def encrypted(row, front):
    return move(row, rest_url=front.rest_url, ws_url=front.ws_url)


@pytest.fixture
def trusted(front, settings):
    settings.LIVERMORE_CA_FILE = front.certificate


def test_all_is_well_through_encryption(encrypted, trusted, checked):
    report = checked(encrypted)
    assert results(report) == WELL | {"tls": "PASS"}, report.as_json()


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_ca_of_ones_own_is_believed_where_it_is_named(checked, settings, tmp_path, name):
    settings.LIVERMORE_CA_FILE = ca = str(tmp_path / "ca.pem")
    with serve(
        start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, speed=240, listings=DEFAULT, tls_ca=ca
    ) as sandbox:
        row = row_of(sandbox, name)
        report = checked(row)
        assert results(report) == WELL | {"tls": "PASS"}, report.as_json()
        assert f"believed: LIVERMORE_CA_FILE ({ca})" in step_of(report, "tls").detail
        settings.LIVERMORE_CA_FILE = ""
        assert "goes into LIVERMORE_CA_FILE" in lines(step_of(checked(row), "tls"))


def test_a_file_of_certificates_that_is_none_is_told_once(encrypted, checked, settings):
    settings.LIVERMORE_CA_FILE = "/nonexistent.pem"
    report = checked(encrypted)
    assert failures(report) == ["tls"]
    text = lines(step_of(report, "tls"))
    assert text.startswith("LIVERMORE_CA_FILE names /nonexistent.pem, which can't be read")
    assert text.count("/nonexistent.pem") == 1
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"


def test_a_certificate_that_nobody_vouches_for_stops_both(encrypted, checked):
    report = checked(encrypted)
    assert failures(report) == ["tls"]
    text = lines(step_of(report, "tls"))
    assert text.count("certificate verify failed") == 2
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"


def test_a_plain_server_behind_an_encrypted_address_is_told(sandbox, row, checked):
    row = move(row, ws_url=sandbox.ws_url.replace("ws:", "wss:"))
    report = checked(row)
    assert failures(report) == ["tls"]
    assert "WebSocket: cannot connect" in lines(step_of(report, "tls"))
    assert results(report)["warmup"] == "PASS"


def test_encryption_is_not_blamed_for_what_is_said_through_it(encrypted, trusted, checked, sandbox):
    sandbox.faults.add("status", status=451)
    sandbox.scenarios.add("refuse")
    report = checked(encrypted)
    assert failures(report) == ["clock", "subscription"]
    assert results(report)["tls"] == "PASS"


def test_who_bans_us_while_encryption_is_tried_gets_no_websocket(
    encrypted, trusted, checked, sandbox
):
    sandbox.faults.add("status", status=418, retry_after=60)
    assert failures(checked(encrypted)) == ["clock"]
    assert sandbox.streams["binance"].connects == 0


def test_where_nothing_answers_encryption_is_not_praised(row, checked):
    address = f"https://127.0.0.1:{PORT_OF_NOBODY}"
    report = checked(move(row, rest_url=address))
    assert failures(report) == ["tls"]
    assert "Connection refused" in lines(step_of(report, "tls"))
