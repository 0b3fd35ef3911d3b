"""Exchanges that are known from the start, and which of their symbols to begin with.

The rows come from a migration, so that it happens once: what a person later changes or deletes
stays so. A change here therefore reaches new installations only; `default_symbols` are read at the
first sync of an exchange, and the limits of answers whenever it is called.

Sources, as read in October 2026:
- binance: github.com/binance/binance-spot-api-docs, rest-api.md "General API Information" and
  web-socket-streams.md "General WSS information". Its limits are published and every reply says how
  much is used: pacing `weight`.
- binance_us: docs.binance.us, "General Information" of REST and WebSocket streams. It lists USD
  beside USDT, as different markets; USD is what most of its users hold.
- coinbase: docs.cdp.coinbase.com, Advanced Trade "REST API" and "WebSocket Overview". The REST
  limit is unpublished: pacing `batch`.
- sandbox: the exchange on this machine, `manage.py sandbox`.
"""

from dataclasses import dataclass

from exchanges.rest.answers import AnswerLimits

USUAL = AnswerLimits()


@dataclass(frozen=True, slots=True)
class Preset:
    """What an exchange row holds at the start.

    `default_symbols` are canonical and monitored from the first sync on if they trade; None means
    every symbol that trades. `answers` is the most that one of its answers over REST may be and
    take; it is no part of the row.
    """

    name: str
    display_name: str
    venue: str
    rest_url: str
    ws_url: str
    pacing: str
    default_symbols: tuple[str, ...] | None
    answers: AnswerLimits = USUAL


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="binance",
            display_name="Binance",
            venue="binance",
            rest_url="https://api.binance.com",
            ws_url="wss://stream.binance.com:9443",
            pacing="weight",
            default_symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT"),
        ),
        Preset(
            name="binance_us",
            display_name="Binance.US",
            venue="binance",
            rest_url="https://api.binance.us",
            ws_url="wss://stream.binance.us:9443",
            pacing="weight",
            default_symbols=("BTC-USD", "ETH-USD", "SOL-USD"),
        ),
        Preset(
            name="coinbase",
            display_name="Coinbase",
            venue="coinbase",
            rest_url="https://api.coinbase.com/api/v3/brokerage",
            ws_url="wss://advanced-trade-ws.coinbase.com",
            pacing="batch",
            default_symbols=("BTC-USD", "ETH-USD", "SOL-USD"),
        ),
        Preset(
            name="sandbox",
            display_name="Sandbox",
            venue="binance",
            rest_url="http://127.0.0.1:8899",
            ws_url="ws://127.0.0.1:8899",
            pacing="weight",
            default_symbols=None,
        ),
    )
}


def answer_limits(name: str) -> AnswerLimits:
    """Return the most that an answer of an exchange may be, of one that somebody added too."""
    preset = PRESETS.get(name)
    return preset.answers if preset else USUAL
