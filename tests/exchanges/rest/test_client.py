"""The client against a server that says exactly what it is told to, over real sockets."""

import re
import socket
import struct
import threading
import time
from collections import deque
from contextlib import ExitStack
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Banned,
    Blocked,
    Misled,
    Permanent,
    RateLimited,
    Temporary,
    TurnedAway,
    UnknownSymbol,
    Unreachable,
)
from exchanges.rest.client import ATTEMPTS, Replies, RestClient
from exchanges.rest.pacing.batch import BatchPacer
from livermore.market import keys
from tests.exchanges.transport.wire import black_hole, certificate, lead
from tests.fixtures.ports import free_port

WAF_PAGE = b"<html><head><title>403 Forbidden</title></head>\n<body>Access denied</body></html>"
BINANCE_451 = (
    b'{"code":0,"msg":"Service unavailable from a restricted location according to '
    b"'b. Eligibility' in https://www.binance.com/en/terms.\"}"
)
OK = (200, {}, b'{"ok":true}')
SECRET = "sEcReT-9f8e7d"


class Server(ThreadingHTTPServer):
    """Gives `replies` in turn, the last one for ever; a reply is status, headers and body.

    Where Content-Length promises more than the body, the connection ends there, by a reset where
    the status is "reset".
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = deque([OK])
        self.seen = []
        self.posted = []
        self.url = f"http://{self.host}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server_port}"

    def answer(self, *replies):
        self.replies = deque(replies)

    def shutdown_request(self, request):
        self.close_request(request)  # without the FIN that would come before a reset


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.command, sent))
        self.do_GET()

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        replies = self.server.replies
        status, headers, body = replies.popleft() if len(replies) > 1 else replies[0]
        self.send_response(200 if status == "reset" else status)
        for name, value in ({"Content-Length": len(body)} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
        if int(headers.get("Content-Length", len(body))) > len(body):
            self.close_connection = True
        if status == "reset":
            linger = struct.pack("ii", 1, 0)  # the peer gets RST, not FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def server():
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 0.001)


@pytest.fixture
def connect(redis):
    """Return a maker of clients that don't wait for a turn; they are closed after the test."""
    clients = []

    def connect(url, **settings):
        pacer = BatchPacer(redis, url.partition("://")[2].partition("/")[0], 1000, 0)
        clients.append(RestClient(url, pacer, workers=2, **settings))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(server, connect):
    return connect(server.url)


@pytest.fixture
def waits(client, redis, monkeypatch):
    """Return the pauses the client made, in seconds; instead of sleeping a hold gets shorter."""
    waits, key = [], keys.pacing(client.host)

    def sleep(seconds):
        if seconds:
            waits.append(seconds)
            until_ms = float(redis.hget(key, "held_until") or 0)
            redis.hset(key, "held_until", round(until_ms - 1000 * seconds))

    monkeypatch.setattr(client.pacer, "sleep", sleep)
    return waits


def held_seconds(redis, host):
    """Return for how long the host's other callers are held back from now on."""
    until_ms = float(redis.hget(keys.pacing(host), "held_until") or 0)
    return until_ms / 1000 - time.time()


def failure_of(client, expected=Exception):
    with pytest.raises(expected) as failure:
        client.get("/x")
    return failure.value


# What goes out


def test_a_call_is_a_get_of_base_path_and_parameters(server, connect):
    client = connect(f"{server.url}/base/")
    assert client.get("/klines", {"symbol": "BTCUSD", "limit": 5}) == {"ok": True}
    ((path, headers),) = server.seen
    assert path == "/base/klines?symbol=BTCUSD&limit=5"
    assert headers["User-Agent"] == "livermore"
    assert client.calls == 1


