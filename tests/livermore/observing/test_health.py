import socket
import threading

import pytest
from django.db import connections
from django.test import Client

from tests.conftest import SERVER

GONE = "redis://127.0.0.1:1/0"


@pytest.fixture
def no_redis(settings):
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": GONE}}


@pytest.fixture
def ready_with_database(db, monkeypatch):
    """Return the answer of a process whose database is another one, as a new thread has it."""

    def ready(name):
        answers = []

        def ask():
            answers.append(Client().get("/health/ready/"))
            connections.close_all()

        monkeypatch.setitem(connections.settings["default"], "NAME", str(name))
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        return answers[0]

    return ready


def test_a_process_that_answers_is_alive_whatever_else_is_gone(client, no_redis):
    answer = client.get("/health/live/")  # any access to the database would fail this test
    assert (answer.status_code, answer.json()) == (200, {"live": True})


@pytest.mark.parametrize("path", ["/health/", "/health/ready/"])
def test_all_there_is_ready(client, db, redis, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "failing": []})
    assert "no-store" in answer["Cache-Control"]


def test_without_redis_it_is_not_ready_and_says_no_more(client, db, no_redis):
    answer = client.get("/health/ready/")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "failing": ["redis"],
        "why": {"redis": "it does not answer, or lets nobody in"},
    }


def test_a_redis_that_is_full_is_named_with_the_reason(client, db, redis):
    redis.config_set("maxmemory", 1)
    try:
        answer = client.get("/health/ready/")
    finally:
        redis.config_set("maxmemory", 0)
    assert (answer.status_code, answer.json()["why"]) == (503, {"redis": "it is full"})


def test_a_redis_that_evicts_is_ready_with_a_warning(client, db, redis):
    redis.config_set("maxmemory", "1gb", "maxmemory-policy", "allkeys-lfu")
    try:
        answer = client.get("/health/ready/")
    finally:
        redis.config_set("maxmemory", 0, "maxmemory-policy", "noeviction")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert answer.json()["warnings"] == [
        "redis: it drops keys when it is full (maxmemory-policy allkeys-lfu)"
    ]


def test_a_redis_that_may_only_be_read_is_not_ready(client, db, redis, settings):
    """Its user may not ask for its memory either."""
    redis.acl_setuser(
        "reader", enabled=True, passwords=["+any"], categories=["+@read", "+@connection"]
    )
    address = SERVER.url.replace("unix://", "unix://reader:any@")
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": address}}
    try:
        answer = client.get("/health/ready/")
    finally:
        redis.acl_deluser("reader")
    assert (answer.status_code, answer.json()["why"]) == (503, {"redis": "its user may not write"})


def test_an_address_that_is_none_is_not_ready_and_not_told(client, db, settings, caplog):
    address = "redis://:a-pass/word@127.0.0.1:6379/0"  # the / would have to be %2F
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": address}}
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()["failing"]) == (503, ["redis"])
    assert "a-pass" not in answer.content.decode()
    assert "health.failing part=redis" in caplog.text


def test_without_a_database_it_is_not_ready(ready_with_database, redis):
    answer = ready_with_database("/nowhere/at/all")
    assert (answer.status_code, answer.json()["failing"]) == (503, ["database"])


def test_a_database_without_tables_is_not_ready(ready_with_database, redis, tmp_path):
    if connections["default"].vendor != "sqlite":
        pytest.skip("an empty database of another engine would have to be made")
    answer = ready_with_database(tmp_path / "empty")
    assert (answer.status_code, answer.json()["failing"]) == (503, ["migrations"])


@pytest.mark.parametrize("path", ["/health/", "/health/live/", "/health/ready/", "/metrics"])
def test_nothing_but_get_and_head_is_allowed(db, redis, path):
    client = Client(enforce_csrf_checks=True)
    assert client.post(path).status_code == 405
    assert client.delete(path).status_code == 405


def test_a_head_is_answered_without_a_body(client, db, redis):
    answer = client.head("/health/ready/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/health/", "/health/live/", "/health/ready/"])
def test_https_redirects_others_but_not_this(settings, client, db, redis, path):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path).status_code == 200
    assert client.get("/admin/").url.startswith("https://")


def test_a_redis_that_hangs_is_waited_for_less_long_than_others_do(
    client, db, settings, monkeypatch
):
    monkeypatch.setattr("livermore.observing.health.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        usual = settings.CACHES["default"]
        address = f"redis://127.0.0.1:{hung.getsockname()[1]}/0?socket_timeout=600"
        settings.CACHES = {"default": usual | {"LOCATION": [address]}}
        assert client.get("/health/ready/").json()["failing"] == ["redis"]
