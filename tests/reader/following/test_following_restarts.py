"""A runner's closes, followed while runners, Redis, serve and followers end and begin."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import livermore_reader
import orjson
import pytest
from livermore_reader import Gap

from exchanges.redis.directory import publish_exchanges
from exchanges.transport import backoff
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.conftest import SERVER
from tests.fixtures.ports import free_port
from tests.reader.ways import WAYS, reader_by
from tests.serving.serving import served
from tests.warmup.live.lossy_redis import LossyRedis
from tests.warmup.runners import MINUTE_MS, ROOT, make_row, running, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
FOLLOWER = """
import json, sys
from pathlib import Path
import livermore_reader

url, path = sys.argv[1], Path(sys.argv[2])
told = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("]")]
since = told[-1][0] if told else "0-0"
with livermore_reader.connect(url) as lm, path.open("a") as file:
    try:
        for close in lm.follow("sandbox", since=since):
            line = [close.id, close.symbol, close.timeframe, close.late, close.again, close.row]
            file.write(json.dumps(line) + "\\n")
            file.flush()
    except KeyboardInterrupt:
        sys.exit("ended in order")
"""


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)


@contextmanager
def collected(lm, **how):
    """Follow in a thread; yield what comes. Whatever it raises is raised at the end."""
    closes, found, raised = lm.follow("sandbox", **how), [], []

    def read():
        try:
            for each in closes:
                found.append(each)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        closes.close()
        thread.join(20)
    assert not thread.is_alive()
    assert raised == []


def wait_for_bars(found, count, pair=("BTC-USD", "1m")):
    def bars():
        return sum((each.symbol, each.timeframe) == pair for each in list(found))

    until = bars() + count
    wait_until(lambda: bars() >= until, 30)


def assert_true(found, sandbox):
    """Each bar once, in its turn unless it is late, none left out, as the market made it."""
    pairs = {(each.symbol, each.timeframe) for each in found}
    assert len(pairs) >= 3
    for pair in pairs:
        closes = [each for each in found if (each.symbol, each.timeframe) == pair]
        in_turn = [each.row[0] for each in closes if not each.late]
        assert in_turn == sorted(in_turn), pair
        rows = sorted(each.row for each in closes)
        truth = sandbox.market.closed_rows(pair[0], Timeframe(pair[1]), rows[0][0], rows[-1][0] + 1)
        assert rows == [list(each) for each in truth], pair


@pytest.mark.parametrize("way", WAYS)
def test_each_close_comes_once_over_runners_that_end_and_begin(redis, way):
    with serve() as sandbox:
        row = make_row(sandbox)
        with reader_by(way, redis) as lm, collected(lm) as found:
            for _ in range(3):
                with running(redis, row):
                    wait_for_bars(found, 2)
                before = sandbox.clock.now_ms()
                wait_until(lambda at=before: sandbox.clock.now_ms() > at + 2 * MINUTE_MS)
    assert_true(found, sandbox)


@pytest.mark.parametrize("loses", ["cut", "promoted", "restored", None])
@pytest.mark.parametrize("way", WAYS)
def test_each_close_comes_once_over_what_redis_loses(tmp_path, way, loses):
    with ExitStack() as opened:
        sandbox = opened.enter_context(serve())
        lossy = opened.enter_context(LossyRedis(tmp_path, loses or "cut"))
        redis = opened.enter_context(lossy.client())
        row = make_row(sandbox)
        opened.enter_context(running(redis, row))
        publish_exchanges(redis)
        lm = opened.enter_context(reader_by(way, redis, lossy.url))
        found = opened.enter_context(collected(lm, since="0-0"))
        wait_for_bars(found, 1)
        lossy.remember()
        wait_for_bars(found, 2)
        if not loses:
            lossy.remember()
        lossy.lose()
        wait_for_bars(found, 3)
    assert_true(found, sandbox)


@pytest.mark.parametrize("loses", ["cut", "restored"])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_new_runner_tells_again_comes_once(tmp_path, way, loses):
    """Who had told what Redis lost has ended, too."""
    with ExitStack() as opened:
        sandbox = opened.enter_context(serve())
        lossy = opened.enter_context(LossyRedis(tmp_path, loses))
        redis = opened.enter_context(lossy.client())
        row = make_row(sandbox)
        publish_exchanges(redis)
        lm = opened.enter_context(reader_by(way, redis, lossy.url))
        found = opened.enter_context(collected(lm, since="0-0"))
        with running(redis, row):
            wait_for_bars(found, 1)
            lossy.remember()
            wait_for_bars(found, 2)
        lossy.lose()
        redis.delete(keys.lock(row.pk), keys.status(row.pk))  # both end by themselves
        with running(redis, row):
            wait_for_bars(found, 3)
    assert_true(found, sandbox)


@pytest.mark.parametrize("on_gap", ["raise", "fill"])
@pytest.mark.parametrize("way", WAYS)
def test_where_all_is_lost_and_who_told_it_there_is_a_gap_or_it_is_filled(redis, way, on_gap):
    with serve() as sandbox, ExitStack() as opened:
        row = make_row(sandbox)
        publish_exchanges(redis)
        lm = opened.enter_context(reader_by(way, redis))
        closes = opened.enter_context(lm.follow("sandbox", since="0-0", on_gap=on_gap))
        found = []
        with running(redis, row):
            while len(found) < 10:
                found.append(next(closes))
        redis.flushall()
        publish_exchanges(redis)
        with running(redis, row):
            if on_gap == "raise":
                with pytest.raises(Gap) as caught:
                    found.extend(closes)
                assert caught.value.after == found[-1].id
                return
            for close in closes:
                is_last = found[-1].filled and not close.filled
                found.append(close)
                if is_last:
                    break
    assert_true([each for each in found if not each.again], sandbox)


class Program:
    """A program that follows into a file, and is begun again where it was ended."""

    def __init__(self, folder, url):
        self.path = folder / "told"
        self.path.touch()
        self._url = url
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, self._url, str(self.path)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "reader")},
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, how):
        self.process.send_signal(how)
        return self.process.communicate(timeout=10)[1]

    def closes(self):
        lines = [line for line in self.path.read_text().splitlines() if line.endswith("]")]
        return [orjson.loads(line) for line in lines]


@pytest.fixture
def program(tmp_path):
    """Yield a maker of programs; they are ended at the end."""
    made = []

    def make(url):
        made.append(Program(tmp_path, url))
        return made[-1]

    yield make
    for each in made:
        if each.process and each.process.poll() is None:
            each.end(signal.SIGKILL)


def as_closes(lines):
    return [
        livermore_reader.Close(line[0], "sandbox", line[1], line[2], line[5], late=line[3])
        for line in lines
    ]


@pytest.mark.parametrize("way", WAYS)
def test_a_program_that_is_killed_goes_on_where_it_was(redis, way, program):
    chance = random.Random(20261129)
    with serve() as sandbox, ExitStack() as opened:
        row = make_row(sandbox)
        opened.enter_context(running(redis, row))
        url = SERVER.url if way == "redis" else opened.enter_context(served(redis))
        follower = program(url)
        for _ in range(4):
            follower.start()
            until = len(follower.closes()) + chance.randrange(2, 8)
            wait_until(lambda at=until: len(follower.closes()) >= at, 30)
            follower.end(signal.SIGKILL)
        told = redis.xlen(keys.events(row.pk))
        follower.start()
        wait_until(lambda: len(follower.closes()) > told, 30)
        assert "ended in order" in follower.end(signal.SIGINT)
        ids = [each.decode() for each, _ in redis.xrange(keys.events(row.pk))]
    lines = follower.closes()
    assert [line[0] for line in lines] == ids[: len(lines)]
    assert_true(as_closes(lines), sandbox)


def test_each_close_comes_once_where_serve_ends_and_begins(redis):
    port = free_port()
    with serve() as sandbox, running(redis, make_row(sandbox)), ExitStack() as opened:
        server = opened.enter_context(ExitStack())
        server.enter_context(served(redis, port=port))
        lm = opened.enter_context(livermore_reader.connect(f"http://127.0.0.1:{port}"))
        found = opened.enter_context(collected(lm))
        for _ in range(3):
            wait_for_bars(found, 1)
            server.close()
            server.enter_context(served(redis, port=port))
        wait_for_bars(found, 1)
    assert_true(found, sandbox)


def test_heartbeats_say_why_nothing_comes_while_redis_is_away(tmp_path, told):
    with LossyRedis(tmp_path, "cut") as lossy, lossy.client() as redis:
        redis.hset(keys.exchanges(), "sandbox", json.dumps(told))
        with livermore_reader.connect(lossy.url) as lm:
            closes = lm.follow("sandbox", heartbeat=0.05)
            lossy._first.kill()
            wait_until(lambda: "does not answer" in next(closes).trouble)
            lossy._first.start()
            wait_until(lambda: next(closes).trouble == "")
