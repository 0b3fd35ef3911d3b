"""What an address means, and what is said of one that means nothing."""

import socket

import pytest
from livermore_reader import BadRequest, Unavailable, address, connect

from tests.fixtures.ports import free_port


def test_a_server():
    found = address.parse("redis://user:p%2Fw@host:7000/3?health_check_interval=10")
    assert found.text == "redis://host:7000/3"
    assert dict(found.options) == {
        "username": "user", "password": "p/w", "host": "host", "port": 7000, "db": 3,
        "health_check_interval": 10,
    }  # fmt: skip
    assert address.parse("rediss://host").options["ssl"] is True
    assert address.parse("REDIS://host").text == "redis://host:6379/0"


def test_a_socket():
    for url in ("/run/redis.sock", "run/redis.sock", "unix:///run/redis.sock?db=2"):
        assert address.parse(url).options["unix_socket_path"].endswith("run/redis.sock")
    assert address.parse("unix:///run/redis.sock?db=2").options["db"] == 2


@pytest.mark.parametrize(
    "wrong",
    [{"url": 5}, {"url": b"redis://host"}, {"token": 5}, {"prefix": 5}, {"history": 5},
     {"history": ""}],
    ids=str,
)  # fmt: skip
def test_what_is_no_text_is_one_line(wrong):
    with pytest.raises(BadRequest, match="has to be a text") as caught:
        connect(**{"url": "redis://host"} | wrong)
    assert "\n" not in str(caught.value)


def test_sentinels_that_are_away_are_told_in_a_few_words():
    with pytest.raises(Unavailable) as caught:
        connect(f"redis+sentinel://:secret@127.0.0.1:{free_port()}/mymaster").exchanges()
    assert str(caught.value).endswith("no Sentinel there tells of a master 'mymaster'")


def test_sentinels():
    found = address.parse("redis+sentinel://:pw@a,b:26380,[::1]/mymaster/1?sentinel_password=s")
    assert found.nodes == [("a", 26379), ("b", 26380), ("::1", 26379)]
    assert (found.service, found.options["db"], found.options["password"]) == ("mymaster", 1, "pw")
    assert found.sentinel_options == {"password": "s"}
    assert not found.is_cluster
    assert "pw" not in found.text


def test_a_cluster():
    found = address.parse("rediss+cluster://user:pw@a,b:7000/?ssl_ca_certs=ca.pem")
    assert found.nodes == [("a", 6379), ("b", 7000)]
    assert found.is_cluster
    assert found.options["ssl"] is True
    assert found.text == "rediss+cluster://a:6379,b:7000/"


@pytest.mark.parametrize(
    "url",
    [
        "", "host", "redis://", "http+sentinel://a/b", "ftp://host", "redis+other://a",
        "redis://:sec#ret@host", "redis://:sec/ret@host/0", "redis://a,b/0", "redis://host/zero",
        "redis+sentinel://a,b", "redis+sentinel://:sec/ret@a/mymaster", "redis+cluster://a/1",
        "redis+cluster://:secret@/0", "redis+cluster://a,:0/", "redis://host:port",
        "redis://host?socket_timeout=secret", "redis+sentinel://a/m/0?sentinel_secret=secret",
        "redis+cluster://:sec@ret@a:b/", "redis://host?secret=secret", "redis+sentinel://a/m/0?secret=secret",
        "redis+cluster://a/?secret=secret",
    ],
)  # fmt: skip
def test_what_is_no_address_is_one_line_without_what_may_be_secret(url):
    with pytest.raises(BadRequest) as caught:
        connect(url).exchanges()
    assert "\n" not in str(caught.value)
    for part in ("secret", "sec#", "sec/", "ret@"):
        assert part not in str(caught.value)


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """Begin in an empty folder, with no address in the environment."""
    for name in address.NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_who_says_nothing_reads_where_the_environment_says(somewhere, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://one")
    assert address.usual() == "redis://one"
    monkeypatch.setenv("LIVERMORE_URL", "http://two:8010")
    assert address.usual() == "http://two:8010"


def test_or_what_runs_in_this_folder_or_above(somewhere, monkeypatch):
    with pytest.raises(BadRequest, match="set LIVERMORE_URL or REDIS_URL, or begin in the folder"):
        connect()
    (somewhere / "var/valkey").mkdir(parents=True)
    (somewhere / "notebooks").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(somewhere / "var/valkey")  # names of sockets may not be long
        server.bind("server.sock")
        for folder in (somewhere, somewhere / "notebooks"):
            monkeypatch.chdir(folder)
            assert address.usual() == str(somewhere / "var/valkey/server.sock")
