"""A bucket as the place of history: a real server, and what is said where it can't be used."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from exchanges.errors import Misconfigured, Temporary
from history.places import s3
from history.places.place import configured_place
from history.places.s3 import read_address
from tests.fixtures.ports import free_port
from tests.history.places.s3_server import KEY, s3_server


@pytest.fixture(scope="module")
def server():
    with s3_server() as server:
        yield server


@pytest.fixture
def place_at(settings, monkeypatch):
    """Return what opens a place by its address, with this key, where any port may be reached."""
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1:*", "127.0.0.1"]

    def open_place(address, key=KEY):
        port = address.rpartition(":")[2]
        settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [f"127.0.0.1:{port}"]
        for name, value in key.items():
            monkeypatch.setenv(name, value)
        settings.HISTORY = address
        return configured_place()

    return open_place


def test_what_is_written_is_read_moved_and_listed(server, place_at):
    place = place_at(server.address())
    assert place.read("a=1/x.parquet") is None
    place.write("a=1/x.parquet", b"one")
    place.write("a=1/x.parquet", b"two" * 700_000)
    assert place.read("a=1/x.parquet") == b"two" * 700_000
    place.move("a=1/x.parquet", "damaged/a=1/x.parquet")
    place.move("a=1/x.parquet", "damaged/a=1/x.parquet")  # there is none any more
    place.write("b=2/y.parquet", b"3")
    assert place.read("a=1/x.parquet") is None
    assert list(place.paths()) == ["b=2/y.parquet", "damaged/a=1/x.parquet"]
    assert list(place.paths("b=2")) == ["b=2/y.parquet"]
    assert list(place.paths("c=3")) == []


def test_the_id_is_the_same_for_all_who_ask_at_once_and_another_for_another_prefix(
    server, place_at
):
    place = place_at(server.address("together"))
    with ThreadPoolExecutor(4) as pool:
        ids = {*pool.map(lambda _: place.id(), range(4))}
    assert len(ids) == 1
    assert place_at(server.address("other")).id() not in ids
    place.write(s3.ID_OBJECT, b"nonsense")
    with pytest.raises(Misconfigured, match="does not hold 32 hex digits"):
        place.id()


def test_a_bucket_that_is_missing_is_one_line_and_goes_on_once_it_is_there(server, place_at):
    place = place_at(server.address(bucket="not-there-yet"))
    with pytest.raises(Misconfigured, match="there is no such bucket: make it"):
        place.id()
    server.client().create_bucket(Bucket="not-there-yet")
    assert place.id()


def test_a_server_that_is_away_is_one_line(place_at, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    place = place_at(f"s3://candles/a?endpoint=http://127.0.0.1:{free_port()}")
    for action in (place.id, lambda: place.write("x", b"1"), lambda: list(place.paths())):
        with pytest.raises(Temporary, match="it does not answer") as caught:
            action()
        assert "\n" not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up(place_at, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    monkeypatch.setattr(s3, "SILENT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = place_at(f"s3://candles/a?endpoint=http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Temporary, match="it does not answer"):
            place.id()


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("s3://key:secret@candles/a", "holds a user name or password"),
        ("s3://candles/a?secret=secret", "1 options that are neither endpoint nor region"),
        ("s3:///a", "names no bucket"),
        ("s3://Candles_1/a", "names no bucket"),
        ("s3://candles/a?endpoint=http://127.0.0.1:1", "LIVERMORE_PRIVATE_EXCHANGE_HOSTS"),
        ("s3://candles/a?endpoint=https://key:secret@example.org", "must not hold a user name"),
        ("gs://candles/secret", "neither a folder nor a bucket"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused_in_a_line_without_secrets(settings, url, line):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = []
    settings.HISTORY = url
    with pytest.raises(Misconfigured, match=line) as caught:
        configured_place()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_not_there_is_asked_for(place_at, server):
    with pytest.raises(Misconfigured, match="AWS_SECRET_ACCESS_KEY is not set"):
        place_at(server.address(), KEY | {"AWS_SECRET_ACCESS_KEY": ""})


def test_the_region_is_what_is_named_first(monkeypatch):
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert read_address("s3://candles?region=eu-west-1").region == "eu-west-1"
    assert read_address("s3://candles").region == "eu-north-1"
    assert str(read_address("s3://candles/a/")) == "s3://candles/a"


def test_a_wrong_key_is_one_line_and_the_right_one_goes_on(place_at):
    with s3_server() as server:  # one of its own: it lets nobody else in from now on
        key = server.user_with_key()
        with pytest.raises(Misconfigured, match="the key") as caught:
            place_at(server.address(), KEY).write("x", b"1")
        assert "\n" not in str(caught.value)
        wrong = key | {"AWS_SECRET_ACCESS_KEY": "another"}
        with pytest.raises(Misconfigured, match="the secret does not fit"):
            place_at(server.address(), wrong).write("x", b"1")
        with pytest.raises(Misconfigured, match="correct AWS_ACCESS_KEY_ID"):
            place_at(server.address(), wrong).read("x")
        place = place_at(server.address(), key)
        place.write("x", b"1")
        assert place.read("x") == b"1"
