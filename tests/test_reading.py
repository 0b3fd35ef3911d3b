"""docs/reading.md, run as it is written there."""

import json
import os
import re
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import redis as redis_client
from django.core.management import call_command

from exchanges.lock.status import FIXED, read_status
from exchanges.redis.client import make_client
from livermore.market import keys
from livermore.market.naming import Naming, name_as
from livermore.market.timeframe import Timeframe
from livermore.running import embedded_redis
from tests.conftest import SERVER
from tests.fixtures.cluster import Cluster
from tests.fixtures.redis_server import wait_for
from tests.fixtures.sentinels import Sentinels
from tests.warmup.runners import make_row, running, serve, wait_until

TEXT = (Path(__file__).parent.parent / "docs/reading.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
*_, FOLLOWER, RECIPE = (text for language, text in BLOCKS if language == "python")
BY_SENTINELS, BY_NODES = (t for language, t in BLOCKS if not language and "client = " in t)
NUMBER = 4


@pytest.fixture
def server(tmp_path):
    """A Redis of this test's own, which can be killed and started again."""
    memberships = []

    def start():
        memberships.append(embedded_redis.ensure_running(tmp_path / "valkey"))
        return redis_client.Redis.from_url(memberships[-1].url)

    yield start
    for membership in memberships:
        membership.leave()


@pytest.fixture
def follower(tmp_path):
    """The program of the document, as often as it is started, and what it has handled."""
    started = []

    class Follower:
        said = tmp_path / "said"

        def start(self, url=None, number=NUMBER, code=FOLLOWER):
            code = code.replace("NUMBER = 4 ", f"NUMBER = {number} ")
            assert number == NUMBER or code != FOLLOWER
            with self.said.open("ab") as said:
                process = subprocess.Popen(
                    [sys.executable, "-c", code],
                    cwd=tmp_path,
                    env=environment(url),
                    stdout=said,
                    stderr=said,
                )
            started.append(process)
            return process

        def lines(self):
            return self.said.read_text().splitlines() if self.said.exists() else []

        def handled(self):
            rows = [line.split() for line in self.lines()]
            return {
                (row[0], row[1], int(row[2])) for row in rows if len(row) == 4 and "-" in row[0]
            }

        def saw(self, minute):
            wait_until(lambda: ("BTC-USD", "1m", minute * 60_000) in self.handled())

    yield Follower()
    for process in started:
        process.kill()
        process.wait()


def environment(url=None):
    """Return what a program of the document is told: nothing of Redis where there is no URL."""
    others = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return others | {"REDIS_URL": url} if url else others


@pytest.fixture
def checkout(tmp_path, server):
    """A folder with the Redis of `./run` in its place, and a client of it."""
    client = server()
    (tmp_path / "var/valkey").mkdir(parents=True)
    place = tmp_path / "var/valkey/server.sock"
    place.symlink_to(client.connection_pool.connection_kwargs["path"])
    return tmp_path, client


def close(client, minute):
    """Let a minute close, as a runner writes and tells it."""
    row = [minute * 60_000, 1.0, 2.0, 0.5, 1.5, 10.0]
    client.zadd(keys.candles(NUMBER, "BTC-USD", "1m"), {json.dumps(row): row[0]})
    names = ("timestamp", "open", "high", "low", "close", "volume")
    event = {"symbol": "BTC-USD", "timeframe": "1m", **dict(zip(names, row, strict=True))}
    client.xadd(keys.events(NUMBER), {"event": json.dumps(event)})


def test_the_follower_goes_on_where_it_was_killed(server, follower):
    client = server()
    close(client, 1)
    process = follower.start(embedded_url(client))
    follower.saw(1)
    close(client, 2)
    follower.saw(2)
    process.kill()
    process.wait()
    close(client, 3)
    follower.start(embedded_url(client))
    follower.saw(3)
    before = follower.lines()
    assert [line for line in before if " 1m 60000 " in line] == ["BTC-USD 1m 60000 1.5"]
    assert not any("no longer has" in line for line in before)


def test_the_follower_needs_to_be_told_nothing_in_the_folder_of_run(checkout, follower):
    _, client = checkout
    close(client, 1)
    follower.start()
    follower.saw(1)


def test_the_recipe_needs_to_be_told_nothing_in_the_folder_of_run(checkout):
    folder, client = checkout
    client.set(keys.coverage(NUMBER, "BTC-USD", "1m"), json.dumps([[0, 2**53]]))
    done = subprocess.run(
        [sys.executable, "-c", RECIPE],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("BTC-USD 1m True\n"), done.stderr


CLIENT = re.compile(r'^if "REDIS_URL".*?^else:.*?\n.*?\n', re.M | re.S)


def with_hosts(lines, *ports):
    """Return the program with a client made in another way, at hosts that are there."""
    for number, port in enumerate(ports, 1):
        lines = re.sub(rf'"h{number}", \d+', f'"127.0.0.1", {port}', lines)
    assert '"h' not in lines
    code, count = CLIENT.subn(lambda _: lines, FOLLOWER)
    assert count == 1
    return code


def test_the_follower_follows_sentinels_through_a_failover(tmp_path, follower):
    with Sentinels(tmp_path / "sentinels") as watched, make_client(watched.url) as client:
        ports = [each.port for each in watched.sentinels]
        close(client, 1)
        follower.start(code=with_hosts(BY_SENTINELS, *ports))
        follower.saw(1)
        old = watched.master()
        old.kill()
        watched.wait_for_another(old)
        wait_for(client.ping, "the new master")
        close(client, 2)
        follower.saw(2)


def test_the_follower_follows_a_cluster(tmp_path, follower):
    with Cluster(tmp_path / "cluster") as whole, make_client(whole.url) as client:
        close(client, 1)
        follower.start(code=with_hosts(BY_NODES, whole.nodes[0].port))
        follower.saw(1)
        close(client, 2)
        follower.saw(2)


def test_the_follower_says_nothing_while_the_market_is_quiet(server, follower):
    def reads():
        return client.info("commandstats").get("cmdstat_xread", {}).get("calls", 0)

    client = server()
    close(client, 1)
    follower.start(embedded_url(client))
    follower.saw(1)
    wait_until(lambda: reads() >= 2, 60)  # each as long as it waits for a close
    assert follower.lines() == ["BTC-USD 1m 60000 1.5"]


def test_the_follower_waits_for_redis_and_goes_on(server, follower, tmp_path):
    client = server()
    close(client, 1)
    follower.start(embedded_url(client))
    follower.saw(1)
    os.kill(int((tmp_path / "valkey/server.lock").read_text()), signal.SIGKILL)
    wait_until(lambda: any("waiting for Redis" in line for line in follower.lines()))
    client = server()
    close(client, 2)
    follower.saw(2)


def test_the_follower_tells_of_a_stream_that_was_trimmed_and_reads_what_it_missed(server, follower):
    client = server()
    close(client, 1)
    process = follower.start(embedded_url(client))
    follower.saw(1)
    wait_until(lambda: (follower.said.parent / "follower-state").exists())
    process.kill()
    process.wait()
    for minute in range(2, 8):
        close(client, minute)
    client.xtrim(keys.events(NUMBER), maxlen=1, approximate=False)
    follower.start(embedded_url(client))
    for minute in range(2, 8):
        follower.saw(minute)
    assert any("the stream no longer has" in line for line in follower.lines())
    close(client, 8)
    follower.saw(8)


@pytest.fixture
def tagged():
    before = name_as(Naming("lm:", True))
    code = FOLLOWER.replace('PREFIX = ""', 'PREFIX = "lm:"')
    yield code.replace("NUMBER = 4 ", 'NUMBER = "{4}" ')
    name_as(before)


def test_the_follower_reads_names_with_a_prefix_and_tags(server, follower, tagged):
    client = server()
    close(client, 1)
    follower.start(embedded_url(client), code=tagged)
    follower.saw(1)
    close(client, 2)
    follower.saw(2)


def test_the_follower_reads_a_cluster(follower, tagged, tmp_path):
    of_cluster = tagged.replace("redis.Redis.from_url", "redis.RedisCluster.from_url")
    with Cluster(tmp_path / "cluster") as whole, make_client(whole.url) as client:
        close(client, 1)
        follower.start(f"redis://{whole.nodes[0].place}", code=of_cluster)
        follower.saw(1)
        close(client, 2)
        follower.saw(2)


def test_a_user_who_may_only_read_can_follow_and_change_nothing(server, follower):
    client = server()
    (line,) = re.findall(r"^ACL (SETUSER reader .*)$", TEXT, re.M)
    client.execute_command("ACL", *line.replace("PASSWORD", "secret").split())
    address = embedded_url(client, "reader:secret@")
    close(client, 1)
    follower.start(address)
    follower.saw(1)
    close(client, 2)
    follower.saw(2)
    with redis_client.Redis.from_url(address) as reader:
        with reader.pubsub() as received:
            received.subscribe(keys.candle_channel(NUMBER, "BTC-USD", "1m"))
            assert received.get_message(timeout=5)["type"] == "subscribe"
        for command in (["DEL", keys.events(NUMBER)], ["KEYS", "*"], ["GET", "others"]):
            with pytest.raises(redis_client.exceptions.NoPermissionError):
                reader.execute_command(*command)


def embedded_url(client, who=""):
    return f"unix://{who}{client.connection_pool.connection_kwargs['path']}?db=0"


def test_the_follower_misses_no_close_of_a_runner(transactional_db, redis, follower):
    with serve() as sandbox:
        row = make_row(sandbox)
        with running(redis, row, ["BTC-USD"]):
            process = follower.start(SERVER.url, row.pk)
            wait_until(follower.handled)
            process.kill()
            process.wait()
            told = redis.xlen(keys.events(row.pk))
            wait_until(lambda: redis.xlen(keys.events(row.pk)) > told + 3)
            follower.start(SERVER.url, row.pk)
            wait_until(lambda: redis.xlen(keys.events(row.pk)) > told + 6)
        events = [json.loads(fields[b"event"]) for _, fields in redis.xrange(keys.events(row.pk))]
        closes = {(each["symbol"], each["timeframe"], each["timestamp"]) for each in events}
        wait_until(lambda: closes <= follower.handled())


def test_the_recipe_tells_what_is_fresh_and_complete(transactional_db, redis):
    def told():
        done = subprocess.run(
            [sys.executable, "-c", RECIPE.replace("NUMBER = 4", f"NUMBER = {row.pk}")],
            env=os.environ | {"REDIS_URL": SERVER.url},
            capture_output=True,
            text=True,
            check=True,
        )
        return {line.split()[1]: line.split()[2] for line in done.stdout.splitlines()}

    with serve(speed=1) as sandbox:
        row = make_row(sandbox, symbols=["BTC-USD"])
        assert set(told().values()) == {"False"}
        with running(redis, row, ["BTC-USD"]):
            wait_until(lambda: (read_status(redis, row.pk).details or {}).get("exchangeTime"))
            assert told() == dict.fromkeys(("1m", "5m", "15m", "1h", "4h", "1d"), "True")
            wait_until(lambda: planned() == 0, 60)  # once the newest minute was told twice
            cache = keys.coverage(row.pk, "BTC-USD", "4h")
            redis.set(cache, json.dumps(hole_in(json.loads(redis.get(cache)))))
            assert told()["4h"] == "False"
            wait_until(lambda: planned() == 1)


def planned():
    """Return how many pairs are short, stale or holed by the command of the document."""
    (line,) = re.findall(r"^\./run (.*)$", TEXT, re.M)
    out = StringIO()
    call_command(*line.split(), stdout=out)
    told = json.loads(out.getvalue())["timeframes"]
    return sum(each[name] for each in told for name in ("short", "stale", "holed"))


def hole_in(coverage):
    """Return the coverage without one bar, ten before its end."""
    (*before, (since, until)) = coverage
    bar = Timeframe.H4.ms
    return [*before, [since, until - 11 * bar], [until - 10 * bar, until]]


def test_every_field_of_the_status_is_in_the_document(transactional_db, redis):
    (table,) = re.findall(r"^\| field \| what it is.*?(?=^$|\Z)", TEXT, re.M | re.S)
    documented = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.M))))
    with serve() as sandbox:
        row = make_row(sandbox)
        with running(redis, row, ["BTC-USD"]):
            found = {*json.loads(redis.get(keys.status(row.pk)))}
    assert found <= documented
    assert documented - found <= {"order"}
    assert documented >= FIXED


def test_the_numbers_of_the_presets_are_as_told(db):
    from exchanges.models import Exchange

    told = re.search(r"of those that `migrate` makes, (.*?)\.", TEXT, re.S)[1]
    numbers = dict(re.findall(r"`(\w+)` (?:is )?(\d+)", told))
    # The first of them has another number where other tests made exchanges before.
    rows = {each.name: each.pk for each in Exchange.objects.all()}
    assert numbers == {name: str(pk - min(rows.values()) + 1) for name, pk in rows.items()}
