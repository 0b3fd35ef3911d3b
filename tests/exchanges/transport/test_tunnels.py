"""REST and WebSockets through real proxies to real servers; only names lead where a test says."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import websockets.sync.server
from websockets.exceptions import ConnectionClosed

from exchanges.errors import Misconfigured, Misled, ProxyFailed
from exchanges.rest.client import RestClient
from exchanges.rest.pacing.batch import BatchPacer
from exchanges.stream import connection as connection_module
from exchanges.stream.connection import Connection
from exchanges.transport import dialing
from exchanges.transport import happy_eyeballs as families
from exchanges.transport.dialing import Route
from exchanges.venues.binance.stream import BinanceStream
from tests.exchanges.rest.test_client import Server
from tests.exchanges.transport.proxy import Proxy
from tests.exchanges.transport.wire import black_hole, certificate, lead

HOST = "api.exchange.example"
KINDS = ("http", "https", "socks")
VARIABLE = "LIVERMORE_PROXY_TEST"
LOGIN = ("ada", "pa/ss@w:0rd?#%")
QUOTED = "ada:pa%2Fss%40w:0rd%3F%23%25"
FRAME = '{"stream":"!miniTicker@arr","data":[]}'
WAIT_SECONDS = 10
OPEN = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def names(monkeypatch, settings):
    """Let the exchange's name lead nowhere from here; return how often it was asked for."""
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = []
    monkeypatch.setattr(families, "_pasts", {})
    monkeypatch.setattr("exchanges.rest.client.ATTEMPTS", 1)
    monkeypatch.setattr("exchanges.rest.client.CONNECT_SECONDS", 2)
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(connection_module, "LOOK_SECONDS", 0.02)
    for name in ("proxy.lan", "localhost"):
        lead(monkeypatch, name, "127.0.0.1")
    return lead(monkeypatch, HOST, "203.0.114.1")


@pytest.fixture
def believed(tmp_path, settings):
    """Make certificates that are believed; return a server's context for a host."""
    contexts, file = {}, tmp_path / "ca.pem"
    with file.open("wb") as every:
        for host in (HOST, "proxy.lan"):
            pem, contexts[host] = certificate(tmp_path, host)
            every.write(pem.read_bytes())
    settings.LIVERMORE_CA_FILE = str(file)
    return contexts


@pytest.fixture
def proxy(believed):
    """Start proxies; each knows where the exchange is."""
    started = []

    def proxy(kind="http", **options):
        tls = believed["proxy.lan"] if kind == "https" else None
        options = {"leads": {HOST: "127.0.0.1"}, "tls": tls} | options
        one = Proxy("socks" if kind == "socks" else "http", **options)
        one.url = one.url.replace("https://127.0.0.1", "https://proxy.lan")
        started.append(one.__enter__())
        return one

    yield proxy
    for one in started:
        one.__exit__()


class Rest:
    """Calls a server over REST: the answer, or the error as text."""

    def __init__(self, redis, context):
        self._redis = redis
        self.server = Server()
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https" if context else "http"
        self.port = self.server.server_port

    def __call__(self, proxy="", host=HOST, calls=1):
        place = f"{host}:{self.port}"
        url, pacer = f"{self.scheme}://{place}", BatchPacer(self._redis, place, 99, 0)
        client = RestClient(url, pacer, workers=1, route=Route(proxy))
        try:
            return [client.get("/x") for _ in range(calls)][-1]
        except (ProxyFailed, Misled, Misconfigured) as error:
            return str(error)
        finally:
            client.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Stream:
    """Connects to a server by WebSocket: what REST would answer, or why it ended."""

    def __init__(self, _redis, context):
        self.clients = []
        self.server = websockets.sync.server.serve(
            self._talk, "127.0.0.1", 0, ssl=context, compression=None, max_size=None
        )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.scheme = "wss" if context else "ws"
        self.port = self.server.socket.getsockname()[1]
        self.says = [FRAME]

    def _talk(self, client):
        self.clients.append(client)
        with suppress(ConnectionClosed):
            for frame in self.says:
                client.send(frame)
            while True:
                client.recv()

    def open(self, proxy="", host=HOST):
        url = f"{self.scheme}://{host}:{self.port}"
        connection = Connection(BinanceStream(url, {}, route=Route(proxy)), [])
        connection.start()
        return connection

    def __call__(self, proxy="", host=HOST):
        connection = self.open(proxy, host)
        try:
            eventually(lambda: connection.inbox.received or connection.ended.is_set())
            return {"ok": True} if connection.inbox.received else connection.reason
        finally:
            connection.close()
            connection.join(WAIT_SECONDS)

    def close(self):
        self.server.shutdown()


