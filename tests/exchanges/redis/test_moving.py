"""A master that moves, slots that move, nodes that die: what a client makes of it."""

import threading
import time

import pytest
from redis import Redis
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    MasterDownError,
    ReadOnlyError,
    RedisError,
)

from exchanges.redis.client import make_client, own_client
from exchanges.redis.scripts import Script
from exchanges.redis.topology.connections import MasterConnection, MasterPool
from tests.fixtures.answering import answering
from tests.fixtures.cluster import Cluster
from tests.fixtures.redis_server import Server, wait_for
from tests.fixtures.sentinels import Sentinels

SET = Script("return redis.call('SET', KEYS[1], ARGV[1])")
SECONDS = 10.0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"-READONLY You can't write against a read only replica.\r\n", ReadOnlyError),
        (b"-MASTERDOWN Link with MASTER is down\r\n", MasterDownError),
        (b"-LOADING Redis is loading the dataset in memory\r\n", BusyLoadingError),
    ],
)
def test_after_such_an_answer_another_connection_is_made(answer, error):
    with answering(answer) as server, make_client(server.url) as client:
        for times in (1, 2):
            with pytest.raises(error):
                client.set("a", 1)
            assert server.connections == times
        server.answer = b"+OK\r\n"
        assert client.set("a", 1)
        assert client.set("a", 1)
        assert server.connections == 3


def test_what_a_pipeline_was_answered_is_read_whole_before(redis):
    with answering(b"-READONLY no\r\n") as server, make_client(server.url) as client:
        pipe = client.pipeline(transaction=False)
        pipe.set("a", 1)
        pipe.set("b", 1)
        assert [type(each) for each in pipe.execute(raise_on_error=False)] == [ReadOnlyError] * 2
        with pytest.raises(ReadOnlyError):
            client.set("a", 1)
        assert server.connections == 2


class Named:
    """The master that a test names."""

    def __init__(self, server):
        self.name(server)

    def name(self, server):
        self.found = "127.0.0.1", server.port

    def find(self):
        return self.found

    def known(self):
        return self.found


@pytest.fixture
def two(tmp_path):
    """Return two servers, the second a replica of the first."""
    first, second = Server(tmp_path / "first"), Server(tmp_path / "second")
    second.ask("REPLICAOF", "127.0.0.1", first.port)
    wait_for(lambda: second.ask("INFO", "replication")["master_link_status"] == "up", "a replica")
    yield first, second
    first.close()
    second.close()


@pytest.mark.parametrize("write", [lambda c: c.set("a", 1), lambda c: SET(c, ["a"], [1])])
def test_a_master_that_is_none_any_more_and_stays_up_is_left_at_its_first_refusal(two, write):
    first, second = two
    named = Named(first)
    with Redis.from_pool(MasterPool(MasterConnection, finder=named)) as client:
        write(client)
        second.ask("REPLICAOF", "NO", "ONE")
        first.ask("REPLICAOF", "127.0.0.1", second.port)
        with pytest.raises(ReadOnlyError):
            write(client)
        with pytest.raises(ConnectionError, match="no master any more"):
            write(client)  # nobody has been named in its place yet
        named.name(second)
        write(client)
        assert second.ask("GET", "a") == "1"


def test_other_connections_to_a_former_master_are_not_used_any_more(two):
    first, second = two
    named = Named(first)
    pool = MasterPool(MasterConnection, finder=named)
    with Redis.from_pool(pool) as client:
        several = [pool.get_connection() for _ in range(3)]
        for each in several:
            pool.release(each)
        second.ask("REPLICAOF", "NO", "ONE")
        named.name(second)
        ports = {client.info("server")["tcp_port"] for _ in range(3)}
        assert ports == {second.port}


def until_done(command):
    """Call until it is done; return how long that took. All that is raised is a RedisError."""
    started, faults = time.monotonic(), []
    while True:
        try:
            command()
        except RedisError as error:
            faults.append(error)
            assert time.monotonic() - started < SECONDS, faults
            time.sleep(0.05)
        else:
            return time.monotonic() - started


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    with Sentinels(tmp_path_factory.mktemp("sentinels")) as watched:
        yield watched


def test_a_failover_by_the_sentinels_is_followed(watched):
    with make_client(watched.url) as client, own_client(client, 1.0) as own:
        client.set("a", 1)
        own.set("a", 1)
        old = watched.fail_over()
        new = watched.master()
        assert new is not old
        for number, each in enumerate((client, own)):

            def is_followed(each=each, number=number):
                until_done(lambda: each.set("a", number))
                return new.ask("GET", "a") == str(number)

            # The old one takes writes until it is told: not for as long as that.
            wait_for(is_followed, "writes at the new master", seconds=3)


def test_a_master_that_is_killed_is_replaced_within_seconds(watched):
    with make_client(watched.url) as client, own_client(client, 1.0) as own:
        own.set("a", 1)
        old = watched.master()
        old.kill()
        until_done(lambda: own.set("a", 3))
        until_done(lambda: client.set("b", 3))
        old.start()
        wait_for(lambda: old.ask("ROLE")[0] == "slave", "the old master as a replica")


def test_a_sentinel_that_is_away_is_passed_over(watched):
    watched.sentinels[0].halt()
    try:
        with make_client(watched.url) as client:
            assert until_done(lambda: client.set("a", 4)) < SECONDS
    finally:
        watched.sentinels[0].go_on()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), replicas=1) as whole:
        yield whole


def test_slots_that_move_cost_no_command(whole):
    names = [f"{{tag}}:{number}" for number in range(200)]
    done, moving = [], threading.Event()
    with make_client(whole.url) as client, own_client(client, 1.0) as own:
        slot = client.slot_of("{tag}")
        to = next(each for each in whole.nodes[:3] if each is not whole.owner(slot))

        def write():
            for number in range(10_000):
                name = names[number % len(names)]
                SET(own, [name], [number])
                pipe = own.pipeline(transaction=False)
                pipe.get(name)
                pipe.zadd(f"{name}:z", {"a": number})
                assert pipe.execute()[0] == b"%d" % number
                done.append(name)
                if moving.is_set():
                    return

        thread = threading.Thread(target=write)
        thread.start()
        wait_for(lambda: len(done) > len(names), "all keys")
        whole.move(slot, to)
        count = len(done)
        wait_for(lambda: len(done) > count + 50 or not thread.is_alive(), "more commands")
        assert thread.is_alive()
        moving.set()
        thread.join()
        assert whole.owner(slot) is to


def test_a_nodes_death_is_followed_to_its_replica(whole):
    names = [f"key:{number}" for number in range(50)]
    with make_client(whole.url) as client, own_client(client, 1.0) as own:
        for each in names:
            own.set(each, 1)
        dead = whole.owner_of(names[0])
        dead.kill()
        for each in names:
            until_done(lambda each=each: own.set(each, 2))
        pipe = client.pipeline(transaction=False)
        for each in names:
            pipe.get(each)
        assert pipe.execute() == [b"2"] * len(names)
        dead.start()
        whole.wait_until_whole()
