"""Waiting for locks that others hold.

Nobody tries in rounds. Who waits sleeps until a lock would end if nobody renewed it, and hears of
one that is given back. A holder subscribes to a channel of its own while its process lives: the
system ends that connection with the process, however it dies, and leaves it to one that stands
still. So the lock of a process that was killed is ended before its time, once it was not renewed
for seven twelfths of it: by then its holder has stopped to write by itself, should it live after
all. A machine that falls silent says nothing of the kind, and its locks last to their end.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError, TimeoutError

from exchanges.errors import clip
from exchanges.lock.acquire import ExchangeLock
from exchanges.redis.client import count_listeners, own_client
from livermore.market import keys

logger = logging.getLogger(__name__)

SOCKET_SECONDS = 3.0
LONGEST_LISTENING_SECONDS = 1.0  # then it looks for what it is to listen to
SILENCE_SECONDS = 10.0  # then Redis is asked whether it is there, and after as many it isn't
SECONDS_AFTER_FAILURE = 1.0
SECONDS_BETWEEN_LOOKS = 30.0  # at a lock that never ends
FIRST_SECONDS_UNSEEN = 1.0  # then its holder is looked for again: it may have just begun
LEAVING = "leaving:"  # and the id of a holder that ends, but streams until it is taken over
LATE_SECONDS = 0.001  # so much after its end a lock is looked at


@dataclass(slots=True)
class Waiting:
    """What is known of a lock that is waited for."""

    look_at: float = 0.0
    instance_id: str = ""  # of its holder
    seen: bool = False  # the process of that holder, alive
    unseen: int = 0  # how often it was looked for in vain
    free_since: float | None = None
    open: bool = False
    leaving: str = ""  # the holder that offers it


class LockWatch:
    """Waits for the locks of many exchanges in one thread.

    Any thread may call it. `on_open` is called in its thread when a lock that is waited for is
    free, or offered by its holder. Who has much to do already gives the others the time that
    `delay` returns, in seconds.
    """

    def __init__(
        self,
        redis: Redis,
        on_open: Callable[[], object] = lambda: None,
        delay: Callable[[], float] = lambda: 0.0,
    ):
        self._redis = own_client(redis, SOCKET_SECONDS, "lock-watch")
        self._on_open = on_open
        self._delay = delay
        self._waiting: dict[int, Waiting] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lock-watch", daemon=True)

    def start(self) -> "LockWatch":
        self._thread.start()
        return self

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(SOCKET_SECONDS)
        self._redis.close()

    def wait_for(self, exchange_ids: Iterable[int]) -> None:
        """Wait for the locks of these from now on, and of no others."""
        with self._lock:
            before, self._waiting = self._waiting, {}
            for each in exchange_ids:
                self._waiting[each] = before.get(each) or Waiting()
        self._wake.set()

    def is_open(self, exchange_id: int) -> bool:
        """Tell whether a lock that is waited for was free when it was looked at."""
        with self._lock:
            found = self._waiting.get(exchange_id)
            return found is not None and found.open

    def leaving(self, exchange_id: int) -> str:
        """Return the id of a holder that offers its exchange, as it ends; each offer once."""
        with self._lock:
            if not (found := self._waiting.get(exchange_id)):
                return ""
            leaving, found.leaving = found.leaving, ""
            return leaving

    def look_again(self, exchange_id: int) -> None:
        """Learn that a lock is held, whatever it was, and look at it at once."""
        with self._lock:
            if found := self._waiting.get(exchange_id):
                found.open, found.free_since, found.look_at = False, None, 0.0
        self._wake.set()

    # -- the thread

    def _run(self) -> None:
        failing = False
        while not self._closing.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    listening = Listening(pubsub)
                    while not self._closing.is_set():
                        failing = self._step(listening)
            except Exception as error:  # who waits for locks has to go on
                if not isinstance(error, RedisError | OSError):
                    logger.exception("lock.watch_died")
                elif not failing and not self._closing.is_set():
                    logger.warning("lock.watch_failed error=%s", clip(str(error)))
                failing = True
                self._forget()
                self._closing.wait(SECONDS_AFTER_FAILURE)

    def _step(self, listening: "Listening") -> bool:
        self._wake.clear()
        with self._lock:
            names = {keys.lock_channel(number) for number in self._waiting}
        listening.to(names)
        self._look()
        seconds = min(LONGEST_LISTENING_SECONDS, self._seconds_to_next_look())
        if not names:
            self._wake.wait(seconds)
        elif received := listening.receive(seconds):
            self._received(*received)
        return False

    def _forget(self) -> None:
        """Believe nothing that another server said, or this one before it was away."""
        with self._lock:
            for each in self._waiting.values():
                each.seen, each.look_at = False, 0.0

    def _received(self, channel: str, message: str) -> None:
        """Look at once at a lock that was given back; tell of one that is offered."""
        leaving = message.removeprefix(LEAVING) if message.startswith(LEAVING) else ""
        with self._lock:
            for number, each in self._waiting.items():
                if keys.lock_channel(number) != channel:
                    continue
                if leaving:
                    each.leaving = leaving
                elif not each.open:
                    each.look_at = 0.0
        if leaving:
            self._on_open()

    def _seconds_to_next_look(self) -> float:
        with self._lock:
            next_at = min((each.look_at for each in self._waiting.values()), default=math.inf)
        return max(0.0, next_at - time.monotonic())

    def _look(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = [(n, each) for n, each in self._waiting.items() if each.look_at <= now]
        for number, waiting in due:
            try:
                self._look_at(number, waiting)
            except RedisError as error:  # of a Cluster it may be one node that is away
                logger.debug("lock.not_looked_at exchange=%d error=%s", number, error)
                waiting.seen, waiting.look_at = False, time.monotonic() + SECONDS_AFTER_FAILURE

    def _look_at(self, number: int, waiting: Waiting) -> None:
        lock = ExchangeLock(self._redis, number)
        holder, left_ms = lock.look()
        now = time.monotonic()
        if holder is None:
            self._free(waiting, now)
            return
        waiting.free_since = None
        if holder.instance_id != waiting.instance_id:
            waiting.instance_id, waiting.seen, waiting.unseen = holder.instance_id, False, 0
        if left_ms < 0:
            waiting.look_at = now + SECONDS_BETWEEN_LOOKS
            return
        early_ms = left_ms - lock.abandoned_ms
        if early_ms > 0:
            waiting.seen = waiting.seen or self._lives(holder.instance_id)
            seconds = early_ms / 1000 + LATE_SECONDS
            if not waiting.seen:
                seconds = min(seconds, FIRST_SECONDS_UNSEEN * 2**waiting.unseen)
                waiting.unseen += 1
            waiting.look_at = now + seconds
            return
        waiting.look_at = now + left_ms / 1000 + LATE_SECONDS
        if waiting.seen and not self._lives(holder.instance_id):
            lock.end_abandoned(holder.instance_id)  # whether or not: what became of it?
            waiting.seen, waiting.look_at = False, now

    def _lives(self, instance_id: str) -> bool:
        """Tell whether the process of a holder is connected, if anybody."""
        return count_listeners(self._redis, keys.holder_channel(instance_id)) > 0

    def _free(self, waiting: Waiting, now: float) -> None:
        waiting.instance_id, waiting.seen = "", False
        if waiting.free_since is None:
            waiting.free_since = now
            if delay := self._delay():
                waiting.look_at = now + delay
                return
        waiting.look_at, waiting.open = math.inf, True
        self._on_open()


class Listening:
    """What one connection is subscribed to; where nothing comes, not even an answer, it says so."""

    def __init__(self, pubsub: PubSub):
        self._pubsub = pubsub
        self._names: set[str] = set()
        self._received_at = time.monotonic()
        self._asked = False

    def to(self, names: set[str]) -> None:
        """Subscribe to these, and to no others."""
        if new := names - self._names:
            self._pubsub.subscribe(*new)
        if gone := self._names - names:
            self._pubsub.unsubscribe(*gone)
        if not self._names:
            self._received_at, self._asked = time.monotonic(), False
        self._names = names

    def receive(self, seconds: float) -> tuple[str, str] | None:
        """Return the next message, behind its channel; None where none comes in that time.

        Raises RedisError where the connection broke, or leads nowhere.
        """
        message = self._pubsub.get_message(timeout=seconds)
        now = time.monotonic()
        if message is None:
            if now - self._received_at > SILENCE_SECONDS:
                self._ask(now)
            return None
        self._received_at, self._asked = now, False
        if message["type"] != "message":
            return None
        return message["channel"].decode(), message["data"].decode("utf-8", "replace")

    def close(self) -> None:
        """Listen to nothing more, and close the connection."""
        self._pubsub.close()

    def _ask(self, now: float) -> None:
        if self._asked:
            raise TimeoutError("Redis does not answer who listens")
        self._asked, self._received_at = True, now
        self._pubsub.ping()
