"""A connection to Redis over which nothing comes any more, though neither end was told, is noticed
within 30 seconds by each kind of client, which then goes on over another one.

All kinds call Redis over a wire, with their own timeouts: commands over several connections of
one pool, the heartbeat of a lock, the reader that waits for closes, who waits for a lock, the
page's subscriber and the channel layer. Then what they have open is stranded: both ends stay, no
byte arrives, and new connections work, as where a firewall forgets what it knew or an address
moves. It is measured how long each one is without Redis, and no lock may be lost by it.
`tests/exchanges/redis/test_half_open.py` shows it of some kinds with shorter times.
"""

import asyncio
import socket
import threading
import time
from collections import defaultdict
from contextlib import ExitStack, suppress

from redis.exceptions import RedisError

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.watch import LockWatch
from exchanges.redis.channel_layer import ChannelLayer
from exchanges.redis.client import make_client, own_client
from livermore.market import keys
from livermore.running.embedded_redis import socket_path
from tests.experiments.outcome import Outcome, faults_of
from tests.fixtures.stranding import StrandingWire
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.runners import wait_until
from warmup.live.indicators import IndicatorFollower
from warmup.network.socket.subscriber import Subscriber

QUICK = {"rounds": 1}
LONGEST_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 3 * LONGEST_SECONDS
HELD, WAITED_FOR = 1, 2  # exchanges' numbers
CHANNEL = "half-open"
COMMANDERS = 3  # threads with commands


def run(redis, folder, rounds=2):
    with ExitStack() as stack:
        own_redis = stack.enter_context(OwnRedis(folder / "redis"))
        wire = StrandingWire(socket.AF_UNIX, str(socket_path(own_redis.folder)))
        stack.callback(wire.close)
        direct = stack.enter_context(own_redis.client())
        clients = Clients(f"redis://127.0.0.1:{wire.port}/0", direct)
        stack.callback(clients.close)
        faults = faults_of("at first", clients.wait_until_all_work)
        for number in range(rounds):
            faults += faults_of(f"round {number + 1}", clients.strand, wire)
        numbers = {
            f"{name}, seconds without Redis at most": round(seconds, 1)
            for name, seconds in clients.longest.items()
        } | {"connections stranded": wire.stranded}
    return Outcome(
        f"All kinds of clients were stranded at once; rounds of it: {rounds}.", numbers, faults
    )


class Clients:
    """One of each kind, all of which note when they last did what they are for."""

    def __init__(self, url, direct):
        self._direct = direct
        self._ending = threading.Event()
        self._works = defaultdict(float)
        self.longest = {}
        redis = self._redis = make_client(url)
        self._lease = ExchangeLock(redis, HELD).acquire().start()
        self._reads = own_client(redis, None)
        self._watch = LockWatch(redis, lambda: self._note("who waits for a lock")).start()
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (
                *[self._command] * COMMANDERS,
                self._follow,
                self._disturb_lock,
                self._look_at_heartbeat,
                self._run_loop,
            )
        ]
        self._url = url
        for each in self._threads:
            each.start()
        self._names = (
            "commands",
            "the heartbeat",
            "the reader of closes",
            "who waits for a lock",
            "the page's subscriber",
            "the channel layer",
        )

    def wait_until_all_work(self):
        wait_until(lambda: self._who_works(0) == set(self._names))
        return []

    def strand(self, wire):
        """Strand all connections; yield who was without Redis for too long."""
        wire.strand()
        began = time.monotonic()
        waiting = set(self._names)
        while waiting and time.monotonic() - began < LONGEST_WAIT_SECONDS:
            # What was on its way then counts for nothing.
            for name in waiting & self._who_works(began + 0.5):
                self.longest[name] = max(self.longest.get(name, 0), time.monotonic() - began)
                waiting.discard(name)
            time.sleep(0.05)
        for name in waiting:
            yield f"{name}: still without Redis after {LONGEST_WAIT_SECONDS:.0f} s"
        for name, seconds in self.longest.items():
            if seconds > LONGEST_SECONDS:
                yield f"{name}: without Redis for {seconds:.1f} s"
        if self._lease.lost.is_set():
            yield f"the lock was lost: {self._lease.lost_reason}"

    def close(self):
        self._ending.set()
        for each in self._threads:
            each.join()
        self._watch.close()
        self._lease.release()
        self._reads.close()
        self._redis.close()

    def _note(self, name):
        self._works[name] = time.monotonic()

    def _who_works(self, since):
        return {name for name, at in list(self._works.items()) if at > since}

    def _command(self):
        while not self._ending.wait(0.05):
            with suppress(RedisError):
                self._redis.set("a", 1)
                self._note("commands")

    def _follow(self):
        follower = IndicatorFollower(self._reads, HELD)
        follower.compute([])
        while not self._ending.is_set():
            if follower.follow():
                self._note("the reader of closes")

    def _look_at_heartbeat(self):
        left_ms = 0
        while not self._ending.wait(0.05):
            before, left_ms = left_ms, self._direct.pttl(keys.lock(HELD))
            if left_ms > before:
                self._note("the heartbeat")

    def _disturb_lock(self):
        """Have the other lock held, and give it back, again and again."""
        while not self._ending.is_set():
            with ExchangeLock(self._direct, WAITED_FOR).acquire():
                self._watch.wait_for([WAITED_FOR])
                self._watch.look_again(WAITED_FOR)
                self._ending.wait(0.5)
            self._ending.wait(1.0)

    def _run_loop(self):
        asyncio.run(self._in_loop())

    async def _in_loop(self):
        subscriber = Subscriber(
            self._url, lambda *_: self._note("the page's subscriber"), lambda again: None
        )
        await subscriber.add(CHANNEL)
        layer = ChannelLayer(self._url)
        channel = await layer.new_channel()
        await layer.group_add(CHANNEL, channel)
        tasks = [
            asyncio.create_task(each)
            for each in (subscriber.run(), self._receive(layer, channel), self._send(layer))
        ]
        while not self._ending.is_set():
            await asyncio.sleep(0.1)
            await asyncio.to_thread(self._direct.publish, CHANNEL, b"message")
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        await layer.flush()

    async def _send(self, layer):
        while True:
            await asyncio.sleep(0.1)
            with suppress(RedisError, OSError):
                await layer.group_send(CHANNEL, {"type": "message"})

    async def _receive(self, layer, channel):
        while True:
            await layer.receive(channel)
            self._note("the channel layer")
