"""What the streams of Binance's USD-M futures say, where it is not what spot's do."""

import orjson

from exchanges.sandbox.binance import frames as spot
from exchanges.sandbox.market.bars import Bar
from exchanges.sandbox.market.listings import Listing

OWN, COIN_MARGINED = 1, 2  # `st`: whose a row of all tickers is
OTHERS = ("BTCUSD_PERP", "ETHUSD_PERP", "BTCUSD_261225")  # coin-margined ones among them


def ticker(listing: Listing, day: Bar, now_ms: int) -> bytes:
    return _marked(spot.ticker(listing, day, now_ms))


def mini_ticker(listing: Listing, day: Bar, now_ms: int) -> bytes:
    return _marked(spot.mini_ticker(listing, day, now_ms))


def coin_margined(now_ms: int) -> list[bytes]:
    """Return the rows of another exchange, whose volumes are contracts."""
    return [
        orjson.dumps(
            {
                "e": "24hrMiniTicker",
                "E": now_ms,
                "s": name,
                "ps": name.partition("_")[0],
                "c": "67012.3",
                "o": "66000.0",
                "h": "67500.0",
                "l": "65800.0",
                "v": "4182355",
                "q": "6270.81",
                "st": COIN_MARGINED,
            }
        )
        for name in OTHERS
    ]


def _marked(payload: bytes) -> bytes:
    content = orjson.loads(payload)
    return orjson.dumps(content | {"ps": content["s"], "st": OWN})
