"""Frames of Binance's combined stream, built beforehand: only times and a stamp are filled in.

(github.com/binance/binance-spot-api-docs, web-socket-streams.md, "Kline/Candlestick Streams" and
"All Market Mini Tickers Stream".) The volume of a bar is the monotonic time at which its frame was
sent, so that whoever reads the bar anywhere on this machine knows how long it took.
"""

import orjson

from livermore.market.timeframe import Timeframe

TICKERS = "!miniTicker@arr"
SENT_AT = b"E" * 13  # epoch ms
STAMP = b"V" * 17  # monotonic seconds
TEXT_FRAME = b"\x81"


def stamp(frames: bytes, now_ms: int, monotonic: float) -> bytes:
    """Return `frames` as sent at this time."""
    return frames.replace(SENT_AT, b"%d" % now_ms).replace(STAMP, b"%017.8f" % monotonic)


def kline(topic: str, now_ms: int, closed: bool) -> bytes:
    """Return the frame of the topic's open bar, or of the one before, which closed."""
    native, _, interval = topic.partition("@kline_")
    symbol, timeframe = native.upper(), Timeframe(interval)
    opened_ms = timeframe.floor(now_ms) - closed * timeframe.ms
    bar = {
        **{"t": opened_ms, "T": opened_ms + timeframe.ms - 1, "s": symbol, "i": interval},
        **{"f": 51200345, "L": 51200461, "o": "67012.37000000", "c": "67020.01000000"},
        **{"h": "67031.99000000", "l": "67001.12000000", "v": STAMP.decode(), "n": 117},
        **{"x": closed, "q": "823456.12345678", "V": "6.12345678", "Q": "410022.1234567", "B": "0"},
    }
    # As text: a number of this width, in a place where no number is yet.
    data = f'{{"e":"kline","E":{SENT_AT.decode()},"s":"{symbol}","k":{orjson.dumps(bar).decode()}}}'
    return _framed(f'{{"stream":"{topic}","data":{data}}}'.encode())


def mini_tickers(natives: list[str]) -> bytes:
    """Return the one frame that has the tickers of all these."""
    prices = '"c":"67020.01000000","o":"66500.00000000","h":"67500.00000000","l":"66100.00000000"'
    tickers = ",".join(
        f'{{"e":"24hrMiniTicker","E":{SENT_AT.decode()},"s":"{native}",{prices},'
        '"v":"12345.67800000","q":"823456789.12345678"}'
        for native in natives
    )
    return _framed(f'{{"stream":"{TICKERS}","data":[{tickers}]}}'.encode())


def _framed(payload: bytes) -> bytes:
    if len(payload) < 126:
        return TEXT_FRAME + bytes([len(payload)]) + payload
    if len(payload) < 65_536:
        return TEXT_FRAME + b"\x7e" + len(payload).to_bytes(2) + payload
    return TEXT_FRAME + b"\x7f" + len(payload).to_bytes(8) + payload
