"""All streams of Binance's USD-M futures over a market; coin-margined tickers among its own."""

from exchanges.sandbox.binance.publisher import Publisher
from exchanges.sandbox.binance_usdm import frames
from exchanges.sandbox.binance_usdm.schedule import UsdmSchedule
from exchanges.sandbox.binance_usdm.settings import NAME
from exchanges.sandbox.market.listings import BREAK, GONE, PERPETUAL


class UsdmPublisher(Publisher):
    """The streams by name."""

    protocol, kind, schedule = NAME, PERPETUAL, UsdmSchedule
    unserved = (BREAK, GONE)

    def _others(self, now_ms: int) -> list[bytes]:
        return frames.coin_margined(now_ms)
