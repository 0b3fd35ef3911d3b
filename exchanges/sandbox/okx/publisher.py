"""All of OKX's channels over a market, by channel and instrument."""

from collections.abc import Iterator

from exchanges.sandbox import publisher
from exchanges.sandbox.market.listings import BREAK, PERPETUAL, Listing
from exchanges.sandbox.okx import frames
from exchanges.sandbox.okx.schedule import Stream, SymbolSchedule
from exchanges.sandbox.okx.settings import NAME

Name = tuple[str, str]  # channel and instrument


class Publisher(publisher.Publisher[Name, Stream, SymbolSchedule]):
    """The streams by name; the state of a new subscription comes with its schedule."""

    def _served(self, listing: Listing) -> Iterator[tuple[Name, Stream, SymbolSchedule]]:
        is_on = listing.is_on(NAME) or listing.is_on(NAME, PERPETUAL)
        if is_on and listing.status != BREAK:
            schedule = SymbolSchedule(listing, self._market)
            yield from ((each.name, each, schedule) for each in schedule.streams())

    def _dated(self, payload: bytes, now_ms: int) -> bytes:
        return frames.dated(payload, now_ms)
