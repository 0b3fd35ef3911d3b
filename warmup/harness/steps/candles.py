"""A small warmup: the newest 100 days of one symbol, from the exchange to its key and back."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from exchanges.errors import clip
from exchanges.lock.acquire import ExchangeLock
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, subtract
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.fetching import Fetcher
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome
from warmup.harness.steps.lock import read_holder, status_of
from warmup.harness.steps.stored import PreservedStatus
from warmup.runner.hand_over import Show, under_lock
from warmup.scanner import DEFAULT_CANDLE_TARGET, MIN_CANDLE_THRESHOLD, is_exhausted

logger = logging.getLogger(__name__)

DAY = Timeframe.D1
# So long after midnight the exchange may still not tell the day that ended.
MIDNIGHT_MS = 120_000


def check_warmup(facts: Facts) -> Outcome:
    """Warm 1d under the lock, or let the runner do it that has it, and look at what is there."""
    symbol = facts.symbol
    if read_holder(facts):  # one that can't be understood, or never ends, is waited for in vain
        status_of(facts)
    arguments = {"symbols": [symbol], "timeframes": [DAY], "count": DEFAULT_CANDLE_TARGET}
    result: dict[str, Any]
    with PreservedStatus(facts.redis, facts.exchange.pk) as kept:

        def work(cache: CandleCache, tell: Show) -> dict[str, Any]:
            lock = ExchangeLock(facts.redis, facts.exchange.pk)
            if holder := lock.holder():
                kept.ours(holder.epoch)
            return _fetch(facts, cache) | {"by": "fetched here"}

        def say(text: str) -> None:
            kept.waited()
            logger.info("check.waiting exchange=%s for=%s", facts.exchange.name, text)

        result = under_lock(
            *(facts.redis, facts.exchange, "force-backfill", arguments),
            *(work, lambda _: None, say),
            who="",
        )
    _refuse_bad(result, facts.exchange.name, symbol)
    count, newest = _verify(facts, symbol)
    facts.warmed = True
    name = keys.candles(facts.exchange.pk, symbol, DAY)
    by = result.get("by", "fetched by the runner that has the lock")
    return Outcome(f"{count} closed days at {name}, the newest {newest} as REST tells it; {by}")


def _fetch(facts: Facts, cache: CandleCache) -> dict[str, Any]:
    pair = Pair(facts.symbol, DAY)
    fetcher = Fetcher(facts.rest, cache, [pair])
    candles = facts.ask(partial(fetcher.fetch, pair, limit=DEFAULT_CANDLE_TARGET))
    return {"refusedCandles": len(candles.refused), "refused": candles.refused, "failures": []}


def _refuse_bad(result: dict[str, Any], name: str, symbol: str) -> None:
    if failures := result.get("failures"):
        raise Failed(
            f"the runner that has the lock could not fetch it: {failures[0]['error']}",
            f"`./run symbols {name} --sync` if it lists {symbol} only lately; else see its log",
        )
    if refused := result.get("refusedCandles"):
        first = f"; the first: {clip(result['refused'][0])}" if result.get("refused") else ""
        raise Failed(
            f"rows that REST tells and that are no usable candles: {refused}{first}",
            "run it again; if it stays so the exchange has changed its format, or tells nonsense "
            "of these days, which stay a known hole",
        )


def _verify(facts: Facts, symbol: str) -> tuple[int, str]:
    """Return how many days are cached and the newest of them. Raises Failed."""
    cache = CandleCache(facts.redis, facts.exchange.pk)
    answer = facts.ask(partial(facts.rest.get_candles, symbol, DAY, limit=1))
    [told] = answer or [None]
    now_ms = facts.ask(facts.rest.clock.now_ms)
    kept = cache.newest(symbol, DAY, DEFAULT_CANDLE_TARGET)
    newest = kept[-1] if kept else None
    [state] = cache.states([Pair(symbol, DAY)])
    again = f"`./run repair {facts.exchange.name} --symbols {symbol} --timeframes 1d`, then again"
    if newest is None or told is None:
        raise Failed(
            f"{'the cache' if newest is None else 'REST'} has no closed day of {symbol}",
            "choose a symbol with --symbol that has traded for longer than a day",
        )
    if newest.close_time_ms > now_ms:
        raise Failed(f"the newest day, {_date(newest.timestamp)}, is not over there", again)
    if newest.values() != told.values():
        raise Failed(f"REST tells {told}, the cache holds {newest}", again)
    if newest.close_time_ms < DAY.floor(now_ms - MIDNIGHT_MS):
        yesterday = _date(DAY.floor(now_ms) - DAY.ms)
        raise Failed(
            f"the newest day is {_date(newest.timestamp)}, and yesterday was {yesterday} there",
            "the market may be halted, or too quiet: choose another with --symbol",
        )
    if answer.runs_ahead:
        raise Failed(
            f"REST tells a day that begins after {_date(now_ms)}, which it is there",
            "the exchange's days and its clock disagree: run it again, and trust none of its "
            "candles if it stays so",
        )
    _refuse_gaps(kept, state.asked, symbol, again)
    enough = state.count >= MIN_CANDLE_THRESHOLD
    if not enough and not is_exhausted(state, DAY, now_ms, facts.rest.depth_rows):
        raise Failed(f"{state.count} days are cached, and REST should have more", again)
    return state.count, _date(newest.timestamp)


def _refuse_gaps(candles: Sequence[Candle], known: Coverage, symbol: str, again: str) -> None:
    """Raise Failed where days are missing between the oldest and the newest of `candles`."""
    times = {candle.timestamp for candle in candles}
    missing = [at for at in range(min(times), max(times), DAY.ms) if at not in times]
    if not missing:
        return
    unknown = subtract(tuple((at, at + DAY.ms) for at in missing), known)
    text = f"missing among the newest {len(candles)} days: {len(missing)}, the last of them "
    raise Failed(
        text + _date(missing[-1]) + ("" if unknown else ", and REST has none there"),
        again
        if unknown
        else f"{symbol} stood still or is too quiet: choose another with --symbol; of a lively "
        "one the exchange leaves out days",
    )


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
