"""What a heal waits for beside a fill that has used up its share of the weight."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from django.db import connections

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement
from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Lane
from history.filling import HistoryFilling
from history.places.folder import Folder
from history.store.store import HistoryStore
from livermore.market.timeframe import Timeframe

HEALS = 30
FILLED_SYMBOLS, FILLED_DAYS = 20, 60
FILLED_WEIGHT = 1200  # a minute: the fill has used up its share of it soon, and waits
HEAL_FACTOR = 2  # how much longer a heal may take, at the most, beside what waits
SECONDS_STILL = 3.0


def measure(bench: Bench, place: Folder) -> Iterator[Measurement]:
    """Let a fill use up all that its lane may, and heal then, as exchanges that are live do."""
    with bench.sandbox(FILLED_SYMBOLS, weight_limit=FILLED_WEIGHT) as sandbox:
        exchange, symbols = bench.exchange(FILLED_SYMBOLS, sandbox.url)
        alone = statistics.median(_heals(bench, exchange, symbols))
        yield Measurement("a heal, with nothing beside it", alone, "ms", note="the median")
        time.sleep(60)  # until what that used is forgotten
        beside = statistics.median(_beside_a_fill(bench, place, exchange, symbols))
        what = "the same while a fill waits for its share of the weight"
        yield Measurement(what, beside, "ms", HEAL_FACTOR * alone)


def _beside_a_fill(bench, place, exchange, symbols) -> list[float]:
    rest = ExchangeAdapterFactory(bench.redis).rest(exchange)
    now_ms = rest.clock.now_ms()
    stretch = (now_ms - FILLED_DAYS * Timeframe.D1.ms, now_ms)
    filling = HistoryFilling(HistoryStore(place, exchange), rest, symbols, [Timeframe.M1], stretch)

    def fill() -> None:
        with suppress(LivermoreError):  # it is ended when the heals are done
            filling.fill(lambda *_: None)
        connections.close_all()

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        calls = -1
        while calls < 1 or calls != rest.candle_calls:
            calls = rest.candle_calls
            time.sleep(SECONDS_STILL)
        return _heals(bench, exchange, symbols)
    finally:
        rest.close()
        thread.join(60)


def _heals(bench: Bench, exchange: Exchange, symbols: list[str]) -> list[float]:
    """Fetch the newest minutes of a pair in the lane of heals, again and again."""
    rest = ExchangeAdapterFactory(bench.redis).rest(exchange)
    took = []
    try:
        for number in range(HEALS):
            symbol = symbols[number % len(symbols)]
            began = time.perf_counter()
            rest.get_candles(symbol, Timeframe.M1, limit=5, lane=Lane.HEAL)
            took.append(1000 * (time.perf_counter() - began))
            time.sleep(0.05)
    finally:
        rest.close()
    return took
