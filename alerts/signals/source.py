"""Signals as a source of alerts: what the closes since the last look ring, in words."""

from collections.abc import Iterable, Iterator, Sequence

from redis import Redis

from alerts.events.source import Look, Moment, Seen, pair_subject
from alerts.signals.choice import SIGNALS, Choices
from alerts.signals.exchange_signals import ExchangeSignals, Found
from alerts.signals.words import all_timeframes, closed_at, happened, in_short, inputs, numbers, was
from exchanges.lock.status import read_exchange_time
from exchanges.models import Exchange
from livermore.market.pair import pairs_of
from warmup.cache.indicators import IndicatorCache

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
        rules = look.rules_of(*SIGNALS)
        positions = look.position(self.name)
        for exchange in look.exchanges:
            about = [rule for rule in rules if rule.exchange_id in (None, exchange.pk)]
            choices = self._choices_of(exchange, Choices(about))
            position = positions.setdefault(str(exchange.pk), {})
            signals = self._exchanges.get(exchange.pk)
            if signals is None:
                signals = self._exchanges[exchange.pk] = ExchangeSignals(look.redis, exchange)
            if choices:
                told_ms = read_exchange_time(look.redis, exchange.pk)
                now_ms = look.now_ms if told_ms is None else told_ms
                yield from moments(look.redis, exchange, signals.look(choices, position, now_ms))
                look.write_with(signals.write)
            elif position:
                signals.forget(position)
                look.write_with(signals.write)

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
