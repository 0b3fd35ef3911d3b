"""Whose certificates REST and WebSockets believe, against servers whose CA is a test's own."""

import os
import ssl
import subprocess
import threading
from pathlib import Path

import certifi
import pytest
import websockets.sync.server

from exchanges.errors import Misconfigured
from exchanges.rest.client import RestClient
from exchanges.rest.pacing.batch import BatchPacer
from exchanges.stream.connection import Connection
from exchanges.transport import certificates as trust
from exchanges.venues.binance.stream import BinanceStream
from tests.exchanges.rest.test_client import Server
from tests.exchanges.transport.wire import certificate, lead

HOST = "exchange.lan"
USUAL = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
WAIT_SECONDS = 10


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, settings):
    for name in (*USUAL, "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    settings.LIVERMORE_CA_FILE = ""
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [HOST]
    lead(monkeypatch, HOST, "127.0.0.1")


@pytest.fixture
def ours(tmp_path):
    """Return the file of our CA's certificate, and what a server of it needs."""
    return certificate(tmp_path, HOST)


@pytest.fixture
def rest(ours, redis, monkeypatch):
    """Call a server of ours over REST: return its answer, or the error."""
    monkeypatch.setattr("exchanges.rest.client.ATTEMPTS", 1)
    with Server() as server:
        server.socket = ours[1].wrap_socket(server.socket, server_side=True)

        def rest():
            host = f"{HOST}:{server.server_port}"
            client = RestClient(f"https://{host}", BatchPacer(redis, host, 9, 0), workers=1)
            try:
                return client.get("/x")
            except Exception as error:
                return str(error)
            finally:
                client.close()

        yield rest
        server.shutdown()


@pytest.fixture
def stream(ours):
    """Connect to a server of ours by WebSocket: return its answer, or why there is none."""

    def talk(client):
        client.send('{"stream":"!miniTicker@arr","data":[]}')
        client.recv()

    server = websockets.sync.server.serve(talk, "127.0.0.1", 0, ssl=ours[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def stream():
        port = server.socket.getsockname()[1]
        connection = Connection(BinanceStream(f"wss://{HOST}:{port}", {}), [])
        connection.start()
        try:
            for _ in range(1000):
                if connection.inbox.received:
                    return {"ok": True}
                if connection.ended.wait(WAIT_SECONDS / 1000):
                    return connection.reason
            return "nothing"
        finally:
            connection.close()

    yield stream
    server.shutdown()


@pytest.fixture(params=["rest", "stream"])
def call(request):
    return request.getfixturevalue(request.param)


def test_a_ca_that_nobody_knows_is_not_believed(call):
    assert "certificate verify failed" in call()


def test_the_setting_is_believed_by_both(call, ours, settings):
    settings.LIVERMORE_CA_FILE = str(ours[0])
    assert call() == {"ok": True}
    assert trust.trusted() == f"LIVERMORE_CA_FILE ({ours[0]})"


@pytest.mark.parametrize("name", USUAL)
def test_the_usual_variables_are_believed_by_both(call, ours, monkeypatch, name):
    monkeypatch.setenv(name, str(ours[0]))
    assert call() == {"ok": True}
    assert trust.trusted() == f"the system's certificates and {name} ({ours[0]})"


@pytest.mark.parametrize("name", USUAL)
def test_what_one_variable_names_takes_nothing_from_the_others(call, ours, monkeypatch, name):
    for other in USUAL:
        monkeypatch.setenv(other, certifi.where())
    monkeypatch.setenv(name, str(ours[0]))
    assert call() == {"ok": True}


@pytest.fixture
def folder(ours, tmp_path):
    """Return a folder of certificates, as OpenSSL wants it."""
    found = tmp_path / "certificates"
    found.mkdir()
    (found / "ours.pem").write_bytes(ours[0].read_bytes())
    subprocess.run(["openssl", "rehash", found], check=True)
    return str(found)


@pytest.mark.parametrize("name", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_folder_is_believed_too(call, folder, monkeypatch, name):
    monkeypatch.setenv(name, folder)
    assert call() == {"ok": True}


def test_the_setting_may_be_a_folder_as_well(call, folder, settings):
    settings.LIVERMORE_CA_FILE = folder
    assert call() == {"ok": True}


def test_the_setting_alone_counts_where_it_is_set(call, ours, settings, monkeypatch):
    settings.LIVERMORE_CA_FILE = certifi.where()
    for name in USUAL:
        monkeypatch.setenv(name, str(ours[0]))
    assert "certificate verify failed" in call()


def test_a_certificate_of_another_host_is_refused_all_the_same(call, ours, settings, monkeypatch):
    settings.LIVERMORE_CA_FILE = str(ours[0])
    monkeypatch.setattr(f"{__name__}.HOST", "other.lan")
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["other.lan"]
    lead(monkeypatch, "other.lan", "127.0.0.1")
    assert "other.lan" in call()


def test_a_file_that_was_renewed_counts_at_the_next_connect(call, ours, settings, tmp_path):
    settings.LIVERMORE_CA_FILE = str(tmp_path / "renewed.pem")
    Path(settings.LIVERMORE_CA_FILE).write_bytes(Path(certifi.where()).read_bytes())
    assert "certificate verify failed" in call()
    Path(settings.LIVERMORE_CA_FILE).write_bytes(ours[0].read_bytes())
    assert call() == {"ok": True}


def test_what_has_not_changed_is_not_read_again(folder, settings, monkeypatch):
    settings.LIVERMORE_CA_FILE = folder
    first = trust.tls_context()
    assert trust.tls_context() is first
    monkeypatch.setenv("SSL_CERT_DIR", folder)
    second = trust.tls_context()
    [*_, certificate] = Path(folder).glob("*.0")
    os.utime(certificate, ns=(1, 1))
    third = trust.tls_context()
    settings.LIVERMORE_CA_FILE = ""
    assert len({id(each) for each in (first, second, third, trust.tls_context())}) == 4


FAULTS = {
    "missing": "can't be read (No such file or directory)",
    "unreadable": "can't be read (Permission denied)",
    "empty": "holds no certificates",
    "cut": "holds no certificates",
    "text": "holds no certificates",
    "key": "holds no certificates",
    "empty folder": "holds no certificates",
}


@pytest.fixture(params=FAULTS)
def unusable(request, ours, tmp_path, monkeypatch):
    """Return the path of something that is no file of certificates, and what is wrong with it."""
    path, pem = tmp_path / "unusable", ours[0].read_bytes()
    content = {
        "empty": b"",
        "cut": pem[: len(pem) // 2],
        "text": "Прощай".encode("utf-16"),
        "key": (tmp_path / f"{HOST}.key").read_bytes(),
    }
    if request.param == "empty folder":
        path.mkdir()
    elif request.param == "unreadable":  # as it is for everybody but root
        path.write_bytes(pem)
        real = Path.is_dir

        def is_dir(each):
            if each == path:
                raise PermissionError(13, "Permission denied")
            return real(each)

        monkeypatch.setattr(Path, "is_dir", is_dir)
    elif request.param != "missing":
        path.write_bytes(content[request.param])
    return str(path), FAULTS[request.param]


@pytest.mark.parametrize("name", ["LIVERMORE_CA_FILE", *USUAL])
def test_a_file_that_is_none_is_told_in_a_line(call, unusable, settings, monkeypatch, name):
    path, fault = unusable
    if name in USUAL:
        monkeypatch.setenv(name, path)
    else:
        settings.LIVERMORE_CA_FILE = path
    said = call().removeprefix("cannot connect: ")
    assert said.startswith(f"{name} names {path}, which {fault}: name a file of certificates")
    assert said.endswith("or unset it")
    assert "\n" not in said


def test_nothing_is_sent_where_the_file_is_none(rest, settings, monkeypatch):
    settings.LIVERMORE_CA_FILE = "/nonexistent"
    monkeypatch.setattr("exchanges.transport.dialing.connect_to_first", pytest.fail)
    assert rest().startswith("LIVERMORE_CA_FILE")


def test_where_the_system_knows_no_ca_those_of_certifi_are_believed(monkeypatch, tmp_path, ours):
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda context: None)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert trust.trusted() == "certifi's certificates, as the system has none"
    assert trust.tls_context().cert_store_stats()["x509_ca"] > 100
    monkeypatch.setenv("SSL_CERT_FILE", str(ours[0]))
    assert trust.tls_context().cert_store_stats()["x509"] == 1


def test_a_context_verifies(settings):
    context = trust.tls_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(Misconfigured):
        trust.load(context, "X", os.devnull)
