"""What the cache lacks is fetched once, however many wait for it, by whoever may write it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from redis import Redis

from exchanges.errors import seconds_to_wait
from livermore.market.coverage import Coverage, subtract, union
from livermore.market.pair import Pair
from serving.candles.unavailable import RETRY_SECONDS
from serving.counting.asked import for_all, note_waiting
from serving.directory import ServedExchange
from serving.fetching.calls import Calls
from serving.fetching.failures import FAILURES, LONGEST_PAUSE_SECONDS, Failure
from serving.fetching.holes import Fetched, fetch_holes
from serving.fetching.opened import OpenBar, OpenCandles
from serving.fetching.stretches import Stretches
from serving.together.once import Once
from warmup.repair import PairHoles

logger = logging.getLogger(__name__)

TOGETHER_SECONDS = 0.02  # for which those that ask at the same time are gathered
MOST_REMEMBERED = 10_000


class Outcome(NamedTuple):
    """What came of a fetch: why it failed, None where it did not, and the open bar it brought."""

    failure: Failure | None = None
    open_bar: OpenBar | None = None


class Fetches:
    """Fetches of all exchanges: of each one at a time, with all that is wanted by then."""

    def __init__(self, redis: Redis, calls: Calls, once: Once):
        """`once` is for what is not stored: older `stretches`, and `open_candles`."""
        self.stretches = Stretches(once)
        self.open_candles = OpenCandles(once)
        self._redis = redis
        self._calls = calls
        self._in_vain: dict[tuple[int, Pair], tuple[float, Coverage, Failure]] = {}
        self._wanted: dict[int, dict[Pair, Coverage]] = {}
        self._fetched: dict[int, dict[Pair, Coverage]] = {}  # by what is under way
        self._under_way: dict[int, asyncio.Task[dict[Pair, Outcome]]] = {}

    async def fetch(self, exchange: ServedExchange, pair: Pair, missing: Coverage) -> Outcome:
        """Have these stretches fetched; return what came of that, be it a moment ago."""
        number = exchange.exchange_id
        until, in_vain, failure = self._in_vain.get((number, pair), (0.0, (), None))
        if time.monotonic() < until and not subtract(missing, in_vain):
            return Outcome(failure)
        fetched = self._fetched.get(number, {}).get(pair, ())
        if number in self._under_way and not subtract(missing, fetched):
            note_waiting()
            outcomes = await asyncio.shield(self._under_way[number])
            return outcomes.get(pair, Outcome())
        wanted = self._wanted.setdefault(number, {})
        if not subtract(missing, wanted.get(pair, ())):
            note_waiting()
        wanted[pair] = union([*wanted.get(pair, ()), *missing])
        outcome = Outcome()
        while pair in self._wanted.get(number, {}):
            if number not in self._under_way:
                self._under_way[number] = asyncio.create_task(self._fetch_wanted(exchange))
            outcomes = await asyncio.shield(self._under_way[number])
            outcome = outcomes.get(pair, outcome)
            if outcome.failure:
                break
        return outcome

    def note_in_vain(
        self, exchange: ServedExchange, pair: Pair, missing: Coverage, failure: Failure
    ) -> None:
        """Leave the exchange alone with these stretches for a while: many ask again and again.

        Who asks meanwhile makes that no longer, whatever stretch it is for.
        """
        if len(self._in_vain) >= MOST_REMEMBERED:
            self._in_vain.clear()
        what, now = (exchange.exchange_id, pair), time.monotonic()
        seconds = min(failure.retry_seconds or RETRY_SECONDS, LONGEST_PAUSE_SECONDS)
        until, in_vain, _ = self._in_vain.get(what, (0.0, (), None))
        if now >= until:
            until, in_vain = now + seconds, ()
        self._in_vain[what] = until, union([*in_vain, *missing]), failure

    async def _fetch_wanted(self, exchange: ServedExchange) -> dict[Pair, Outcome]:
        """Fetch all that is wanted; return what came of it, by pair."""
        number = exchange.exchange_id
        for_all()
        try:
            await asyncio.sleep(TOGETHER_SECONDS)
            wanted = self._fetched[number] = self._wanted.pop(number, {})
            holes = [PairHoles(*pair, ranges) for pair, ranges in wanted.items()]
            try:
                failures, open_bars = await self._calls.call(exchange, self._fetch, exchange, holes)
            except FAILURES as error:
                logger.warning("serving.not_fetched exchange=%s error=%s", exchange.name, error)
                failure = Failure(str(error), seconds_to_wait(error))
                return dict.fromkeys(wanted, Outcome(failure))
            self.open_candles.keep(exchange, open_bars)
            found = {pair: Outcome(None, bar) for pair, bar in open_bars.items()}
            return found | {pair: Outcome(Failure(why)) for pair, why in failures.items()}
        finally:
            del self._under_way[number]
            self._fetched.pop(number, None)

    def _fetch(self, exchange: ServedExchange, holes: Sequence[PairHoles]) -> Fetched:
        fetched = fetch_holes(self._redis, exchange.exchange_id, holes)
        self.open_candles.share(exchange, fetched.open_bars)
        return fetched
