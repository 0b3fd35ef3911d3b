"""A warmup that is killed, and a Redis that goes away under it, in processes of their own."""

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
import redis as redis_client

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.venues.binance.rest import WORKERS
from livermore.running import embedded_redis

ROOT = Path(__file__).resolve().parent.parent.parent
WARMUP = ("warmup", "sandbox", "--symbols", "BTC-USD,ETH-USD,SOL-USD,ADA-USD,XRP-USD,LTC-USD")
PAIRS = 36
KILLED_AFTER = Random(20261120).sample(range(1, PAIRS - 1), 4)


@pytest.fixture(scope="module")
def sandbox():
    now_ms = int(time.time() * 1000)
    with SandboxServer(SandboxConfig(start_ms=now_ms, speed=0, latency_ms=60)) as server:
        yield server


@pytest.fixture(scope="module")
def database(tmp_path_factory, sandbox):
    """A database with the symbols of the sandbox."""
    url = f"sqlite:///{tmp_path_factory.mktemp('database')}/db.sqlite3"
    code = (
        "from exchanges.models import Exchange\n"
        f"Exchange.objects.filter(name='sandbox').update(rest_url='{sandbox.url}')"
    )
    for arguments in (("migrate",), ("shell", "-c", code), ("symbols", "sandbox", "--sync")):
        assert manage(url, os.environ["REDIS_URL"], *arguments).wait(60) == 0
    return url


def manage(database, redis_url, *arguments):
    return subprocess.Popen(
        [sys.executable, ROOT / "manage.py", *arguments],
        env=os.environ | {"DATABASE_URL": database, "REDIS_URL": redis_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def content(redis):
    """Return all candles and all coverage, byte for byte."""
    found = {}
    for key in redis.scan_iter():
        if key.startswith(b"candles:"):
            found[key] = redis.zrange(key, 0, -1, withscores=True)
        elif key.startswith(b"coverage:"):
            found[key] = redis.get(key)
    return found


@pytest.fixture(scope="module")
def undisturbed(sandbox, database):
    with redis_client.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushall()
        assert manage(database, os.environ["REDIS_URL"], *WARMUP).wait(60) == 0
        found = content(client)
    assert len(found) == 2 * PAIRS
    return found


@pytest.mark.parametrize("calls", KILLED_AFTER)
def test_killed_anywhere_it_goes_on_where_it_was(calls, redis, database, sandbox, undisturbed):
    sandbox.reset()
    process = manage(database, os.environ["REDIS_URL"], *WARMUP)
    wait_until(lambda: sandbox.requests.counts["binance.klines"] >= calls)
    process.kill()
    process.wait(30)
    assert len(content(redis)) < 2 * PAIRS
    assert manage(database, os.environ["REDIS_URL"], *WARMUP).wait(60) == 0
    assert content(redis) == undisturbed
    assert sandbox.requests.counts["binance.klines"] <= PAIRS + WORKERS


def test_redis_gone_in_the_middle_is_one_line_and_the_next_run_goes_on(
    database, sandbox, undisturbed, tmp_path
):
    sandbox.reset()
    with embedded_redis.ensure_running(tmp_path / "valkey") as server:
        process = manage(database, server.url, *WARMUP)
        wait_until(lambda: sandbox.requests.counts["binance.klines"] >= PAIRS // 2)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.strip().splitlines()[-1].startswith("Error: Redis at unix://")
    assert "Traceback" not in said
    with embedded_redis.ensure_running(tmp_path / "valkey") as server:
        assert manage(database, server.url, *WARMUP).wait(60) == 0
        with redis_client.Redis.from_url(server.url) as client:
            assert content(client) == undisturbed


def test_ctrl_c_leaves_stats_that_say_so(redis, database, sandbox):
    sandbox.reset()
    process = manage(database, os.environ["REDIS_URL"], *WARMUP)
    wait_until(lambda: sandbox.requests.counts["binance.klines"] >= 5)
    process.terminate()
    assert process.wait(30) == 143
    [key] = redis.scan_iter("*:stats")
    assert b'"status":"error"' in redis.get(key)
    assert b"interrupted" in redis.get(key)
