"""When the streams of one perpetual have something to say: as spot's do, without a book."""

from collections.abc import Iterable

from exchanges.sandbox.binance.schedule import Stream, SymbolSchedule
from exchanges.sandbox.binance_usdm import frames


class UsdmSchedule(SymbolSchedule):
    """One perpetual's streams: best bids and asks come on another route."""

    write_ticker, write_mini = staticmethod(frames.ticker), staticmethod(frames.mini_ticker)

    def streams(self) -> Iterable[Stream]:
        return (*self.klines.values(), self.ticker, self.mini)