def test_a_post_asks_with_a_body_of_json_by_the_same_rules(server, connect):
    client = connect(f"{server.url}/base", sign=lambda path: {"Authorization": f"Bearer {SECRET}"})
    server.answer((503, {}, b""), (200, {}, b""), OK)  # which is tried again, as a GET is
    assert client.post("/info", {"type": "meta"}) == {"ok": True}
    assert server.posted == [("POST", b'{"type":"meta"}')] * 3
    path, headers = server.seen[-1]
    assert (path, headers["Content-Type"]) == ("/base/info", "application/json")
    assert "Authorization" not in headers
    client.get("/x")
    assert "Content-Type" not in server.seen[-1][1]


def test_what_is_answered_with_200_may_be_a_refusal_all_the_same(server, connect):
    def read_error(status, body):
        said = body["code"] if isinstance(body, dict) else None
        return {"1": UnknownSymbol("which?"), "2": Unreachable("busy")}.get(said)

    told = Replies(read_error, is_own_error=lambda body: "code" in body, errors_in_200=True)
    client = connect(server.url, replies=told)
    server.answer(*((200, {}, b'{"code":"%c"}' % code) for code in b"201"))
    assert client.get("/x") == {"code": "0"}
    assert failure_of(client, UnknownSymbol).reply == (200, {"code": "1"})
    assert client.calls == 3
    assert connect(server.url, replies=Replies(read_error)).get("/x") == {"code": "1"}


@pytest.mark.parametrize("status", [200, 403])
def test_who_asks_for_a_pause_in_its_own_way_gets_it(server, connect, redis, status):
    def read_error(status, body):
        return RateLimited("too often", 600.0)

    client = connect(server.url, replies=Replies(read_error, errors_in_200=True))
    server.answer((status, {}, b'{"retCode":10006}'))
    assert failure_of(client, RateLimited).retry_after_seconds == pytest.approx(600, abs=2)
    assert client.calls == 1
    assert held_seconds(redis, server.host) == pytest.approx(600, abs=2)


def test_one_connection_serves_many_calls(server, client):
    ports = set()
    server.process_request = lambda request, address: (
        ports.add(address[1]),
        ThreadingHTTPServer.process_request(server, request, address),
    )
    for _ in range(5):
        client.get("/x")
    assert len(ports) == 1


def test_the_signer_is_given_host_and_path_and_signs_each_try_anew(server, connect):
    numbers = iter("123")
    client = connect(server.url, sign=lambda where: {"X-Signed": f"{where} {next(numbers)}"})
    server.answer((500, {}, b""), OK)
    client.get("/x", {"limit": 5})
    signed = [headers["X-Signed"] for _, headers in server.seen]
    assert signed == [f"{server.host}/x 1", f"{server.host}/x 2"]


def test_proxies_of_the_environment_are_ignored(server, client, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert client.get("/x") == {"ok": True}


def test_passwords_of_a_netrc_file_are_not_sent(server, client, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hidden\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client.get("/x")
    assert "Authorization" not in server.seen[0][1]


def test_the_reader_of_headers_sees_those_of_failures_too(server, connect):
    used = []
    client = connect(
        server.url, replies=Replies(read_headers=lambda headers: used.append(headers["x-used"]))
    )
    server.answer((500, {"X-Used": 7}, b""), (200, {"X-Used": 9}, b"{}"))
    client.get("/x")
    assert used == ["7", "9"]


# What comes back, tried again


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param((500, {}, b'{"code":-1000,"msg":"Unknown"}'), r"HTTP 500.*-1000", id="500"),
        pytest.param((502, {}, b"<html>Bad Gateway</html>"), r"HTTP 502.*Bad Gateway", id="502"),
        pytest.param((503, {}, b""), r"HTTP 503\): nothing", id="503"),
        pytest.param((504, {}, b"\xff\xfe\x00"), r"HTTP 504", id="504"),
        pytest.param(
            (200, {}, b"<html>Just a moment...</html>"), "JSON: OK, 29 bytes of", id="html"
        ),
        pytest.param((200, {}, b'[[1,"2'), "something else than JSON", id="cut json"),
        pytest.param((200, {}, b""), "something else than JSON: nothing", id="empty"),
        pytest.param((200, {}, b"[NaN]"), "something else than JSON", id="nan"),
        pytest.param((200, {"Content-Length": 99}, b"[1,2"), "cannot be reached", id="truncated"),
        pytest.param(("reset", {"Content-Length": 99}, b"[1,2"), "cannot be reached", id="reset"),
        pytest.param(
            (200, {"Content-Encoding": "gzip"}, b"[1,2]"), "cannot be reached", id="not gzip"
        ),
    ],
)
def test_a_passing_failure_is_tried_again(server, client, reply, said):
    server.answer(reply, reply, OK)
    assert client.get("/x") == {"ok": True}
    assert client.calls == 3
    server.answer(reply)
    failure = failure_of(client, Unreachable)
    assert str(failure).startswith(server.host)
    assert re.search(said, str(failure))
    assert len(server.seen) == client.calls == 3 + ATTEMPTS


