"""The Redis user that the hand-over makes, and TLS on the way: all that Livermore does."""

import contextlib
import re
import socket
import ssl
import threading
from pathlib import Path

import pytest
import redis as redis_client
from django.contrib.auth import get_user_model
from websocket import create_connection

from exchanges.lock.status import State, read_status
from exchanges.sandbox.faults.network.tls import tls_of_its_own
from livermore.market.naming import Naming, name_as
from livermore.running import embedded_redis
from tests.handoff.page_client import PageClient
from tests.livermore.web_server import WebServer
from tests.warmup.runners import end, make_row, processes, serve, wait_until

DOCUMENT = Path(__file__).parent.parent.parent / "docs/handoff-binance-us.md"
PASSWORD = "of-the-redis-user"


@pytest.fixture(params=["", "livermore:"], ids=["no prefix", "prefix"])
def prefix(request):
    """Name all keys and channels as an installation with that prefix does."""
    before = name_as(Naming(request.param, pacing=request.param))
    yield request.param
    name_as(before)


@pytest.fixture
def admin(tmp_path, prefix):
    """The default user of a Redis that has the document's user too, and listens on TCP."""
    lines = re.findall(r"^ACL (SETUSER livermore .*)$", DOCUMENT.read_text(), re.M)
    (line,) = [each for each in lines if ("~livermore:* &livermore:* +" in each) == bool(prefix)]
    with (
        embedded_redis.ensure_running(tmp_path / "valkey") as server,
        redis_client.Redis.from_url(server.url) as client,
        socket.create_server(("127.0.0.1", 0)) as probe,
    ):
        port = probe.getsockname()[1]
        probe.close()
        client.config_set("port", port)
        client.execute_command("ACL", *line.replace("PASSWORD", PASSWORD).split())
        client.acl_log_reset()
        yield client


@pytest.fixture
def address(admin, tmp_path):
    """Return the document's address of that Redis, behind TLS."""
    context = tls_of_its_own(str(tmp_path / "ca.pem"))
    inside = int(admin.config_get("port")["port"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=take_in, args=[listener, context, inside], daemon=True).start()
        port = listener.getsockname()[1]
        yield f"rediss://livermore:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={tmp_path}/ca.pem"


def take_in(listener, context, inside):
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=relay, args=[client, context, inside], daemon=True).start()


def relay(client, context, inside):
    """Pass on what comes, both ways, until one side is done."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", inside)) as server:
        outer = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(*outer, server_side=True)
        lock = threading.Lock()

        def send():
            with lock:
                if waiting := outer[1].read():
                    client.sendall(waiting)

        def answer():
            with contextlib.suppress(OSError, ssl.SSLError):
                while data := server.recv(65536):
                    with lock:
                        tls.write(data)
                    send()
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

        begun = False
        while data := client.recv(65536):
            with lock:
                outer[0].write(data)
            try:
                while True:
                    with lock:
                        if not begun:
                            tls.do_handshake()
                            begun = True
                            threading.Thread(target=answer, daemon=True).start()
                        read = tls.read(65536)
                    if not read:  # the client has said goodbye
                        return
                    server.sendall(read)
            except ssl.SSLWantReadError:
                send()


@pytest.fixture
def manage(address, prefix, monkeypatch, transactional_db):
    monkeypatch.setenv("REDIS_URL", address)
    monkeypatch.setenv("LIVERMORE_KEY_PREFIX", prefix)
    with processes() as start:
        yield start


def test_all_of_it_works_with_the_users_rights_and_over_tls(admin, prefix, manage, tmp_path, redis):
    get_user_model().objects.create_superuser("ada", password="a-long-password")
    with serve(speed=1) as sandbox:
        row = make_row(sandbox)
        for command in (
            ("check",),
            ("warmup", "sandbox"),
            ("warmup", "sandbox", "--plan", "--repair"),
            ("repair", "sandbox"),
            ("symbols", "sandbox", "--top", "2", "--quote", "USD"),
            ("check_exchange", "sandbox"),
        ):
            process = manage(*command)
            out, err = process.communicate(timeout=60)
            # A check finds that the sandbox's clock is days off.
            expected = command[0] == "check_exchange"
            assert process.returncode == expected, (command, out, err, admin.acl_log())
        assert admin.zcard(f"{prefix}candles:{row.pk}:BTC-USD:1h") >= 60
        runner = manage("start", "sandbox")
        wait_until(lambda: read_status(admin, row.pk).state is State.ACTIVE, 60)
        agent = manage("agent")
        wait_until(lambda: admin.hlen(f"{prefix}agents"))
        web = WebServer(tmp_path, LIVERMORE_METRICS_TOKEN="a-token-of-thirty-two-characters")
        web.start()
        try:
            look(web.port)
        finally:
            web.end()
        assert end(agent)[0] in (0, 143)
        assert end(runner)[0] in (0, 143)
    assert [(entry["reason"], entry["object"]) for entry in admin.acl_log()] == []
    assert [name for name in admin.keys("*") if not name.startswith(prefix.encode())] == []


def look(port):
    """Log in, see the page, receive from its socket, press a button, read the metrics."""
    page = f"http://127.0.0.1:{port}"
    page_client = PageClient(page, "ada", "a-long-password")
    assert page_client.cards()["Sandbox"]["state"] == "active"
    cookie = "; ".join(f"{each.name}={each.value}" for each in page_client._cookies)
    client = create_connection(f"ws://127.0.0.1:{port}/ws/network/", origin=page, cookie=cookie)
    with contextlib.closing(client):
        assert client.recv()
    page_client.press("Sandbox", "Repair")
    with socket.create_connection(("127.0.0.1", port)) as scrape:
        scrape.sendall(
            b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n"
            b"Authorization: Bearer a-token-of-thirty-two-characters\r\n\r\n"
        )
        text = b"".join(iter(lambda: scrape.recv(65536), b"")).decode()
    assert "livermore_redis_memory_used_bytes " in text
    assert "livermore_redis_writable 1.0" in text


def test_that_user_may_do_nothing_else(admin):
    port = int(admin.config_get("port")["port"])
    with redis_client.Redis(port=port, username="livermore", password=PASSWORD) as client:
        for command in (
            ["FLUSHALL"], ["KEYS", "*"], ["CONFIG", "SET", "maxmemory", "1"], ["SHUTDOWN"],
            ["ACL", "LIST"], ["GET", "others"], ["SET", "others", "1"], ["PUBLISH", "others", "1"],
        ):  # fmt: skip
            with pytest.raises(redis_client.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_a_certificate_of_nobody_known_is_refused(address):
    plain = address.partition("?")[0]
    with (
        redis_client.Redis.from_url(plain, retry=None) as client,
        pytest.raises(redis_client.ConnectionError, match=r"(?i)certificate"),
    ):
        client.ping()
