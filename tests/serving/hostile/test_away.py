"""The database or Redis away: nobody is told something that isn't so, and nothing of ours."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import websocket
from django.db import OperationalError

from exchanges.redis.client import make_client
from serving.clients import Callers
from serving.directory import Directory
from serving.models import ApiClient
from tests.fixtures.redis_server import Server as RedisServer
from tests.serving.conftest import Filled, FixedDirectory, say_streamed
from tests.serving.hostile.raw import is_one_line
from tests.serving.serving import served
from tests.warmup.runners import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PING = "/sandbox/api/v3/ping"
SECRETS = ("10.9.8.7", "livermore_user", "hunter2")
FAULT = 'connection to server at "10.9.8.7", port 5432 failed:\n\tpassword for "livermore_user"'


@pytest.fixture
def database(monkeypatch):
    """Return an object whose `is_away` says whether the database is, `hangs` whether it hangs."""

    class Database:
        is_away = False
        hangs = threading.Event()

    for rows in (Directory, Callers):

        def load(self, before=rows.load):
            if Database.is_away:
                raise OperationalError(FAULT)
            if Database.hangs.is_set():
                while Database.hangs.is_set():
                    time.sleep(0.01)
                raise OperationalError(FAULT)
            before(self)

        monkeypatch.setattr(rows, "load", load)
    yield Database
    Database.hangs.clear()


def is_refused_truly(found):
    assert found.status_code == 503, found.text
    assert int(found.headers["Retry-After"]) > 0
    assert is_one_line(found.text)
    assert not [each for each in SECRETS if each in found.text]
    return True


def test_nobody_is_told_that_there_is_no_such_exchange_or_token(redis, database):
    client = ApiClient(name="bot")
    token = client.new_token()
    client.save()
    database.is_away = True
    with served(redis) as url:
        for _ in range(3):  # not each request waits for it, and each is told the same
            is_refused_truly(requests.get(url + PING, timeout=10))
            is_refused_truly(requests.get(f"{url}/k/{token}{PING}", timeout=10))
        candles = requests.get(f"{url}/v1/candles?exchange=sandbox", timeout=10)
        assert candles.json().keys() == {"error"} and is_refused_truly(candles)
        coinbases = requests.get(f"{url}/coinbase/api/v3/brokerage/time", timeout=10)
        assert coinbases.json().keys() == {"code", "msg", "message"} and is_refused_truly(coinbases)
        found = requests.get(f"{url}/health/", timeout=10)
        assert (found.status_code, found.json()["failing"]) == (503, "database")
        database.is_away = False
        wait_until(lambda: requests.get(url + PING, timeout=10).status_code == 200)
        assert requests.get(f"{url}/k/{token}{PING}", timeout=10).status_code == 200
        wait_until(lambda: requests.get(f"{url}/health/", timeout=10).status_code == 200)


def test_who_is_known_is_served_while_it_is_away(redis, database, monkeypatch):
    monkeypatch.setattr("serving.directory.SECONDS_BETWEEN_READS", 0.0)
    client = ApiClient(name="bot")
    token = client.new_token()
    client.save()
    with served(redis, is_open=False) as url:
        assert requests.get(f"{url}/k/{token}{PING}", timeout=10).status_code == 200
        database.is_away = True
        assert requests.get(f"{url}/k/{token}{PING}", timeout=10).status_code == 200
        monkeypatch.setattr("serving.clients.SECONDS_BETWEEN_SEEN", -1.0)
        monkeypatch.setattr(Callers, "note_seen", Directory.load)  # it can't be written either
        assert requests.get(f"{url}/k/{token}{PING}", timeout=10).status_code == 200


def test_one_that_hangs_is_not_waited_for(redis, database, monkeypatch):
    monkeypatch.setattr("serving.directory.SECONDS_BETWEEN_READS", 0.0)
    monkeypatch.setattr("serving.directory.SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr("serving.rows.KNOWN_SECONDS", 0.1)
    monkeypatch.setattr("serving.rows.UNKNOWN_SECONDS", 0.3)
    monkeypatch.setattr("serving.health.LONGEST_SECONDS", 0.3)
    with served(redis) as url:
        assert requests.get(url + PING, timeout=10).status_code == 200
        database.hangs.set()
        for _ in range(20):
            assert requests.get(url + PING, timeout=10).status_code == 200
        is_refused_truly(requests.get(f"{url}/other/api/v3/ping", timeout=10))
        wait_until(lambda: requests.get(f"{url}/health/", timeout=10).status_code == 503)
        database.hangs.clear()
        wait_until(lambda: requests.get(f"{url}/other/api/v3/ping", timeout=10).status_code == 404)


def test_health_is_looked_at_once_however_often_it_is_asked(redis, database, monkeypatch):
    looks = []
    load = Directory.load
    monkeypatch.setattr(Directory, "load", lambda self: looks.append(load(self)))
    with served(redis) as url, requests.Session() as session:
        began = time.monotonic()
        found = {session.get(f"{url}/health/", timeout=10).status_code for _ in range(200)}
        seconds = time.monotonic() - began
    assert found == {200}
    assert len(looks) <= 2 + seconds


def test_without_redis_nothing_is_served_as_if_it_were_there():
    away = make_client("redis://127.0.0.1:1/0", connect_seconds=0.2)
    paths = (
        "/sandbox/api/v3/klines?symbol=BTCUSD&interval=1h", "/sandbox/api/v3/time",
        "/sandbox/api/v3/ticker/price?symbol=BTCUSD", "/sandbox/ws", "/sandbox/stream",
        "/v1/candles?exchange=sandbox&symbol=BTC-USD&timeframe=1h", "/v1/status?exchange=sandbox",
        "/v1/macd-v?exchange=sandbox", "/v1/events?exchange=sandbox",
    )  # fmt: skip
    with served(away, directory=FixedDirectory()) as url:
        for path in paths:
            found = requests.get(url + path, timeout=20)
            assert found.status_code == 503, (path, found.text)
            assert int(found.headers["Retry-After"]) > 0
            assert is_one_line(found.text) and "127.0.0.1:1" not in found.text, path
        with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
            websocket.create_connection(url.replace("http", "ws") + "/sandbox/ws", timeout=10)
        assert requests.get(url + PING, timeout=10).json() == {}


def test_a_redis_that_answers_nothing_is_one_that_is_away(tmp_path):
    paths = [
        "/sandbox/api/v3/klines?symbol=BTCUSD&interval=1h&limit=5",
        "/sandbox/api/v3/ticker/price?symbol=BTCUSD",
        "/v1/candles?exchange=sandbox&symbol=BTC-USD&timeframe=1h&limit=5",
        "/v1/status?exchange=sandbox",
        "/v1/macd-v?exchange=sandbox",
        "/v1/events?exchange=sandbox",
    ]
    server = RedisServer(tmp_path)
    address = f"redis://{server.place}/0"
    redis = make_client(address)
    Filled(redis)
    say_streamed(redis)

    def status(path):
        return requests.get(url + path, timeout=8).status_code

    try:
        with served(redis, address, directory=FixedDirectory()) as url:
            wait_until(lambda: status(paths[0]) == 200)
            server.halt()
            wait_until(lambda: status(paths[0]) == 503)  # it was heard of until now
            with ThreadPoolExecutor(60) as pool:
                assert set(pool.map(status, paths * 10)) == {503}
                assert set(pool.map(status, [PING] * 30)) == {200}
            server.go_on()
            wait_until(lambda: status(paths[0]) == 200)
    finally:
        server.close()