def test_a_refused_connection_is_unreachable(connect):
    port = free_port()
    client = connect(f"http://127.0.0.1:{port}")
    assert "refused" in str(failure_of(client, Unreachable))
    assert client.calls == ATTEMPTS


def test_a_name_that_does_not_resolve_is_unreachable(connect):
    failure = failure_of(connect("http://nowhere.invalid"), Unreachable)
    assert str(failure).startswith("nowhere.invalid cannot be reached")


def test_silence_is_unreachable(connect, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.READ_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert str(failure_of(client, Unreachable)).partition(". ")[0].endswith("no answer in time")


# Where it connects


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"]
)
def test_a_public_name_that_leads_inside_is_not_called(server, connect, monkeypatch, address):
    lead(monkeypatch, "api.exchange.example", address)
    client = connect(f"http://api.exchange.example:{server.server_port}")
    failure = failure_of(client, Misled)
    assert str(failure).startswith(f"api.exchange.example is not called: {address} is a private")
    assert (client.calls, server.seen) == (1, [])


def test_a_listed_name_may_lead_inside_and_is_asked_for_once(
    server, connect, monkeypatch, settings
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["Exchange.Lan."]
    asked = lead(monkeypatch, "exchange.lan", "127.0.0.1", "127.0.0.9")
    assert connect(f"http://exchange.lan:{server.server_port}").get("/x") == {"ok": True}
    assert len(asked) == 1


@pytest.mark.parametrize("dead", [["::1"], ["127.0.0.2"], ["::1", "127.0.0.2"]])
def test_an_address_that_is_dead_is_waited_for_a_moment_and_once(
    server, connect, monkeypatch, settings, dead
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [host := f"{len(dead)}.{dead[0][-1]}.lan"]
    lead(monkeypatch, host, (*dead, "127.0.0.1"))
    client = connect(f"http://{host}:{server.server_port}")
    with ExitStack() as holes:
        for address in dead:
            holes.enter_context(black_hole(address, server.server_port))
        for longest in (1.0, 0.2):
            begun = time.monotonic()
            assert client.get("/x") == {"ok": True}
            assert time.monotonic() - begun < longest
            client._session.close()  # its connections: the next call opens another


def test_encryption_goes_by_the_name_not_by_its_address(
    server, connect, monkeypatch, settings, tmp_path
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["exchange.lan", "other.lan"]
    trusted, context = certificate(tmp_path, "exchange.lan")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for name in settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS:
        lead(monkeypatch, name, "127.0.0.1")
    ours, theirs = (
        connect(f"https://{name}:{server.server_port}")
        for name in settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS
    )
    assert "certificate" in str(failure_of(ours, Unreachable))  # nobody vouches for it
    settings.LIVERMORE_CA_FILE = str(trusted)
    assert ours.get("/x") == {"ok": True}
    assert "other.lan" in str(failure_of(theirs, Unreachable))


# What comes back, and stays


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        pytest.param((451, {}, BINANCE_451), Blocked, "451.*restricted location", id="region"),
        pytest.param((451, {}, b""), Blocked, r"451\): nothing", id="region without a word"),
        pytest.param((400, {}, b'{"code":-1100}'), BadPayload, "400.*-1100", id="bad request"),
        pytest.param((404, {}, b"<html>no</html>"), BadPayload, "404.*no", id="not found"),
        pytest.param((204, {}, b""), BadPayload, "204", id="no content"),
    ],
)
def test_a_lasting_failure_is_not_tried_again(server, client, reply, kind, said):
    server.answer(reply)
    with pytest.raises(kind, match=said) as failure:
        client.get("/x")
    assert isinstance(failure.value, Permanent)
    assert str(failure.value).startswith(server.host)
    assert client.calls == 1


def test_who_is_blocked_is_told_what_to_do(server, client):
    server.answer((451, {}, BINANCE_451))
    assert "Run from a place that the exchange serves" in str(failure_of(client, Blocked))


def test_who_is_blocked_is_told_where_else_there_are_candles(server, connect):
    client = connect(
        server.url, replies=Replies(elsewhere="https://data.example serves candles alone")
    )
    server.answer((451, {}, b""))
    assert str(failure_of(client, Blocked)).endswith("https://data.example serves candles alone")


@pytest.mark.parametrize(
    "body",
    [
        BINANCE_451,
        b"Service unavailable from a restricted location",
        b'{"error":"PERMISSION_DENIED","message":"Service unavailable in your location"}',
        b'{"message":"This product is not available in your\n  country."}',
        b"<html><body>The Amazon CloudFront distribution is configured to block access\n from "
        b"your country. " + b"x" * 3000 + b"</body></html>",
        b"<p>" + b"x" * 3000 + b"The owner of this website has banned the country or region your "
        b"IP address is in</p>",
    ],
)
@pytest.mark.parametrize("status", [403, 451])
def test_a_page_that_names_the_country_is_no_passing_one(server, client, body, status):
    server.answer((status, {}, body))
    assert f"refuses this address or region (HTTP {status})" in str(failure_of(client, Blocked))
    assert client.calls == 1


def test_what_the_exchange_itself_refuses_is_no_passing_page(server, connect):
    client = connect(server.url, replies=Replies(is_own_error=lambda body: "code" in body))
    server.answer((403, {}, b'{"code":-1,"msg":"not for you"}'))
    assert "(HTTP 403): {" in str(failure_of(client, Blocked))
    assert client.calls == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server, client, status):
    server.answer((status, {"Location": f"{server.url}/elsewhere"}, b""))
    assert f"HTTP {status}" in str(failure_of(client, BadPayload))
    assert [path for path, _ in server.seen] == ["/x"]


