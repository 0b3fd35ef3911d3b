"""Who listens to open candles: where nobody does they are not published."""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from livermore.market import keys
from livermore.market.pair import Pair

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_UNTIL_DOUBT = 30.0  # whether still no pattern fits a pair
GLOB = str.maketrans({each: f"\\{each}" for each in "\\*?["})


class Listeners:
    """To which pairs of an exchange somebody listens, by a channel or by a pattern.

    Redis is asked once a second which channels have subscribers, and how many patterns there are.
    It can't tell which ones: so where there are any, the receivers of what is published say whether
    one fits the pair, and that holds until the number of patterns changes, or for half a minute.
    Where a server doesn't know all who listen (in a Cluster, or as they listen to replicas), or
    says nothing, somebody may listen to everything.
    """

    def __init__(self, redis: Redis, exchange_id: int):
        self._redis = redis
        self._prefix = keys.candle_channel(exchange_id, "", "").removesuffix(
            keys.pair_field("", "")
        )
        self._is_known = False
        self._pairs: set[Pair] = set()  # of channels that somebody has subscribed to
        self._patterns = 0
        self._unheard: set[Pair] = set()
        self._next_look_at = self._doubt_at = 0.0

    def has(self, pair: Pair) -> bool:
        """Tell whether somebody may listen to a pair."""
        if not self._is_known or pair in self._pairs:
            return True
        return bool(self._patterns) and pair not in self._unheard

    def unheard(self, pairs: Iterable[Pair]) -> None:
        """Learn that what was published of these reached nobody."""
        self._unheard.update(pairs)

    def look(self, pairs: Collection[Pair]) -> Iterable[Pair]:
        """Ask Redis, where that is due; return those of `pairs` to which somebody may listen now.

        Only those that nobody did before.
        """
        now = time.monotonic()
        if now < self._next_look_at:
            return ()
        self._next_look_at = now + SECONDS_BETWEEN_LOOKS
        channels, patterns, was_known = self._pairs, self._patterns, self._is_known
        try:
            self._ask(now)
        except RedisError:
            self._is_known = False
        if not was_known or not self._is_known:
            return ()  # all is published anyway, or was
        if self._patterns > patterns:
            return [pair for pair in pairs if pair not in channels]
        return self._pairs & set(pairs) - channels if self._pairs != channels else ()

    def _ask(self, now: float) -> None:
        if not isinstance(self._redis, Redis):
            return  # a Cluster's nodes know their own subscribers only
        pipe = self._redis.pipeline(transaction=False)
        pipe.pubsub_channels(f"{self._prefix.translate(GLOB)}*")
        pipe.pubsub_numpat()
        pipe.info("replication")
        channels, patterns, replication = pipe.execute()
        self._is_known = not _has_replicas(replication)
        begins = len(self._prefix.encode())
        found = (keys.pair_of(channel[begins:]) for channel in channels)
        self._pairs = {pair for pair in found if pair}
        if patterns != self._patterns or now >= self._doubt_at:
            self._patterns, self._doubt_at = patterns, now + SECONDS_UNTIL_DOUBT
            self._unheard.clear()


def _has_replicas(replication: Mapping[str, Any]) -> bool:
    return bool(replication.get("connected_slaves")) or replication.get("role") != "master"
