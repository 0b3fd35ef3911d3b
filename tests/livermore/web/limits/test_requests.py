"""What anybody may send to the web server: real sockets, a real process."""

import contextlib
import resource
import select
import signal
import socket
import threading
import time

import pytest

from livermore.web.limits.requests import (
    BODY_BYTES,
    HEAD_BYTES,
    HEADERS,
    SPARE_DESCRIPTORS,
    connections_allowed,
)
from tests.livermore.web_server import (
    LARGE,
    read_all,
    seconds_until_closed,
    status,
    web_server,
)
from tests.warmup.runners import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LOGIN = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\n"
MEGABYTE = b"x" * 2**20
GROWTH = 100  # MB
FEW = 96  # descriptors, half of them for connections
WAITING = 45  # fewer than a listening socket lets wait, more than there are descriptors for


@pytest.fixture(scope="module")
def web(django_db_setup):
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def hasty(django_db_setup):
    """One with short timeouts: head, body, idle, answer."""
    with web_server(timeout="1,2,3,2") as server:
        yield server


def pour(client, piece, times):
    """Send as much as is taken; return how many pieces were."""
    for number in range(times):
        try:
            client.sendall(piece)
        except OSError:
            return number
    return times


@contextlib.contextmanager
def watched(web):
    """Note by how many megabytes its memory grows meanwhile, and what its files take."""
    before, _ = web.megabytes()
    grown, is_over = [], threading.Event()

    def watch():
        while not is_over.wait(0.05):
            memory, disk = web.megabytes()
            grown.append((memory - before, disk))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield grown
    finally:
        is_over.set()
        watcher.join()


