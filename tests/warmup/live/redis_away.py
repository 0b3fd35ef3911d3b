"""A Redis of a test's own that goes away under a runner, and what the runner made of it."""

import os
import signal
from contextlib import contextmanager

import redis as redis_client

from livermore.running import embedded_redis
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    Comparison,
    Running,
    make_row,
    running,
    serve,
    wait_for_time,
    wait_until,
)


class OwnRedis:
    """A server that can be stopped and started again with its data, or made to hang."""

    def __init__(self, folder):
        self.folder = folder / "valkey"
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stop()

    def start(self):
        self.server = embedded_redis.ensure_running(self.folder)

    def stop(self):
        self.server.leave()

    @contextmanager
    def hanging(self):
        """Let it take in what it is sent and answer nothing, for as long as the block lasts."""
        pid = int((self.folder / "server.lock").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def client(self):
        with redis_client.Redis.from_url(self.server.url) as client:
            yield client


def faults_after(own_redis, disturb, name="sandbox"):
    """Run an exchange over midnight, its Redis disturbed; return what is wrong after that.

    `disturb(sandbox, row)` is called when it is live, and returns when Redis is well again.
    """
    with serve() as sandbox, own_redis.client() as redis:
        row = make_row(sandbox, name)
        truth = Comparison(redis, sandbox, row)
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms())
            live_ms = sandbox.clock.now_ms()
            disturb(sandbox, row)
            wait_for_time(sandbox, MIDNIGHT_MS + MINUTE_MS)
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            return truth.faults(since_ms=live_ms)


def faults_after_losing_all(redis, name="sandbox"):
    """Run an exchange whose Redis is emptied, and another one after it; return what is wrong.

    Leases should be short, as the first one goes on until it learns that it has lost its own.
    """
    with serve() as sandbox:
        row = make_row(sandbox, name)
        truth = Comparison(redis, sandbox, row)
        first = Running(redis, row).wait_until_live()
        truth.wait(sandbox.clock.now_ms())
        redis.flushall()
        wait_until(lambda: first.ended)
        assert "stopped: " in str(first.error)
        assert not redis.keys("candles:*")
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            return truth.faults()
