"""The limits of Binance's USD-M futures as a sandbox counts them: the real ones by default."""

from dataclasses import dataclass

from exchanges.sandbox.binance.settings import BinanceSettings
from exchanges.sandbox.protocol import option

NAME = "binance_usdm"


@dataclass(frozen=True)
class UsdmSettings:
    """What a sandbox can be told of this protocol.

    As on its spot exchange: REST is counted on the sandbox's own clock, WebSockets in this
    machine's seconds. Nobody knows whether REST has rows of bars without a trade: `usdm_fills`.
    """

    usdm_weight_limit: int = option(2400, "request weight in a minute, of USD-M futures")
    usdm_strikes: int = 5
    usdm_ban_ms: int = 120_000
    usdm_longest_ban_ms: int = 259_200_000
    usdm_fills: int = option(1, "rows of USD-M futures' bars without a trade: 1, none: 0")
    usdm_messages_per_second: int = 10
    usdm_ping_seconds: float = 180
    usdm_pong_seconds: float = 600
    usdm_lifetime_seconds: float = 86_400

    @property
    def of_streams(self) -> BinanceSettings:
        """Return what spot's streams go by: an end is not announced here."""
        return BinanceSettings(
            ws_messages_per_second=self.usdm_messages_per_second,
            ws_ping_seconds=self.usdm_ping_seconds,
            ws_pong_seconds=self.usdm_pong_seconds,
            ws_lifetime_seconds=self.usdm_lifetime_seconds,
            ws_notice_seconds=0,
        )
