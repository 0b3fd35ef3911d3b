"""What Kraken's clients ask for on a WebSocket, and how it answers: each symbol by itself."""

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

OHLC, TICKER = "ohlc", "ticker"
SUBSCRIBE, UNSUBSCRIBE, PING = "subscribe", "unsubscribe", "ping"
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
ONE_INTERVAL = "Already subscribed to one ohlc interval on this symbol"
TOO_FAST = "Exceeded msg rate"
WARNINGS = ["timestamp is deprecated, use interval_begin"]
_PAIR = re.compile("[A-Z0-9.]+/[A-Z0-9.]+")


class Stream(NamedTuple):
    """One channel of one symbol; of candles in an interval of so many minutes, else 0."""

    channel: str
    symbol: str
    interval: int = 0

    @property
    def name(self) -> str:
        return ":".join(map(str, self))


class Command(NamedTuple):
    """One message: what is to be done with which streams, and whether a snapshot comes first."""

    method: str
    streams: list[Stream]
    snapshot: bool
    request_id: object


class BadCommand(Exception):
    """A message of which nothing can be done."""

    def __init__(self, method: object, request_id: object, error: str):
        super().__init__(error)
        self.method, self.request_id = method, request_id


def stream_of(name: str) -> Stream:
    channel, symbol, interval = name.split(":")
    return Stream(channel, symbol, int(interval))


def read_command(text: bytes) -> Command:
    """Return what a message asks for. Raises BadCommand."""
    try:
        sent = orjson.loads(text)
        method, request_id = sent["method"], sent.get("req_id")
    except (ValueError, TypeError, LookupError, AttributeError):
        raise BadCommand(None, None, "Malformed request") from None
    if method == PING:
        return Command(method, [], False, request_id)
    try:
        params = sent["params"]
        channel, symbols, interval = params["channel"], params["symbol"], 0
        if channel == OHLC:
            interval = params.get("interval", INTERVALS[0])
        if method not in (SUBSCRIBE, UNSUBSCRIBE) or channel not in (OHLC, TICKER):
            raise ValueError(channel)
        if interval and interval not in INTERVALS:
            raise ValueError(interval)
        streams = [Stream(channel, str(symbol), interval) for symbol in symbols]
    except (ValueError, TypeError, LookupError, AttributeError):
        raise BadCommand(method, request_id, "Malformed request") from None
    return Command(method, streams, params.get("snapshot", True) is True, request_id)


def not_supported(symbol: str) -> str:
    """Say why a name can't be subscribed."""
    if _PAIR.fullmatch(symbol):
        return f"Currency pair not supported {symbol}"
    return f"Currency pair not in ISO 4217-A3 format {symbol}"


def acknowledgement(command: Command, stream: Stream, now_ms: int) -> bytes:
    told: dict[str, Any] = {"channel": stream.channel, "symbol": stream.symbol}
    if command.method == SUBSCRIBE:
        told["snapshot"] = command.snapshot
    if stream.interval:
        told |= {"interval": stream.interval, "warnings": WARNINGS}
    return _answer({"method": command.method, "result": told, "success": True}, command, now_ms)


def refusal(command: Command, symbol: str, error: str, now_ms: int) -> bytes:
    """Refuse one symbol of a message; whatever it asked for, its method is told as this."""
    told = {"error": error, "method": SUBSCRIBE, "success": False, "symbol": symbol}
    return _answer(told, command, now_ms)


def malformed(error: BadCommand, now_ms: int) -> bytes:
    told = {"error": str(error), "method": error.method, "success": False}
    return _answer(told, error, now_ms)


def pong(command: Command, now_ms: int) -> bytes:
    return _answer({"method": "pong"}, command, now_ms)


def _answer(told: dict, asked: Command | BadCommand, now_ms: int) -> bytes:
    moment = microseconds(now_ms)
    told |= {"time_in": moment, "time_out": moment}
    return orjson.dumps(told if asked.request_id is None else told | {"req_id": asked.request_id})


def microseconds(time_ms: int) -> str:
    """Write a time with six digits of its second."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}000Z"
