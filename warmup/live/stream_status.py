"""What an exchange's status tells of its stream, and of what became of that in Redis."""

from collections.abc import Iterable
from typing import Any

from exchanges.stream.streamer import Streamer
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.live.measures import History, Rate
from warmup.live.sink import CandleSink

WAITING_NAMED = 20


class StreamStatus:
    """Rates, lag and counters of one stream; any thread may ask, one at a time."""

    def __init__(self, streamer: Streamer, sink: CandleSink):
        self._streamer, self._sink = streamer, sink
        self._frame_rate, self._frame_rates = Rate(), History()

    def as_json(self) -> dict[str, Any]:
        """Return what the status tells."""
        return self._of_connections() | self._of_writes()

    def _of_connections(self) -> dict[str, Any]:
        counters = self._streamer.counters()
        trouble = self._streamer.trouble()
        frame_rate = self._frame_rate.after(counters["frames"])
        return {
            **counters,
            "framesPerSecond": frame_rate,
            "frameRates": self._frame_rates.after(frame_rate),
            "polledPairs": _by_symbol(self._streamer.polled()),
            "refused": self._streamer.refused(),
            "streamTrouble": trouble.reason if trouble else "",
            "streamRetryAt": trouble.retry_at_ms if trouble else None,
        }

    def _of_writes(self) -> dict[str, Any]:
        sink, writer = self._sink, self._sink.writer
        waiting = sink.waiting()
        return {
            "closes": writer.closes,
            "healed": sink.healed,
            "pendingCloses": sink.pending(),
            "healing": sink.healing(),
            "late": writer.late,
            "waiting": [f"{symbol}/{timeframe}" for symbol, timeframe in waiting[:WAITING_NAMED]],
            "waitingPairs": len(waiting),
            "oddClock": sink.exchange_clock.odd,
            "newestClose": writer.newest_close_ms or None,
            "exchangeTime": sink.streamed_now_ms(),
            "exchangePace": sink.exchange_clock.pace,
            "closeDelays": writer.delays.as_json(),
            "flushFailures": sink.flush_failures,
            "setAside": _by_symbol(sink.aside()),
            "unreadable": sink.trouble,
        }


def _by_symbol(pairs: Iterable[Pair]) -> dict[str, list[Timeframe]]:
    """Return the timeframes of each symbol, the shortest first."""
    found: dict[str, list[Timeframe]] = {}
    for symbol, timeframe in sorted(pairs, key=lambda pair: (pair.symbol, pair.timeframe.ms)):
        found.setdefault(symbol, []).append(timeframe)
    return found