def asking(web, path, times=1, *headers):
    """Ask over a connection that takes in little, and read nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", web.port))
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    client.sendall("\r\n".join(lines).encode() * times)
    return client


def is_cut_off(client, seconds):
    """Tell whether a connection is reset within that time, without reading."""
    poll = select.poll()
    poll.register(client, 0)
    return bool(poll.poll(seconds * 1000))


# -- How much


def test_a_body_of_more_than_a_megabyte_is_refused_before_it_comes(web):
    long = str(BODY_BYTES + 1).encode()
    answer = web.ask(LOGIN + b"Expect: 100-continue\r\nContent-Length: " + long + b"\r\n\r\n")
    assert status(answer) == 413
    assert answer.endswith(b"A request's body has at most 1048576 bytes here.\n")
    assert b"100 Continue" not in answer


def test_a_body_of_a_megabyte_is_taken(web):
    head = LOGIN + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
    assert status(web.ask(head + b"x" * BODY_BYTES)) == 403  # no token, says Django


@pytest.mark.parametrize("framing", ["length", "chunks", "one chunk"])
def test_a_body_of_a_gigabyte_and_a_half_costs_neither_memory_nor_disk(web, framing):
    size = 1536 * 2**20
    head, piece = {
        "length": (b"Content-Length: %d\r\n\r\n" % size, MEGABYTE),
        "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + MEGABYTE + b"\r\n"),
        "one chunk": (b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size, MEGABYTE),
    }[framing]
    with watched(web) as grown, web.connect() as client:
        client.sendall(LOGIN + head)
        pour(client, piece, 1536)
        answer = read_all(client)
    assert status(answer) in (413, None)  # who goes on for seconds is cut off
    assert max(memory for memory, _ in grown) < GROWTH
    assert max(disk for _, disk in grown) == 0


def test_endless_chunks_are_cut_off(web):
    with web.connect() as client:
        client.sendall(LOGIN + b"Transfer-Encoding: chunked\r\n\r\n")
        while pour(client, b"100000\r\n" + MEGABYTE + b"\r\n", 100):
            pass


def test_chunks_are_counted_by_what_they_hold(web):
    head = LOGIN + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    one = b"1\r\nx\r\n"
    assert status(web.ask(head + one * 1000 + b"0\r\n\r\n")) == 403
    much = b"80000\r\n" + b"x" * 2**19 + b"\r\n"
    assert status(web.ask(head + much + b"0\r\n\r\n")) == 403
    assert status(web.ask(head + much * 2 + one)) == 413


def test_all_bodies_together_have_a_limit_too(web):
    before, _ = web.megabytes()
    half_sent = LOGIN + b"Content-Length: %d\r\n\r\n" % BODY_BYTES + b"x" * (BODY_BYTES - 1)
    with contextlib.ExitStack() as clients:
        senders = [clients.enter_context(web.connect()) for _ in range(80)]
        for sender in senders:
            with contextlib.suppress(ConnectionError):
                sender.sendall(half_sent)
        refused = select.select(senders, [], [], 5)[0]
        assert {status(read_all(each)) for each in refused} == {503}
        assert web.megabytes()[0] - before < GROWTH
        assert status(web.get("/health/live/")) == 200
    small = LOGIN + b"Connection: close\r\nContent-Length: 1\r\n\r\nx"
    wait_until(lambda: status(web.ask(small)) == 403)


def test_more_headers_than_a_browser_sends_are_refused(web):
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(HEADERS + 1))
    assert status(web.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")) == 431


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n",
        b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %s",  # and no end of it
    ],
    ids=["header", "path", "without an end"],
)
def test_a_long_line_is_refused(web, start):
    answer = web.ask(start % (b"x" * (HEAD_BYTES + 100)))
    assert (status(answer), answer.endswith(b"bytes in all.\n")) == (431, True)


def test_headers_without_an_end_are_cut_off(web):
    with web.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        while pour(client, b"X: " + b"y" * 1000 + b"\r\n", 1000):
            pass


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"G\xffT / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # who speaks TLS
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x0bb\r\n\r\n",
        b"GET /?\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: \xff\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_a_line(web, request_):
    answer = web.ask(request_)
    assert (status(answer), answer.endswith(b"can be read.\n")) == (400, True)
    assert b"Content-Security-Policy: default-src 'none'" in answer
    assert b"X-Content-Type-Options: nosniff" in answer
    assert "Traceback" not in web.words()


# -- What is answered and not read


def test_one_who_asks_a_lot_and_reads_nothing_costs_no_memory(web):
    with watched(web) as grown, asking(web, LARGE, 250) as client:
        assert not is_cut_off(client, 5)
        assert status(web.get("/health/live/")) == 200
    assert max(memory for memory, _ in grown) < GROWTH


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (LARGE, ()),
        (LARGE, ("Accept-Encoding: gzip",)),
        (LARGE, ("Range: bytes=0-",)),
    ],
    ids=["whole", "compressed", "range"],
)
def test_many_who_read_nothing_cost_no_memory(web, path, headers):
    with watched(web) as grown, contextlib.ExitStack() as clients:
        for _ in range(250):
            clients.enter_context(asking(web, path, 2, *headers))
        wait_until(lambda: status(web.get("/health/live/")) == 200)
        whole = web.get(path)
        assert len(whole) > 4 * 2**20
    assert max(memory for memory, _ in grown) < GROWTH


def test_more_than_a_limit_that_is_not_read_is_given_up():
    with web_server() as web, contextlib.ExitStack() as clients:
        assert status(web.get(LARGE)) == 200  # which it keeps
        grown = clients.enter_context(watched(web))
        first = clients.enter_context(asking(web, LARGE))
        for _ in range(350):
            with contextlib.suppress(ConnectionError):
                clients.enter_context(asking(web, LARGE))
        assert is_cut_off(first, 20)
        assert len(web.get(LARGE)) > 4 * 2**20
        assert web.words().count("web.unread bytes=") == 1
        assert "Traceback" not in web.words()
        assert max(memory for memory, _ in grown) < GROWTH


def test_who_reads_nothing_of_an_answer_is_dropped(hasty):
    with asking(hasty, LARGE) as client:
        assert is_cut_off(client, 15)


def test_who_reads_slowly_gets_the_whole_answer(hasty):
    whole = hasty.get(LARGE).partition(b"\r\n\r\n")[2]
    started, found = time.monotonic(), b""
    with asking(hasty, LARGE, 1, "Connection: close") as client:
        while data := client.recv(64 * 1024):
            found += data
            time.sleep(len(data) / 2**20)
    assert time.monotonic() - started > 3  # longer than the timeout
    assert found.partition(b"\r\n\r\n")[2] == whole


def test_requests_that_come_at_once_are_answered_in_their_order(web):
    paths = [LARGE, "/health/live/", "/nowhere/", "/static/network/page.js", LARGE] * 2
    lines = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths]
    sizes = [len(web.get(path).partition(b"\r\n\r\n")[2]) for path in paths]
    with web.connect() as client:
        client.sendall("".join(lines).encode())
        file, answered = client.makefile("rb"), []
        for _ in paths:
            head = [line.partition(b": ") for line in iter(file.readline, b"\r\n")]
            (size,) = [int(value) for name, _, value in head if name == b"Content-Length"]
            answered.append(len(file.read(size)))
    assert answered == sizes


# -- For how long


SLOW = {
    "nothing": (b"", None, 1),
    "request line": (b"", b"G", 1),
    "header": (b"GET / HTTP/1.1\r\nX: ", b"y", 1),
    "headers": (b"GET / HTTP/1.1\r\n", b"X: y\r\n", 1),
    "body": (LOGIN + b"Content-Length: 1000\r\n\r\n", b"x", 2),
    "chunks": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 2),
    "chunk's length": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 2),
    "trailers": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", 2),
    "handshake": (b"GET /ws/network/ HTTP/1.1\r\nUpgrade: websocket\r\n", b"X: y\r\n", 1),
}


@pytest.mark.parametrize("what", SLOW)
def test_who_sends_a_byte_now_and_then_is_dropped(hasty, what):
    start, byte, timeout = SLOW[what]
    with hasty.connect() as client:
        client.sendall(start)
        lasted = seconds_until_closed(client, 0.2, byte or b"", limit=15)
    assert timeout * 0.9 < lasted < 15


def test_who_was_too_slow_is_told(hasty):
    answer = hasty.ask(b"GET / HTTP/1.1\r\nHost: loc")
    assert (status(answer), answer.endswith(b"took too long to come.\n")) == (408, True)


def test_a_connection_that_is_kept_serves_again_and_is_closed_when_idle(hasty):
    request = b"GET /health/live/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with hasty.connect() as client:
        for _ in range(3):
            client.sendall(request)
            assert status(client.recv(65536)) == 200
            time.sleep(1.2)  # longer than a head may take, not longer than it may be idle
        client.sendall(request * 3)  # all at once
        found = b""
        while found.count(b"HTTP/1.1 200") < 3:
            found += client.recv(65536)
        started = time.monotonic()
        assert read_all(client) == b""
        assert 2.5 < time.monotonic() - started < 15


def test_a_second_request_has_its_own_time(hasty):
    request = b"GET /health/live/ HTTP/1.1\r\nHost: localhost\r\n"
    with hasty.connect() as client:
        client.sendall(request + b"\r\n")
        assert status(client.recv(65536)) == 200
        client.sendall(request)
        answer = read_all(client)
    assert status(answer) == 408


def test_a_refused_client_who_goes_on_is_cut_off(web):
    with web.connect() as client:
        client.sendall(LOGIN + b"Content-Length: 99999999999\r\n\r\n")
        started = time.monotonic()
        while pour(client, b"x", 1):
            time.sleep(0.1)
            assert time.monotonic() - started < 20


# -- How many


@pytest.mark.parametrize(
    ("limits", "number"),
    [((1024, 1024), signal.SIGTERM), ((1024, 4096), signal.SIGHUP)],
    ids=["hard", "soft"],
)
def test_1100_idle_connections_leave_it_answering_and_to_end_in_peace(limits, number):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < limits[1]:
        pytest.skip("this process may not open so many files")
    with web_server(descriptors=limits) as web, contextlib.ExitStack() as clients:
        for each in range(1100):
            client = clients.enter_context(web.connect())
            if each % 2:
                with contextlib.suppress(ConnectionError):
                    client.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(10):
            assert status(web.get("/health/")) == 200
            assert status(web.get("/admin/login/")) == 200
        half = clients.enter_context(web.connect())
        half.sendall(LOGIN + b"Content-Length: 10\r\n\r\nx")
        assert web.end(number) == 0
        assert "Traceback" not in web.words()


@pytest.fixture(scope="module")
def small(django_db_setup):
    """One that may open few files."""
    with web_server(descriptors=(FEW, FEW)) as server:
        yield server


def test_connections_that_ended_are_not_counted(small):
    for _ in range(300):
        with small.connect() as client:
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
    websocket = b"GET /ws/network/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    for _ in range(300):
        assert status(small.ask(websocket + b"Connection: Upgrade\r\n" + key + b"\r\n")) == 403
    wait_until(lambda: status(small.get("/health/live/")) == 200)
    assert "web.crowded" not in small.words()


def test_of_many_that_come_at_once_the_newest_is_answered(small):
    with contextlib.ExitStack() as clients:
        for _ in range(connections_allowed(FEW)):
            clients.enter_context(small.connect())
        assert status(small.get("/health/live/")) == 200  # it has taken them all in
        small.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(WAITING):
                clients.enter_context(small.connect())
            newest = clients.enter_context(small.connect())
            newest.sendall(
                b"GET /health/live/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
        finally:
            small.process.send_signal(signal.SIGCONT)
        assert status(read_all(newest)) == 200


def test_some_descriptors_are_left_for_all_else():
    assert connections_allowed(1024) == 1024 - SPARE_DESCRIPTORS
    assert connections_allowed(300) == 150


# -- Its end


def test_a_port_that_is_taken_ends_it_with_a_line(web):
    taken = str(web.port)
    with pytest.raises(AssertionError, match="Couldn't listen on"), web_server("--port", taken):
        pass


def test_whoever_starts_daphne_by_hand_has_the_limits_too():
    with web_server(by_hand=True) as web:
        long = str(BODY_BYTES + 1).encode()
        assert status(web.ask(LOGIN + b"Content-Length: " + long + b"\r\n\r\n")) == 413
        assert web.end() == 0
