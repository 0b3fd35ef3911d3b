"""All of Bybit's topics over a market, by category and topic."""

from collections.abc import Iterator

from exchanges.sandbox import publisher
from exchanges.sandbox.bybit import frames
from exchanges.sandbox.bybit.listing import KINDS
from exchanges.sandbox.bybit.schedule import Stream, SymbolSchedule
from exchanges.sandbox.bybit.settings import NAME
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.connection import Connection, frame

Name = tuple[str, str]  # category and topic


class Publisher(publisher.Publisher[Name, Stream, SymbolSchedule]):
    """The streams by name; a ticker comes whole at once."""

    def __init__(
        self, market: Market, clock: SandboxClock, faults: FrameFaults[Stream], tells_quiet: bool
    ):
        """`tells_quiet`: bars without a trade have frames too."""
        super().__init__(market, clock, faults)
        self._tells_quiet = tells_quiet
        self._serve_new()

    def _served(self, listing: Listing) -> Iterator[tuple[Name, Stream, SymbolSchedule]]:
        for category, kind in KINDS.items():
            if listing.is_on(NAME, kind) and listing.status == TRADING:
                schedule = SymbolSchedule(listing, self._market, self._tells_quiet)
                yield from (((category, each.topic), each, schedule) for each in schedule.streams())

    def _dated(self, payload: bytes, now_ms: int) -> bytes:
        return frames.dated(payload, now_ms)

    def _welcome(
        self, connection: Connection, stream: Stream, schedule: SymbolSchedule, now_ms: int
    ) -> None:
        if stream is schedule.ticker and (snapshot := schedule.snapshot(now_ms)):
            for one in self._faults.spoil(stream, stream.info, snapshot, now_ms):
                if one is not None:
                    connection.send_frame(frame(one))
