"""Pairs that lack candles: with holes in them, or without their newest ones."""

from collections.abc import Iterable

from redis import Redis

from alerts.events.source import Look, Moment, Seen, pair_subject, readable
from exchanges.lock.status import read_exchange_time
from exchanges.models import Exchange
from livermore.market.coverage import span
from livermore.market.pair import pairs_of
from warmup.cache.candles import CandleCache
from warmup.human_readable import count
from warmup.metrics.completeness import GRACE_MS, Lack, lack
from warmup.repair import missing_ranges

MS_BETWEEN_LOOKS = 15_000  # 6,000 pairs take a tenth of a second
KINDS = {Lack.HOLED: "hole", Lack.STALE: "stale"}


class Candles:
    """Looks every 15 s at what the cache has of the exchanges that shall run."""

    name = "candles"
    needs_redis = True

    def __init__(self, ms_between_looks: int = MS_BETWEEN_LOOKS):
        self._ms_between_looks = ms_between_looks
        self._looked_at = float("-inf")

    def look(self, look: Look) -> Iterable[Seen | Moment]:
        if look.now_ms - self._looked_at < self._ms_between_looks:
            return
        for exchange in look.exchanges:
            with readable(self.name, exchange):
                found: dict[str, dict[str, str]] = {kind: {} for kind in KINDS.values()}
                if exchange.wanted == Exchange.Wanted.RUNNING:
                    _read(look.redis, exchange, look.now_ms, found)
                for kind, subjects in found.items():
                    yield Seen(kind, exchange, subjects)
        self._looked_at = look.now_ms


def _read(redis: Redis, exchange: Exchange, now_ms: int, found: dict[str, dict[str, str]]) -> None:
    told_ms = read_exchange_time(redis, exchange.pk)
    now_ms = now_ms if told_ms is None else told_ms
    depth_rows = exchange.depth_rows
    pairs = pairs_of(exchange.symbols.kept_warm().values_list("symbol", flat=True))
    for pair, state in zip(pairs, CandleCache(redis, exchange.pk).states(pairs), strict=True):
        ranges = missing_ranges(state, pair.timeframe, now_ms, GRACE_MS, depth_rows)
        if ranges and (kind := KINDS.get(lack(state, ranges))):
            many = span(ranges) // pair.timeframe.ms
            found[kind][pair_subject(pair)] = f"{count(many, 'candle')} missing"
