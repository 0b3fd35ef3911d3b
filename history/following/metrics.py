"""What Prometheus is told of history: counted from the manifest, whoever writes it."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import Error as DatabaseError
from django.db.models import Sum
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from history.following.copying import time_now_ms
from history.following.kept import Kept, kept_of
from history.models import HistoryFile, KeptHistory, PairHistory
from livermore.market.coverage import Coverage, missing, oldest_told_ms
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.metrics.exposition import GAUGE, Kind

SECONDS_KEPT = 60.0  # thousands of pairs take a tenth of a second
BEHIND_MS = 7_200_000  # what is older should be there: an hour is left to the cache
METRICS = {
    "history_pairs": Kind(GAUGE, "Pairs whose history is kept"),
    "history_pairs_behind": Kind(GAUGE, "Those that lack what has closed for two hours"),
    "history_pairs_holed": Kind(GAUGE, "Those of which older candles are not known"),
    "history_age_seconds": Kind(GAUGE, "Time since the end of the newest candle in history"),
    "history_candles": Kind(GAUGE, "Candles in the files of history"),
    "history_bytes": Kind(GAUGE, "Bytes of the files of history"),
}
Values = dict[str, float]


class HistoryCounts:
    """Remembers for a minute what was counted of each exchange. Any thread may ask."""

    def __init__(self):
        self._lock = threading.Lock()
        self._found: dict[int, tuple[float, Values]] = {}

    def of(self, redis: Redis, row: KeptHistory) -> Values:
        """Return the values of an exchange by metric. Raises DatabaseError, RedisError."""
        with self._lock:
            at, values = self._found.get(row.exchange_id, (float("-inf"), {}))
            if time.monotonic() - at >= SECONDS_KEPT:
                values = count(row, time_now_ms(redis, row.exchange_id))
                self._found[row.exchange_id] = (time.monotonic(), values)
            return values


class HistoryCollector(Collector):
    """Tells of every exchange whose history is kept, when a registry asks for it."""

    def __init__(self, redis: Redis, counts: HistoryCounts):
        self._redis = redis
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Any] = {  # of prometheus-client, whose base class lacks methods
            name: kind.family(f"livermore_{name}", kind.help, labels=kind.labels)
            for name, kind in METRICS.items()
        }
        rows = KeptHistory.objects.filter(is_active=True, exchange__is_active=True)
        try:
            for row in rows.select_related("exchange"):
                for name, value in self._counts.of(self._redis, row).items():
                    families[name].add_metric((row.exchange.name,), float(value))
        except (DatabaseError, RedisError):
            pass  # what is away `database_up` and `redis_up` tell
        return families.values()


def count(row: KeptHistory, now_ms: int) -> Values:
    """Return what there is to tell of an exchange at `now_ms`, by its clock."""
    files = HistoryFile.objects.filter(pair__exchange=row.exchange)
    sums = files.aggregate(rows=Sum("rows"), size=Sum("size"))
    values = _of_pairs(kept_of(row), _coverages(row), now_ms, row.exchange.depth_rows)
    return values | {"history_candles": sums["rows"] or 0, "history_bytes": sums["size"] or 0}


def _coverages(row: KeptHistory) -> dict[Pair, Coverage]:
    """Return the coverage of each pair, of one that lay in several places that of the newest."""
    found = PairHistory.objects.filter(exchange=row.exchange).order_by("pk")
    return {
        Pair(symbol, Timeframe(timeframe)): tuple((start, end) for start, end in coverage)
        for symbol, timeframe, coverage in found.values_list("symbol", "timeframe", "coverage")
    }


def _of_pairs(
    kept: Kept, known: Mapping[Pair, Coverage], now_ms: int, depth_rows: int | None
) -> Values:
    behind = holed = newest_ms = 0
    for pair in kept.pairs:
        covered = known.get(pair, ())
        until_ms = covered[-1][1] if covered else 0
        newest_ms = max(newest_ms, until_ms)
        end_ms = pair.timeframe.floor(now_ms - BEHIND_MS)
        behind += until_ms < end_ms
        told_ms = oldest_told_ms(pair.timeframe, now_ms, depth_rows)
        since_ms = max(pair.timeframe.ceil(kept.since_ms), told_ms)
        holed += bool(missing(covered, since_ms, min(until_ms, end_ms)))
    age = {"history_age_seconds": (now_ms - newest_ms) / 1000} if newest_ms else {}
    return {
        "history_pairs": len(kept.pairs),
        "history_pairs_behind": behind,
        "history_pairs_holed": holed,
    } | age
