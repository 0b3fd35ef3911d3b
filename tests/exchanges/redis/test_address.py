"""What REDIS_URL may say."""

import pytest

from exchanges.redis.address import BadAddress, Kind, parse_address


def test_sentinels_are_named_with_the_master_that_they_watch():
    found = parse_address("redis+sentinel://user:p%40ss@h1:1,h2:2,[::1]:3/mymaster/4")
    assert found.kind is Kind.SENTINEL
    assert found.nodes == [("h1", 1), ("h2", 2), ("::1", 3)]
    assert found.service == "mymaster"
    assert found.options == {"username": "user", "password": "p@ss", "db": 4}
    assert not found.encrypted


def test_sentinels_have_a_password_of_their_own():
    found = parse_address("redis+sentinel://:a@h/m?sentinel_username=s&sentinel_password=p%2Fw")
    assert found.options == {"password": "a"}
    assert found.sentinel_options == {"username": "s", "password": "p/w"}


def test_a_cluster_is_named_by_some_of_its_nodes():
    found = parse_address("rediss+cluster://user:pass@h1:1,h2/?ssl_ca_certs=/ca.pem")
    assert found.kind is Kind.CLUSTER
    assert found.nodes == [("h1", 1), ("h2", 6379)]
    assert found.encrypted
    assert found.options["password"] == "pass"
    assert found.options["ssl_ca_certs"] == "/ca.pem"


def test_a_sentinel_has_its_usual_port():
    assert parse_address("redis+sentinel://h1,h2:5/m").nodes == [("h1", 26379), ("h2", 5)]


@pytest.mark.parametrize("url", ["redis://host:6379/2", "rediss://host", "unix:///a/b?db=2"])
def test_one_server_is_named_as_ever(url):
    found = parse_address(url)
    assert (found.kind, found.nodes) == (Kind.SERVER, ())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis+sentinel://h1,h2", "name the master"),
        ("redis+sentinel://h1,h2//0", "name the master"),
        ("redis+sentinel://h1,,h2/m/0", "no host"),
        ("redis+sentinel:///m/0", "no host"),
        ("redis+sentinel://:sec@ret@h1:port/m/0", "port that is none"),
        ("redis+sentinel://h1:0/m/0", "port that is none"),
        ("redis+sentinel://h1:70000/m/0", "port that is none"),
        ("redis+sentinel://h1/m/zero", "database's number"),
        ("redis+sentinel://h1/m/0/1x", "database's number"),
        ("redis+sentinel://h1/m/0?sentinel_pasword=secret", "option sentinel_"),
        ("redis+cluster://h1,h2/1", "a database"),
        ("redis+cluster://h1,h2/?db=1", "a database"),
        ("redis+cluster://:secret@/", "no host"),
        ("redis+cluster://h1,h2/x", "database's number"),
        ("unix+cluster:///path", "not an address"),
        ("redis+sentinels://h1/m", "not an address"),
        ("redis://:secret@h1:1,h2:2/0", "several hosts"),
        ("redis+sentinel://:se#cret@h1/m", "#"),
        ("redis+sentinel://:sec/ret@h1/m", ""),
        ("redis+sentinel://user:12/secret@h1,h2", "not the name of a master"),
        ("REDIS+SENTINEL://h1/m", "not an address"),
        ("redis+cluster://user:12?secret@h1,h2/", "option without a value"),
        ("redis://user:12?secret@h1/0", "option without a value"),
        ("redis+cluster://h 1/", "no host"),
    ],
)
def test_what_can_not_be_called_is_said_without_its_password(url, told):
    with pytest.raises(BadAddress) as error:
        parse_address(url)
    assert told in error.value.fault
    assert "secret" not in str(error.value)
    assert "ret@" not in str(error.value)
