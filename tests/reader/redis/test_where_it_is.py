"""Each kind of Redis, however it is named, with whatever names its keys have."""

import json
import re
from pathlib import Path

import livermore_reader
import pytest
from livermore_reader import BadRequest, Unavailable

from exchanges.redis.client import make_client
from exchanges.redis.installation import announce
from livermore.market import keys
from livermore.market.naming import Naming, current, name_as
from tests.conftest import SERVER
from tests.fixtures.cluster import Cluster
from tests.fixtures.redis_server import Server, wait_for
from tests.fixtures.sentinels import Sentinels
from tests.fixtures.tls import Tls, program
from tests.reader.conftest import TOLD
from tests.serving.conftest import ROW, Filled, say_streamed


@pytest.fixture
def named():
    before = current()
    yield lambda *naming: name_as(Naming(*naming))
    name_as(before)


def fill(url):
    """Write what an installation writes; return the rows that are to be read."""
    with make_client(url) as client:
        announce(client, "0123")
        client.hset(keys.exchanges(), ROW.name, json.dumps(TOLD))
        say_streamed(client)
        return [each.row() for each in Filled(client).candles]


def read(url, **options):
    with livermore_reader.connect(url, **options) as lm:
        return lm.read("sandbox", "BTC-USD", "1h", 50, strict=True).rows


def six(rows):
    return [row[:6] for row in rows]


def test_a_socket_by_its_path_or_address(redis):
    written = fill(SERVER.url)
    path = redis.connection_pool.connection_kwargs["path"]
    for url in (path, Path(path), f"unix://{path}", f"unix://{path}?db=0", SERVER.url):
        assert six(read(url)) == written[-50:]


def test_a_server_with_a_password(tmp_path):
    server = Server(tmp_path / "server", password="s/cret")
    try:
        written = fill(f"redis://:s%2Fcret@{server.place}/0")
        assert six(read(f"redis://:s%2Fcret@{server.place}/0")) == written[-50:]
        for url in (f"redis://{server.place}/0", f"redis://:wr0ng@{server.place}/0"):
            with pytest.raises(Unavailable) as caught:
                read(url)
            assert server.place in str(caught.value)
            assert "wr0ng" not in str(caught.value)
            assert "\n" not in str(caught.value)
    finally:
        server.close()


def test_a_master_that_sentinels_know_also_after_a_failover(tmp_path):
    with Sentinels(tmp_path, password="of-server", sentinel_password="of-sentinels") as watched:
        written = fill(watched.url)
        with livermore_reader.connect(watched.url) as lm:
            assert lm.rows("sandbox", "BTC-USD", "1h", 50) == written[-50:]
            watched.fail_over()
            wait_for(lambda: rows_or_nothing(lm) == written[-50:], "the new master")


def rows_or_nothing(lm):
    try:
        return lm.rows("sandbox", "BTC-USD", "1h", 50)
    except Unavailable:
        return None


def test_a_cluster(tmp_path, named):
    named("", True, "")
    with Cluster(tmp_path / "cluster", password="of-cluster") as whole:
        written = fill(whole.url)
        assert six(read(whole.url)) == written[-50:]
        with livermore_reader.connect(whole.url) as lm:
            assert lm.read("sandbox", "BTC-USD", "1h", 700).source == "rest"
            assert lm.read_macd_v("sandbox", "BTC-USD", "1h")[0]["current"] is False
            assert lm.status("sandbox").streamed


@pytest.mark.skipif(not program(), reason="no Redis with TLS is on this machine")
def test_servers_that_speak_tls_alone(tmp_path):
    tls = Tls(tmp_path / "tls")
    trusted = f"ssl_ca_certs={tls.ca_file}"
    server = Server(tmp_path / "server", tls=tls)
    try:
        url = f"rediss://{server.place}/0?{trusted}"
        written = fill(url)
        assert six(read(url)) == written[-50:]
        with pytest.raises(Unavailable, match="certificate"):
            read(f"rediss://{server.place}/0")
    finally:
        server.close()
    with Sentinels(tmp_path, tls=tls, password="a", sentinel_password="b") as watched:
        url = watched.url.replace("redis+", "rediss+") + f"&{trusted}"
        fill(url)
        assert len(read(url)) == 50


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("prefix", ["", "livermore:", "a:b:"])
def test_prefix_and_tags_are_found(redis, named, prefix, tagged):
    named(prefix, tagged, prefix)
    written = fill(SERVER.url)
    assert six(read(SERVER.url)) == written[-50:]
    assert six(read(SERVER.url, prefix=prefix)) == written[-50:]


def test_of_several_installations_one_is_to_be_named(redis, named):
    named("a:", False, "")
    fill(SERVER.url)
    named("b:", True, "")
    written = fill(SERVER.url)
    with pytest.raises(BadRequest, match="prefix='a:' or prefix='b:'"):
        read(SERVER.url)
    assert six(read(SERVER.url, prefix="b:")) == written[-50:]


def test_a_user_who_may_read_alone_can_read_all_of_it(redis):
    text = Path("docs/reading.md").read_text()
    (line,) = re.findall("^ACL SETUSER reader .*$", text, re.M)
    written = fill(SERVER.url)
    redis.execute_command(*line.replace("PASSWORD", "secret").split())
    try:
        path = redis.connection_pool.connection_kwargs["path"]
        with livermore_reader.connect(f"unix://reader:secret@{path}") as lm:
            found = lm.read("sandbox", "BTC-USD", "1h", 50, live=True)
            assert six(found.rows) == written[-50:]
            assert found.open_row
            assert found.source == "stream, rest"
            assert lm.status("sandbox").streamed
            assert lm.ticker("sandbox", "BTC-USD") is None
            assert lm.read_macd_v("sandbox")[0] == {
                "symbol": "BTC-USD", "timeframe": "1m", "current": False,
            }  # fmt: skip
    finally:
        redis.execute_command("ACL", "DELUSER", "reader")


def test_a_redis_that_is_away_is_said_in_one_line_and_read_when_it_is_back(tmp_path):
    server = Server(tmp_path / "server", password="secret")
    url = f"redis://:secret@{server.place}/0"
    fill(url)
    with livermore_reader.connect(url) as lm:
        assert len(lm.rows("sandbox", "BTC-USD", "1h", 5)) == 5
        server.kill()
        with pytest.raises(Unavailable) as caught:
            lm.rows("sandbox", "BTC-USD", "1h", 5)
        assert str(caught.value).startswith(f"Redis at redis://{server.place}/0 does not answer")
        assert "secret" not in str(caught.value)
        server.start()
        try:
            fill(url)
            assert len(lm.rows("sandbox", "BTC-USD", "1h", 5)) == 5
        finally:
            server.close()


def test_a_redis_without_livermore_says_so(redis):
    with pytest.raises(BadRequest, match="no exchange is known in the Redis at unix://"):
        read(SERVER.url)
    fill(SERVER.url)
    assert len(read(SERVER.url)) == 50
