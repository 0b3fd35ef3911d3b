"""Proxies that lead there, and others."""

import pytest

from exchanges.rest.pacing.batch import BatchPacer
from exchanges.rest.pacing.host import host_of
from exchanges.sandbox.symbols import DEFAULT
from tests.exchanges.transport.proxy import Proxy
from tests.warmup.harness.conftest import (
    HALF_A_DAY_MS,
    WELL,
    failures,
    move,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.faults.told import lines
from tests.warmup.runners import MIDNIGHT_MS, serve
from warmup.harness.steps import names

pytestmark = pytest.mark.django_db

BY_PROXY = "LIVERMORE_PROXY_OF_THE_SANDBOX"


@pytest.fixture
def proxied(settings, tmp_path):
    """Serve a sandbox that has a proxy; return its row of a name, and it."""
    served = []

    def proxied(name, scheme="http", **options):
        if scheme == "https":
            settings.LIVERMORE_CA_FILE = options["tls_ca"] = str(tmp_path / "ca.pem")
        usual = {"start_ms": MIDNIGHT_MS - HALF_A_DAY_MS, "speed": 240, "listings": DEFAULT}
        served.append(serve(**usual, proxy_port=0, **options).start())
        proxy = f"{scheme}://127.0.0.1:{served[-1].proxy_port}"
        return move(row_of(served[-1], name), proxy=proxy), served[-1]

    yield proxied
    for each in served:
        each.stop()


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_all_is_well_through_a_proxy(redis, checked, proxied, name, scheme):
    row, sandbox = proxied(name, scheme)
    report = checked(row)
    assert results(report) == WELL | ({"tls": "PASS"} if scheme == "https" else {})
    assert f", by the proxy {row.proxy}" in step_of(report, "row").detail
    place = sandbox.url.rpartition("/")[2]
    way = f"{place} by the proxy {row.proxy}, which finds the address itself"
    assert step_of(report, "dns").detail == way


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxys_password_is_used_and_not_shown(checked, proxied, scheme, monkeypatch):
    row, sandbox = proxied("sandbox", scheme, proxy_login="ada:S3cret/@")
    step = step_of(checked(row), "dns")
    assert f"the proxy {row.proxy} wants a user name and password" in lines(step)
    monkeypatch.setenv(BY_PROXY, row.proxy.replace("://", "://ada:S3cret%2F%40@"))
    report = checked(move(row, proxy=BY_PROXY))
    assert results(report) == WELL
    shown = f"by the proxy {scheme}://127.0.0.1:{sandbox.proxy_port}, as {BY_PROXY} says"
    assert shown in step_of(report, "row").detail
    assert "S3cret" not in str(report.as_json())


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize(
    ("kind", "says"), [("proxy_refuse", "does not lead to"), ("proxy_silence", "gave no answer")]
)
def test_a_proxy_that_does_not_lead_there_fails_where_it_is_asked(
    checked, proxied, monkeypatch, scheme, kind, says
):
    monkeypatch.setattr(names, "PROXY_SECONDS", 0.5)
    row, sandbox = proxied("sandbox", scheme)
    sandbox.scenarios.add(kind, status=403)
    report = checked(row)
    assert failures(report) == ["dns"]
    assert f"the proxy {row.proxy} {says}" in lines(step_of(report, "dns"))
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"
    assert sandbox.requests.counts["binance.time"] == sandbox.streams["binance"].connects == 0


def test_a_proxy_that_leads_to_one_host_alone_leaves_the_other_to_be_tried(redis, checked, sandbox):
    port = int(sandbox.url.rpartition(":")[2])
    with Proxy("http", leads={"127.0.0.1": "127.0.0.1"}) as proxy:
        row = move(row_of(sandbox, "sandbox"), ws_url=f"ws://127.0.0.1:{port - 1}", proxy=proxy.url)
        report = checked(row)
    assert failures(report) == ["dns"]
    assert f"does not lead to 127.0.0.1:{port - 1} (HTTP" in lines(step_of(report, "dns"))
    assert (results(report)["warmup"], results(report)["subscription"]) == ("PASS", "SKIP")


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        (BY_PROXY, f"is in the variable {BY_PROXY}, which is not set | set it for this process"),
        ("http://ada:S3cret@127.0.0.1:1", "must not hold a user name or password"),
        ("socks5://127.0.0.1:1", "Write socks5h://"),
        ("127.0.0.1:1", "This is no proxy"),
        ("http://169.254.169.254:80", "no address that a proxy can have"),
    ],
)
def test_a_proxy_that_cannot_be_used_stops_all(row, checked, sandbox, proxy, says):
    report = checked(move(row, proxy=proxy))
    assert failures(report) == ["row"]
    assert says in lines(step_of(report, "row"))
    assert "S3cret" not in str(report.as_json())
    assert sandbox.requests.counts["binance.time"] == 0


def test_a_variable_that_holds_no_proxy_stops_all_without_being_shown(row, checked, monkeypatch):
    monkeypatch.setenv(BY_PROXY, "http://ada:S3cret@nowhere")
    report = checked(move(row, proxy=BY_PROXY))
    assert failures(report) == ["row"]
    assert BY_PROXY in lines(step_of(report, "row"))
    assert "S3cret" not in str(report.as_json())


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_is_noted_and_not_used(row, checked, monkeypatch, name):
    monkeypatch.setenv(name, "http://ada:S3cret@127.0.0.1:9")
    report = checked(row)
    assert results(report) == WELL
    note = step_of(report, "row").remedy
    assert note == f"{name} set, and not used: a proxy that is meant goes into the row"
    monkeypatch.setenv(BY_PROXY, "http://127.0.0.1:9")
    assert step_of(checked(move(row, proxy=BY_PROXY)), "row").remedy is None


def test_within_a_ban_the_proxy_is_asked_for_nothing(redis, checked, proxied):
    row, sandbox = proxied("sandbox", "socks5h")
    sandbox.scenarios.add("proxy_refuse")
    BatchPacer(redis, host_of(row.rest_url), 5, 0).ban(60)
    assert failures(checked(row)) == ["clock"]
