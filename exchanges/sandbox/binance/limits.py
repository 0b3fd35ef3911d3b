"""What Binance's exchangeInfo tells of limits, and might after a change or in an outage."""

from collections.abc import Callable

from exchanges.sandbox.binance.settings import BinanceSettings


def published_limits(settings: BinanceSettings) -> list[dict]:
    return [
        _limit("REQUEST_WEIGHT", 1, settings.weight_limit),
        _limit("RAW_REQUESTS", 5, settings.raw_limit),
    ]


def _limit(kind: str, minutes: int, limit: int) -> dict:
    return {
        "rateLimitType": kind,
        "interval": "MINUTE",
        "intervalNum": minutes,
        "limit": limit,
    }


def _replaced(told: object) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        content["rateLimits"] = told

    return change


def _each(**values: object) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        content["rateLimits"] = [row | values for row in content["rateLimits"]]

    return change


def _missing(content: dict) -> None:
    del content["rateLimits"]


ODD_LIMITS: dict[str, Callable[[dict], None]] = {
    "empty_row": _replaced([{}]),
    "missing": _missing,
    "null": _replaced(None),
    "object": _replaced({"REQUEST_WEIGHT": 6000}),
    "text": _replaced("6000 a minute"),
    "texts": _replaced(["REQUEST_WEIGHT"]),
    # As it was until 2018.
    "older": _replaced([{"rateLimitType": "REQUESTS", "interval": "MINUTE", "limit": 1200}]),
    "zero": _each(limit=0),
    "negative": _each(limit=-6000),
    "absurd": _each(limit=10**18),
}
