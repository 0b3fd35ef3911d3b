"""The Redis user that the hand-over makes, and TLS on the way: all that Livermore does."""

import contextlib
import re
import socket
import ssl
import threading
from pathlib import Path

import pytest
import redis as redis_client

from exchanges.redis.client import make_client
from exchanges.sandbox.faults.network.tls import tls_of_its_own
from livermore.market import keys
from livermore.market.naming import Naming, name_as
from livermore.running import embedded_redis
from serving.memory.tracking import Tracking
from tests.naming.all_of_it import use_all
from tests.serving.counting.test_where_redis_is import check as check_serving
from tests.warmup.runners import processes, wait_until

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
    use_all(manage, admin, tmp_path)
    assert [(entry["reason"], entry["object"]) for entry in admin.acl_log()] == []
    assert [name for name in admin.keys("*") if not name.startswith(prefix.encode())] == []


def test_who_serves_is_told_of_changes_with_that_users_rights(address, prefix):
    told = []
    with make_client(address) as client:
        tracking = Tracking(client, keys.of_candles(), told.append)
        tracking.start()
        try:
            wait_until(lambda: tracking.is_live)
            client.set(keys.coverage(4, "BTC-USD", "1h"), "[]")
            wait_until(lambda: told[1:] == [[f"{prefix}coverage:4:BTC-USD:1h".encode()]])
        finally:
            tracking.close()


def test_what_serve_keeps_is_within_that_users_rights(admin, address, prefix):
    with make_client(address) as client:
        check_serving(client)
    assert [(entry["reason"], entry["object"]) for entry in admin.acl_log()] == []
    assert [name for name in admin.keys("*") if not name.startswith(prefix.encode())] == []


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