def eventually(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


@pytest.fixture(params=[Rest, Stream], ids=["REST", "WebSocket"])
def call(request, redis):
    one = request.param(redis, None)
    yield one
    one.close()


@pytest.fixture
def stream(redis, believed):
    one = Stream(redis, believed[HOST])
    yield one
    one.close()


# -- It leads there


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("maker", [Rest, Stream], ids=["REST", "WebSocket"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_leads_there_and_finds_the_name_itself(
    kind, maker, encrypted, redis, believed, proxy, names
):
    call = maker(redis, believed[HOST] if encrypted else None)
    one = proxy(kind)
    assert call(one.url) == {"ok": True}
    assert one.tunnels == [(HOST, call.port)]
    assert one.logins == names == []
    call.close()


@pytest.mark.parametrize("kind", KINDS)
def test_user_and_password_are_taken_from_the_variable_that_the_row_names(
    call, proxy, kind, monkeypatch
):
    one = proxy(kind, login=LOGIN)
    monkeypatch.setenv(VARIABLE, one.url.replace("://", f"://{QUOTED}@"))
    assert call(VARIABLE) == {"ok": True}
    assert one.logins == [LOGIN]


def test_a_proxy_that_wants_no_password_may_be_in_a_variable_too(call, proxy, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"{proxy('socks').url}/")
    assert call(VARIABLE) == {"ok": True}


@pytest.mark.parametrize("kind", KINDS)
def test_a_password_that_nobody_asks_for_does_no_harm(call, proxy, kind, monkeypatch):
    one = proxy(kind)
    monkeypatch.setenv(VARIABLE, one.url.replace("://", f"://{QUOTED}@"))
    assert call(VARIABLE) == {"ok": True}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", ["203.0.114.7", "2606:4700::7"])
def test_an_exchange_may_be_an_address(call, proxy, kind, address):
    one = proxy(kind, leads={address: "127.0.0.1"})
    assert call(one.url, f"[{address}]" if ":" in address else address) == {"ok": True}
    assert one.asked == [(address, call.port)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_proxy_may_be_on_this_machine_though_nobody_listed_it(call, proxy, host):
    one = proxy("socks", host=None if host == "localhost" else host)
    assert call(one.url.replace("127.0.0.1", host)) == {"ok": True}


def test_a_proxy_behind_dead_ipv6_is_reached_within_a_second(call, proxy, monkeypatch):
    one = proxy("socks")
    lead(monkeypatch, "proxy.lan", ("::1", "127.0.0.1"))
    with black_hole("::1", one.port):
        begun = time.monotonic()
        assert call(f"socks5h://proxy.lan:{one.port}") == {"ok": True}
        assert time.monotonic() - begun < 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_tunnel_serves_many_calls(redis, believed, proxy, kind):
    rest, one = Rest(redis, believed[HOST]), proxy(kind)
    assert rest(one.url, calls=20) == {"ok": True}
    assert len(one.tunnels) == 1
    rest.close()


@pytest.mark.parametrize("kind", KINDS)
def test_much_and_large_frames_come_whole(stream, proxy, kind):
    stream.says = [FRAME.replace("[]", f'["{"x" * size}"]') for size in (0, 200, 70_000, 10**7)]
    stream.says += [FRAME] * 5000
    connection = stream.open(proxy(kind).url)
    eventually(lambda: connection.inbox.received == len(stream.says))
    pong = stream.clients[0].ping()
    assert pong.wait(WAIT_SECONDS)
    connection.close()
    connection.join(WAIT_SECONDS)
    assert connection.reason == "closed by us"


@pytest.mark.parametrize("kind", KINDS)
def test_a_tunnel_that_is_cut_ends_the_connection(stream, proxy, kind):
    one = proxy(kind)
    connection = stream.open(one.url)
    eventually(lambda: connection.inbox.received)
    one.cut()
    assert connection.ended.wait(WAIT_SECONDS)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_tunnel_that_is_closed(stream, proxy, kind):
    one, open_files = proxy(kind), []
    for _ in range(3):
        assert stream(one.url) == {"ok": True}
        one.cut()
        eventually(lambda: "relay" not in {thread.name for thread in threading.enumerate()})
        open_files.append(len([*OPEN.iterdir()]))
    eventually(lambda: len([*OPEN.iterdir()]) <= open_files[0])


# -- It doesn't


def said(call, one, url=None):
    """Return what is said of a proxy that failed, without what always stands in front of it."""
    text = call(url or one.url)
    begin = f"{HOST} cannot be reached: the proxy {one.url} "
    text = text.removeprefix("cannot connect: ")
    assert text.startswith(begin), text
    assert "\n" not in text
    return text.removeprefix(begin)


@pytest.mark.parametrize("kind", ["http", "https"])
@pytest.mark.parametrize("code", [400, 403, 405, 500, 502, 504])
def test_a_proxy_that_refuses_is_told_with_its_status(call, proxy, kind, code):
    text = said(call, proxy(kind, does="refuse", code=code))
    assert text.startswith(f"does not lead to {HOST}:{call.port} (HTTP {code}). See what it allows")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, "it failed"),
        (2, "its rules forbid it"),
        (5, "refused"),
        (8, "no such"),
        (77, "error 77"),
    ],
)
def test_a_socks_proxy_that_refuses_is_told_with_its_reason(call, proxy, code, reason):
    text = said(call, proxy("socks", does="refuse", code=code))
    assert text.startswith(f"does not lead to {HOST}:{call.port} (")
    assert reason in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_the_proxy_does_not_find_is_told(call, proxy, kind):
    assert said(call, proxy(kind, leads={})).startswith("does not lead to")


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_wants_a_password_is_told_with_where_to_put_it(call, proxy, kind):
    text = said(call, proxy(kind, login=LOGIN))
    assert text.startswith("wants a user name and password. Put its whole address")
    assert "LIVERMORE_PROXY_" in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("login", ["ada:S3cretButWrong", "S3cretButWrong:x", "ada"])
def test_a_password_that_is_wrong_is_told_without_it(call, proxy, kind, login, monkeypatch, caplog):
    caplog.set_level("DEBUG")
    one = proxy(kind, login=LOGIN)
    monkeypatch.setenv(VARIABLE, one.url.replace("://", f"://{login}@"))
    text = said(call, one, VARIABLE)
    assert text.startswith("refuses the user name and password")
    assert "S3cret" not in text + caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("does", ["hang", "hang late", "trickle"])
def test_a_proxy_that_never_answers_is_given_up_in_time(call, proxy, kind, does, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 0.5)
    begun = time.monotonic()
    text = said(call, proxy(kind, does=does))
    assert time.monotonic() - begun < 2
    expected = (
        "speaks no SOCKS5" if (kind, does) == ("socks", "trickle") else "gave no answer in time"
    )
    assert text.startswith(expected)


def test_a_proxy_whose_tls_hangs_is_given_up_in_time(call, proxy, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 0.5)
    one = proxy("http", does="hang")
    one.url = one.url.replace("http://127.0.0.1", "https://proxy.lan")
    begun = time.monotonic()
    assert said(call, one).startswith("gave no answer in time")
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_hangs_up_is_told(call, proxy, kind):
    text = said(call, proxy(kind, does="close"))
    assert text.startswith(("closed the connection", "broke off"))


@pytest.mark.parametrize("kind", ["http", "socks"])
def test_a_proxy_that_is_something_else_is_told_without_its_words(call, proxy, kind):
    text = said(call, proxy(kind, does="garbage"))
    assert text.startswith(f"speaks no {'HTTP' if kind == 'http' else 'SOCKS5'}")
    assert "unknown command" not in text


@pytest.mark.parametrize(
    ("kind", "scheme", "told"),
    [
        ("socks", "http", ("closed the connection", "broke off")),
        ("http", "socks5h", ("closed the connection", "broke off", "gave no answer")),
        ("http", "https", ("can't be shaken hands with", "gave no answer")),
        ("https", "http", ("speaks no HTTP", "closed the connection", "broke off")),
    ],
)
def test_a_proxy_of_another_kind_is_told(call, proxy, kind, scheme, told):
    one = proxy(kind)
    one.url = f"{scheme}://proxy.lan:{one.port}"
    assert said(call, one).startswith(told)


def test_a_proxy_whose_certificate_is_anothers_is_told(call, proxy, monkeypatch):
    one = proxy("https")
    one.url = f"https://localhost:{one.port}"
    text = said(call, one)
    assert text.startswith("can't be shaken hands with")
    assert "LIVERMORE_CA_FILE" in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_is_not_there_is_told(call, proxy, kind):
    one = proxy(kind)
    one.leave()
    assert said(call, one).startswith("does not answer ([Errno 111] Connection refused). Start it")


def test_a_proxy_whose_name_leads_nowhere_is_told(call, proxy):
    one = proxy()
    one.url = f"http://proxy.invalid:{one.port}"
    assert said(call, one).startswith("does not answer ([Errno -2]")


def test_the_exchanges_own_certificate_counts_through_a_proxy(stream, proxy, monkeypatch):
    one = proxy("socks", leads={"other.example": "127.0.0.1"})
    assert "certificate" in stream(one.url, "other.example")


# -- Where it may not lead


PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]", "198.18.0.1", "0x7f.1"),
    *("localhost", "metadata.google.internal", "router.lan", "redis"),
]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_host_is_not_asked_for(call, proxy, host):
    one = proxy("socks", leads={host.strip("[]"): "127.0.0.1"})
    text = call(one.url, host).removeprefix("cannot connect: ")
    assert text.startswith(f"{host.strip('[]')} is not called: it is a")
    assert "LIVERMORE_PRIVATE_EXCHANGE_HOSTS" in text
    assert one.asked == []


