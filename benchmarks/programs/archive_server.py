"""A venue that serves bulk files and the same candles over REST: `PORT FIRST_MONTH MONTHS`.

Every symbol has the candles of one made-up month, again and again. All of it is made before the
port is opened and served from memory, so that what is measured is who asks. It limits nobody.
"""

import hashlib
import io
import re
import sys
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from exchanges.sandbox.binance.archive import rows_csv
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.state import SandboxState
from history.months import Month
from livermore.market.timeframe import Timeframe

SYMBOL = "BTC-USD"
MODEL = Month(2024, 1)  # has as many days as the longest
FILE = re.compile(r".*/(?P<name>[^/]+-1m-(?P<month>\d{4}-\d{2}))\.zip(?P<checksum>\.CHECKSUM)?")
LIMIT = 1_000_000  # of weight and of requests
LIMITS = {
    "rateLimits": [
        {"rateLimitType": kind, "interval": "MINUTE", "intervalNum": minutes, "limit": LIMIT}
        for kind, minutes in (("REQUEST_WEIGHT", 1), ("RAW_REQUESTS", 5))
    ],
    "symbols": [],
}
US = 1000  # microseconds in a millisecond


class Archive:
    """The files of some months, and rows of any stretch."""

    def __init__(self, months: list[Month]):
        self._rows = _model_rows()
        self._files = {str(month): _zipped(month, self._csv(month)) for month in months}
        self._checksums = {
            name: hashlib.sha256(content).hexdigest() for name, content in self._files.items()
        }
        self._answers: dict[tuple[int, int, str], bytes] = {}

    def answer(self, target: str) -> bytes | None:
        """Return the body for a request, None where there is nothing of that name."""
        url = urlsplit(target)
        if found := FILE.fullmatch(url.path):
            month = found["month"]
            if month in self._files and found["checksum"]:
                return f"{self._checksums[month]}  {found['name']}.zip\n".encode()
            return self._files.get(month)
        match url.path.rpartition("/")[2]:
            case "time":
                return orjson.dumps({"serverTime": int(time.time() * 1000)})
            case "exchangeInfo":
                return orjson.dumps(LIMITS)
            case "klines":
                asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                return self._klines(
                    int(asked["startTime"]), int(asked["endTime"]), asked["interval"]
                )
        return None

    def _klines(self, start_ms: int, last_ms: int, interval: str) -> bytes:
        key = start_ms, last_ms, interval
        if key not in self._answers:
            step = Timeframe(interval).ms
            times = range(-(-start_ms // step) * step, last_ms + 1, step)
            self._answers[key] = orjson.dumps([self._row(each, step) for each in times[:1000]])
        return self._answers[key]

    def _row(self, time_ms: int, step: int) -> list[Any]:
        start_ms = Month.of(time_ms).start_ms
        fields = self._rows[(time_ms - start_ms) // Timeframe.M1.ms]
        return [time_ms, *fields[1:6], time_ms + step - 1, fields[7], int(fields[8]), *fields[9:]]

    def _csv(self, month: Month) -> Iterator[str]:
        start_ms, end_ms = month.interval
        step = Timeframe.M1.ms
        for fields, at in zip(self._rows, range(start_ms, end_ms, step), strict=False):
            close_us = (at + step) * US - 1
            yield ",".join([str(at * US), *fields[1:6], str(close_us), *fields[7:]])


def _model_rows() -> list[list[str]]:
    config = SandboxConfig(start_ms=MODEL.next.start_ms, speed=0)
    market = SandboxState(config).market.of(SYMBOL)
    bars = market.bars(Timeframe.M1, *MODEL.interval)
    return [line.split(",") for line in rows_csv(bars, market.listing, Timeframe.M1.ms)]


def _zipped(month: Month, lines: Iterator[str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{month}.csv", "\n".join([*lines, ""]))
    return content.getvalue()


class Handler(BaseHTTPRequestHandler):
    archive: Archive
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body of a short answer go out together

    def do_GET(self) -> None:
        body = self.archive.answer(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_what: Any) -> None:
        pass


def main(port: int, first: str, count: int) -> None:
    months = [Month.named(first)]
    while len(months) < count:
        months.append(months[-1].next)
    Handler.archive = Archive(months)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
