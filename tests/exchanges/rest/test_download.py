"""Bulk files from a server that says exactly what it is told to, over real sockets."""

import threading
from contextlib import closing

import pytest

from exchanges.errors import Blocked, Excessive, Misled, RateLimited, Temporary, Unreachable
from exchanges.rest.client import ATTEMPTS
from exchanges.rest.download import AT_ONCE, Downloads
from exchanges.transport.dialing import DIRECTLY, Route
from tests.exchanges.rest.test_client import Server
from tests.exchanges.transport.attacks import Attacker, rest_attacks
from tests.exchanges.transport.wire import lead

FILE = b"PK\x03\x04" + bytes(range(256)) * 400
MOST = 200_000


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 0.001)


@pytest.fixture
def server():
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture
def downloads(server):
    with closing(Downloads(server.url + "/base/", DIRECTLY)) as downloads:
        yield downloads


def test_a_file_comes_as_it_is(server, downloads):
    server.answer((200, {}, FILE))
    assert downloads.get("/data/a.zip", MOST) == FILE
    assert [path for path, _ in server.seen] == ["/base/data/a.zip"]
    assert downloads.octets == len(FILE)


def test_what_is_not_there_is_asked_for_once(server, downloads):
    server.answer((404, {}, b"<Error><Code>NoSuchKey</Code></Error>"))
    assert downloads.get("/a.zip", MOST) is None
    assert len(server.seen) == 1


def test_a_passing_failure_is_tried_again(server, downloads):
    cut = (200, {"Content-Length": 2 * len(FILE)}, FILE)
    server.answer(cut, ("reset", {"Content-Length": 9}, b"x"), (503, {}, b""), (200, {}, FILE))
    assert downloads.get("/a.zip", MOST) == FILE
    server.answer((503, {}, b""))
    with pytest.raises(Unreachable, match="answers HTTP 503"):
        downloads.get("/a.zip", MOST)
    assert len(server.seen) == 2 * ATTEMPTS


def test_a_pause_that_it_asks_for_is_kept_within_reason(server, downloads, monkeypatch):
    waited = []
    monkeypatch.setattr(downloads._closing, "wait", lambda seconds: waited.append(seconds))
    server.answer((429, {"Retry-After": "7"}, b""), (429, {"Retry-After": "900"}, b""))
    with pytest.raises(RateLimited):
        downloads.get("/a.zip", MOST)
    assert [seconds for seconds in waited if seconds > 1] == [7, 60, 60]


def test_a_refusal_is_not_tried_again(server, downloads):
    server.answer((403, {}, b"<html>go away</html>"))
    with pytest.raises(Blocked, match="HTTP 403"):
        downloads.get("/a.zip", MOST)
    assert len(server.seen) == 1


def test_a_redirect_is_not_followed(server, downloads):
    server.answer((302, {"Location": "http://169.254.169.254/"}, b""))
    with pytest.raises(Unreachable, match="HTTP 302"):
        downloads.get("/a.zip", MOST)


def test_a_file_that_is_too_long_is_not_read_on(server, downloads):
    server.answer((200, {}, FILE * 2))
    with pytest.raises(Excessive, match="longer than 200 kB"):
        downloads.get("/a.zip", MOST)
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", ["a body of 1.5 GB", "gzip of 1.5 GB", "headers without an end"])
def test_whoever_sends_without_an_end_is_left(name):
    with (
        Attacker(rest_attacks()[name]) as attacker,
        closing(Downloads(attacker.url, DIRECTLY)) as downloads,
        pytest.raises(Excessive),
    ):
        downloads.get("/a.zip", MOST)


def test_a_host_that_leads_into_a_private_network_is_not_called(server, monkeypatch):
    lead(monkeypatch, "data.example.com", "127.0.0.1")
    url = server.url.replace("127.0.0.1", "data.example.com")
    route = Route(hosts=("data.example.com",))
    with closing(Downloads(url, route)) as downloads, pytest.raises(Misled):
        downloads.get("/a.zip", MOST)
    assert not server.seen


def test_few_come_at_a_time(server, downloads):
    under_way, most, lock = [], [], threading.Lock()

    content = downloads._content

    def slow(reply, allowed):
        with lock:
            under_way.append(1)
            most.append(len(under_way))
        threading.Event().wait(0.02)
        with lock:
            under_way.pop()
        return content(reply, allowed)

    downloads._content = slow
    server.answer((200, {}, FILE))
    threads = [threading.Thread(target=downloads.get, args=("/a", MOST)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == AT_ONCE


def test_once_closed_nothing_is_asked_for(server, downloads):
    downloads.close()
    with pytest.raises(Temporary, match="stopped"):
        downloads.get("/a.zip", MOST)
    assert not server.seen
