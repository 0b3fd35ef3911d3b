"""Who may call an exchange when: kept in Redis, so all processes on this address share it.

One hash a host holds until when the host asked to be left alone, when the last batch went out and
how much request weight went out lately. It vanishes ten minutes after the last call, but not while
the limits that the host published are still believed. Where Redis loses it, each process puts back
what it knows of it before its next call: limits and bans as well as what went out.
"""

import logging
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from exchanges.errors import Banned, Paused, Temporary, TurnedAway
from exchanges.redis.scripts import Constant, Script, load_script
from exchanges.redis.unreadable import Unreadable, of_type, value_or_error
from exchanges.rest.pacing.budget import Lane, Limits
from exchanges.rest.pacing.memory import HostMemory
from livermore.market import keys

logger = logging.getLogger(__name__)

LONGEST_HOLD_SECONDS = 120  # who is told to wait longer is told so, instead of seeming to hang
IDLE_MS = 600_000
TURN_MS = 50  # within which who waits for a batch comes back for it
SECONDS_BETWEEN_LOOKS = 0.5  # of who waits while somebody asks for the limits
# A firewall's page passes within minutes. So long it is waited out, with pauses that grow.
TURNED_AWAY_SECONDS, LONGEST_PAUSE_SECONDS = 360, 60
TRIED_LATELY_MS, TRIED_LOOK_MS = 10_000, 250  # whoever tries may die; how often others look
LONGEST_BAN_SECONDS = 7 * 86_400  # the longest known is three days; more than a week is a mistake


CONSTANTS: dict[str, Constant] = {
    "IDLE_MS": IDLE_MS,
    "TURN_MS": TURN_MS,
    "TRIED_LATELY_MS": TRIED_LATELY_MS,
    "TRIED_LOOK_MS": TRIED_LOOK_MS,
    "LONGEST_BAN_MS": 1000 * LONGEST_BAN_SECONDS,
}
SHUT_HOST = load_script("exchanges/rest/pacing/lua/shut_host.lua", CONSTANTS)
TURN_AWAY = load_script("exchanges/rest/pacing/lua/turn_away.lua", CONSTANTS)
ANSWERED = load_script("exchanges/rest/pacing/lua/answered.lua", CONSTANTS)
RESTORE = load_script("exchanges/rest/pacing/lua/restore.lua", CONSTANTS)


class Turn(NamedTuple):
    """Whether a call may go out now, and what holds it back.

    `turned_away`: a firewall turns this address away; `sat_out_ms` was waited for that in vain.
    """

    wait_ms: int
    held_ms: int
    banned_until_ms: int
    turned_away: bool
    sat_out_ms: int
    counted_ms: int = 0  # when it was counted as gone, by Redis's clock


