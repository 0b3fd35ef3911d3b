"""An exchange that is streamed into Redis, and its own candles beside those that were read."""

from contextlib import contextmanager
from types import SimpleNamespace

from exchanges.redis.directory import publish_exchanges
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import make_row, running, serve, true_rows


@contextmanager
def streamed(redis, **settings):
    """Stream a sandbox as a runner does; `settings` are the sandbox's."""
    with serve(**settings) as sandbox:
        row = make_row(sandbox)
        publish_exchanges(redis)
        with running(redis, row):
            yield SimpleNamespace(sandbox=sandbox, row=row, redis=redis)


def truth(exchange, symbol, timeframe, times):
    """Return the exchange's own six numbers of each of these bars, which follow one another."""
    timeframe = Timeframe(timeframe)
    stretch = (int(times[0]), int(times[-1]) + timeframe.ms)
    rows = true_rows(exchange.sandbox, exchange.row, symbol, timeframe, *stretch)
    return [row[:6] for row in rows]


def as_rows(frame):
    """Return a frame's rows as the exchange has them."""
    times = [int(each.timestamp() * 1000) for each in frame.index]
    return [[time, *row] for time, row in zip(times, frame.to_numpy().tolist(), strict=True)]
