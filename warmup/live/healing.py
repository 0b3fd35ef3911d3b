"""Asking REST for what a stream left open, and what its answers are worth."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from redis.exceptions import RedisError

from exchanges.daemon_threads import Workers
from exchanges.errors import BadCredentials, Blocked, LivermoreError, Permanent, Temporary
from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import Candles
from livermore.market.coverage import Coverage
from livermore.market.pair import Pair
from warmup.cache.candles import CandleCache
from warmup.cache.set_aside import SetAside
from warmup.cache.unconfirmed import Rules
from warmup.live.bars import GRACE_MS, Bars, Close
from warmup.live.outage import Outage

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_QUESTIONS = 0.4  # for the time, and twice as long after each without an answer
QUESTIONS_DOUBLED = 5
WANTED_AT_ONCE = 4  # of the pairs that programs wait for
# What every other call would meet too: REST is away, or refuses us.
OF_ALL = (Temporary, Blocked, BadCredentials, RedisError)

Answer = Candles | Exception | None  # None: the time was told


class Healer:
    """Asks REST in threads of its own; one other thread calls all methods.

    While REST is away one pair at a time is asked for, ever more rarely; the first answer ends
    the waiting of all.
    """

    def __init__(self, cache: CandleCache, rest: VenueRest):
        """`cache` keeps what the exchange has to tell again, under the lease."""
        self._cache = cache
        self.read_cache = cache  # by which the threads look what is there
        self.on_idle: Callable[[], object] = lambda: None  # called when no thread is left
        self._rest = rest
        self._rules = Rules(rest.quiet_bars, rest.lag_ms)
        self._workers = Workers(rest.workers, "heal", on_idle=lambda: self.on_idle())
        # Their lane may have to wait where the other's may not, so each has its own threads.
        self._for_programs = Workers(WANTED_AT_ONCE, "heal-wanted", on_idle=lambda: self.on_idle())
        self.received_ms = 0  # up to when the stream told all, by the exchange's time
        self._outage = Outage()
        self.trouble = ""  # why REST is away, or refuses us
        self._tried: Pair | None = None  # the last one that was asked for in an outage
        self._answers: deque[tuple[Pair | None, int, Answer]] = deque()
        self._doubted: set[Pair] = set()  # pairs of which something is unconfirmed, or was
        self._asking_time = False
        self._time_failures = 0
        self._next_question_at = 0.0

    @property
    def is_away(self) -> bool:
        """Return whether REST is away, or refuses us."""
        return self._outage.is_there

    def doubt(self, pairs: Iterable[Pair]) -> None:
        """Learn of pairs of which something is unconfirmed."""
        self._doubted.update(pairs)

    def heal(
        self,
        pair: Pair,
        bars: Bars,
        now_ms: int,
        grace_ms: int = GRACE_MS,
        wanted: bool = False,
    ) -> None:
        """Ask for what is overdue of a pair, if anything is; `wanted` where a program waits."""
        span = bars.overdue(now_ms, grace_ms, wanted)
        if span and self._outage.is_there and pair == self._tried:
            self._tried = None  # it may be this pair alone: let another one be the next, if any
        elif span and self._outage.may_try(time.monotonic()):
            self._tried = pair
            bars.asked = True
            workers = self._for_programs if wanted else self._workers
            workers.submit(self._ask, pair, *span, Lane.SERVE if wanted else Lane.HEAL)

    def keep_time(self) -> None:
        """Ask for the exchange's time where that is due, or to learn whether an outage is over."""
        now = time.monotonic()
        if self._asking_time:
            return
        if self._rest.clock.is_due() and now >= self._next_question_at:
            times = 2 ** min(self._time_failures, QUESTIONS_DOUBLED)
            self._next_question_at = now + SECONDS_BETWEEN_QUESTIONS * times
        elif not (self._outage.is_there and self._outage.may_try(now)):
            return
        self._asking_time = True
        self._workers.submit(self._ask_time)

    def answers(
        self, known: Mapping[Pair, Bars], now_ms: int
    ) -> Iterator[tuple[Pair, list[Close]]]:
        """Yield what follows from the answers that came, by pair."""
        while self._answers:
            pair, end_ms, answer = self._answers.popleft()
            self._notice(answer, known)
            if (
                answer is not None and pair is not None and pair in known
            ):  # else it was removed meanwhile
                yield pair, self._take(pair, known[pair], end_ms, answer, now_ms)

    def close(self) -> None:
        """Begin nothing more."""
        self._workers.close()
        self._for_programs.close()

    def _notice(self, answer: Answer, known: Mapping[Pair, Bars]) -> None:
        if isinstance(answer, OF_ALL):
            self._outage.failed(time.monotonic())
            self.trouble = str(answer)
        elif self._outage.ended() and answer is not None:
            self.trouble = ""
            for bars in known.values():
                bars.try_at_once()

    def _take(
        self, pair: Pair, bars: Bars, end_ms: int, answer: Candles | Exception, now_ms: int
    ) -> list[Close]:
        before_ms, closes = bars.next_ms, []
        if isinstance(answer, Candles):
            closes = bars.healed(answer, self._learn(pair, bars, answer, now_ms))
        if bars.next_ms >= end_ms or isinstance(answer, OF_ALL):
            bars.asked = False  # answered, be it by the stream meanwhile; or to be asked for
            if closes and all(close.candle is None for close in closes) and bars.due_ms > now_ms:
                bars.was_quiet(now_ms)
        elif bars.next_ms == before_ms:
            bars.failed(now_ms)
        return closes

    def _learn(self, pair: Pair, bars: Bars, answer: Candles, now_ms: int) -> Coverage:
        """Return what an answer proves, with those before it and with what the stream showed."""
        whole_until_ms = min(now_ms, self.received_ms) - self._rest.clock.apart_ms
        lacking = bars.judge(answer, now_ms, self._rest.lag_ms, whole_until_ms)
        if not lacking and not answer.leaves_open and pair not in self._doubted:
            return answer.covered
        self._doubted.add(pair)
        try:
            return self._cache.learn(pair, answer, (), self._rules, now_ms, lacking)
        except (RedisError, SetAside) as error:
            logger.warning("healing.not_learned pair=%s/%s error=%s", *pair, error)
            return ()

    # -- in threads of the pool

    def _ask(self, pair: Pair, start_ms: int, end_ms: int, lane: Lane) -> None:
        answer: Candles | Exception = Permanent("")
        try:
            [known] = self.read_cache.beside(*pair, [(start_ms, end_ms)])
            answer = self._rest.get_candles(*pair, start_ms, end_ms, known=known, lane=lane)
        except (LivermoreError, RedisError) as error:
            logger.warning("healing.failed pair=%s/%s error=%s", *pair, error)
            answer = error
        except Exception:
            logger.exception("healing.died pair=%s/%s", *pair)
        finally:
            self._answers.append((pair, end_ms, answer))

    def _ask_time(self) -> None:
        answer: Answer = None
        try:
            self._rest.clock.ask()
            self._time_failures = 0
        except (LivermoreError, RedisError) as error:
            self._time_failures += 1
            logger.warning("healing.time_unknown error=%s", error)
            answer = error
        finally:
            self._answers.append((None, 0, answer))
            self._asking_time = False