def test_the_venue_is_asked_first_what_an_error_means(server, connect):
    said = {}

    def read_error(status, body):
        said[status] = body
        return BadPayload("mine") if status == 400 else None

    client = connect(server.url, replies=Replies(read_error=read_error))
    server.answer((400, {}, b'{"code":-1121}'), (404, {}, WAF_PAGE))
    assert str(failure_of(client, BadPayload)) == "mine"
    failure_of(client, BadPayload)
    assert said == {400: {"code": -1121}, 404: None}


def test_a_long_reply_is_clipped_to_one_printable_line(server, client):
    server.answer((400, {}, b"a\x00\x1b[31m\r\n" + "é".encode() * 5000))
    message = str(failure_of(client, BadPayload))
    assert len(message) < 300
    assert message.isprintable()


# Too many requests


def http_date(seconds):
    """Return the time so many seconds from now as headers write it."""
    return formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("told", [lambda: 7, lambda: " 7 ", lambda: http_date(7)])
def test_too_many_requests_are_waited_out_for_as_long_as_is_asked(server, client, waits, told):
    server.answer((429, {"Retry-After": told()}, b'{"code":-1003}'), OK)
    assert client.get("/x") == {"ok": True}
    assert client.calls == 2
    assert sum(waits) == pytest.approx(7, abs=1.1)  # a date has no fractions


