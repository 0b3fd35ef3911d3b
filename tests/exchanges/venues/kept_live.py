"""A preset's row over a sandbox: connected, warmed, and kept live beside the truth."""

from contextlib import closing, contextmanager

from exchanges.adapters import open_rest
from exchanges.models import Exchange
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.monitoring import monitor
from livermore.market.timeframe import LONGEST_FIRST, MINUTE_MS
from tests.warmup.runners import MIDNIGHT_MS, Comparison, running, stored
from warmup.service import SmartWarmupService


def preset_that_waits(name):
    """Return the row of a preset, which is sound and waits until a person activates it."""
    row = Exchange.objects.get(name=name)
    row.full_clean()
    assert (row.is_active, row.wanted) == (False, "stopped")
    return row


def connected(name, server, symbols, path="", **values):
    """Return a preset's row with the sandbox's addresses, and these symbols monitored.

    `path` is what of the WebSocket's address follows the host.
    """
    moved = {"rest_url": server.url, "ws_url": f"{server.ws_url}{path}", "is_active": True}
    Exchange.objects.filter(name=name).update(**moved | values)
    row = Exchange.objects.get(name=name)
    fetch_listing(row)
    row.symbols.update(is_monitored=False)
    monitor(row, symbols)
    return row


def warm_twice(redis, server, row, symbols, least_rows=99):
    """Warm from nothing, by a call a pair, and then by none; all is there, and true."""
    for calls in (len(symbols) * len(LONGEST_FIRST), 0):
        with closing(open_rest(row)) as rest:
            SmartWarmupService(redis, row.pk, rest).warmup(symbols)
            assert rest.candle_calls == calls
    for symbol in symbols:
        for timeframe in LONGEST_FIRST:
            rows, coverage = stored(redis, row.pk, symbol, timeframe)
            assert len(rows) >= least_rows
            truth = server.market.closed_rows(symbol, timeframe, *coverage[0])
            assert rows == [each[: len(rows[0])] for each in truth]  # with columns, where it has


@contextmanager
def live_beyond_midnight(redis, server, row, symbols, minutes):
    """Keep these live until so long after midnight; yield what says what is wrong by now."""
    truth = Comparison(redis, server, row, symbols)
    with running(redis, row, symbols):
        live_ms = server.clock.now_ms()
        truth.wait(max(live_ms, MIDNIGHT_MS) + minutes * MINUTE_MS)
        yield lambda: truth.faults(since_ms=live_ms)
