"""Signals as a source of alerts: what the closes since the last look ring, in words."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from alerts.events.source import Look, Moment, Seen, pair_subject
from alerts.signals.choice import SIGNALS, Choices
from alerts.signals.exchange_signals import ExchangeSignals, Found
from alerts.signals.words import all_timeframes, closed_at, happened, in_short, inputs, numbers, was
from exchanges.lock.status import read_exchange_time
from exchanges.models import Exchange
from exchanges.redis.unreadable import warn_once
from livermore.market import keys
from livermore.market.pair import pairs_of
from warmup.cache.indicators import IndicatorCache

logger = logging.getLogger(__name__)

LATE = "not told, as it came late"
REVISED = "revised, as a candle came late"


class Signals:
    """Looks at the closes of every exchange that a rule about signals is about."""

    name = "signals"
    needs_redis = True

    def __init__(self):
        self._exchanges: dict[int, ExchangeSignals] = {}
        self._choices: dict[int, Choices] = {}

    def look(self, look: Look) -> Iterable[Seen | Moment]:
        rules, positions = look.rules_of(*SIGNALS), look.position(self.name)
        found: list[Moment] = []
        writes: list[Callable[[], None]] = []
        for exchange in look.exchanges:
            about = [rule for rule in rules if rule.exchange_id in (None, exchange.pk)]
            choices = self._choices_of(exchange, Choices(about))
            position = positions.setdefault(str(exchange.pk), {})
            signals = self._signals_of(look.redis, exchange)
            if choices:
                before = dict(position)
                try:
                    found += self._moments(look, exchange, signals, choices, position)
                except ResponseError as error:  # a key is not ours: that costs no other exchange
                    positions[str(exchange.pk)] = before
                    warn_once(logger, keys.events(exchange.pk), error)
                    continue
                writes.append(signals.write)
            elif position:
                signals.forget(position)
                writes.append(signals.write)
        for write in writes:  # once nothing can fail any more
            look.write_with(write)
        return found

    def _moments(
        self,
        look: Look,
        exchange: Exchange,
        signals: ExchangeSignals,
        choices: Choices,
        position: dict[str, Any],
    ) -> list[Moment]:
        told_ms = read_exchange_time(look.redis, exchange.pk)
        now_ms = look.now_ms if told_ms is None else told_ms
        return list(moments(look.redis, exchange, signals.look(choices, position, now_ms)))

    def _signals_of(self, redis: Redis, exchange: Exchange) -> ExchangeSignals:
        if exchange.pk not in self._exchanges:
            self._exchanges[exchange.pk] = ExchangeSignals(redis, exchange)
        return self._exchanges[exchange.pk]

    @property
    def behind(self) -> int:
        """Return how many pairs wait for a look that has time to read them from the cache."""
        return sum(each.behind for each in self._exchanges.values())

    def _choices_of(self, exchange: Exchange, choices: Choices) -> Choices:
        """Return what was made before where the rules are the same: it knows its pairs."""
        known = self._choices.get(exchange.pk)
        if known is None or known.signature != choices.signature:
            known = self._choices[exchange.pk] = choices
        return known


def moments(redis: Redis, exchange: Exchange, found: Sequence[Found]) -> Iterator[Moment]:
    """Yield what is told of signals, once for each rule. Raises RedisError."""
    if not found:
        return
    symbols = dict.fromkeys(each.state.pair.symbol for each in found)
    pairs = pairs_of(symbols)
    values = IndicatorCache(redis, exchange.pk).read_many(pairs)
    stored = {pair: in_short(value) for pair, value in zip(pairs, values, strict=True)}
    for each in found:
        pair, now = each.state.pair, each.step.now
        everywhere = all_timeframes(pair, now, stored)
        text = "\n".join((_said(each), closed_at(pair, now), everywhere, inputs(each.state)))
        subject, at_ms = pair_subject(pair), now.time_ms + pair.timeframe.ms
        for rule in each.rung.rules:
            kind = each.rung.kind
            yield Moment(kind, exchange, subject, text, at_ms, rule, each.is_late)


def _said(found: Found) -> str:
    kind, which, _ = found.rung
    if found.revises:
        text = f"{REVISED}: {was(kind, found.revises)} is not so\n{numbers(found.step.now)}"
    else:
        text = happened(kind, which, found.step)
    return f"{LATE}: {text}" if found.is_late else text