def test_a_private_host_that_is_listed_is_asked_for(call, proxy, settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["router.lan"]
    one = proxy("socks", leads={"router.lan": "127.0.0.1"})
    assert call(one.url, "router.lan") == {"ok": True}


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[fe80::1]", "0.0.0.0", "224.0.0.1", "255.255.255.255", "2130706433"],
)
def test_a_proxy_is_not_looked_for_where_none_can_be(call, host, monkeypatch):
    monkeypatch.setattr("exchanges.transport.tunnels.connect_to_first", pytest.fail)
    text = call(f"http://{host}:80")
    assert "can't be used: The proxy's host is " in text


def test_a_proxys_name_that_leads_where_none_can_be_is_refused(call, monkeypatch):
    monkeypatch.setattr("exchanges.transport.tunnels.connect_to_first", pytest.fail)
    lead(monkeypatch, "proxy.lan", ("127.0.0.1", "169.254.169.254"))
    text = call("http://proxy.lan:80").removeprefix("cannot connect: ")
    assert text.startswith("proxy.lan is not called: 169.254.169.254 is no address that a proxy")


# -- What the row and its variable say


def test_a_variable_that_is_not_set_is_named_and_nothing_is_sent(call, monkeypatch):
    monkeypatch.setattr(dialing, "connect_to_first", pytest.fail)
    monkeypatch.delenv(VARIABLE, raising=False)
    text = call(VARIABLE).removeprefix("cannot connect: ")
    assert text.startswith(f"the row's proxy is in the variable {VARIABLE}, which is not set: set")


