"""What a warmup would do and cost, found out without a call for candles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from exchanges.rest.base import VenueRest
from livermore.market.coverage import subtract
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.pair_state import PairState
from warmup.cache.set_aside import SetAside
from warmup.exchange_time import Clock, find_time
from warmup.repair import missing_ranges, ranges_to_ask, too_old
from warmup.scanner import DEFAULT_CANDLE_TARGET, MIN_CANDLE_THRESHOLD, is_exhausted


@dataclass(slots=True)
class TimeframePlan:
    """The pairs of one timeframe, each counted once, and the calls that would fix them.

    `short`: fewer than 60 candles. Of the others `holed` miss some in the middle or at the start,
    `stale` only the newest, and `sufficient` miss none. `too_old` of all of them lack candles of
    which the exchange tells no more, beside what they are counted for.
    """

    timeframe: Timeframe
    sufficient: int = 0
    short: int = 0
    stale: int = 0
    holed: int = 0
    too_old: int = 0
    warmup_calls: int = 0
    repair_calls: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "timeframe": self.timeframe,
            "sufficient": self.sufficient,
            "short": self.short,
            "stale": self.stale,
            "holed": self.holed,
            "tooOld": self.too_old,
            "warmupCalls": self.warmup_calls,
            "repairCalls": self.repair_calls,
        }


@dataclass(frozen=True, slots=True)
class WarmupPlan:
    """The plan of all timeframes, with what the calls weigh and how long they take at the least.

    `clock` is whose time it goes by, None where nothing is cached, so that none is needed. `doubt`
    says why it had to be this machine's. `depth_rows` is of how many of its newest bars the
    exchange tells, None for all. `aside` has a line for each pair that is set aside: it is
    counted nowhere else.
    """

    timeframes: list[TimeframePlan]
    calls: int
    weight: int
    minutes: float
    clock: Clock | None
    doubt: str
    aside: list[str]
    depth_rows: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "timeframes": [each.as_json() for each in self.timeframes],
            "calls": self.calls,
            "weight": self.weight,
            "minutes": self.minutes,
            "clock": self.clock,
            "doubt": self.doubt or None,
            "setAside": self.aside,
            "depthRows": self.depth_rows,
        }


def plan_warmup(
    redis: Redis,
    rest: VenueRest,
    symbols: Sequence[str],
    timeframes: Sequence[Timeframe],
    *,
    with_repair: bool,
) -> WarmupPlan:
    """Return what a warmup of these pairs would do.

    The exchange is asked for its time at the most, and only where something is cached.
    """
    pairs = pairs_of(symbols, timeframes)
    plans = {timeframe: TimeframePlan(timeframe) for timeframe in timeframes}
    states = CandleCache(redis, rest.exchange_id).states(pairs)
    moment = find_time(redis, rest) if any(state.count for state in states) else None
    aside = []
    for pair, state in zip(pairs, states, strict=True):
        if state.aside:
            aside.append(f"{pair.symbol} {pair.timeframe} is set aside: {SetAside(state.aside)}")
            continue
        _count(plans[pair.timeframe], pair, state, rest, moment.ms if moment else 0)
    calls = sum(
        plan.warmup_calls + (plan.repair_calls if with_repair else 0) for plan in plans.values()
    )
    seconds = rest.client.pacer.seconds_for(calls, rest.candle_weight)
    return WarmupPlan(
        list(plans.values()),
        calls,
        calls * rest.candle_weight,
        seconds / 60,
        moment.clock if moment else None,
        moment.doubt if moment else "",
        aside,
        rest.depth_rows,
    )


def _count(plan: TimeframePlan, pair: Pair, state: PairState, rest: VenueRest, now_ms: int) -> None:
    timeframe, settled_ms, depth_rows = pair.timeframe, now_ms - rest.settle_ms, rest.depth_rows
    lost = too_old(state, timeframe, now_ms, depth_rows)
    plan.too_old += state.count > 0 and bool(lost)
    is_short = state.count < MIN_CANDLE_THRESHOLD
    if is_short and not is_exhausted(state, timeframe, settled_ms, depth_rows):
        plan.short += 1
        plan.warmup_calls += rest.calls_for(DEFAULT_CANDLE_TARGET)
        return
    ranges = subtract(missing_ranges(state, timeframe, settled_ms), lost)
    asked = ranges_to_ask(state, timeframe, now_ms, settled_ms, depth_rows)
    plan.repair_calls += sum(rest.calls_for((end - start) // timeframe.ms) for start, end in asked)
    covered_until = state.coverage[-1][1] if state.coverage else 0
    if not ranges:
        plan.sufficient += 1
    elif all(start >= covered_until for start, _ in ranges) and covered_until:
        plan.stale += 1
    else:
        plan.holed += 1
