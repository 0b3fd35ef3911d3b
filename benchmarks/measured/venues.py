from collections.abc import Iterator
from urllib.parse import urlsplit

from benchmarks.fixtures.bench import Bench, Sandbox
from benchmarks.measurement import Measurement
from exchanges.models import Exchange, Symbol
from exchanges.presets import presets
from exchanges.rest.pacing.memory import forget_all
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.venue import Venue
from exchanges.venues import VENUES
from livermore.market.timeframe import Timeframe

SYMBOLS = 25
NOT_REAL = "sandbox"
MOST_TIMES = 1.2  # as long as the limit alone would take
SECONDS_A_MINUTE = 60


def measure(bench: Bench) -> Iterator[Measurement]:
    """Warm symbols of each exchange at the pace of its own row, from nothing and within its limits.

    What a venue publishes is what its sandbox counts; each of them answers after the same latency.
    """
    with bench.sandbox(SYMBOLS) as sandbox:
        for name in presets():
            if name != NOT_REAL:
                yield from _warmed(bench, sandbox, name)


def _warmed(bench: Bench, sandbox: Sandbox, name: str) -> Iterator[Measurement]:
    row = Exchange.objects.get(name=name)
    venue = VENUES[row.venue]
    row.rest_url = sandbox.url + urlsplit(row.rest_url).path
    fetch_listing(row)
    trading = row.symbols.filter(status=Symbol.Status.TRADING)
    symbols = sorted(trading.values_list("symbol", flat=True))[:SYMBOLS]
    bench.redis.flushdb()
    forget_all()  # else what was used up before is put back
    sandbox.forget()
    seconds = bench.warm(row, symbols)
    calls = sum(map(len, sandbox.calls_by_pair().values()))
    alone, limit = _alone(venue, calls)
    what = f"{name}: warmup of {len(symbols)} symbols x {len(Timeframe)}"
    note = f"{calls} calls; at {limit} these alone take {alone:.3g} s: {seconds / alone:.2f} times"
    is_published = venue.calls is None or venue.calls.is_published
    yield Measurement(what, seconds, "s", MOST_TIMES * alone if is_published else None, note)
    yield Measurement(f"{name}: its calls refused", sandbox.refusals(), at_most=0)


def _alone(venue: Venue, calls: int) -> tuple[float, str]:
    """Return in which time a venue's limit lets so many calls for candles pass, and that limit."""
    if venue.calls:
        each = venue.calls
        text = f"{each.calls} calls in {each.per_seconds:g} s"
        return calls / each.per_second, text if each.is_published else f"{text}, once told,"
    assert venue.weight  # it publishes one of both
    weight, minute = venue.rest.candle_weight, venue.weight.until_known.weight_per_minute
    return calls * weight / minute * SECONDS_A_MINUTE, f"{minute:,} weight a minute"