@pytest.mark.parametrize(
    "value",
    [
        "S3cret",
        "ada:S3cret@127.0.0.1:1",
        "ftp://ada:S3cret@127.0.0.1:1",
        "socks5://ada:S3cret@127.0.0.1:1",
        "http://ada:S3cret@127.0.0.1",
        "http://ada:S3cret@127.0.0.1:99999",
        "http://ada:S3c#S3cret@127.0.0.1:1",
        "http://ada:S3c/S3cret@127.0.0.1:1",
        "http://ada:S3c?S3cret@127.0.0.1:1",
        "http://S3cret/@127.0.0.1:1",
        "http://S3cret:1/S3cret@127.0.0.1:1",
        "http://ada:S3cret@169.254.169.254:1",
        "http://ada:S3cret@:1",
        "http://ada:S3 cret@127.0.0.1:1",
        f"http://ada:{'S3cret' * 50}@127.0.0.1:1",
    ],
)
def test_a_variable_that_holds_no_proxy_is_named_without_what_is_in_it(call, value, monkeypatch):
    monkeypatch.setenv(VARIABLE, value)
    text = call(VARIABLE).removeprefix("cannot connect: ")
    assert text.startswith(f"the row's proxy, in the variable {VARIABLE}, can't be used: ")
    assert "S3c" not in text
    assert "\n" not in text


def test_a_password_in_the_row_itself_is_not_used_and_not_repeated(call, proxy):
    one = proxy(login=("ada", "S3cret"))
    text = call(one.url.replace("://", "://ada:S3cret@"))
    assert "the row's proxy can't be used: The proxy must not hold a user name or password" in text
    assert "S3cret" not in text
    assert one.asked == []


OTHERS = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@pytest.mark.parametrize("name", OTHERS)
def test_the_environments_proxy_is_not_used_and_that_is_said_once(
    call, proxy, name, monkeypatch, settings, caplog
):
    for other in (*OTHERS, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr(dialing, "_told", set())
    one = proxy()
    monkeypatch.setenv(name, one.url.replace("://", "://ada:S3cret@"))
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["exchange.lan"]
    lead(monkeypatch, "exchange.lan", "127.0.0.1")
    for _ in range(2):
        assert call(host="exchange.lan") == {"ok": True}
    assert one.asked == []
    [line] = [each for each in caplog.messages if "proxy" in each]
    assert line == f"dialing.proxy_unused host=exchange.lan variables={name}"


def test_the_rows_proxy_is_used_whatever_the_environment_says(call, proxy, monkeypatch, caplog):
    ours, theirs = proxy("socks"), proxy()
    monkeypatch.setenv("HTTPS_PROXY", theirs.url)
    assert call(ours.url) == {"ok": True}
    assert (len(ours.tunnels), theirs.asked) == (1, [])
    assert "proxy_unused" not in caplog.text
