"""For how long nothing was seen: of an exchange, or of the pairs that a rule names."""

from collections.abc import Container, Iterator
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from alerts.events.source import WHOLE, Look, Moment, Seen, pair_subject, readable
from alerts.models import AlertRule
from exchanges.lock.status import read_exchange_time
from exchanges.models import Exchange
from livermore.market import keys
from livermore.market.pair import Pair, pairs_of
from warmup.cache.candles import CandleCache
from warmup.human_readable import duration

KIND = "absent"
MINUTE_MS = 60_000


class Absent:
    """Looks, where a rule asks for it, how long ago the last close was told.

    A rule that names no symbol is about an exchange as a whole; one that names no exchange is
    about those that shall run.
    """

    name = "absent"
    needs_redis = True

    def look(self, look: Look) -> Iterator[Seen | Moment]:
        position = look.position(self.name)
        about = {exchange.pk: _rules_about(look, exchange) for exchange in look.exchanges}
        _forget_others(position, {str(number) for number, rules in about.items() if rules})
        for exchange in look.exchanges:
            rules = about[exchange.pk]
            subjects, minutes = {}, {}
            with readable(self.name, exchange):
                for subject, silent_ms in _silences(look.redis, exchange, rules, position):
                    text = f"nothing was seen for {duration(silent_ms)}"
                    subjects[subject], minutes[subject] = text, silent_ms / MINUTE_MS
                yield Seen(KIND, exchange, subjects, minutes)


def _rules_about(look: Look, exchange: Exchange) -> list[AlertRule]:
    is_wanted = exchange.wanted == Exchange.Wanted.RUNNING
    return [
        rule
        for rule in look.rules_of(KIND)
        if rule.exchange_id == exchange.pk or (rule.exchange_id is None and is_wanted)
    ]


def _forget_others(position: dict[str, Any], numbers: Container[str]) -> None:
    """Forget since when exchanges were looked at that no rule is about: they begin anew."""
    for name in [name for name in position if name.partition(" ")[0] not in numbers]:
        del position[name]


def _silences(
    redis: Redis, exchange: Exchange, rules: list[AlertRule], position: dict[str, Any]
) -> Iterator[tuple[str, int]]:
    if any(not rule.symbols for rule in rules):
        seconds, microseconds = redis.time()
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        since_ms = position.setdefault(str(exchange.pk), now_ms)  # nothing is known before
        yield WHOLE, now_ms - max(since_ms, _last_event_ms(redis, exchange))
    pairs = {pair for rule in rules if rule.symbols for pair in _pairs(rule)}
    if pairs:
        told_ms = read_exchange_time(redis, exchange.pk)
        seconds, microseconds = redis.time()
        now_ms = int(seconds) * 1000 if told_ms is None else told_ms
        for pair, newest_ms in _newest(redis, exchange, sorted(pairs)):
            subject = pair_subject(pair)
            since_ms = position.setdefault(f"{exchange.pk} {subject}", now_ms)
            end_ms = max(since_ms, (newest_ms or 0) + pair.timeframe.ms)
            # It can't have been seen before its bar was over.
            yield subject, max(0, now_ms - end_ms - pair.timeframe.ms)


def _pairs(rule: AlertRule) -> list[Pair]:
    return pairs_of(rule.symbols, rule.timeframes or None)


def _newest(
    redis: Redis, exchange: Exchange, pairs: list[Pair]
) -> Iterator[tuple[Pair, int | None]]:
    for pair, summary in zip(pairs, CandleCache(redis, exchange.pk).summaries(pairs), strict=True):
        yield pair, summary.newest


def _last_event_ms(redis: Redis, exchange: Exchange) -> int:
    try:
        found: Any = redis.xinfo_stream(keys.events(exchange.pk))
    except ResponseError:  # there is none
        return 0
    return int(bytes(found["last-generated-id"]).partition(b"-")[0])
