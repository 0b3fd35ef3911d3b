"""What a user needs that Livermore has on a Cluster, and on Sentinels: as the settings say."""

import asyncio
import re
from pathlib import Path

import pytest

from exchanges.redis.client import make_asyncio_client, make_client
from exchanges.redis.recognition import misnamed
from tests.fixtures.cluster import Cluster
from tests.fixtures.sentinels import Sentinels

DOCS = Path(__file__).parents[3] / "docs"
PASSWORD = "of-the-user"


def rights():
    """Return the rights of the hand-over's user of one server."""
    text = (DOCS / "handoff-binance-us.md").read_text()
    lines = re.findall(r"^ACL SETUSER livermore reset on >PASSWORD (.*)$", text, re.M)
    return next(each for each in lines if each.startswith("~candles:")).split()


def more_rights(word):
    """Return those that the settings name beside them, in the line with a word."""
    lines = (DOCS / "settings.md").read_text().splitlines()
    (line,) = [each for each in lines if word in each and "`+" in each]
    return re.search(r"`(\+[^`]*)`", line)[1].split()


def give(server, *words):
    server.ask("ACL", "SETUSER", "livermore", "reset", "on", f">{PASSWORD}", *words)
    server.ask("ACL", "LOG", "RESET")


def denied(servers):
    found = []
    for each in servers:
        for entry in each.ask("ACL", "LOG"):
            fields = dict(zip(entry[::2], entry[1::2], strict=True))
            found.append((fields["object"], fields["reason"]))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster")) as whole:
        for node in whole.nodes:
            give(node, *rights(), *more_rights("Cluster's user"))
        yield whole


def use(url):
    with make_client(url) as client:
        client.ping()
        client.set("candles:1", 1)
        client.eval("return redis.call('GET', KEYS[1])", 1, "candles:1")
        client.script_load("return 1")
        pipe = client.pipeline(transaction=False)
        pipe.publish("channel:1", "message")
        pipe.get("candles:2")
        pipe.execute()
        client.xread({"exchange:1:events": "0-0"}, block=1)
        client.info("memory")

    async def publish():
        async with make_asyncio_client(url) as client, client.pubsub() as pubsub:
            await pubsub.subscribe("channel:1")
            await client.publish("channel:1", "message")

    asyncio.run(publish())


def test_a_clusters_user_may_do_what_is_done(whole):
    hosts = ",".join(each.place for each in whole.nodes)
    url = f"redis+cluster://livermore:{PASSWORD}@{hosts}/"
    assert misnamed(url) is None
    use(url)
    slot = 100
    source, to = whole.owner(slot), whole.nodes[1]
    whole.begin_to_move(slot, source, to)
    whole.end_move(slot, to)
    use(url)
    assert denied(whole.nodes) == []


def test_sentinels_user_may_do_what_is_done(tmp_path):
    with Sentinels(tmp_path) as watched:
        for each in watched.servers:
            give(each, *rights())
        for each in watched.sentinels:
            give(each, *more_rights("Sentinels' user"))
        url = watched.url.replace("://", f"://livermore:{PASSWORD}@")
        url += f"?sentinel_username=livermore&sentinel_password={PASSWORD}"
        assert misnamed(url) is None
        assert "mymaster" in misnamed(url.replace("mymaster", "another")).remedy
        use(url)
        found = misnamed(f"redis://livermore:{PASSWORD}@{watched.sentinels[0].place}/0")
        assert "mymaster" in found.remedy
        assert denied([*watched.servers, *watched.sentinels]) == []
        give(watched.sentinels[0], "+hello", "+ping")
        with make_client(url) as client:
            client.ping()  # another one says it


def test_a_right_that_is_missing_is_said(whole):
    node = whole.nodes[0]
    node.ask("ACL", "SETUSER", "reader", "reset", "on", f">{PASSWORD}", "+@connection", "+ping")
    try:
        url = f"redis+cluster://reader:{PASSWORD}@{node.place}/"
        with make_client(url) as client, pytest.raises(Exception, match=r"(?i)permission|NOPERM"):
            client.get("candles:1")
    finally:
        node.ask("ACL", "DELUSER", "reader")
