"""Reads from the cache what closed while events were lost."""

from collections.abc import Iterator, Sequence

from livermore_reader.candles import Asked, Candles
from livermore_reader.errors import Gap, MissingCandles, Unavailable
from livermore_reader.following.told import Told
from livermore_reader.sources.event_messages import BEGINNING, order
from livermore_reader.sources.source import Close, Source, Status
from livermore_reader.times import EARLIEST_MS, KEPT, length_ms, utc

MARGIN_MS = 3_600_000  # what is healed may be told so long after its end
CANDLES_KEPT = 1000  # of a pair
PAIRS_AT_ONCE = 50  # of a thousand candles each
Pair = tuple[str, str]


class Filling:
    """Closes of an exchange behind an id whose events are gone, a part of the pairs at a time."""

    def __init__(
        self,
        source: Source,
        exchange: str,
        symbols: Sequence[str],
        timeframes: Sequence[str],
        after: str,
        told: "dict[Pair, Told]",
    ):
        """`told` is what was told of each pair before. Raises Unavailable."""
        self._source = source
        self._exchange = exchange
        self._after = after
        status = source.status(exchange)
        self._now_ms = status.now_ms
        self._after_ms = _at_the_exchange(order(after)[0], status)
        self._told = told
        names = symbols or sorted({*source.symbols(exchange), *(name for name, _ in told)})
        if self._after_ms < EARLIEST_MS:
            raise self._gap("no close was ever told that early")
        if not names:
            raise Unavailable(f"which symbols of {exchange} are kept isn't known now")
        self._pairs = [(name, each) for name in names for each in timeframes or KEPT]

    @property
    def is_done(self) -> bool:
        return not self._pairs

    def part(self) -> list[Close]:
        """Return what closed of the next pairs, but for what was told of them already.

        Each has the id behind which it is filled: what is handled is known when all of it is.
        Raises Unavailable, after which it may be called again, and Gap where the cache doesn't
        reach back so far.
        """
        pairs = self._pairs[:PAIRS_AT_ONCE]
        asked = [
            Asked(self._exchange, *pair, self._begin_ms(pair, self._told.get(pair)), limit=None)
            for pair in pairs
        ]
        try:
            found = self._source.candles(asked)
        except MissingCandles as error:
            raise self._gap(str(error)) from None
        closes = [
            close
            for pair, ask, candles in zip(pairs, asked, found, strict=True)
            for close in self._closes(ask, candles, self._told.get(pair) or Told())
        ]
        del self._pairs[:PAIRS_AT_ONCE]
        return closes

    def _begin_ms(self, pair: Pair, told: "Told | None") -> int:
        """Return when the oldest bar opened that may not have been told."""
        length = length_ms(pair[1])
        kept_ms = self._now_ms - (CANDLES_KEPT - 1) * length
        since_ms = max(self._after_ms - MARGIN_MS, min(self._after_ms, kept_ms))
        if told and told.end_ms:
            since_ms = min(since_ms, told.end_ms)
        return max(0, since_ms - since_ms % length)

    def _closes(self, asked: Asked, candles: Candles, told: Told) -> Iterator[Close]:
        length = length_ms(asked.timeframe)
        self._check(asked, candles)
        for row in candles.rows:
            end_ms = row[0] + length
            if told.has(row[0]):
                continue
            begin_ms = told.begin_ms
            is_known = begin_ms is not None and begin_ms <= row[0]
            yield Close(
                self._after,
                asked.exchange,
                asked.symbol,
                asked.timeframe,
                list(row),
                late=end_ms <= told.end_ms,
                again=end_ms <= self._after_ms and not is_known,
                filled=True,
            )

    def _check(self, asked: Asked, candles: Candles) -> None:
        """Raise Gap where the cache begins after what was told last.

        A hole further on is told when it is known, and so is what is missing at the end.
        """
        if not candles.missing or not candles.rows:
            return
        since, until = candles.missing[0]
        if since <= (asked.start_ms or 0) and self._after_ms < until <= candles.rows[0][0]:
            raise self._gap(
                f"of {asked.symbol} {asked.timeframe} the cache has nothing before {utc(until)}"
            )

    def _gap(self, text: str) -> Gap:
        return Gap(
            f"closes of {self._exchange} behind {self._after} are no longer kept, and can't be "
            f"filled: {text}",
            self._after,
            BEGINNING,
        )


def _at_the_exchange(redis_ms: int, status: Status) -> int:
    """Return what time it was at an exchange when it was that by Redis's clock."""
    exchange_ms, heartbeat_ms = status.told.get("exchangeTime"), status.told.get("heartbeat")
    if not exchange_ms or not heartbeat_ms:
        return redis_ms
    pace = status.told.get("exchangePace") or 1
    return exchange_ms + round((redis_ms - heartbeat_ms) * pace)
