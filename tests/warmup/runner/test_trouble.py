"""Why an exchange can't be reached, as it is told while agents go on trying."""

import socket
import ssl
import time
from contextlib import contextmanager

import pytest

from exchanges.errors import Banned, Blocked, Unreachable
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from livermore.market import keys
from tests.fixtures.ports import free_port
from tests.warmup.network.browser.chromium import agent
from tests.warmup.network.operators import person
from tests.warmup.runners import make_row, running, serve, wait_until
from warmup.network.actions.base import Refused
from warmup.network.actions.exchange import Actions
from warmup.network.page.snapshot import read_network
from warmup.runner.runner import ExchangeRunner
from warmup.runner.trouble import Trouble, TroubleReport, words_for

pytestmark = pytest.mark.django_db(transaction=True)

WANTED = Exchange.Wanted.RUNNING


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


def told(redis, row):
    text = redis.get(keys.trouble(row.pk))
    return text and Trouble.from_json(text)


def card_of(redis, row):
    cards = read_network(redis, None)["cards"]
    return next(card for card in cards if card["exchangeId"] == row.pk)


@contextmanager
def silent_port():
    """Listen where no further connection is ever accepted, as behind a firewall that swallows."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        try:
            yield server.getsockname()[1]
        finally:
            for each in waiting:
                each.close()


def unsynced(**values):
    """Return a row that was never synced, and is wanted."""
    usual = {
        "venue": "binance",
        "ws_url": "ws://127.0.0.1:1",
        "wanted": WANTED,
        "listed_at": None,
        "pacing": "weight",
    }
    row, _ = Exchange.objects.update_or_create(name="sandbox", defaults=usual | values)
    row.symbols.all().delete()
    return row


@pytest.mark.parametrize("listed", [False, True], ids=["never synced", "synced"])
def test_a_refused_connection_is_told_within_seconds_and_tried_again_at_a_time(
    redis, sandbox, monkeypatch, listed
):
    row = make_row(sandbox, wanted=WANTED) if listed else unsynced()
    port = free_port()
    Exchange.objects.filter(pk=row.pk).update(rest_url=f"http://127.0.0.1:{port}")
    with agent(redis, monkeypatch):
        found = wait_until(lambda: told(redis, row), 5)
        assert f"127.0.0.1:{port} cannot be reached" in found.text
        assert "refused" in found.text and "curl" in found.remedy
        wait_until(lambda: (told(redis, row) or found).retry_at_ms, 30)
        card = card_of(redis, row)
        assert (card["state"], card["lines"]["trouble"]) == ("error", found.text)
        assert card["lines"]["tries"] == f"{socket.gethostname()} tries again"


def test_what_a_country_or_a_firewall_refuses_is_told(redis, sandbox, monkeypatch):
    row = make_row(sandbox, wanted=WANTED)
    sandbox.scenarios.add("rest_451")
    with agent(redis, monkeypatch):
        found = wait_until(lambda: told(redis, row), 10)
        assert "HTTP 451" in found.text and "a place that the exchange serves" in found.remedy


def test_a_firewalls_page_is_told_while_it_is_waited_out(redis, sandbox, monkeypatch):
    row = make_row(sandbox, wanted=WANTED)
    sandbox.scenarios.add("rest_403")
    with agent(redis, monkeypatch):
        found = wait_until(lambda: told(redis, row), 10)
        assert "HTTP 403" in found.text and "goes on by itself" in found.remedy


def test_a_firewall_that_swallows_packets_is_told_within_seconds(redis, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.CONNECT_SECONDS", 2)
    with silent_port() as port:
        row = unsynced(rest_url=f"http://127.0.0.1:{port}")
        begun = time.monotonic()
        with agent(redis, monkeypatch):
            found = wait_until(lambda: told(redis, row), 15)
            assert time.monotonic() - begun < 15
            assert "cannot be reached" in found.text
            Exchange.objects.update(wanted="stopped")
            wait_until(lambda: not told(redis, row), 30)


def test_a_proxy_that_leads_nowhere_is_told(redis, monkeypatch):
    row = unsynced(rest_url="https://api.example.com", proxy=f"http://127.0.0.1:{free_port()}")
    with agent(redis, monkeypatch):
        found = wait_until(lambda: told(redis, row), 10)
        assert "proxy" in found.text + found.remedy


def test_a_name_that_leads_nowhere_and_a_bad_certificate_have_their_own_remedies(redis):
    def raised_from(cause):
        error = Unreachable("x cannot be reached. Check this", "x cannot be reached")
        error.__cause__ = cause
        return words_for(error, Exchange(name="sandbox", rest_url="http://x"))

    text, remedy = raised_from(socket.gaierror(-2, "Name or service not known"))
    assert (text, "name server" in remedy) == ("x cannot be reached", True)
    assert "certificate" in raised_from(ssl.SSLCertVerificationError("self-signed"))[1]
    assert "curl" in raised_from(ConnectionRefusedError())[1]


def test_a_host_without_an_address_is_told_with_its_remedy(redis, monkeypatch):
    row = unsynced(rest_url="https://no-such-exchange.invalid")
    with agent(redis, monkeypatch):
        found = wait_until(lambda: told(redis, row), 15)
        assert "no-such-exchange.invalid" in found.text and "name server" in found.remedy
        assert "Errno" not in found.text and "online?" in found.remedy


def test_the_reason_goes_when_it_works_and_connect_has_synced_the_symbols(
    redis, sandbox, monkeypatch
):
    row = unsynced(rest_url=f"http://127.0.0.1:{free_port()}")
    with agent(redis, monkeypatch):
        wait_until(lambda: told(redis, row), 5)
        Exchange.objects.update(rest_url=sandbox.url, ws_url=sandbox.ws_url)
        Actions(redis, Exchange.objects.get(pk=row.pk), person(is_superuser=True)).connect()
        wait_until(lambda: read_status(redis, row.pk).state is State.ACTIVE, 30)
        assert told(redis, row) is None
        assert row.symbols.exists()


def test_of_two_agents_the_one_that_cannot_takes_nothing_from_the_one_that_can(redis, sandbox):
    row = make_row(sandbox)
    with running(redis, row) as one:
        one.wait_until_live()
        TroubleReport(redis, row).ended(Unreachable("no way"), 20)
        assert card_of(redis, row)["lines"]["trouble"] == ""


def test_a_runner_that_was_started_by_hand_tells_it_too(redis, sandbox):
    row = make_row(sandbox)
    sandbox.scenarios.add("rest_451")

    with pytest.raises(Blocked):
        ExchangeRunner(redis, row, ["BTC-USD"]).run()
    assert "451" in told(redis, row).text


def test_one_call_that_fails_beside_others_that_are_answered_is_no_trouble(redis, sandbox):
    row = make_row(sandbox)
    report = TroubleReport(redis, row)
    report._answered()
    report._failed(Unreachable("one of many"))
    assert told(redis, row) is None


def test_a_ban_says_that_it_goes_on_by_itself_and_until_when(redis):
    until_ms = 1_795_046_400_000
    row = Exchange(pk=9, name="x", rest_url="http://x")
    text, remedy = words_for(Banned("x", until_ms), row)
    assert text.startswith("x banned this address until 2026-11-19 00:00:00 UTC")
    assert remedy == "Livermore waits and goes on by itself"
    TroubleReport(redis, row).ended(Banned("x", until_ms), 5)
    assert told(redis, row).over_at_ms == until_ms


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"text":1}', b"\xff", b'"x"'])
def test_what_nobody_of_ours_wrote_is_none(redis, text):
    row = Exchange.objects.get(name="sandbox")
    redis.set(keys.trouble(row.pk), text)
    assert card_of(redis, row)["lines"]["trouble"] == ""


def test_symbols_are_synced_by_a_button_and_why_not_is_said(redis, sandbox):
    row = unsynced(rest_url=sandbox.url, wanted="stopped")
    actions = Actions(redis, row, person(is_superuser=True))
    assert "3 added" in actions.sync_symbols()
    assert row.symbols.count() == 3
    Exchange.objects.update(rest_url=f"http://127.0.0.1:{free_port()}")
    row.refresh_from_db()
    with pytest.raises(Refused, match=r"cannot be reached.*curl"):
        Actions(redis, row, person("bob", is_superuser=True)).sync_symbols()