class Pacer(ABC):
    """Lets calls to one host through at the pace it allows. Threads may share it.

    `batch_size` is how many calls may be under way at once, None where weight alone decides.
    `ask_limits`, where somebody sets it, asks the exchange for its limits: it is called when a call
    would have to wait for a budget that nobody knows.
    """

    batch_size: int | None = None
    ask_limits: Callable[[], None] | None = None

    def __init__(self, redis: Redis, host: str, memory: HostMemory | None = None):
        """`memory` is what others know of the host too; None: nobody shares it."""
        self.host = host
        self._key = keys.pacing(host)
        self._redis = redis
        self._closing = threading.Event()
        self._shut_host = self._script(SHUT_HOST)
        self._turn_away = self._script(TURN_AWAY)
        self._answered = self._script(ANSWERED)
        self._restore = self._script(RESTORE)
        self._turned_away = False
        self._memory = memory or HostMemory()
        self._waiting: set[int] = set()  # threads

    def wait_turn(self, weight: int, lane: Lane | None) -> int:
        """Wait until a call of `weight` may go out, and count it as gone.

        Return what `take_back` takes.

        Without a lane it waits for no budget: it goes out to ask how large that is. Raises Banned
        while the host bans this address, Paused where it asked for a pause too long to sit out,
        TurnedAway where a firewall's page was waited out for minutes, Temporary once the pacer is
        closed.
        """
        try:
            return self._wait_turn(weight, lane)
        finally:
            self._waiting.discard(threading.get_ident())

    @property
    def keeps_waiting(self) -> bool:
        """Tell whether a call has no turn yet, and waits for nothing else."""
        return bool(self._waiting)

    def _wait_turn(self, weight: int, lane: Lane | None) -> int:
        delay = 0.0
        while True:
            self.sleep(delay)
            turn = self._take(weight, lane)
            self._turned_away = turn.turned_away
            if turn.banned_until_ms:
                raise Banned(self.host, turn.banned_until_ms)
            if turn.held_ms > LONGEST_HOLD_SECONDS * 1000:
                seconds = turn.held_ms / 1000
                raise Paused(
                    f"{self.host} asked for a pause of {seconds:.0f} s: run this again after it",
                    seconds,
                )
            if not turn.wait_ms:
                return turn.counted_ms
            if turn.turned_away and turn.sat_out_ms >= TURNED_AWAY_SECONDS * 1000:
                raise TurnedAway(self.host, turn.sat_out_ms / 1000)
            delay = turn.wait_ms / 1000 + random.uniform(0, 0.02)
            if self.ask_limits and lane and not turn.held_ms and not self.limits_known():
                self._waiting.discard(threading.get_ident())
                self.ask_limits()
                delay = min(delay, SECONDS_BETWEEN_LOOKS)
            self._waiting.add(threading.get_ident())

    @abstractmethod
    def take_back(self, counted_ms: int, weight: int) -> None:
        """Count a call as not gone, which never left this machine. Raises RedisError."""

    def hold(self, seconds: float) -> None:
        """Let nobody call the host for `seconds`, as it asked (HTTP 429)."""
        logger.warning("pacing.hold host=%s seconds=%.1f", self.host, seconds)
        self._shut("held_until", seconds)

    def ban(self, seconds: float) -> Banned:
        """Let nobody call the host for `seconds`, as it demands (HTTP 418); return the error."""
        until_ms = self._shut("banned_until", seconds)
        logger.error("pacing.banned host=%s seconds=%.0f", self.host, seconds)
        return Banned(self.host, until_ms)

    def _shut(self, field: str, seconds: float) -> int:
        until_ms = int(self._shut_host(keys=[self._key], args=[field, _ms(seconds)]))
        self._memory.raise_to(**{field: until_ms})
        return until_ms

    def turn_away(self, seconds: float) -> TurnedAway:
        """Let nobody call the host for a while, as a firewall turns this address away.

        Return the error, whose `seconds` are those of all pauses before. Each pause in a row is as
        long as those before together, `seconds` at the least and a minute at the most; after it one
        call at a time tries again.
        """
        arguments = [_ms(seconds), LONGEST_PAUSE_SECONDS * 1000]
        before_ms, begins, pause_ms = map(int, self._turn_away(keys=[self._key], args=arguments))
        self._turned_away = True
        if pause_ms:
            logger.warning("pacing.turned_away host=%s seconds=%.1f", self.host, pause_ms / 1000)
        lasts = before_ms >= TURNED_AWAY_SECONDS * 1000
        return TurnedAway(self.host, before_ms / 1000, begins=bool(begins), lasts=lasts)

    def answered(self) -> None:
        """Take note that the host, and no firewall, has answered."""
        if self._turned_away:
            self._answered(keys=[self._key])

    def sleep(self, seconds: float) -> None:
        """Wait; Temporary at once when the pacer is closed, so nobody waits for a sleeper."""
        if self._closing.wait(seconds):
            raise Temporary(f"stopped before {self.host} was called")

    def close(self) -> None:
        """Wake and refuse everyone who waits."""
        self._closing.set()

    def observe_weight(self, used: int) -> None:  # noqa: B027  only some pacers count weight
        """Take note of the weight that the exchange says this address has used in its minute."""

    def limits_known(self) -> bool:
        """Return False where the published limits are wanted and were not seen lately."""
        return True

    def should_ask_limits(self) -> bool:
        """Tell, one of all processes, to ask for the limits: nobody knows them or asked lately."""
        return False

    def set_limits(self, limits: Limits) -> None:  # noqa: B027
        """Take note of the limits that the exchange publishes."""

    def assume_limits(self) -> bool:
        """Keep to cautious limits, as those that are published can't be understood.

        Return whether that is new to all processes: False where limits are known already.
        """
        return False

    @abstractmethod
    def seconds_for(self, calls: int, weight: int) -> float:
        """Return how long `calls` more calls of `weight` take at the very least."""

    @abstractmethod
    def _take(self, weight: int, lane: Lane | None) -> Turn:
        """Count a call if it may go now."""

    def _reply(self, take: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        """Return what a script says that takes a call, once Redis knows what this process knows."""
        while True:
            known, looks = self._memory.question()
            reply = take(keys=[self._key], args=[*arguments, known, looks])
            if looks and reply:
                self._memory.learn(reply.pop())
            if reply:
                return reply
            logger.info("pacing.restored host=%s", self.host)
            self._restore(keys=[self._key], args=self._memory.told())
            self._memory.since = ""

    def _script(self, script: Script) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            try:
                return script(self._redis, **arguments)
            except ResponseError as error:
                value_or_error(error)  # a ban may be what nobody can read: nothing goes out
                kind: Any = self._redis.type(self._key)
                raise Unreadable(of_type(self._key, kind.decode(), "hash"), self._key) from error

        return call


def turn_of(reply: Sequence[int]) -> Turn:
    """Return what a script says that takes a call."""
    wait_ms, held_ms, banned_until_ms, turned_away, *others = map(int, reply)
    return Turn(wait_ms, held_ms, banned_until_ms, bool(turned_away), *others)


def _ms(seconds: float) -> int:
    return round(1000 * min(seconds, LONGEST_BAN_SECONDS))
