"""What a warmup will fetch, written down before the first call."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis

from exchanges.lock.fencing import SET_AND_PUBLISH, refusals, stamp
from exchanges.redis.change_notifications import changed
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from warmup.scanner import DEFAULT_CANDLE_TARGET, CandleStatusResult


@dataclass(frozen=True, slots=True)
class WarmupScheduleEntry:
    """One pair to fetch: how many candles it has and how many it shall have."""

    symbol: str
    timeframe: Timeframe
    cached_count: int
    target_count: int

    def as_json(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "cachedCount": self.cached_count,
            "targetCount": self.target_count,
        }


@dataclass(frozen=True, slots=True)
class WarmupSchedule:
    """The pairs that a warmup fetches, of all that it was asked for.

    `sufficient_pairs` are those left alone; `exhausted_pairs` are the ones among them that have
    too few candles because the exchange has no more. `created_at`: UTC epoch milliseconds.
    """

    exchange_id: int
    created_at: int
    total_pairs: int
    sufficient_pairs: int
    exhausted_pairs: int
    entries: tuple[WarmupScheduleEntry, ...]

    @property
    def needs_fetching(self) -> int:
        """Return how many pairs are to be fetched."""
        return len(self.entries)

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "exchangeId": self.exchange_id,
            "createdAt": self.created_at,
            "totalPairs": self.total_pairs,
            "sufficientPairs": self.sufficient_pairs,
            "exhaustedPairs": self.exhausted_pairs,
            "needsFetching": self.needs_fetching,
            "entries": [entry.as_json() for entry in self.entries],
        }


class WarmupScheduleBuilder:
    """Turns what a scan found into the schedule of what is missing; `epoch` is that of a lease."""

    def __init__(self, redis: Redis, exchange_id: int, epoch: int | None = None):
        self._exchange_id = exchange_id
        self._epoch = stamp(epoch)
        self._write = SET_AND_PUBLISH.on(redis)

    def build(self, results: Sequence[CandleStatusResult]) -> WarmupSchedule:
        """Return the schedule of the pairs that need fetching, in the order of `results`."""
        entries = tuple(
            WarmupScheduleEntry(
                result.symbol, result.timeframe, result.cached_count, DEFAULT_CANDLE_TARGET
            )
            for result in results
            if result.needs_fetching
        )
        return WarmupSchedule(
            exchange_id=self._exchange_id,
            created_at=int(time.time() * 1000),
            total_pairs=len(results),
            sufficient_pairs=len(results) - len(entries),
            exhausted_pairs=sum(result.exhausted for result in results),
            entries=entries,
        )

    def build_and_persist(self, results: Sequence[CandleStatusResult]) -> WarmupSchedule:
        """Return the schedule after writing it to Redis, in place of the previous one.

        Raises Fenced where somebody else has the exchange by now.
        """
        schedule = self.build(results)
        number = self._exchange_id
        text = orjson.dumps(schedule.as_json())
        with refusals():
            self._write(
                keys=[keys.warmup_schedule(number), keys.epoch(number), keys.lock(number)],
                args=[self._epoch, text, *changed(number, "schedule")],
            )
        return schedule