@pytest.fixture(params=[3600, -3600], ids=["ahead", "behind"])
def off(request, monkeypatch):
    """Let the exchange's clock be an hour off ours; return by how many seconds."""
    monkeypatch.setattr(Handler, "date_time_string", lambda handler: http_date(request.param))
    return request.param


def test_a_date_counts_by_the_exchanges_clock(server, client, waits, off):
    server.answer((429, {"Retry-After": http_date(off + 7)}, b""), OK)
    client.get("/x")
    assert sum(waits) == pytest.approx(7, abs=1.1)


def test_the_end_of_a_ban_counts_by_the_exchanges_clock(server, client, off):
    ends_ms = (time.time() + off + 600) * 1000
    server.answer((418, {}, b'{"msg":"IP banned until %d."}' % ends_ms))
    assert failure_of(client, Banned).until_ms / 1000 - time.time() == pytest.approx(600, abs=2)


@pytest.mark.parametrize("date", ["soon", ""])
def test_where_the_exchange_tells_no_time_ours_counts(server, client, waits, monkeypatch, date):
    monkeypatch.setattr(Handler, "date_time_string", lambda handler: date)
    server.answer((429, {"Retry-After": http_date(7)}, b""), OK)
    client.get("/x")
    assert sum(waits) == pytest.approx(7, abs=1.1)


def test_too_many_requests_without_a_time_are_backed_off_from(server, client, monkeypatch, waits):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 4.0)
    monkeypatch.setattr("exchanges.transport.backoff.random.uniform", lambda low, high: high)
    server.answer((429, {}, b""), (429, {}, b""), OK)
    client.get("/x")
    assert waits == [pytest.approx(4, abs=0.5), pytest.approx(8, abs=0.5)]


def test_others_are_held_while_the_first_still_backs_off(server, client, redis, monkeypatch):
    held = []

    def sleep(seconds):
        if seconds:
            held.append(held_seconds(redis, server.host))
            raise Temporary("seen enough: it would wait for half a minute now")

    monkeypatch.setattr(client.pacer, "sleep", sleep)
    server.answer((429, {"Retry-After": 30}, b""), OK)
    assert "seen enough" in str(failure_of(client, Temporary))
    assert held == [pytest.approx(30, abs=2)]


@pytest.mark.parametrize(
    ("told", "seconds"), [(lambda: 60, 60), (lambda: http_date(60), 60), (lambda: "soon", 1)]
)
def test_the_last_of_the_refusals_holds_the_host_too(server, client, redis, waits, told, seconds):
    server.answer((429, {"Retry-After": told()}, b""))
    failure_of(client, RateLimited)
    assert client.calls == ATTEMPTS
    assert held_seconds(redis, server.host) == pytest.approx(seconds, abs=2)


def test_a_date_that_is_past_asks_for_no_more_than_the_usual_pause(server, client, waits):
    server.answer((429, {"Retry-After": http_date(-60)}, b""))
    assert failure_of(client, RateLimited).retry_after_seconds == 0
    assert max(waits) < 2.1


@pytest.mark.parametrize(
    "told",
    [
        *("soon", "-5", "1.5", "1e3", "²", "99999999999", "9" * 400),
        *("Mon, 99 Foo 2026 00:00:00 GMT", "Mon, 01 Jan 99999 00:00:00 GMT"),
        "Thu, 01 Jan 2099 00:00:00 -0000",
    ],
)
def test_a_pause_that_is_no_time_is_one_second(server, client, redis, waits, told):
    server.answer((429, {"Retry-After": told}, b""))
    assert failure_of(client, RateLimited).retry_after_seconds is None
    assert held_seconds(redis, server.host) == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("header", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}])
def test_too_many_requests_for_ever_end_in_an_error(server, client, waits, header):
    server.answer((429, header, b""))
    error = failure_of(client, RateLimited)
    assert error.retry_after_seconds is None
    assert client.calls == ATTEMPTS


