"""What scenarios do to symbols: they are halted, taken off the list, renamed."""

from collections.abc import Iterable

from exchanges.sandbox.faults.scenario import Scenario
from exchanges.sandbox.market.listings import GONE
from exchanges.sandbox.market.market import Market

KINDS = ("halted", "delisted", "renamed")


class SymbolFaults:
    """Lets symbols trade, or not, as the scenarios that are active now say."""

    def __init__(self, market: Market):
        self._market = market
        self._stopped: dict[str, str] = {}  # what scenarios stopped, by symbol
        self._renamed: set[str] = set()  # the new names that scenarios listed

    def set(self, active: Iterable[Scenario], now_ms: int) -> None:
        """Stop, resume and rename what that needs."""
        active = [one for one in active if one.kind in KINDS]
        wanted = {
            one.symbol: one.state if one.kind == "halted" else GONE
            for one in active
            if one.symbol and one.symbol in self._market.listings
        }
        for symbol in self._stopped.keys() - wanted.keys():
            self._market.resume(symbol, now_ms)
        for symbol in wanted:
            if self._stopped.get(symbol) != wanted[symbol]:
                self._market.stop(symbol, wanted[symbol], now_ms)
        self._stopped = wanted
        renamed = (one for one in active if one.kind == "renamed")
        names = {one.to: one.symbol for one in renamed if one.to and one.symbol}
        for name in self._renamed - names.keys():
            self._market.stop(name, GONE, now_ms)
        for name in names.keys() - self._renamed:
            self._market.list_anew(names[name], name, now_ms)
        self._renamed = set(names)
