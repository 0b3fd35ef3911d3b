"""Binance's bulk files, of the same market: zips of CSV below `/data/spot`, with their checksums.

After binance-public-data, README: without a header, times in microseconds from 2025 on. They are
there some time after the end of what they hold.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from exchanges.sandbox.faults import archives
from exchanges.sandbox.faults.fault import Fault
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply
from livermore.market.timeframe import Timeframe

NAME = "archive"
PATH = "/data/spot/{segment:.+}"
FILE = re.compile(
    r"(?P<kind>monthly|daily)/klines/(?P<native>[^/]+)/(?P<interval>[^/]+)/"
    r"(?P=native)-(?P=interval)-(?P<period>\d{4}-\d{2}(?:-\d{2})?)\.zip(?P<sum>\.CHECKSUM)?"
)
PERIODS = {"monthly": "%Y-%m", "daily": "%Y-%m-%d"}
PUBLISHED_AFTER_MS = {"monthly": 3 * archives.DAY_MS, "daily": archives.DAY_MS // 3}
MICROSECONDS_FROM_MS = 1_735_689_600_000  # 2025-01-01
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
KEPT = 8  # zips: a client asks for the checksum too
NO_SUCH_KEY = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>'
_TIMEFRAMES = {str(timeframe): timeframe for timeframe in Timeframe}


class BulkFile(NamedTuple):
    """What a path names: bars of a listing that open in `[start_ms, end_ms)`."""

    name: str  # without its ending
    listing: Listing
    timeframe: Timeframe
    start_ms: int
    end_ms: int
    is_monthly: bool
    is_checksum: bool


class Listed(Protocol):
    """What finds a listing by its native name."""

    def find(self, native: str | None) -> Listing | None: ...


class BinanceArchive:
    """The bulk files of a market: with a header, and with times in microseconds from when on."""

    has_header = False
    microseconds_from_ms: float = MICROSECONDS_FROM_MS

    def __init__(self, market: Market, listed: Listed):
        self._market = market
        self._listed = listed
        self._zips: OrderedDict[tuple, bytes] = OrderedDict()

    def answer(self, call: Call) -> Reply:
        return self.spoilt(call, ())

    def about(self, call: Call) -> tuple[str | None, str | None]:
        """Return symbol and timeframe of what a call is about."""
        file = self._file(call)
        return (file.listing.symbol, str(file.timeframe)) if file else (None, None)

    def spoilt(self, call: Call, faults: Sequence[Fault]) -> Reply:
        """Answer with a file, its checksum, or that there is none, as the faults want it."""
        file = self._file(call)
        if file is None or not _is_published(file, call.now_ms):
            return _not_found()
        faults = archives.concerning(faults, file.start_ms, file.end_ms)
        ways = {fault.way for fault in faults}
        if archives.is_missing(faults, file.start_ms, monthly=file.is_monthly):
            return _not_found()
        zipped = self._zip(file, faults)
        if not zipped:
            return _not_found()
        if not file.is_checksum:
            return Reply(zipped, headers={"Content-Type": "application/zip"})
        if "missing_checksum" in ways:
            return _not_found()
        digest = hashlib.sha256(b"" if "wrong_checksum" in ways else zipped).hexdigest()
        text = f"{digest}  {file.name}.zip\n"
        return Reply(text.encode(), headers={"Content-Type": "text/plain"})

    def _file(self, call: Call) -> BulkFile | None:
        found = FILE.fullmatch(call.segment)
        listing = self._listed.find(found["native"]) if found else None
        if found is None or listing is None or found["interval"] not in _TIMEFRAMES:
            return None
        try:
            start = datetime.strptime(found["period"], PERIODS[found["kind"]]).replace(tzinfo=UTC)
        except ValueError:
            return None
        is_monthly = found["kind"] == "monthly"
        end = (start + timedelta(days=32)).replace(day=1)
        return BulkFile(
            f"{found['native']}-{found['interval']}-{found['period']}",
            listing,
            _TIMEFRAMES[found["interval"]],
            _ms(start),
            _ms(end if is_monthly else start + timedelta(days=1)),
            is_monthly,
            found["sum"] is not None,
        )

    def _zip(self, file: BulkFile, faults: Sequence[Fault]) -> bytes:
        """Return the zip of a file, empty where it has no rows; the last ones are kept."""
        key = (file.name, *((fault.way, fault.chance) for fault in faults))
        if key not in self._zips:
            self._zips[key] = self._packed(file, faults)
            while len(self._zips) > KEPT:
                self._zips.popitem(last=False)
        return self._zips[key]

    def _packed(self, file: BulkFile, faults: Sequence[Fault]) -> bytes:
        market = self._market.of(file.listing.symbol)
        bars = market.bars(file.timeframe, file.start_ms, file.end_ms)
        lines = archives.spoil_lines(rows_csv(bars, file.listing, file.timeframe.ms), faults)
        if not bars:
            return b""
        ways = [fault.way for fault in faults]
        usual = 1000 if file.start_ms >= self.microseconds_from_ms else 1
        units = next((archives.TIMES[way] for way in ways if way in archives.TIMES), usual)
        header = [HEADER] if self.has_header or "header" in ways else []
        text = "\n".join([*header, *(_in_units(line, units) for line in lines), ""])
        return archives.packed(f"{file.name}.csv", text, faults)


def rows_csv(bars: list[Bar], listing: Listing, step_ms: int) -> list[str]:
    """Write bars as the lines of a CSV, with times in milliseconds."""
    decimals = listing.decimals
    tick, unit = 10**decimals, 10**VOLUME_DECIMALS
    price = f"%d.%0{decimals}d{'0' * (8 - decimals)}"
    units = "%d.%08d"
    row = f"%d,{price},{price},{price},{price},{units},%d,{units},%d,{units},{units},0"
    lines = []
    for open_ms, o, high, low, close, volume, trades, quote, _, taken, paid in bars:
        quote, paid = quote // tick, paid // tick
        lines.append(
            row % (
                open_ms, o // tick, o % tick, high // tick, high % tick,
                low // tick, low % tick, close // tick, close % tick,
                volume // unit, volume % unit, open_ms + step_ms - 1, quote // unit, quote % unit,
                trades, taken // unit, taken % unit, paid // unit, paid % unit,
            )
        )  # fmt: skip
    return lines


def _in_units(line: str, units: int) -> str:
    """Return a line whose times count so many units in a millisecond."""
    if units == 1:
        return line
    fields = line.split(",")
    fields[0] = str(int(fields[0]) * units)
    fields[6] = str((int(fields[6]) + 1) * units - 1)
    return ",".join(fields)


def _is_published(file: BulkFile, now_ms: int) -> bool:
    kind = "monthly" if file.is_monthly else "daily"
    return now_ms >= file.end_ms + PUBLISHED_AFTER_MS[kind]


def _not_found() -> Reply:
    return Reply(NO_SUCH_KEY, 404, {"Content-Type": "application/xml"})


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