def test_a_pause_too_long_to_sit_out_ends_in_an_error_without_another_call(server, client, redis):
    server.answer((429, {"Retry-After": 600}, b""))
    assert failure_of(client, RateLimited).retry_after_seconds == pytest.approx(600, abs=2)
    assert client.calls == 1
    assert held_seconds(redis, server.host) > 590


def test_a_turn_that_is_refused_is_not_tried_again(server, client, redis, waits, caplog):
    caplog.set_level("INFO", "exchanges.rest.client")
    client.pacer.hold(600)
    failure_of(client, RateLimited)
    assert (client.calls, server.seen, waits) == (0, [], [])
    assert "rest.retry" not in caplog.text
    assert held_seconds(redis, server.host) == pytest.approx(600, abs=2)


# Turned away

PAGES = {
    "html": WAF_PAGE,
    "cloudfront": b"<HTML><H1>403 ERROR</H1>Request blocked. Too much traffic?</HTML>",
    "nothing": b"",
    "text": b"Forbidden",
    "bytes": b"\xff\xfe\x00",
    "json": b'["Forbidden"]',
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_403_is_waited_out(server, client, waits, page):
    server.answer((403, {}, PAGES[page]), OK)
    assert client.get("/x") == {"ok": True}
    assert client.calls == 2
    assert waits == [pytest.approx(1, abs=0.2)]


def test_an_object_that_is_not_the_exchanges_is_a_page_too(server, connect):
    client = connect(server.url, replies=Replies(is_own_error=lambda body: "code" in body))
    server.answer((403, {}, b'{"message":"Forbidden"}'), OK)
    assert client.get("/x") == {"ok": True}


def test_pages_are_waited_out_with_growing_pauses(server, client, waits):
    server.answer(*[(403, {}, WAF_PAGE)] * 9, OK)
    assert client.get("/x") == {"ok": True}
    assert [round(wait) for wait in waits] == [1, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_page_may_say_how_long_to_wait(server, client, waits):
    server.answer((403, {"Retry-After": 20}, WAF_PAGE), OK)
    client.get("/x")
    assert sum(waits) == pytest.approx(20, abs=0.5)


def test_pages_for_minutes_end_in_an_error_that_names_no_country(server, client, waits):
    server.answer((403, {}, WAF_PAGE))
    error = failure_of(client, TurnedAway)
    assert 300 <= error.seconds <= 600
    assert sum(waits) == pytest.approx(error.seconds, abs=5)
    assert not isinstance(error, Blocked)
    assert str(error).startswith(f"{server.host} has turned this address away with a web page")
    assert "HTTP 403" in str(error)
    assert not re.search("region|country|a place", str(error))


def test_after_minutes_others_are_told_at_once(server, client, waits, connect):
    server.answer((403, {}, WAF_PAGE))
    failure_of(client, TurnedAway)
    seen = len(server.seen)
    failure_of(connect(server.url), TurnedAway)
    assert len(server.seen) == seen


def test_everybody_waits_where_one_is_turned_away(server, client, redis, connect):
    server.answer((403, {}, WAF_PAGE), OK)
    client.get("/x")
    assert held_seconds(redis, server.host) <= 0
    server.answer((403, {}, WAF_PAGE))
    caller = threading.Thread(target=failure_of, args=(client,))
    caller.start()
    deadline = time.monotonic() + 5
    while held_seconds(redis, server.host) <= 0 and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    assert 0 < held_seconds(redis, server.host) <= 1
    client.close()
    caller.join(5)


def test_many_callers_try_one_after_another_whether_the_pages_have_ended(
    server, connect, monkeypatch
):
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.1)
    callers, pauses = 8, 5  # of a tenth of a second twice, then twice as long each time
    server.answer((403, {}, WAF_PAGE))
    threading.Timer(1.0, server.answer, [OK]).start()
    clients = [connect(server.url) for _ in range(callers)]
    threads = [threading.Thread(target=client.get, args=("/x",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert sum(client.calls for client in clients) == len(server.seen)
    assert len(server.seen) <= callers + pauses + callers


def test_a_request_that_is_turned_away_alone_fails_alone(server, client, waits):
    server.answer((403, {}, WAF_PAGE))
    with pytest.raises(Unreachable, match=r"this request alone.*\(HTTP 403\)"):
        client.get("/x", on_send=client.pacer.answered)  # to whoever asked for something else
    assert client.calls == ATTEMPTS


# Bans


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        pytest.param({"Retry-After": 300}, b"", 300, id="header"),
        pytest.param({}, b"", 120, id="without a time"),
        pytest.param({}, b"<html>banned</html>", 120, id="page"),
        pytest.param({"Retry-After": 0}, b"", 120, id="no time at all"),
        pytest.param({"Retry-After": "99999999999"}, b"", 120, id="odd header"),
        pytest.param({"Retry-After": "999999999"}, b"", 7 * 86_400, id="years"),
        pytest.param({}, b'{"msg":"IP banned until tomorrow"}', 120, id="words without a time"),
        pytest.param({}, b'{"msg":"banned until 99999999999999999"}', 120, id="microseconds"),
        pytest.param({}, b'{"msg":"banned until %s"}' % (b"9" * 5000), 120, id="many digits"),
        pytest.param({}, '{"msg":"banned until ²"}'.encode(), 120, id="odd digits"),
        pytest.param({}, b'{"msg":"banned until 9999999999999"}', 7 * 86_400, id="centuries"),
        pytest.param({}, b'{"msg":"banned until 1700000000000"}', 120, id="until long ago"),
        pytest.param({}, b'{"msg":null}', 120, id="no words"),
    ],
)
def test_a_ban_is_not_tried_again_and_lasts_as_long_as_is_said(
    server, client, headers, body, seconds
):
    server.answer((418, headers, body))
    error = failure_of(client, Banned)
    assert error.until_ms / 1000 - time.time() == pytest.approx(seconds, abs=2)
    assert client.calls == 1


def test_a_ban_may_be_told_in_words_alone(server, client):
    until_ms = int(time.time() * 1000) + 3_600_000
    text = f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket."
    server.answer((418, {}, b'{"code":-1003,"msg":"%s"}' % text.encode()))
    assert failure_of(client, Banned).until_ms == pytest.approx(until_ms, abs=2000)


def test_a_ban_lasts_as_long_as_its_header_says_whatever_clock_its_words_go_by(server, client):
    words = b'{"msg":"IP banned until %d."}' % (time.time() * 1000 + 7 * 3_600_000)
    server.answer((418, {"Retry-After": 60}, words))
    assert failure_of(client, Banned).until_ms / 1000 - time.time() == pytest.approx(60, abs=2)


def test_a_ban_may_end_at_a_date(server, client):
    server.answer((418, {"Retry-After": http_date(300)}, b""))
    assert failure_of(client, Banned).until_ms / 1000 - time.time() == pytest.approx(300, abs=2)


def test_after_a_ban_nothing_is_sent_by_anybody(server, client, connect):
    server.answer((418, {"Retry-After": 300}, b""), OK)
    failure_of(client, Banned)
    for other in (client, connect(server.url)):
        failure_of(other, Banned)
    assert len(server.seen) == 1


def test_a_venue_may_read_a_ban_out_of_another_status(server, connect):
    def read_ban(status, content):
        return 600 if status == 403 and content == b"too often" else None

    client = connect(server.url, replies=Replies(read_ban=read_ban))
    server.answer((403, {}, WAF_PAGE), (403, {}, b"too often"), OK)
    assert failure_of(client, Banned).until_ms / 1000 - time.time() == pytest.approx(600, abs=2)
    failure_of(client, Banned)
    assert len(server.seen) == 2


# Secrets and ends


@pytest.mark.parametrize(
    "reply",
    [
        (401, {}, b"Unauthorized"),
        (403, {}, WAF_PAGE),
        (418, {}, b""),
        (500, {}, b""),
        (200, {}, b"<html>"),
        ("reset", {"Content-Length": 99}, b"[1"),
    ],
)
def test_no_error_or_log_holds_what_was_signed(server, connect, caplog, monkeypatch, reply):
    monkeypatch.setattr("exchanges.rest.pacing.pacer.TURNED_AWAY_SECONDS", 0)
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", "exchanges")
    client = connect(server.url, sign=lambda _: {"Authorization": f"Bearer {SECRET}"})
    server.answer(reply)
    error = failure_of(client)
    assert server.seen[0][1]["Authorization"] == f"Bearer {SECRET}"
    while error:
        assert SECRET not in repr(error)
        error = error.__cause__ or error.__context__
    assert SECRET not in caplog.text


def test_closing_ends_the_wait_for_another_try(server, client, monkeypatch):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 600.0)
    monkeypatch.setattr("exchanges.transport.backoff.random.uniform", lambda low, high: high)
    server.answer((500, {}, b""))
    errors = []
    caller = threading.Thread(target=lambda: errors.append(failure_of(client, Temporary)))
    caller.start()
    deadline = time.monotonic() + 5
    while not server.seen and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    client.close()
    caller.join(5)
    assert "stopped before" in str(errors[0])
    assert client.calls == 1


def test_a_closed_client_calls_nobody(server, client):
    client.close()
    assert "stopped before" in str(failure_of(client, Temporary))
    assert server.seen == []


# -- What never left counts as no weight


class Counted(BatchPacer):
    """Notes what was counted and what of it was taken back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.counted, self.back = [], []

    def wait_turn(self, weight, lane):
        counted = super().wait_turn(weight, lane)
        self.counted.append((counted, weight))
        return counted

    def take_back(self, counted, weight):
        self.back.append((counted, weight))


@pytest.fixture
def counting(redis):
    clients = []

    def counting(url, **settings):
        pacer = Counted(redis, url.partition("://")[2], 1000, 0)
        clients.append(RestClient(url, pacer, workers=2, **settings))
        return clients[-1]

    yield counting
    for client in clients:
        client.close()


def test_a_connection_that_is_refused_counts_as_nothing(counting):
    client = counting(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable):
        client.get("/time", weight=7)
    assert len(client.pacer.counted) == ATTEMPTS
    assert client.pacer.back == client.pacer.counted


def test_a_name_without_an_address_counts_as_nothing(counting):
    client = counting("http://no-such-exchange.invalid")
    with pytest.raises(Unreachable):
        client.get("/time", weight=7)
    assert client.pacer.back == client.pacer.counted


def test_a_handshake_that_fails_counts_as_nothing(counting, server):
    client = counting(server.url.replace("http:", "https:"))
    with pytest.raises(Unreachable):
        client.get("/time")
    assert client.pacer.back == client.pacer.counted
    assert server.seen == []


def test_a_key_that_cannot_sign_counts_as_nothing(counting, server):
    def sign(place):
        raise BadCredentials("no key")

    client = counting(server.url, sign=sign)
    with pytest.raises(BadCredentials):
        client.get("/time")
    assert client.pacer.back == client.pacer.counted


def test_what_may_have_reached_the_exchange_counts(counting, server):
    server.answer(("reset", {"Content-Length": 99}, b"{"), (500, {}, b"{}"), OK)
    client = counting(server.url)
    assert client.get("/time") == {"ok": True}
    assert (len(client.pacer.counted), client.pacer.back) == (3, [])
    server.shutdown()
    server.server_close()


def test_what_fails_on_a_connection_that_is_kept_counts(counting, server):
    client = counting(server.url)
    server.answer(OK, ("reset", {"Content-Length": 99}, b"{"), OK)
    client.get("/time")
    client.get("/time")
    assert client.pacer.back == []
