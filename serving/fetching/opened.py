"""Open candles that no stream tells: asked of the exchange, and kept for a moment."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import orjson
from redis.exceptions import RedisError

from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from serving.candles.unavailable import RETRY_SECONDS
from serving.directory import ServedExchange
from serving.fetching.clients import RestClients
from serving.fetching.failures import FAILURES, untold
from serving.together.answers import NONE, Answer
from serving.together.once import Once

logger = logging.getLogger(__name__)

OPEN_HOLDS_SECONDS, LONGEST_OPEN_SECONDS = 1.0, 2.0
# Where the stream tells what is traded from then on, and of any number of other symbols.
LONG_OPEN_HOLDS_SECONDS = 5.0


class OpenCandle(NamedTuple):
    """An open candle, None where none is known; `was_kept`: the exchange was not asked for it."""

    candle: Candle | None
    was_kept: bool


class OpenBar(NamedTuple):
    """What an exchange told of the bar open since `open_ms`: its candle, None where it had none.

    It told that at `told_at` or later, in seconds since 1970.
    """

    open_ms: int
    candle: Candle | None
    told_at: float


class OpenCandles:
    """Asks exchanges for open candles, for each once while its answer holds."""

    def __init__(self, once: Once):
        self._once = once
        self._clients = RestClients()
        self._hangs_until: dict[int, float] = {}  # then it is asked again

    async def get(
        self, exchange: ServedExchange, pair: Pair, open_ms: int, is_streamed: bool
    ) -> OpenCandle:
        """Return the candle open since a time as the exchange tells it, or told it a moment ago.

        It has none where that has none, or does not answer soon.
        """
        number = exchange.exchange_id
        if time.monotonic() < self._hangs_until.get(number, 0.0):
            return OpenCandle(None, was_kept=True)
        ask = partial(_asked_open, self._clients, exchange, pair, open_ms, is_streamed)
        try:
            request = _request(pair, open_ms)
            got = await self._once.get(exchange, request, ask, LONGEST_OPEN_SECONDS)
            return OpenCandle(_candle_of(got.answer, pair), got.was_kept)
        except TimeoutError:
            self._hangs_until[number] = time.monotonic() + RETRY_SECONDS
            return OpenCandle(None, was_kept=False)
        except FAILURES:  # it was not asked at all, as it is switched off or has enough to answer
            return OpenCandle(None, was_kept=True)

    def keep(self, exchange: ServedExchange, bars: Mapping[Pair, OpenBar]) -> None:
        """Keep what an exchange told beside closed candles, as if it had been asked for."""
        self._once.keep(exchange, _answers(exchange, bars))

    def share(self, exchange: ServedExchange, bars: Mapping[Pair, OpenBar]) -> None:
        """Leave that for the processes beside this one. In any thread."""
        with suppress(RedisError):  # then they ask for themselves
            self._once.share(exchange, _answers(exchange, bars))


def fetch_open(clients: RestClients, exchange_id: int, pair: Pair) -> Candle | None:
    """Return the open candle as an exchange tells it, None where it has none."""

    def ask(rest: VenueRest) -> Candle | None:
        return rest.get_candles(*pair, limit=1, lane=Lane.SERVE).open_candle

    return clients.call(exchange_id, ask)


def _request(pair: Pair, open_ms: int) -> str:
    return f"open {pair.symbol} {pair.timeframe} {open_ms}"


def _answers(exchange: ServedExchange, bars: Mapping[Pair, OpenBar]) -> dict[str, Answer]:
    """Return each as it would be answered to who asks for it; of most nobody tells a stream."""
    monitored = {each.symbol for each in exchange.symbols.values() if each.is_monitored}
    return {
        _request(pair, bar.open_ms): _answer(
            bar.candle, bar.told_at, is_long=pair.symbol not in monitored
        )
        for pair, bar in bars.items()
    }


def _answer(candle: Candle | None, told_at: float, is_long: bool) -> Answer:
    holds_seconds = LONG_OPEN_HOLDS_SECONDS if is_long else OPEN_HOLDS_SECONDS
    return Answer(200, orjson.dumps(candle and candle.row()), told_at, holds_seconds)


def _asked_open(
    clients: RestClients, exchange: ServedExchange, pair: Pair, open_ms: int, is_streamed: bool
) -> Answer:
    """Return what an exchange tells of the candle open since a time, `null` where it has none."""
    try:
        candle = fetch_open(clients, exchange.exchange_id, pair)
    except FAILURES as error:
        logger.warning("serving.not_passed exchange=%s error=%s", exchange.name, error)
        return untold(error)
    is_it = candle is None or candle.timestamp == open_ms
    is_long = is_it and (is_streamed or not exchange.symbols[pair.symbol].is_monitored)
    return _answer(candle, time.time(), is_long)


def _candle_of(answer: Answer, pair: Pair) -> Candle | None:
    """Return the open candle that was told, None where there is none. Raises ValueError."""
    row = answer.content if answer.status != NONE else None
    try:
        return None if row is None else Candle.of_values(row, pair.timeframe)
    except TypeError as error:
        raise ValueError(str(error)) from error
