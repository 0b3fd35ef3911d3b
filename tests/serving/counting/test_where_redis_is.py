"""What `serve` keeps in Redis for all of its processes, on a Cluster and with few rights."""

import asyncio

import pytest

from exchanges.redis.client import make_client
from livermore.market import keys
from serving.clients import Caller
from serving.counting.reports import Reports
from serving.limits.requests import RequestLimits
from serving.limits.sockets import SocketLimits
from serving.together.turns import turn
from tests.fixtures.cluster import Cluster
from warmup.network.readers import read_readers


async def keep_all(redis):
    """Do once what a process that serves does."""
    reports, bot = Reports(redis, "s"), Caller(7, "bot", 5, 2, "digest")
    reports.counts.add("refused_total", "bot", "sockets")
    reports.readers.opened("bot", "sandbox")
    limits = SocketLimits(redis)
    entered = [await limits.enter(bot) for _ in range(3)]
    await asyncio.to_thread(limits.renew)
    await limits.leave(entered[0])
    asked = [await RequestLimits(redis).may_ask(bot) for _ in range(3)]
    with turn(redis, 4):
        assert redis.exists(keys.fetch_turn(4))
    collected = {each.name: each for each in (await reports.collector()).collect()}
    told = read_readers(redis)
    await reports.withdraw()
    return entered, asked, told, collected


def check(redis):
    entered, asked, told, collected = asyncio.run(keep_all(redis))
    assert [bool(each) for each in entered] == [True, True, False]
    assert all(asked)
    assert [(each["client"], each["sockets"]) for each in told] == [("bot", 1)]
    assert [each.value for each in collected["livermore_serving_redis_up"].samples] == [1]
    (refused,) = collected["livermore_serving_refused"].samples
    assert refused.value == 1
    assert redis.zcard(keys.client_sockets(7)) == 1
    assert read_readers(redis) == []


def test_one_server(redis):
    check(redis)


@pytest.mark.timeout(120)
def test_a_cluster(tmp_path):
    with Cluster(tmp_path / "cluster") as whole, make_client(whole.url) as redis:
        check(redis)
